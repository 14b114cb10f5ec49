// Why a ratio is what it is: the exits and events of one form that the other does not have.
import type { FormResult, OperationResult, Ratio } from "./result.ts";

/** Less than this for each operation is what came between, not of it. */
const NEGLIGIBLE = 0.01;

/** Counters of the core, as sentences say them. */
const EVENT_TITLES: Readonly<Record<string, string>> = {
  tlbFills: "TLB fills",
  tlbFlushes: "TLB flushes",
  codeInvalidations: "changes of code",
  arenaFlushes: "flushes of decoded code",
  shadowTables: "shadow tables made",
  shadowTablesDropped: "shadow tables dropped",
  tableUpdates: "checked page-table entries",
};

export interface Explanation {
  readonly operation: string;
  readonly ratio: Ratio;
  /** One sentence. */
  readonly why: string;
}

export function explain(result: OperationResult, ratio: Ratio): Explanation {
  const [a, b] = [result.forms[ratio.slower], result.forms[ratio.faster]];
  const why = a === undefined || b === undefined ? "not measured in both" : sentence(ratio, a, b);
  return { operation: result.operation, ratio, why };
}

function sentence({ slower, faster, verdict }: Ratio, a: FormResult, b: FormResult): string {
  const saved = a.exitTotal - b.exitTotal;
  const parts = [`${slower}: ${exitText(a)}; ${faster}: ${exitText(b)}`];
  if (a.by !== b.by) parts.push(`${a.by} against ${b.by}`);
  if (saved > NEGLIGIBLE && a.ns.median > b.ns.median)
    parts.push(`${round((a.ns.median - b.ns.median) / saved)} ns for each exit saved`);
  const instructions = a.instructions - b.instructions;
  if (Math.abs(instructions) > 0.1 * Math.max(a.instructions, b.instructions, 10))
    parts.push(`${round(a.instructions)} against ${round(b.instructions)} guest instructions`);
  const events = eventText(a, b);
  if (events !== "") parts.push(events);
  if (verdict === "same") parts.push(`${faster} is no faster`);
  if (verdict === "loses") parts.push(`${faster} loses`);
  if (verdict === "unclear") parts.push("the rounds do not agree");
  return parts.join("; ");
}

/** "2 port-in, 1 hypercall in 64", or "no exits". */
export function exitText(result: FormResult): string {
  const reasons = Object.entries(result.exits)
    .filter(([, count]) => count > NEGLIGIBLE)
    .sort(([, x], [, y]) => y - x)
    .map(([name, count]) => exitCount(name, count));
  return reasons.length === 0 ? "no exits" : reasons.join(", ");
}

/** "2 port-in"; what comes once in several operations: "1 hypercall in 64". */
function exitCount(name: string, count: number): string {
  return count > 0.5 ? `${round(count)} ${name}` : `1 ${name} in ${round(1 / count)}`;
}

/** Events that one form has at least twice as often, by name. */
function eventText(a: FormResult, b: FormResult): string {
  const names = new Set([...Object.keys(a.events), ...Object.keys(b.events)]);
  return [...names]
    .filter((name) => name !== "blocksDecoded")
    .map((name) => ({ name, x: a.events[name] ?? 0, y: b.events[name] ?? 0 }))
    .filter(({ x, y }) => Math.max(x, y) > 0.5 && Math.max(x, y) >= 2 * Math.min(x, y))
    .map(({ name, x, y }) => `${EVENT_TITLES[name] ?? name} ${round(x)} against ${round(y)}`)
    .join(", ");
}

/** Three significant digits, without an exponent. */
export function round(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}

/** "661 ms": nanoseconds in the unit that makes them short. */
export function durationText(ns: number): string {
  const [unit, name]: [number, string] =
    ns >= 1e9 ? [1e9, "s"] : ns >= 1e6 ? [1e6, "ms"] : ns >= 1e3 ? [1e3, "us"] : [1, "ns"];
  return `${round(ns / unit)} ${name}`;
}
