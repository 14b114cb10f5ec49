// The Node.js platform.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { isMainThread } from "node:worker_threads";
import { preciseWallMs } from "../date.ts";
import { type Platform, timeoutSleep } from "../platform.ts";
import { loadCoreFile } from "./core-file.ts";
import { deflate, inflate, inflateNow } from "./deflate.ts";
import { startNodeWorker } from "./pcpu-thread.ts";
import { snapshotFolder } from "./snapshot-folder.ts";

export { readWholeFile } from "./file.ts";
export { fileSink, fileSource, pipeBackend } from "./file-backend.ts";

/** performance.now() counts from the start of each thread, hrtime does not. */
const monotonicOriginNs = Number(process.hrtime.bigint()) - performance.now() * 1e6;

export function nodePlatform(): Platform {
  return {
    name: "node",
    monotonicNs: () => performance.now() * 1e6 + monotonicOriginNs,
    wallMs: preciseWallMs,
    // setImmediate runs after pending I/O events: input reaches the guest at each yield.
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    sleep: timeoutSleep,
    ...(isMainThread ? {} : { blockThread: waitOnNothing() }),
    processors: availableParallelism(),
    memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
    startPcpuWorker: startNodeWorker,
    workerMemory: "shared",
    entropy: fillEntropy,
    sha256,
    networkHost: async () => (await import("./network-host.ts")).nodeNetworkHost,
    openDisk: async (source) => await (await import("./disk.ts")).openDisk(source.path, source),
    deflate,
    inflate,
    loadInflateNow: async () => inflateNow,
    snapshotFolder,
    loadCore: (memory) => loadCoreFile(memory, readFile),
  };
}

/** Here and now: Web Crypto's takes ten times as long for the same bytes, on another thread. */
async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

function waitOnNothing(): (ns: number) => void {
  const word = new Int32Array(new SharedArrayBuffer(4));
  return (ns) => void Atomics.wait(word, 0, 0, ns / 1e6);
}

/** getRandomValues refuses more than 64 KiB a call. */
function fillEntropy(into: Uint8Array): void {
  for (let at = 0; at < into.length; at += 65536) crypto.getRandomValues(into.subarray(at, at + 65536));
}
