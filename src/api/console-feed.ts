// A console as a stream for one viewer: what was printed lately, then what comes. Any number of viewers at once; a slow one
// loses its oldest bytes, and neither the guest nor the other viewers wait for it.
import type { Host } from "../host/host.ts";
import type { HostedVm } from "../host/hosted-vm.ts";

const BACKLOG_BYTES = 1024 * 1024;

/** Until the signal, or the VM has been destroyed. */
export async function* followConsole(
  host: Host,
  vm: HostedVm,
  port: number,
  scrollback: boolean,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const waiting: Uint8Array[] = scrollback ? [vm.scrollback(port)] : [];
  let bytes = 0;
  let wake = (): void => {};
  const subscription = vm.on("serial", (event) => {
    if (event.port !== port) return;
    waiting.push(event.bytes);
    bytes += event.bytes.length;
    while (bytes > BACKLOG_BYTES) bytes -= waiting.shift()?.length ?? bytes;
    wake();
  });
  let gone = false;
  const destroyed = host.on("vm-destroyed", (event) => {
    if (event.vm !== vm) return;
    gone = true;
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
        bytes = Math.max(0, bytes - chunk.length);
        if (chunk.length > 0) yield chunk;
      }
      if (gone) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || gone || signal.aborted) resolve();
      });
    }
  } finally {
    destroyed[Symbol.dispose]();
    subscription[Symbol.dispose]();
    signal.removeEventListener("abort", onAbort);
  }
}
