// The browser platform (pages and workers).
import { preciseWallMs } from "../date.ts";
import { type Platform, timeoutSleep, webCryptoSha256 } from "../platform.ts";
import { loadCoreModule, pageMemory } from "./core-module.ts";
import { deflate, inflate } from "./deflate.ts";
import { startWebWorker } from "./pcpu-thread.ts";
import { snapshotFolder } from "./snapshot-folder.ts";

/** performance.now() counts from the start of each thread; the sum with timeOrigin does not. A near epoch keeps the nanoseconds. */
const monotonicOriginNs = (performance.timeOrigin - Date.UTC(2026, 0, 1)) * 1e6;

export function webPlatform(): Platform {
  const workerMemory = pageMemory();
  return {
    name: "web",
    monotonicNs: () => performance.now() * 1e6 + monotonicOriginNs,
    wallMs: preciseWallMs,
    yieldToEventLoop: messageYield(),
    sleep: timeoutSleep,
    ...(isPage() || workerMemory === "plain" ? {} : { blockThread: waitOnNothing() }),
    entropy: (into) => {
      for (let at = 0; at < into.length; at += 65536) crypto.getRandomValues(into.subarray(at, at + 65536));
    },
    processors: navigator.hardwareConcurrency,
    memoryBytes: (deviceMemoryGib() ?? ASSUMED_GIB) * 2 ** 30,
    ...(isPage() && typeof Worker === "function"
      ? { startPcpuWorker: (setup: unknown) => startWebWorker(setup, workerMemory) }
      : {}),
    workerMemory,
    sha256: webCryptoSha256,
    openDisk: async (source) => {
      const { openHttpFile } = await import("./http-file.ts");
      const { openReadOnlyImage } = await import("../../backends/block/open-read-only.ts");
      return await openReadOnlyImage(await openHttpFile(source.path), source);
    },
    deflate,
    inflate,
    loadInflateNow: async () => (await import("./inflate-now.ts")).inflateNow,
    snapshotFolder,
    loadCore: loadCoreModule,
  };
}

/** Where a browser does not tell. */
const ASSUMED_GIB = 4;

/** Device Memory API: rounded, and 8 at most; not in every browser. */
function deviceMemoryGib(): number | undefined {
  return (navigator as { deviceMemory?: number }).deviceMemory;
}

/** A worker may wait; a page may not. */
function isPage(): boolean {
  return typeof document !== "undefined";
}

function waitOnNothing(): (ns: number) => void {
  const word = new Int32Array(new SharedArrayBuffer(4));
  return (ns) => void Atomics.wait(word, 0, 0, ns / 1e6);
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
