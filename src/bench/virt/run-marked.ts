// One run of a guest that marks what it does, to its end.
import { loadPlatform } from "../../platform/platform.ts";
import type { VmConfig } from "../../vmm/config.ts";
import { VmError } from "../../vmm/error.ts";
import { Vm } from "../../vmm/vm.ts";
import { type MarkedRun, MarkReader } from "./marks.ts";

export interface MarkedRunOptions {
  /** For messages: "para". */
  readonly form: string;
  readonly config: VmConfig;
  readonly core?: WebAssembly.Module | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Host milliseconds that the run may take. */
  readonly timeoutMs: number;
  /** An operation that begins with the machine and ends when COM1 says this. */
  readonly start?: { readonly operation: string; readonly until: string };
}

/** Code of the debug-exit port when the guest ends with 0. */
const GUEST_DONE = 1;
const KEPT_CHARACTERS = 4096;

/** Throws VmError("internal") when the guest does not come to its end, with the last lines of its console. */
export async function runMarked(options: MarkedRunOptions): Promise<MarkedRun> {
  const { form, signal, core, start } = options;
  const platform = await loadPlatform();
  const vm = await Vm.create({
    ...options.config,
    timeoutMs: options.timeoutMs,
    ...(core === undefined ? {} : { core }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const reader = new MarkReader(
      () => vm.statistics(),
      () => platform.monotonicNs(),
    );
    const decoder = new TextDecoder("latin1");
    let console = "";
    let started = start === undefined;
    vm.on("post", ({ code }) => reader.mark(code));
    vm.on("debugcon", ({ bytes }) => reader.text(bytes));
    vm.on("serial", ({ port, bytes }) => {
      if (port !== 0) return;
      console = (console + decoder.decode(bytes)).slice(-KEPT_CHARACTERS);
      if (started || start === undefined || !console.includes(start.until)) return;
      started = true;
      reader.end(start.operation);
    });
    if (start !== undefined) reader.begin();
    vm.start();
    const status = await vm.exited;
    signal?.throwIfAborted();
    const result = reader.result();
    if (status.kind !== "guest-exit" || status.code !== GUEST_DONE) {
      const last = console.trim().split(/\r?\n/).slice(-3).join(" | ");
      throw new VmError(
        "internal",
        `The benchmark guest (${form}) ended with ${status.kind} in place of its last operation: ${result.panic ?? last}`,
        { form, status: status.kind },
      );
    }
    return result;
  } finally {
    await vm[Symbol.asyncDispose]();
  }
}
