// The benchmark guest's protocol (docs/VIRT-BENCH.md): lines on the debug console that say what is measured, and two POST
// codes around it. Lines may come later than marks, so both are kept in their order and joined at the end:
// every operation that begins has one pair of marks.
import type { VmStatistics } from "../../vmm/status.ts";
import type { Cost, Measurement, Skipped } from "./measurement.ts";

/** roms/kernel/abi.h: MARK_BEGIN and MARK_END. */
export const MARK_BEGIN = 0xb1;
export const MARK_END = 0xb0;

/** The write of the end mark: one instruction and one exit of this reason. */
const MARK_EXIT = "port-out";
/** The ends of the host's own time slices: nothing that the guest does. */
const SLICE_EXIT = "budget";

export interface MarkedRun {
  readonly measurements: readonly Measurement[];
  readonly skipped: readonly Skipped[];
  /** All of them, in the guest's order. */
  readonly operations: readonly string[];
  /** key=value words of the guest's first line. */
  readonly guest: Readonly<Record<string, string>>;
  /** Why the guest's kernel gave up. */
  readonly panic?: string;
}

/** Reads one run. Marks without a line, and lines without marks, are no measurements. */
export class MarkReader {
  #text = "";
  readonly #costs: Cost[] = [];
  #before: VmStatistics | undefined;
  #beganNs = 0;
  #startBefore: VmStatistics | undefined;
  #startNs = 0;
  readonly #started: Measurement[] = [];
  readonly #decoder = new TextDecoder("latin1");

  /** `statistics` and `nowNs` are asked for such that what they take themselves is not in the result. */
  constructor(
    private readonly statistics: () => VmStatistics,
    private readonly nowNs: () => number,
  ) {}

  text(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes);
  }

  mark(code: number): void {
    const nowNs = this.nowNs();
    if (code === MARK_BEGIN) {
      this.#before = this.statistics();
      this.#beganNs = this.nowNs();
    } else if (code === MARK_END && this.#before !== undefined) {
      const ns = nowNs - this.#beganNs;
      this.#costs.push(costBetween(this.#before, this.statistics(), ns));
      this.#before = undefined;
    }
  }

  /** An operation that the host itself begins and ends, before any mark of the guest. */
  begin(): void {
    this.#startBefore = this.statistics();
    this.#startNs = this.nowNs();
  }
  end(operation: string): void {
    if (this.#startBefore === undefined) return;
    const ns = this.nowNs() - this.#startNs;
    const cost = costBetween(this.#startBefore, this.statistics(), ns, false);
    this.#started.push({ operation, count: 1, bytes: 0, by: "CPU", extra: {}, cost });
    this.#startBefore = undefined;
  }

  result(): MarkedRun {
    const measurements: Measurement[] = [...this.#started];
    const skipped: Skipped[] = [];
    const operations: string[] = this.#started.map(({ operation }) => operation);
    let guest: Readonly<Record<string, string>> = {};
    let panic: string | undefined;
    let begun:
      | { operation: string; count: number; bytes: number; by: string; extra: Record<string, number> }
      | undefined;
    let marks = 0;
    for (const line of this.#text.split("\n")) {
      const [, what, name = "", rest = ""] = /^@(\w+) (\S*) ?(.*)$/.exec(line) ?? [];
      switch (what) {
        case "kernel":
          guest = words(`${name} ${rest}`);
          break;
        case "panic":
          panic = `${name} ${rest}`.trim();
          break;
        case "skip":
          operations.push(name);
          skipped.push({ operation: name, why: rest });
          break;
        case "begin": {
          const { count = "1", bytes = "0", by = "CPU" } = words(rest);
          operations.push(name);
          begun = { operation: name, count: Number(count), bytes: Number(bytes), by, extra: {} };
          break;
        }
        case "extra":
          if (begun?.operation === name)
            for (const [key, value] of Object.entries(words(rest))) begun.extra[key] = Number(value);
          break;
        case "end": {
          if (begun?.operation !== name) break;
          const failed = /^failed ?(.*)$/.exec(rest)?.[1];
          const cost = this.#costs[marks++];
          if (cost !== undefined) measurements.push({ ...begun, cost, ...(failed === undefined ? {} : { failed }) });
          begun = undefined;
          break;
        }
      }
    }
    return { measurements, skipped, operations, guest, ...(panic === undefined ? {} : { panic }) };
  }
}

/** "a=1 by=IDE, bus master" : the last value goes on to the next word with "=" or the end. */
function words(text: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [, key = "", value = ""] of text.matchAll(/(\w+)=(.*?)(?= \w+=|$)/g)) result[key] = value.trim();
  return result;
}

function costBetween(before: VmStatistics, after: VmStatistics, ns: number, marked = true): Cost {
  const exits = difference(before.exits, after.exits);
  const marks = exits[MARK_EXIT] ?? 0;
  if (marked && marks > 1) exits[MARK_EXIT] = marks - 1;
  else if (marked) delete exits[MARK_EXIT];
  delete exits[SLICE_EXIT];
  return {
    ns,
    instructions: after.instructions - before.instructions - (marked ? 1 : 0),
    exits,
    events: difference(before.core, after.core),
  };
}

function difference(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [name, value] of Object.entries(after)) {
    const change = value - (before[name] ?? 0);
    if (change !== 0) result[name] = change;
  }
  return result;
}
