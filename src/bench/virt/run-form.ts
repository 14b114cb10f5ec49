// One run of the benchmark guest in one form.
import { loadPlatform } from "../../platform/platform.ts";
import { VmError } from "../../vmm/error.ts";
import { Vm } from "../../vmm/vm.ts";
import { type FormOptions, formConfig } from "./forms.ts";
import { type MarkedRun, MarkReader } from "./marks.ts";

export interface RunOptions extends FormOptions {
  readonly core?: WebAssembly.Module | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Host milliseconds that one run may take. */
  readonly timeoutMs: number;
}

/** Code of the debug-exit port for `exit 0`. */
const GUEST_DONE = 1;

/** Throws VmError("internal") when the guest does not come to its end, with the last lines of its console. */
export async function runForm(options: RunOptions): Promise<MarkedRun> {
  const platform = await loadPlatform();
  const vm = await Vm.create({
    ...formConfig(options),
    timeoutMs: options.timeoutMs,
    ...(options.core === undefined ? {} : { core: options.core }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  try {
    const reader = new MarkReader(
      () => vm.statistics(),
      () => platform.monotonicNs(),
    );
    let console = "";
    const decoder = new TextDecoder("latin1");
    vm.on("post", ({ code }) => reader.mark(code));
    vm.on("debugcon", ({ bytes }) => reader.text(bytes));
    vm.on("serial", ({ port, bytes }) => {
      if (port === 0) console = (console + decoder.decode(bytes)).slice(-4096);
    });
    vm.start();
    const status = await vm.exited;
    options.signal?.throwIfAborted();
    const result = reader.result();
    if (status.kind !== "guest-exit" || status.code !== GUEST_DONE) {
      const last = console.trim().split(/\r?\n/).slice(-3).join(" | ");
      throw new VmError(
        "internal",
        `The benchmark guest (${options.form}) ended with ${status.kind} in place of its last operation: ${result.panic ?? last}`,
        { form: options.form, status: status.kind },
      );
    }
    return result;
  } finally {
    await vm[Symbol.asyncDispose]();
  }
}
