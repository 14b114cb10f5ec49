// Snapshots in the browser's private files (Origin Private File System), which belong to the page's origin and stay.
import type { SnapshotSink, SnapshotSource, SnapshotStore } from "../../snapshot/store.ts";
import { VmError } from "../../vmm/error.ts";

/** A store whose names are files of a folder at the top of the private files, made where it is missing. */
export function snapshotFolder(folder: string): SnapshotStore {
  return {
    open: async (name) => await openSource(await directory(folder), folder, checkedName(name)),
    create: async (name) => await createSink(await directory(folder), folder, checkedName(name)),
  };
}

/** A snapshot names its parent: it must not lead out of the folder. */
function checkedName(name: string): string {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) {
    throw new VmError("bad-snapshot", `The name of a snapshot must be a file name without a folder, not "${name}".`, {
      field: "name",
      name,
    });
  }
  return name;
}

async function directory(folder: string): Promise<FileSystemDirectoryHandle> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(folder, { create: true });
  } catch (cause) {
    throw new VmError(
      "host",
      `This page has no private files (a sandboxed frame, or a browser without them); ${folder} cannot be opened.`,
      { folder },
      { cause },
    );
  }
}

async function openSource(folder: FileSystemDirectoryHandle, where: string, name: string): Promise<SnapshotSource> {
  let file: File;
  try {
    file = await (await folder.getFileHandle(name)).getFile();
  } catch (cause) {
    const missing = (cause as { name?: string }).name === "NotFoundError";
    const why = missing ? "there is no such file" : `it cannot be opened (${String(cause)})`;
    throw new VmError(missing ? "not-found" : "io", `${where}/${name}: ${why}.`, { folder: where, name }, { cause });
  }
  return {
    sizeBytes: file.size,
    read: async (offset, lengthBytes) => {
      try {
        const bytes = new Uint8Array(await file.slice(offset, offset + lengthBytes).arrayBuffer());
        if (bytes.length === lengthBytes) return bytes;
      } catch (cause) {
        throw new VmError("io", `${where}/${name} changed while it was read.`, { folder: where, name }, { cause });
      }
      throw new VmError("io", `${where}/${name} became shorter while it was read.`, { folder: where, name });
    },
    close: async () => {},
  };
}

/** The browser writes beside the file, and closing puts the new one in its place. */
async function createSink(folder: FileSystemDirectoryHandle, where: string, name: string): Promise<SnapshotSink> {
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      const full = (cause as { name?: string }).name === "QuotaExceededError";
      const why = full ? "the browser gives this page no more room" : String(cause);
      throw new VmError("io", `${where}/${name} cannot be written: ${why}.`, { folder: where, name }, { cause });
    }
  };
  const existed = await folder.getFileHandle(name).then(
    () => true,
    () => false,
  );
  const stream = await attempt(async () =>
    (await folder.getFileHandle(name, { create: true })).createWritable({ keepExistingData: false }),
  );
  return {
    // A stream takes no view of shared memory.
    write: (bytes) => attempt(() => stream.write(bytes.slice())),
    commit: () => attempt(() => stream.close()),
    abort: async () => {
      await stream.abort().catch(() => {});
      // The name was made for it.
      if (!existed) await folder.removeEntry(name).catch(() => {});
    },
  };
}
