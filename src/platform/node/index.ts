// The Node.js platform.
import { readFile } from "node:fs/promises";
import { type Platform, timeoutSleep, webCryptoSha256 } from "../platform.ts";
import { loadCoreFile } from "./core-file.ts";

export { readWholeFile } from "./file.ts";
export { fileSink, fileSource, pipeBackend } from "./file-backend.ts";

export function nodePlatform(): Platform {
  return {
    name: "node",
    monotonicNs: () => performance.now() * 1e6,
    wallMs: () => Date.now(),
    // setImmediate runs after pending I/O events: input reaches the guest at each yield.
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    sleep: timeoutSleep,
    entropy: fillEntropy,
    sha256: webCryptoSha256,
    loadCore: () => loadCoreFile(readFile),
  };
}

/** getRandomValues refuses more than 64 KiB a call. */
function fillEntropy(into: Uint8Array): void {
  for (let at = 0; at < into.length; at += 65536) crypto.getRandomValues(into.subarray(at, at + 65536));
}
