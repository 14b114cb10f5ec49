// The management API: one row a route. The router, the OpenAPI document and its test read this table.
import { checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import type { Host } from "../host/host.ts";
import type { HostedVm } from "../host/hosted-vm.ts";
import { PARAMETER_FIELDS } from "../host/sched/parameters.ts";
import { VmError } from "../vmm/error.ts";
import { followConsole } from "./console-feed.ts";
import type { EventFeed } from "./event-feed.ts";
import { prometheusText } from "./metrics.ts";
import { openApiDocument } from "./openapi.ts";
import {
  type ApiRequest,
  type ApiResponse,
  BYTES_TYPE,
  jsonResponse,
  LINES_TYPE,
  NO_CONTENT,
  queryFlag,
  queryInteger,
  readJson,
  TEXT_TYPE,
} from "./request.ts";
import { EVENT_SCHEMA, HOST_SCHEMA, SNAPSHOT_SCHEMA, STATS_SCHEMA, VM_SCHEMA, VMS_SCHEMA } from "./schemas.ts";
import { SCREEN_ROUTES } from "./screen-routes.ts";
import { hostView, vmStatsView, vmView } from "./views.ts";
import { checkVmSpec, RESOURCES_FIELD, VM_SPEC_FIELDS, type VmSpecResolver, vmSpecSchema } from "./vm-spec.ts";

/** What handlers work with. */
export interface ApiContext {
  readonly host: Host;
  readonly resolve: VmSpecResolver;
  readonly events: EventFeed;
  readonly version: string;
  readonly limits: ApiLimits;
}

export interface ApiLimits {
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  readonly vms: number;
}

export interface QueryParameter {
  readonly name: string;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** "{name}" stands for the name of a VM. */
  readonly path: string;
  /** OpenAPI's operationId. */
  readonly id: string;
  readonly summary: string;
  readonly query?: readonly QueryParameter[];
  /** JSON schema of the body, or its media type. Undefined: no body. */
  readonly body?: Readonly<Record<string, unknown>> | typeof BYTES_TYPE;
  /** Status and media type where all is well. */
  readonly answer: {
    readonly status: number;
    readonly contentType?: string;
    readonly description: string;
    /** JSON schema; of one line where lines come. */
    readonly schema?: Readonly<Record<string, unknown>>;
  };
  handle(request: ApiRequest, context: ApiContext, vm: HostedVm): Promise<ApiResponse> | ApiResponse;
}

const STOP_FIELDS = {
  force: { kind: "boolean", title: "without asking the guest", default: false },
  timeoutMs: {
    kind: "number",
    title: "what the guest gets to shut down after its power button was pressed, ms",
    min: 0,
    max: 600_000,
    default: 10_000,
  },
} as const satisfies FieldTable;

const POLICY_FIELDS = {
  policy: { kind: "text", title: "scheduling policy of every pCPU", maxLength: 64, required: true },
} as const satisfies FieldTable;

const VM_PATCH_FIELDS = {
  scheduling: { kind: "object", title: "what changes; the rest stays", fields: withoutDefaults(PARAMETER_FIELDS) },
  resources: RESOURCES_FIELD,
} as const satisfies FieldTable;

const FILE_FIELDS = {
  folder: { kind: "text", title: "folder of the host, where parents are too", maxLength: 4096, required: true },
  file: { kind: "text", title: "name of the file in it", maxLength: 255, required: true },
} as const satisfies FieldTable;

const SNAPSHOT_FIELDS = {
  ...FILE_FIELDS,
  parent: { kind: "text", title: "a snapshot in the same folder; only what differs is written", maxLength: 255 },
  track: {
    kind: "boolean",
    title: "log writes from here on, for a quick next one with this as its parent",
    default: false,
  },
  compress: { kind: "boolean", title: "smaller, and slower to write", default: true },
} as const satisfies FieldTable;

const RESTORE_FIELDS = {
  ...FILE_FIELDS,
  clock: {
    kind: "choice",
    title: "guest time goes on from the snapshot, or jumps forward to now",
    of: ["resume", "now"],
    default: "resume",
  },
  identity: {
    kind: "choice",
    title: "another generation ID than the saved VM, or the same machine moved",
    of: ["new", "same"],
    default: "new",
  },
  track: SNAPSHOT_FIELDS.track,
} as const satisfies FieldTable;

const RESTORE_NEW_FIELDS = {
  ...RESTORE_FIELDS,
  name: { kind: "text", title: "name of the new VM; NAME-1, NAME-2... where there are several", maxLength: 64 },
  count: {
    kind: "number",
    title: "so many copies, each with its own identity",
    min: 1,
    max: 1000,
    integer: true,
    default: 1,
  },
  start: { kind: "boolean", title: "and start them", default: false },
  pcpu: VM_SPEC_FIELDS.pcpu,
  pinned: VM_SPEC_FIELDS.pinned,
  scheduling: { kind: "object", title: "share of the pCPUs", fields: PARAMETER_FIELDS },
  resources: RESOURCES_FIELD,
} as const satisfies FieldTable;

const PORT_QUERY: QueryParameter = {
  name: "port",
  description: "serial port",
  schema: { type: "integer", minimum: 0, maximum: 3, default: 0 },
};

/** A verb without a body that answers with the VM as it is afterwards. */
function verb(id: string, summary: string, act: (vm: HostedVm) => Promise<unknown>): Route {
  return {
    method: "POST",
    path: `/v1/vms/{name}/${id}`,
    id,
    summary,
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (_request, _context, vm) => {
      await act(vm);
      return jsonResponse(200, vmView(vm));
    },
  };
}

export const ROUTES: readonly Route[] = [
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
  {
    method: "GET",
    path: "/v1/vms",
    id: "list",
    summary: "All VMs",
    answer: { status: 200, description: "All of them.", schema: VMS_SCHEMA },
    handle: (_request, { host }) => jsonResponse(200, host.vms.map(vmView)),
  },
  {
    method: "POST",
    path: "/v1/vms",
    id: "create",
    summary: "Make a VM; it does not run yet",
    body: vmSpecSchema(),
    answer: { status: 201, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, context) => {
      const spec = checkVmSpec(readJson(request));
      const config = await context.resolve(spec);
      requireRoom(context, 1);
      return jsonResponse(201, vmView(await context.host.createVm(config)));
    },
  },
  {
    method: "GET",
    path: "/v1/vms/{name}",
    id: "info",
    summary: "One VM",
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: (_request, _context, vm) => jsonResponse(200, vmView(vm)),
  },
  {
    method: "PATCH",
    path: "/v1/vms/{name}",
    id: "set",
    summary: "Change its scheduling, and what it claims of resources, while it runs",
    body: schemaOf(VM_PATCH_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { scheduling, resources } = checkFields(VM_PATCH_FIELDS, readJson(request));
      const changed = Object.entries(scheduling ?? {}).filter(([, value]) => value !== undefined);
      if (changed.length > 0) await vm.schedule(Object.fromEntries(changed));
      if (resources !== undefined) await vm.setResources(resources);
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "DELETE",
    path: "/v1/vms/{name}",
    id: "destroy",
    summary: "End it at once, whatever its state, and forget it",
    answer: { status: 204, description: "It is gone." },
    handle: async (_request, _context, vm) => {
      await vm.destroy();
      return NO_CONTENT;
    },
  },
  verb("start", "Cold start", (vm) => vm.start()),
  verb("pause", "Stop it between two instructions", (vm) => vm.pause()),
  verb("resume", "Go on", (vm) => vm.resume()),
  verb("reset", "The reset button: warm start", (vm) => vm.reset()),
  {
    method: "POST",
    path: "/v1/vms/{name}/stop",
    id: "stop",
    summary: "Ask the guest to shut down by ACPI, then switch it off",
    body: schemaOf(STOP_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      await vm.stop(checkFields(STOP_FIELDS, readJson(request)));
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/snapshot",
    id: "snapshot",
    summary: "Write a snapshot; the VM stands still only while what changed is copied",
    body: schemaOf(SNAPSHOT_FIELDS),
    answer: { status: 200, description: "What was written.", schema: SNAPSHOT_SCHEMA },
    handle: async (request, _context, vm) => {
      const { folder, file, ...options } = present(checkFields(SNAPSHOT_FIELDS, readJson(request)));
      const { parent, ...info } = await vm.snapshot({ folder, name: file }, options);
      return jsonResponse(200, { ...info, parent: parent ?? null });
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/restore",
    id: "restore",
    summary: "Make it what a snapshot is; start goes on from there",
    body: schemaOf(RESTORE_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { folder, file, ...options } = checkFields(RESTORE_FIELDS, readJson(request));
      await vm.restore({ folder, name: file }, options);
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "POST",
    path: "/v1/restore",
    id: "restoreNew",
    summary: "Make one or more new VMs of a snapshot",
    body: schemaOf(RESTORE_NEW_FIELDS),
    answer: { status: 201, description: "The VMs.", schema: VMS_SCHEMA },
    handle: async (request, context) => {
      const fields = present(checkFields(RESTORE_NEW_FIELDS, readJson(request)));
      const { folder, file, count, start, name, scheduling, ...options } = fields;
      const from = { folder, name: file };
      requireRoom(context, count);
      const more = { ...options, ...(scheduling === undefined ? {} : { scheduling: present(scheduling) }) };
      const vms =
        count === 1
          ? [await context.host.restoreVm(from, { ...more, ...(name === undefined ? {} : { name }) })]
          : await context.host.cloneVms(from, count, { ...more, name: name ?? file });
      if (start) for (const vm of vms) await vm.start();
      return jsonResponse(201, vms.map(vmView));
    },
  },
  verb("nmi", "Assert the NMI pin", (vm) => vm.sendNmi()),
  verb("power-button", "Press the power button and do not wait", (vm) => vm.pressPowerButton()),
  ...SCREEN_ROUTES,
  {
    method: "GET",
    path: "/v1/vms/{name}/console",
    id: "console",
    summary: "What a serial port printed lately; with follow also what comes",
    query: [
      PORT_QUERY,
      { name: "follow", description: "stay", schema: { type: "boolean", default: false } },
      { name: "skip", description: "nothing of what was printed before", schema: { type: "boolean", default: false } },
    ],
    answer: { status: 200, contentType: BYTES_TYPE, description: "Bytes as the guest sent them." },
    handle: (request, _context, vm) => {
      const port = queryInteger(request, "port", 0, 3);
      const scrollback = vm.scrollback(port);
      const skip = queryFlag(request, "skip");
      const body = queryFlag(request, "follow")
        ? followConsole(vm, port, !skip, request.signal)
        : skip
          ? new Uint8Array(0)
          : scrollback;
      return { status: 200, contentType: BYTES_TYPE, body };
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/console",
    id: "input",
    summary: "Input to a serial port",
    query: [PORT_QUERY],
    body: BYTES_TYPE,
    answer: { status: 204, description: "Sent." },
    handle: (request, _context, vm) => {
      vm.serial(queryInteger(request, "port", 0, 3)).write(request.body);
      return NO_CONTENT;
    },
  },
  {
    method: "GET",
    path: "/v1/vms/{name}/stats",
    id: "stats",
    summary: "Its counters",
    answer: { status: 200, description: "Counters.", schema: STATS_SCHEMA },
    handle: async (_request, _context, vm) => jsonResponse(200, await vmStatsView(vm)),
  },
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
  {
    method: "GET",
    path: "/v1/openapi.json",
    id: "openapi",
    summary: "This API as an OpenAPI 3.1 document",
    answer: { status: 200, description: "The document." },
    handle: (_request, { version }) => jsonResponse(200, openApiDocument(ROUTES, version)),
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

/** Fields that were given or have a default. */
function present<T extends object>(
  fields: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Throws VmError("admission") where `count` more VMs are more than the API allows. */
function requireRoom({ host, limits }: ApiContext, count: number): void {
  if (host.vms.length + count <= limits.vms) return;
  throw new VmError("admission", `This host takes ${limits.vms} VMs, and has ${host.vms.length}.`, {
    limit: limits.vms,
  });
}

/** For changes: what is left out stays as it is. */
function withoutDefaults<T extends FieldTable>(table: T): T {
  return Object.fromEntries(
    Object.entries(table).map(([name, field]) => {
      const { default: _default, ...rest } = field as { default?: unknown };
      return [name, rest];
    }),
  ) as unknown as T;
}
