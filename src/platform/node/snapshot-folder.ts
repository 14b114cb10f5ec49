// Snapshots as files of a folder.
import { fstatSync, readSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { SnapshotSink, SnapshotSource, SnapshotStore } from "../../snapshot/store.ts";
import { VmError } from "../../vmm/error.ts";

/** A store whose names are files of `folder`, which must exist. */
export function snapshotFolder(folder: string): SnapshotStore {
  return {
    open: async (name) => await openSource(pathOf(folder, name)),
    create: async (name) => await createSink(folder, pathOf(folder, name)),
  };
}

/** A snapshot names its parent: it must not lead out of the folder. */
function pathOf(folder: string, name: string): string {
  if (name === "" || name === "." || name === ".." || basename(name) !== name || name.includes("\0")) {
    throw new VmError("bad-snapshot", `The name of a snapshot must be a file name without a folder, not "${name}".`, {
      field: "name",
      name,
    });
  }
  return join(folder, name);
}

async function openSource(path: string): Promise<SnapshotSource> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    const missing = (cause as { code?: string }).code === "ENOENT";
    const why = missing ? "there is no such file" : `it cannot be opened: ${reasonOf(cause)}`;
    throw new VmError(missing ? "not-found" : "io", `${path}: ${why}.`, { path }, { cause });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new VmError("io", `${path}: it is not a file.`, { path });
    return {
      sizeBytes: stat.size,
      read: (offset, lengthBytes, room) =>
        readAll(file, path, offset, room?.subarray(0, lengthBytes) ?? new Uint8Array(lengthBytes)),
      readNow: (offset, lengthBytes, room) => {
        const now = fstatSync(file.fd);
        if (now.mtimeMs !== stat.mtimeMs || now.size !== stat.size) {
          throw new VmError("io", `${path} was changed while a VM needed it.`, { path });
        }
        return readAllNow(file.fd, path, offset, room.subarray(0, lengthBytes));
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readAll(file: FileHandle, path: string, offset: number, bytes: Uint8Array): Promise<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await file.read(bytes, at, bytes.length - at, offset + at));
    } catch (cause) {
      throw new VmError("io", `${path} cannot be read: ${reasonOf(cause)}.`, { path }, { cause });
    }
    if (bytesRead === 0) throw new VmError("io", `${path} became shorter while it was read.`, { path });
    at += bytesRead;
  }
  return bytes;
}

function readAllNow(fd: number, path: string, offset: number, bytes: Uint8Array): Uint8Array {
  for (let at = 0; at < bytes.length; ) {
    let bytesRead: number;
    try {
      bytesRead = readSync(fd, bytes, at, bytes.length - at, offset + at);
    } catch (cause) {
      throw new VmError("io", `${path} cannot be read: ${reasonOf(cause)}.`, { path }, { cause });
    }
    if (bytesRead === 0) throw new VmError("io", `${path} became shorter while it was read.`, { path });
    at += bytesRead;
  }
  return bytes;
}

/** A file beside the one to come, which takes its name once its bytes are on the disk. */
async function createSink(folder: string, path: string): Promise<SnapshotSink> {
  const temporary = `${path}.${process.pid}.${crypto.randomUUID().slice(0, 8)}.part`;
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw new VmError("io", `${path} cannot be written: ${reasonOf(cause)}.`, { path }, { cause });
    }
  };
  const file = await attempt(() => open(temporary, "wx"));
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await file.close();
  };
  return {
    write: (bytes) =>
      attempt(async () => {
        for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
      }),
    commit: () =>
      attempt(async () => {
        await file.sync();
        await close();
        await rename(temporary, path);
        await syncFolder(folder);
      }),
    abort: async () => {
      await close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

/** The new name must survive a crash as well. Some systems cannot open a folder: there the rename has to do. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(folder, "r");
  } catch {
    return;
  }
  try {
    await handle.sync();
  } catch (cause) {
    if (!["EINVAL", "EISDIR", "EPERM"].includes(codeOf(cause))) throw cause;
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EDQUOT: "the quota is used up",
  EISDIR: "it is a folder",
  ENOENT: "there is no such folder",
  ENOSPC: "the disk is full",
  ENOTDIR: "what should be its folder is none",
  EROFS: "the file system is read-only",
};

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return REASONS[code] ?? code;
}
