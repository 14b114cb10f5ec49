// JSON schemas of the API's answers; bodies of requests have theirs in the tables that check them.
import { schemaOf } from "../host/fields.ts";
import { LIMIT_FIELDS } from "../host/limit-fields.ts";

type Schema = Readonly<Record<string, unknown>>;

const number: Schema = { type: "number" };
const text: Schema = { type: "string" };
const counters: Schema = { type: "object", additionalProperties: number };

function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

function byResource(schema: Schema): Schema {
  return { type: "object", additionalProperties: schema };
}

const state: Schema = { enum: ["created", "running", "paused", "stopped", "crashed"] };

export const VM_SCHEMA = object({
  name: text,
  state,
  pcpu: { type: "integer" },
  memoryMib: number,
  boot: { enum: ["linux", "multiboot", "elf", "firmware", "flat"] },
  cpu: text,
  clock: { enum: ["real", "virtual"] },
  scheduling: object(
    {
      weight: { type: "integer" },
      capPercent: number,
      priority: { type: "integer" },
      sliceNs: number,
      realtime: object({ periodNs: number, budgetNs: number }),
    },
    ["sliceNs", "realtime"],
  ),
  resources: byResource(
    object({ reservation: number, limit: number, shares: { type: "integer" }, demand: number }, ["limit", "demand"]),
  ),
  nics: {
    type: "array",
    items: object({
      id: text,
      model: text,
      mac: text,
      network: text,
      up: { type: "boolean" },
      forwards: {
        type: "array",
        items: object({ protocol: text, hostPort: { type: "integer" }, guestPort: { type: "integer" } }),
      },
    }),
  },
  devices: object({ drives: { type: "array", items: text }, nics: { type: "array", items: text } }),
  limits: schemaOf(LIMIT_FIELDS),
  balloon: {
    oneOf: [
      { type: "null" },
      object({ targetMib: number, balloonMib: number, usedMib: { oneOf: [{ type: "null" }, number] } }),
    ],
  },
  lastExit: {
    oneOf: [{ type: "null" }, object({ kind: text, message: text, code: { type: "integer" } }, ["message", "code"])],
  },
});

export const VMS_SCHEMA: Schema = { type: "array", items: VM_SCHEMA };

export const NETWORK_VIEW_SCHEMA = object(
  {
    name: text,
    gateway: { type: "object" },
    link: { type: "object" },
    links: { type: "array", items: { type: "object" } },
    ports: { type: "integer" },
    addresses: { type: "integer" },
    metrics: counters,
  },
  ["gateway", "link", "links"],
);

export const HOST_SCHEMA = object({
  version: text,
  policy: text,
  vms: { type: "integer" },
  memoryMib: number,
  resources: byResource(object({ capacity: number, reserved: number, limits: number })),
  pcpus: {
    type: "array",
    items: object({
      index: { type: "integer" },
      upSeconds: number,
      busySeconds: number,
      switches: { type: "integer" },
      vcpus: { type: "integer" },
    }),
  },
});

const latency = object({
  count: { type: "integer" },
  sumNs: number,
  p50Ns: number,
  p95Ns: number,
  p99Ns: number,
  maxNs: number,
});

export const STATS_SCHEMA = object({
  name: text,
  state,
  scheduler: {
    oneOf: [
      { type: "null" },
      object({
        ranNs: number,
        stolenNs: number,
        dispatches: { type: "integer" },
        wakeLatency: latency,
        waiting: { type: "boolean" },
        movable: { type: "boolean" },
      }),
    ],
  },
  instructions: number,
  guestSeconds: number,
  hostSeconds: number,
  vcpuSeconds: number,
  idleSeconds: number,
  mips: number,
  exits: counters,
  exitTotal: number,
  core: counters,
  unknownPorts: counters,
  unknownMmio: number,
  unknownMsrs: counters,
  resets: { type: "integer" },
  absentPages: object({
    left: { type: "integer" },
    demanded: { type: "integer" },
    fetched: { type: "integer" },
    asynchronous: { type: "integer" },
  }),
  devices: { type: "object", additionalProperties: counters },
});

export const SNAPSHOT_SCHEMA = object({
  name: text,
  id: text,
  sizeBytes: number,
  memoryBytes: number,
  parent: { oneOf: [{ type: "null" }, text] },
  pausedMs: number,
});

export const SCREEN_SCHEMA: Schema = {
  oneOf: [
    object({
      kind: { const: "text" },
      width: { type: "integer" },
      height: { type: "integer" },
      columns: { type: "integer" },
      rows: { type: "integer" },
      cursor: { oneOf: [{ type: "null" }, object({ column: { type: "integer" }, row: { type: "integer" } })] },
      lines: { type: "array", items: text },
    }),
    object({ kind: { const: "graphics" }, width: { type: "integer" }, height: { type: "integer" } }),
  ],
};

export const EVENT_SCHEMA: Schema = {
  type: "object",
  properties: { sequence: { type: "integer" }, time: { type: "string", format: "date-time" }, event: text, vm: text },
  required: ["sequence", "time", "event"],
};
