// A directory of the host as a tree of files. Regular files and directories only: links could lead out of it.
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { FileTree, TreeDirectory, TreeFile } from "../../backends/block/fat/volume.ts";
import { VmError } from "../../vmm/error.ts";

/** Files kept open at a time. */
const OPEN_MAX = 32;
/** A tree larger than this is a mistake (somebody exported their home). */
const ENTRIES_MAX = 100_000;

/** Looks at the whole tree now; contents are read later. Throws VmError("not-found" | "bad-config"). */
export function directoryTree(path: string): FileTree {
  const open = new OpenFiles();
  let count = 0;
  const visit = (folder: string): TreeDirectory => {
    const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    count += entries.length;
    if (count > ENTRIES_MAX)
      throw new VmError("bad-config", `${path} holds more than ${ENTRIES_MAX} files; export a smaller directory.`, {
        path,
      });
    const kept: (TreeFile | TreeDirectory)[] = [];
    for (const entry of entries) {
      const full = join(folder, entry.name);
      if (entry.isDirectory()) kept.push(visit(full));
      else if (entry.isFile()) {
        const { size, mtimeMs } = statSync(full);
        kept.push({
          kind: "file",
          name: entry.name,
          sizeBytes: size,
          modifiedMs: mtimeMs,
          read: (offset, into) => open.read(full, offset, into),
        });
      }
    }
    return { kind: "directory", name: basename(folder), modifiedMs: statSync(folder).mtimeMs, entries: kept };
  };
  try {
    return { name: path, root: visit(path), close: () => open.close() };
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw new VmError("not-found", `${path} cannot be read as a directory.`, { path }, { cause });
  }
}

class OpenFiles {
  /** In order of use. */
  readonly #files = new Map<string, number>();

  read(path: string, offset: number, into: Uint8Array): void {
    let at = 0;
    try {
      const fd = this.#open(path);
      while (at < into.length) {
        const count = readSync(fd, into, at, into.length - at, offset + at);
        if (count === 0) break;
        at += count;
      }
    } catch (cause) {
      throw new VmError("io", `${path} cannot be read any more.`, { path }, { cause });
    }
    into.fill(0, at);
  }

  close(): void {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  #open(path: string): number {
    const known = this.#files.get(path);
    if (known !== undefined) {
      this.#files.delete(path);
      this.#files.set(path, known);
      return known;
    }
    for (const [oldest, fd] of this.#files) {
      if (this.#files.size < OPEN_MAX) break;
      closeSync(fd);
      this.#files.delete(oldest);
    }
    const fd = openSync(path, "r");
    this.#files.set(path, fd);
    return fd;
  }
}
