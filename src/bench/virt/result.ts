// Measurements of several rounds put together: each operation in each form, and how the forms compare.
import { type Measurement, VIRT_FORMS } from "./measurement.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** "full", "assisted", "para", or one of those with something changed: "no-clock". */
export type FormName = string;

/** One operation in one form, for a single one of its `count`. */
export interface FormResult {
  readonly by: string;
  readonly runs: number;
  readonly count: number;
  readonly bytes: number;
  readonly ns: Spread;
  readonly instructions: number;
  /** By reason; medians over the runs. */
  readonly exits: Readonly<Record<string, number>>;
  readonly exitTotal: number;
  readonly events: Readonly<Record<string, number>>;
  readonly extra: Readonly<Record<string, number>>;
}

/** Time in one form divided by that in another, from runs of the same round: above 1 the second one is faster. */
export interface Ratio {
  readonly slower: FormName;
  readonly faster: FormName;
  readonly ratio: Spread;
  /** Whether all rounds agree, by more than a tenth. */
  readonly verdict: "wins" | "loses" | "same" | "unclear";
}

export interface OperationResult {
  readonly operation: string;
  readonly forms: Readonly<Record<FormName, FormResult>>;
  /** full / assisted, assisted / para, full / para, and each other form / para, where both were measured. */
  readonly ratios: readonly Ratio[];
  readonly failures: readonly { readonly form: FormName; readonly why: string }[];
  readonly skipped: Readonly<Record<FormName, string>>;
}

export type Round = Readonly<Record<FormName, readonly Measurement[]>>;

const PAIRS: readonly (readonly [FormName, FormName])[] = [
  ["full", "assisted"],
  ["assisted", "para"],
  ["full", "para"],
];
const BASE = "para";
const NOTICEABLE = 1.1;

export function combine(
  operations: readonly string[],
  rounds: readonly Round[],
  skipped: Readonly<Record<FormName, ReadonlyMap<string, string>>>,
): OperationResult[] {
  const names = [...new Set([...rounds.flatMap((round) => Object.keys(round)), ...Object.keys(skipped)])];
  const others = names.filter((name) => !(VIRT_FORMS as readonly string[]).includes(name));
  const pairs = [...PAIRS, ...others.map((name) => [name, BASE] as const)];
  return operations.map((operation) => {
    const of = (round: Round, form: FormName): Measurement | undefined =>
      round[form]?.find((measurement) => measurement.operation === operation && measurement.failed === undefined);
    const forms: Record<FormName, FormResult> = {};
    const failures: { form: FormName; why: string }[] = [];
    const why: Record<FormName, string> = {};
    for (const form of names) {
      const runs = rounds.flatMap((round) => of(round, form) ?? []);
      const result = formResult(runs);
      if (result !== undefined) forms[form] = result;
      for (const round of rounds)
        for (const { operation: name, failed } of round[form] ?? [])
          if (name === operation && failed !== undefined) failures.push({ form, why: failed });
      const reason = skipped[form]?.get(operation);
      if (reason !== undefined && result === undefined) why[form] = reason;
    }
    const ratios = pairs.flatMap(([slower, faster]): Ratio[] => {
      const values = rounds.flatMap((round) => {
        const [a, b] = [of(round, slower), of(round, faster)];
        return a === undefined || b === undefined || b.cost.ns === 0 ? [] : [each(a, a.cost.ns) / each(b, b.cost.ns)];
      });
      const ratio = spreadOf(values);
      return ratio === undefined ? [] : [{ slower, faster, ratio, verdict: verdictOf(ratio) }];
    });
    return { operation, forms, ratios, failures, skipped: why };
  });
}

function formResult(runs: readonly Measurement[]): FormResult | undefined {
  const first = runs[0];
  const ns = spreadOf(runs.map((run) => each(run, run.cost.ns)));
  if (first === undefined || ns === undefined) return undefined;
  const exits = medians(runs, (run) => run.cost.exits);
  return {
    by: first.by,
    runs: runs.length,
    count: first.count,
    bytes: first.bytes,
    ns,
    instructions: medianOf(runs.map((run) => each(run, run.cost.instructions))),
    exits,
    exitTotal: Object.values(exits).reduce((sum, value) => sum + value, 0),
    events: medians(runs, (run) => run.cost.events),
    extra: Object.fromEntries(
      Object.keys(first.extra).map((key) => [key, medianOf(runs.map((run) => run.extra[key] ?? 0))]),
    ),
  };
}

const each = (run: Measurement, total: number): number => total / run.count;

const medianOf = (values: readonly number[]): number => spreadOf(values)?.median ?? 0;

function medians(
  runs: readonly Measurement[],
  of: (run: Measurement) => Readonly<Record<string, number>>,
): Record<string, number> {
  const names = [...new Set(runs.flatMap((run) => Object.keys(of(run))))].sort();
  const result: Record<string, number> = {};
  for (const name of names) {
    const value = medianOf(runs.map((run) => each(run, of(run)[name] ?? 0)));
    if (value !== 0) result[name] = value;
  }
  return result;
}

function verdictOf({ min, max }: Spread): Ratio["verdict"] {
  if (min > NOTICEABLE) return "wins";
  if (max < 1 / NOTICEABLE) return "loses";
  return min > 1 / NOTICEABLE && max < NOTICEABLE ? "same" : "unclear";
}
