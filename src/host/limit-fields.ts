// Rate limits as a person writes them down: token buckets by what they limit.

import type { RateLimitOptions } from "../devices/token-bucket.ts";
import type { VmLimits, VmLimitsChange } from "../vmm/device-config.ts";
import { checkFields, type FieldTable, type OtherField, schemaOf } from "./fields.ts";
import { record } from "./resources/check-claims.ts";

const TOKENS_MAX = Number.MAX_SAFE_INTEGER;
const DAY_MS = 86_400_000;

const BUCKET_FIELDS = {
  size: {
    kind: "number",
    title: "tokens that fit: what is always possible at once",
    min: 1,
    max: TOKENS_MAX,
    integer: true,
    required: true,
  },
  refillMs: {
    kind: "number",
    title: "ms of guest time in which an empty bucket fills",
    min: 1,
    max: DAY_MS,
    integer: true,
    default: 1000,
  },
  oneTimeBurst: { kind: "number", title: "tokens on top, once", min: 0, max: TOKENS_MAX, integer: true, default: 0 },
} as const satisfies FieldTable;

/** Of one device; what is left out is unlimited. */
export const RATE_FIELDS = {
  bandwidth: { kind: "object", title: "tokens are bytes", fields: BUCKET_FIELDS },
  operations: { kind: "object", title: "tokens are requests or frames", fields: BUCKET_FIELDS },
} as const satisfies FieldTable;

const RATE_CHANGE_FIELDS = {
  bandwidth: { ...RATE_FIELDS.bandwidth, nullable: true, title: "tokens are bytes; null is no limit" },
  operations: { ...RATE_FIELDS.operations, nullable: true, title: "tokens are requests or frames; null is no limit" },
} as const satisfies FieldTable;

function byDevice(title: string, mayClear: boolean): OtherField<Readonly<Record<string, unknown>>> {
  const one = schemaOf(RATE_CHANGE_FIELDS);
  return {
    kind: "other",
    title,
    check: (value, path) =>
      Object.fromEntries(
        Object.entries(record(path, value)).map(([id, rates]) => [
          id,
          rates === null && mayClear ? null : checkFields(RATE_CHANGE_FIELDS, rates, `${path}.${id}.`),
        ]),
      ),
    schema: { type: "object", additionalProperties: mayClear ? { ...one, type: ["object", "null"] } : one },
    accepted: "an object with limits by the id of a drive or network card",
  };
}

export const LIMIT_FIELDS = {
  console: { kind: "object", title: "what each serial port and virtio console prints", fields: RATE_FIELDS },
  disks: { kind: "object", title: "each disk", fields: RATE_FIELDS },
  network: { kind: "object", title: "each network card, in each direction", fields: RATE_FIELDS },
  devices: byDevice("of one drive or network card by its id, in place of what its kind has", false),
} as const satisfies FieldTable;

/** What is left out stays. */
export const LIMIT_CHANGE_FIELDS = {
  console: { ...LIMIT_FIELDS.console, fields: RATE_CHANGE_FIELDS, nullable: true },
  disks: { ...LIMIT_FIELDS.disks, fields: RATE_CHANGE_FIELDS, nullable: true },
  network: { ...LIMIT_FIELDS.network, fields: RATE_CHANGE_FIELDS, nullable: true },
  devices: byDevice("of one drive or network card by its id; null for what its kind has", true),
} as const satisfies FieldTable;

/** Checked limits without the fields that were left out. */
export function givenLimits(checked: object): VmLimits {
  return JSON.parse(JSON.stringify(checked)) as VmLimits;
}
export function givenLimitsChange(checked: object): VmLimitsChange {
  return JSON.parse(JSON.stringify(checked)) as VmLimitsChange;
}
export function givenRates(checked: object): RateLimitOptions {
  return JSON.parse(JSON.stringify(checked)) as RateLimitOptions;
}
