// The browser platform (pages and workers).

import { VmError } from "../../vmm/error.ts";
import { preciseWallMs } from "../date.ts";
import { type MemoryKind, type Platform, timeoutSleep, webCryptoSha256 } from "../platform.ts";
import { deflate, inflate } from "./deflate.ts";

/** performance.now() counts from the start of each thread; the sum with timeOrigin does not. A near epoch keeps the nanoseconds. */
const monotonicOriginNs = (performance.timeOrigin - Date.UTC(2026, 0, 1)) * 1e6;

/** `coreFolder`: where the compiled cores are. */
export function webPlatform(coreFolder: URL = new URL("../../../build/", import.meta.url)): Platform {
  const files: Readonly<Record<MemoryKind, string>> = { plain: "paravane.wasm", shared: "paravane.shared.wasm" };
  const yields = messageYield();
  return {
    name: "web",
    monotonicNs: () => performance.now() * 1e6 + monotonicOriginNs,
    wallMs: preciseWallMs,
    yieldToEventLoop: yields,
    sleep: timeoutSleep,
    entropy: (into) => {
      for (let at = 0; at < into.length; at += 65536) crypto.getRandomValues(into.subarray(at, at + 65536));
    },
    processors: navigator.hardwareConcurrency,
    memoryBytes: (deviceMemoryGib() ?? ASSUMED_GIB) * 2 ** 30,
    sha256: webCryptoSha256,
    openDisk: (source) =>
      Promise.reject(
        new VmError("host", `A page cannot open ${source.path} by itself; give the drive a BlockBackend.`, {
          path: source.path,
        }),
      ),
    deflate,
    inflate,
    loadCore: (memory) => fetchCore(new URL(files[memory], coreFolder)),
  };
}

/** Where a browser does not tell. */
const ASSUMED_GIB = 4;

/** Device Memory API: rounded, and 8 at most; not in every browser. */
function deviceMemoryGib(): number | undefined {
  return (navigator as { deviceMemory?: number }).deviceMemory;
}

/** setTimeout(0) is held to 4 ms when nested; a message to oneself is not. */
function messageYield(): () => Promise<void> {
  const channel = new MessageChannel();
  const waiting: (() => void)[] = [];
  channel.port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      channel.port2.postMessage(0);
    });
}

async function fetchCore(url: URL): Promise<WebAssembly.Module> {
  try {
    const response = await fetch(url);
    if (!response.ok)
      throw new VmError("host", `The compiled core ${url.href} answered ${response.status}.`, { url: url.href });
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw new VmError(
      "host",
      `The compiled core ${url.href} could not be fetched or compiled.`,
      { url: url.href },
      { cause },
    );
  }
}
