// Rounds of runs that take turns: every form once, every other round in reverse order, so that a host that slows down or
// warms up does so for all.
import { VmError } from "../../vmm/error.ts";
import type { MarkedRun } from "./marks.ts";
import type { Measurement } from "./measurement.ts";
import { combine, type FormName, type OperationResult } from "./result.ts";

export interface RoundProgress {
  /** 0: a round that is not counted. */
  readonly round: number;
  readonly rounds: number;
  readonly form: FormName;
  /** Runs that have ended, of `runs`. */
  readonly done: number;
  readonly runs: number;
}

export interface RoundOptions<Form extends FormName> {
  readonly forms: readonly Form[];
  readonly repeats: number;
  /** A short round goes before the others and is not counted. */
  readonly warmUp: boolean;
  readonly onProgress?: ((progress: RoundProgress) => void) | undefined;
  readonly run: (form: Form, warmUp: boolean) => Promise<MarkedRun>;
}

export interface RoundsResult {
  readonly operations: readonly OperationResult[];
  readonly guests: Readonly<Record<FormName, Readonly<Record<string, string>>>>;
}

export async function runRounds<Form extends FormName>(options: RoundOptions<Form>): Promise<RoundsResult> {
  const { forms, repeats } = options;
  const first = options.warmUp ? 0 : 1;
  const names = new Set<string>();
  const rounds: Record<FormName, readonly Measurement[]>[] = [];
  const skipped: Record<FormName, Map<string, string>> = {};
  const guests: Record<FormName, Readonly<Record<string, string>>> = {};
  const runs = (repeats + 1 - first) * forms.length;
  for (let round = first, done = 0; round <= repeats; round++) {
    const results: Record<FormName, readonly Measurement[]> = {};
    for (const form of round % 2 === 0 ? forms : [...forms].reverse()) {
      options.onProgress?.({ round, rounds: repeats, form, done, runs });
      const run = await options.run(form, round === 0);
      done++;
      results[form] = run.measurements;
      guests[form] = run.guest;
      skipped[form] = new Map(run.skipped.map(({ operation, why }) => [operation, why]));
      for (const operation of run.operations) names.add(operation);
    }
    if (round > 0) rounds.push(results);
  }
  if (names.size === 0)
    throw new VmError("bad-config", "only: the guest has no operation of that name.", { field: "only" });
  return { operations: combine([...names], rounds, skipped), guests };
}

/** A whole number of an option. Throws VmError("bad-config"). */
export function within(value: number, field: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new VmError("bad-config", `${field} is ${value}; a whole number from ${min} to ${max} is accepted.`, {
      field,
    });
  return value;
}

/** Names of operations, or their beginnings. Throws VmError("bad-config"). */
export function checkNames(only: readonly string[] | undefined): void {
  for (const name of only ?? []) {
    if (!/^[a-z][a-z0-9_-]{0,30}$/.test(name))
      throw new VmError("bad-config", `only: "${name}" is no name of an operation, such as page-fault or pte-64.`, {
        field: "only",
      });
  }
}
