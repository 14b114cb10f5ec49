// Full virtualization, hardware-assisted and paravirtualization side by side: the same guest kernel, the same operations,
// runs that take turns. For Node and for pages; docs/VIRT-BENCH.md.
import { VmError } from "../../vmm/error.ts";
import { type Measurement, VIRT_FORMS, type VirtForm } from "./measurement.ts";
import { combine, type OperationResult, type Round } from "./result.ts";
import { runForm } from "./run-form.ts";

export interface VirtBenchOptions {
  /** roms/kernel/kernel.bin. */
  readonly rom: Uint8Array;
  /** Operations by name or beginning of a name ("pte", "clock-tsc"); all by default. */
  readonly only?: readonly string[];
  readonly forms?: readonly VirtForm[];
  /** Rounds, each with a run of every form; 1 to 100, default 5. One more, short and not counted, goes before them. */
  readonly repeats?: number;
  /** Percent of each operation's usual count, 1 to 1000; default 100. */
  readonly percent?: number;
  readonly core?: WebAssembly.Module;
  readonly signal?: AbortSignal;
  /** Milliseconds that one run may take; default 120,000. */
  readonly timeoutMs?: number;
  /** Before each run. */
  readonly onProgress?: (progress: VirtBenchProgress) => void;
}

export interface VirtBenchProgress {
  /** 0: the round that is not counted. */
  readonly round: number;
  readonly rounds: number;
  readonly form: VirtForm;
  /** Runs that have ended, of `runs`. */
  readonly done: number;
  readonly runs: number;
}

export interface VirtBenchResult {
  readonly kind: "rom";
  readonly forms: readonly VirtForm[];
  readonly repeats: number;
  readonly percent: number;
  /** In the guest's order. */
  readonly operations: readonly OperationResult[];
  /** What the guest said of itself in each form: interrupt controller, clock, disk... */
  readonly guests: Partial<Readonly<Record<VirtForm, Readonly<Record<string, string>>>>>;
}

const WARM_UP_PERCENT = 20;
const TIMEOUT_MS = 120_000;

/** Throws VmError: "bad-config" naming the option, "internal" when the guest does not come to its end. */
export async function benchVirt(options: VirtBenchOptions): Promise<VirtBenchResult> {
  const repeats = within(options.repeats ?? 5, "repeats", 1, 100);
  const percent = within(options.percent ?? 100, "percent", 1, 1000);
  const forms = options.forms ?? VIRT_FORMS;
  const { only, signal, core, timeoutMs = TIMEOUT_MS } = options;
  for (const name of only ?? []) {
    if (!/^[a-z][a-z0-9-]{0,30}$/.test(name))
      throw new VmError("bad-config", `only: "${name}" is no name of an operation, such as page-fault or pte-64.`, {
        field: "only",
      });
  }
  let operations: readonly string[] = [];
  const rounds: Round[] = [];
  const skipped: Partial<Record<VirtForm, Map<string, string>>> = {};
  const guests: Partial<Record<VirtForm, Readonly<Record<string, string>>>> = {};
  const runs = (repeats + 1) * forms.length;
  for (let round = 0, done = 0; round <= repeats; round++) {
    const results: Partial<Record<VirtForm, readonly Measurement[]>> = {};
    // Every other round in reverse: a host that slows down or warms up does so for all.
    for (const form of round % 2 === 0 ? forms : [...forms].reverse()) {
      options.onProgress?.({ round, rounds: repeats, form, done, runs });
      const runPercent = round === 0 ? Math.max(1, Math.round((percent * WARM_UP_PERCENT) / 100)) : percent;
      const run = await runForm({ form, rom: options.rom, only, percent: runPercent, core, signal, timeoutMs });
      done++;
      results[form] = run.measurements;
      guests[form] = run.guest;
      skipped[form] = new Map(run.skipped.map(({ operation, why }) => [operation, why]));
      operations = [...new Set(run.operations)];
    }
    if (round > 0) rounds.push(results);
  }
  if (operations.length === 0)
    throw new VmError("bad-config", `only: the guest has no operation called ${only?.join(" or ")}.`, {
      field: "only",
    });
  return { kind: "rom", forms, repeats, percent, operations: combine(operations, rounds, skipped), guests };
}

function within(value: number, field: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new VmError("bad-config", `${field} is ${value}; a whole number from ${min} to ${max} is accepted.`, {
      field,
    });
  return value;
}
