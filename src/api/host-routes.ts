// Routes of the host itself: what it is, what happens on it, its counters.
import { checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import type { EventFeed } from "./event-feed.ts";
import { prometheusText } from "./metrics.ts";
import { jsonResponse, LINES_TYPE, queryFlag, readJson, TEXT_TYPE } from "./request.ts";
import type { Route } from "./route.ts";
import { EVENT_SCHEMA, HOST_SCHEMA } from "./schemas.ts";
import { hostView } from "./views.ts";

const POLICY_FIELDS = {
  policy: { kind: "text", title: "scheduling policy of every pCPU", maxLength: 64, required: true },
} as const satisfies FieldTable;

export const HOST_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/host",
    id: "host",
    summary: "The host: version, policy, pCPUs",
    answer: { status: 200, description: "The host.", schema: HOST_SCHEMA },
    handle: async (_request, { host, version }) => jsonResponse(200, await hostView(host, version)),
  },
  {
    method: "PATCH",
    path: "/v1/host",
    id: "setHost",
    summary: "Change the scheduling policy while everybody runs",
    body: schemaOf(POLICY_FIELDS),
    answer: { status: 200, description: "The host.", schema: HOST_SCHEMA },
    handle: async (request, { host, version }) => {
      await host.setPolicy(checkFields(POLICY_FIELDS, readJson(request)).policy);
      return jsonResponse(200, await hostView(host, version));
    },
  },
];

export const EVENT_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/events",
    id: "events",
    summary: "What happened lately; with follow also what happens",
    query: [{ name: "follow", description: "stay", schema: { type: "boolean", default: false } }],
    answer: { status: 200, contentType: LINES_TYPE, description: "One JSON object a line.", schema: EVENT_SCHEMA },
    handle: (request, { events }) => ({
      status: 200,
      contentType: LINES_TYPE,
      body: eventLines(events, queryFlag(request, "follow"), request.signal),
    }),
  },
  {
    method: "GET",
    path: "/metrics",
    id: "metrics",
    summary: "Every counter in Prometheus' text format",
    answer: { status: 200, contentType: TEXT_TYPE, description: "Prometheus text." },
    handle: async (_request, { host }) => ({
      status: 200,
      contentType: TEXT_TYPE,
      body: new TextEncoder().encode(await prometheusText(host)),
    }),
  },
];

async function* eventLines(events: EventFeed, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder();
  const line = (event: unknown): Uint8Array => encoder.encode(`${JSON.stringify(event)}\n`);
  // From here on nothing is lost between what was and what comes.
  const coming = follow ? events.follow(signal)[Symbol.asyncIterator]() : undefined;
  const next = coming?.next();
  for (const event of events.recent()) yield line(event);
  if (coming === undefined || next === undefined) return;
  for (let result = await next; !result.done; result = await coming.next()) yield line(result.value);
}
