// The compiled core in a page: fetched and compiled once a page, and handed to its workers, which then share the code.
import { VmError } from "../../vmm/error.ts";
import type { MemoryKind } from "../platform.ts";
import { earlyStart } from "./early.ts";

/** Memory of VMs on workers of this page, see Platform.workerMemory. */
export function pageMemory(): MemoryKind {
  return globalThis.crossOriginIsolated ? "shared" : "plain";
}

const compiled = new Map<MemoryKind, Promise<WebAssembly.Module>>();

/** Where the cores lie: beside the bundle. Spelled out, so that other people's bundlers find and copy them. */
function coreUrl(memory: MemoryKind): URL {
  return memory === "shared"
    ? new URL("./paravane.shared.wasm", import.meta.url)
    : new URL("./paravane.wasm", import.meta.url);
}

/** Throws VmError("host") naming the address. */
export function loadCoreModule(memory: MemoryKind): Promise<WebAssembly.Module> {
  let module = compiled.get(memory);
  if (module === undefined) {
    // A page of ours has begun already, with the kind that it can have.
    module = (memory === pageMemory() ? earlyStart().core : undefined) ?? fetchCore(coreUrl(memory));
    provideCoreModule(memory, module);
  }
  return module;
}

/** What another thread compiled. */
export function provideCoreModule(memory: MemoryKind, module: Promise<WebAssembly.Module>): void {
  compiled.set(memory, module);
  module.catch(() => compiled.delete(memory));
}

async function fetchCore(url: URL): Promise<WebAssembly.Module> {
  try {
    const response = await fetch(url);
    if (!response.ok)
      throw new VmError("host", `The compiled core ${url.href} answered ${response.status}.`, { url: url.href });
    // A server that does not know the type of .wasm serves it as bytes.
    return response.headers.get("content-type") === "application/wasm"
      ? await WebAssembly.compileStreaming(response)
      : await WebAssembly.compile(await response.arrayBuffer());
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
