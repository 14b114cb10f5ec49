// Rate limits on the command line: KIND.BUCKET=AMOUNT[/TIME][+BURST], as in disks.bandwidth=10M/1s+50M.
import { parseDuration, UsageError } from "./values.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const BUCKETS = ["bandwidth", "operations"] as const;
const KINDS = ["console", "disks", "network"] as const;

export const LIMIT_HELP = "limits such as disks.bandwidth=10M/1s network.operations=1000 ID.bandwidth=none disks=none";

interface Bucket {
  readonly size: number;
  readonly refillMs: number;
  readonly oneTimeBurst?: number;
}
/** Null: no limit. */
type Rates = Partial<Record<(typeof BUCKETS)[number], Bucket | null>> | null;

/**
 * The API's `limits`; undefined where none are given. "none" takes one limit of a kind or device away, or, without the limit's
 * name, all of a kind, and the own ones of a device.
 */
export function parseLimits(texts: readonly string[] | undefined): Record<string, unknown> | undefined {
  if (texts === undefined) return undefined;
  const kinds = new Map<string, Rates>();
  for (const text of texts) {
    const [, all] = /^([^.=]+)=none$/.exec(text) ?? [];
    if (all !== undefined) {
      kinds.set(all, null);
      continue;
    }
    const [, name = "", bucket = "", value = ""] = /^([^.=]+)\.(\w+)=(.+)$/.exec(text) ?? [];
    if (name === "" || !(BUCKETS as readonly string[]).includes(bucket))
      throw new UsageError(`--limit: "${text}" is not KIND.bandwidth=AMOUNT, KIND.operations=AMOUNT or KIND=none`);
    kinds.set(name, { ...kinds.get(name), [bucket]: value === "none" ? null : parseBucket(text, value) });
  }
  const isKind = ([name]: readonly [string, Rates]): boolean => (KINDS as readonly string[]).includes(name);
  const devices = [...kinds].filter((entry) => !isKind(entry));
  return {
    ...Object.fromEntries([...kinds].filter(isKind)),
    ...(devices.length === 0 ? {} : { devices: Object.fromEntries(devices) }),
  };
}

function parseBucket(text: string, value: string): Bucket {
  const [, size, time, burst] = /^(\d+[KMG]?)(?:\/(\w+))?(?:\+(\d+[KMG]?))?$/i.exec(value) ?? [];
  if (size === undefined)
    throw new UsageError(`--limit: "${text}" is not an amount such as 10M, 10M/1s, 1000/100ms or 10M/1s+50M`);
  return {
    size: amount(size),
    refillMs: time === undefined ? 1000 : parseDuration(time, "--limit"),
    ...(burst === undefined ? {} : { oneTimeBurst: amount(burst) }),
  };
}

function amount(text: string): number {
  const unit = /[KMG]$/i.exec(text)?.[0].toUpperCase() ?? "";
  return Number.parseInt(text, 10) * (UNITS[unit] ?? 1);
}
