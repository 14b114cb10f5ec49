// Finds and compiles the core (build/paravane.wasm), once a process.
import { fileURLToPath } from "node:url";
import { VmError } from "../../vmm/error.ts";

const CORE_URL = new URL("../../../build/paravane.wasm", import.meta.url);

/** Compiled module by path. A cache of immutable code, not guest state. */
const compiled = new Map<string, Promise<WebAssembly.Module>>();

export function loadCoreFile(read: (path: string) => Promise<Uint8Array>): Promise<WebAssembly.Module> {
  const path = fileURLToPath(CORE_URL);
  let module = compiled.get(path);
  if (module === undefined) {
    module = compileFile(path, read);
    compiled.set(path, module);
    module.catch(() => compiled.delete(path));
  }
  return module;
}

async function compileFile(path: string, read: (path: string) => Promise<Uint8Array>): Promise<WebAssembly.Module> {
  let bytes: Uint8Array;
  try {
    bytes = await read(path);
  } catch (cause) {
    throw new VmError("host", `The compiled core ${path} cannot be read; build it with \`npm run build\`.`, { path }, { cause });
  }
  try {
    return await WebAssembly.compile(new Uint8Array(bytes));
  } catch (cause) {
    throw new VmError("host", `The compiled core ${path} is not valid WebAssembly; build it again with \`npm run build\`.`, { path }, { cause });
  }
}
