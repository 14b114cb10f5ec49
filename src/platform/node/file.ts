import { readFile } from "node:fs/promises";
import { VmError } from "../../vmm/error.ts";

/** Reads an image from disk. Throws VmError("not-found") with the path and what went wrong. */
export async function readWholeFile(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    const why =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "it is a directory"
          : `it cannot be read (${code ?? "unknown"})`;
    throw new VmError("not-found", `${path}: ${why}.`, { path }, { cause });
  }
}
