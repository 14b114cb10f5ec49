// Full virtualization, hardware-assisted and paravirtualization side by side: the same guest kernel, the same operations,
// runs that take turns. For Node and for pages; docs/VIRT-BENCH.md.
import { VIRT_FORMS, type VirtForm } from "./measurement.ts";
import type { FormName, OperationResult } from "./result.ts";
import { checkNames, type RoundProgress, runRounds, within } from "./rounds.ts";
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

export type VirtBenchProgress = RoundProgress;

export interface VirtBenchResult {
  readonly kind: "rom" | "linux";
  readonly forms: readonly FormName[];
  readonly repeats: number;
  readonly percent: number;
  /** In the guest's order. */
  readonly operations: readonly OperationResult[];
  /** What the guest said of itself in each form: interrupt controller, clock, disk... */
  readonly guests: Readonly<Record<FormName, Readonly<Record<string, string>>>>;
}

const WARM_UP_PERCENT = 20;
const TIMEOUT_MS = 120_000;

/** Throws VmError: "bad-config" naming the option, "internal" when the guest does not come to its end. */
export async function benchVirt(options: VirtBenchOptions): Promise<VirtBenchResult> {
  const repeats = within(options.repeats ?? 5, "repeats", 1, 100);
  const percent = within(options.percent ?? 100, "percent", 1, 1000);
  const { rom, only, signal, core, onProgress, forms = VIRT_FORMS, timeoutMs = TIMEOUT_MS } = options;
  checkNames(only);
  const short = Math.max(1, Math.round((percent * WARM_UP_PERCENT) / 100));
  const result = await runRounds({
    forms,
    repeats,
    warmUp: true,
    onProgress,
    run: (form, warmUp) => runForm({ form, rom, only, percent: warmUp ? short : percent, core, signal, timeoutMs }),
  });
  return { kind: "rom", forms, repeats, percent, ...result };
}
