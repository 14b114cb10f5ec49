// Checks the part of a configuration that says which devices there are. Throws VmError("bad-config") that names the field.
import type { RateLimitOptions, TokenBucketOptions } from "../devices/token-bucket.ts";
import { flag, integer, oneOf, refuse, text } from "./check-values.ts";
import type { VmConfig } from "./config.ts";
import type { BalloonConfig, DriveConfig } from "./device-config.ts";

/** One PCI slot each. */
export const VIRTIO_DRIVES_MAX = 8;
const ID_MAX = 20;
const TOKENS_MAX = Number.MAX_SAFE_INTEGER;

export interface CheckedDevices {
  readonly drives: readonly DriveConfig[];
  readonly rng: boolean;
  readonly balloon: BalloonConfig | undefined;
}

export function checkDevices(config: VmConfig): CheckedDevices {
  return {
    drives: checkDrives(config.drives ?? []),
    rng: flag("rng", config.rng ?? false),
    balloon: checkBalloon(config.balloon ?? false),
  };
}

function list<T>(field: string, value: readonly T[], most: number): readonly T[] {
  if (!Array.isArray(value)) refuse(field, value, "an array");
  if (value.length > most) refuse(field, value, `at most ${most}`, `has ${value.length} items`);
  return value;
}

function object(field: string, value: unknown, what: string): void {
  if (typeof value !== "object" || value === null) refuse(field, value, what);
}

/** An identifier that no other item of the list has. */
function identifier(field: string, value: unknown, seen: Set<string>): void {
  const id = text(field, value);
  if (!/^[\x21-\x7e]+$/.test(id) || id.length > ID_MAX) refuse(field, id, `1 to ${ID_MAX} characters of ASCII`);
  if (seen.has(id)) refuse(field, id, "a name that no other one has");
  seen.add(id);
}

function methods(field: string, value: unknown, names: readonly string[]): void {
  object(field, value, `an object with ${names.join(", ")}`);
  for (const name of names) {
    if (typeof (value as Record<string, unknown>)[name] !== "function") {
      refuse(field, undefined, names.join(", "), `has no method ${name}`);
    }
  }
}

function checkDrives(drives: readonly DriveConfig[]): readonly DriveConfig[] {
  const seen = new Set<string>();
  for (const [i, drive] of list("drives", drives, VIRTIO_DRIVES_MAX).entries()) {
    const field = `drives[${i}]`;
    object(field, drive, "an object { id, backend, bus }");
    identifier(`${field}.id`, drive.id, seen);
    methods(`${field}.backend`, drive.backend, ["read", "write", "flush", "close"]);
    oneOf(`${field}.bus`, drive.bus, ["virtio"]);
    if (drive.readOnly !== undefined) flag(`${field}.readOnly`, drive.readOnly);
    checkLimits(`${field}.limits`, drive.limits);
  }
  return drives;
}

function checkLimits(field: string, limits: RateLimitOptions | undefined): void {
  if (limits === undefined) return;
  object(field, limits, "an object { bandwidth, operations }");
  for (const kind of ["bandwidth", "operations"] as const) {
    const bucket: TokenBucketOptions | undefined = limits[kind];
    if (bucket === undefined) continue;
    object(`${field}.${kind}`, bucket, "an object { size, refillMs }");
    integer(`${field}.${kind}.size`, bucket.size, 1, TOKENS_MAX);
    integer(`${field}.${kind}.oneTimeBurst`, bucket.oneTimeBurst ?? 0, 0, TOKENS_MAX);
    integer(`${field}.${kind}.refillMs`, bucket.refillMs, 1, 86_400_000);
  }
}

function checkBalloon(balloon: boolean | BalloonConfig): BalloonConfig | undefined {
  if (balloon === false) return undefined;
  if (balloon === true) return {};
  object("balloon", balloon, "true, false or an object");
  flag("balloon.deflateOnOom", balloon.deflateOnOom ?? true);
  integer("balloon.statisticsIntervalMs", balloon.statisticsIntervalMs ?? 0, 0, 86_400_000);
  integer("balloon.targetBytes", balloon.targetBytes ?? 0, 0, TOKENS_MAX);
  return balloon;
}
