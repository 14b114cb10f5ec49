// A console as a stream for one viewer: what was printed lately, then what comes. Any number of viewers at once; a slow one
// loses its oldest bytes, and neither the guest nor the other viewers wait for it.
import type { HostedVm } from "../host/hosted-vm.ts";

const BACKLOG_BYTES = 1024 * 1024;

export async function* followConsole(
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
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
        bytes = Math.max(0, bytes - chunk.length);
        if (chunk.length > 0) yield chunk;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || signal.aborted) resolve();
      });
    }
  } finally {
    subscription[Symbol.dispose]();
    signal.removeEventListener("abort", onAbort);
  }
}
