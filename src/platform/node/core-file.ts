// Finds and compiles the core (build/paravane.wasm and its twin for shared memory), once a thread.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { VmError } from "../../vmm/error.ts";
import type { MemoryKind } from "../platform.ts";

/** Compiled module by path. A cache of immutable code, not guest state. */
const compiled = new Map<string, Promise<WebAssembly.Module>>();

const FILES: Readonly<Record<MemoryKind, string>> = { plain: "paravane.wasm", shared: "paravane.shared.wasm" };

export function loadCoreFile(
  memory: MemoryKind,
  read: (path: string) => Promise<Uint8Array>,
): Promise<WebAssembly.Module> {
  const path = join(packageRoot(), "build", FILES[memory]);
  let module = compiled.get(path);
  if (module === undefined) {
    module = compileFile(path, read);
    compiled.set(path, module);
    module.catch(() => compiled.delete(path));
  }
  return module;
}

/** The folder of our package.json: the sources and the bundle lie at different depths below it. */
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    try {
      if ((JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string }).name === "paravane")
        return folder;
    } catch {
      // Not here: one level up.
    }
    if (dirname(folder) === folder) throw new VmError("host", `No package.json of paravane above ${start}.`, { start });
  }
}

async function compileFile(path: string, read: (path: string) => Promise<Uint8Array>): Promise<WebAssembly.Module> {
  let bytes: Uint8Array;
  try {
    bytes = await read(path);
  } catch (cause) {
    throw new VmError(
      "host",
      `The compiled core ${path} cannot be read; build it with \`npm run build\`.`,
      { path },
      { cause },
    );
  }
  try {
    return await WebAssembly.compile(new Uint8Array(bytes));
  } catch (cause) {
    throw new VmError(
      "host",
      `The compiled core ${path} is not valid WebAssembly; build it again with \`npm run build\`.`,
      { path },
      { cause },
    );
  }
}
