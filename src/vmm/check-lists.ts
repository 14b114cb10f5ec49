// Checks that lists of devices have in common.
import type { RateLimitChange, TokenBucketOptions } from "../devices/token-bucket.ts";
import { integer, refuse, text } from "./check-values.ts";

const ID_MAX = 20;
export const TOKENS_MAX = Number.MAX_SAFE_INTEGER;

export function list<T>(field: string, value: readonly T[], most: number): readonly T[] {
  if (!Array.isArray(value)) refuse(field, value, "an array");
  if (value.length > most) refuse(field, value, `at most ${most}`, `has ${value.length} items`);
  return value;
}

export function object(field: string, value: unknown, what: string): void {
  if (typeof value !== "object" || value === null) refuse(field, value, what);
}

/** An identifier that no other item of the list has. */
export function identifier(field: string, value: unknown, seen: Set<string>): void {
  const id = text(field, value);
  if (!/^[\x21-\x7e]+$/.test(id) || id.length > ID_MAX) refuse(field, id, `1 to ${ID_MAX} characters of ASCII`);
  if (seen.has(id)) refuse(field, id, "a name that no other one has");
  seen.add(id);
}

export function methods(field: string, value: unknown, names: readonly string[]): void {
  object(field, value, `an object with ${names.join(", ")}`);
  for (const name of names) {
    if (typeof (value as Record<string, unknown>)[name] !== "function") {
      refuse(field, undefined, names.join(", "), `has no method ${name}`);
    }
  }
}

/** `mayClear`: null is accepted for a bucket, and means that there is none. */
export function checkLimits(field: string, limits: RateLimitChange | undefined, mayClear = false): void {
  if (limits === undefined) return;
  object(field, limits, "an object { bandwidth, operations }");
  for (const kind of ["bandwidth", "operations"] as const) {
    const bucket: TokenBucketOptions | null | undefined = limits[kind];
    if (bucket === undefined || (bucket === null && mayClear)) continue;
    object(`${field}.${kind}`, bucket, "an object { size, refillMs }");
    integer(`${field}.${kind}.size`, bucket?.size, 1, TOKENS_MAX);
    integer(`${field}.${kind}.oneTimeBurst`, bucket?.oneTimeBurst ?? 0, 0, TOKENS_MAX);
    integer(`${field}.${kind}.refillMs`, bucket?.refillMs, 1, 86_400_000);
  }
}
