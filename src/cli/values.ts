// Values of options: text to number, time, address, pattern. Each throws UsageError naming the option, what was
// given and what would be accepted.

/** A mistake on the command line: exit code 2, one sentence, no stack trace. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const MIB = 1024 * 1024;
const SIZE_UNITS: Readonly<Record<string, number>> = { "": MIB, k: 1024, m: MIB, g: 1024 * MIB, b: 1 };
export const MEMORY_MIN_BYTES = MIB;
export const MEMORY_MAX_BYTES = 3 * 1024 * MIB;

/** "256", "256M", "256MiB", "1.5G", QEMU's "size=256M": a number alone counts MiB, as in QEMU. */
export function parseMemory(text: string, option = "--memory"): number {
  const match = /^(?:size=)?(\d+(?:\.\d+)?)\s*([kmgb]?)(?:i?b)?$/i.exec(text.trim());
  const accepted = `a size from 1M to 3G such as 64M, 512M or 1G`;
  if (!match) throw new UsageError(`${option}: "${text}" is not a size; give ${accepted}`);
  const bytes = Number(match[1]) * (SIZE_UNITS[(match[2] ?? "").toLowerCase()] ?? MIB);
  if (bytes < MEMORY_MIN_BYTES || bytes > MEMORY_MAX_BYTES)
    throw new UsageError(`${option}: ${text} is outside what a guest can have; give ${accepted}`);
  if (bytes % 4096 !== 0)
    throw new UsageError(`${option}: ${text} is not a whole number of 4 KiB pages; give ${accepted}`);
  return bytes;
}

const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, "": 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/** "30", "30s", "1.5m", "200ms": milliseconds. A number alone counts seconds. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min|m|h)?$/.exec(text.trim());
  const ms = match ? Number(match[1]) * (TIME_UNITS[match[2] ?? ""] ?? 1000) : Number.NaN;
  if (!(ms > 0))
    throw new UsageError(`${option}: "${text}" is not a time; give seconds (30) or a number with ms, s, m or h (1.5m)`);
  return ms;
}

/** Decimal or 0x hexadecimal, between `min` and `max` inclusive. */
export function parseInteger(text: string, option: string, min: number, max: number): number {
  return integerIn(text, option, min, max, 10);
}

/** `radix`: how the bounds are told. */
function integerIn(text: string, option: string, min: number, max: number, radix: 10 | 16): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text.trim()) ? Number(text.trim()) : Number.NaN;
  if (value >= min && value <= max) return value;
  const bound = (number: number): string => (radix === 16 ? `0x${number.toString(16)}` : String(number));
  throw new UsageError(`${option}: "${text}" is not a whole number from ${bound(min)} to ${bound(max)}`);
}

/** "1", "1.5": how many times something, 1 to 1000. */
export function parseFactor(text: string, option: string): number {
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= 1000)) throw new UsageError(`${option}: "${text}" is not a number from 1 to 1000`);
  return value;
}

export function parsePort(text: string, option: string): number {
  return integerIn(text, option, 0, 0xffff, 16);
}

export function parseAddress(text: string, option: string): number {
  return integerIn(text, option, 0, 0xffffffff, 16);
}

/** A regular expression, bare (login:) or between slashes with flags (/ok/i). */
export function parsePattern(text: string, option: string): RegExp {
  if (text === "")
    throw new UsageError(
      `${option}: the pattern is empty and would match at once; give a regular expression such as "login:"`,
    );
  const slashed = /^\/(.+)\/([imsu]*)$/s.exec(text);
  try {
    return slashed ? new RegExp(slashed[1] ?? "", slashed[2]) : new RegExp(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : String(error);
    throw new UsageError(`${option}: not a regular expression: ${why}`);
  }
}

/** One of `accepted`, exactly; suggests the nearest otherwise. */
export function parseChoice<T extends string>(text: string, option: string, accepted: readonly T[]): T {
  const found = accepted.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(`${option}: "${text}" is not one of ${accepted.join(", ")}${didYouMean(text, accepted)}`);
}

/** " (did you mean X?)" for the candidate within two edits, or "". */
export function didYouMean(given: string, candidates: readonly string[]): string {
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.ceil(given.length / 2));
  for (const candidate of candidates) {
    const distance = editDistance(given.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best === undefined ? "" : ` (did you mean ${best}?)`;
}

/** Damerau-Levenshtein distance with adjacent transpositions. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        distance = Math.min(distance, (beforeLast[j - 2] ?? 0) + 1);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
