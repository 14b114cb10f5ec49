// One run of the benchmark kernel in one form.
import { type FormOptions, formConfig } from "./forms.ts";
import type { MarkedRun } from "./marks.ts";
import { type MarkedRunOptions, runMarked } from "./run-marked.ts";

export type RunOptions = FormOptions & Pick<MarkedRunOptions, "core" | "signal" | "timeoutMs">;

/** Throws as `runMarked` does. */
export async function runForm(options: RunOptions): Promise<MarkedRun> {
  const { form, core, signal, timeoutMs } = options;
  return await runMarked({ form, config: formConfig(options), core, signal, timeoutMs });
}
