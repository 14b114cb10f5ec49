// A file of the host as random-access storage.
//
// Data moves synchronously: a read that the page cache serves takes microseconds, less than a thread of the pool needs to
// wake up, and it is done before the guest looks again. A flush waits for the drive, so it is left to the pool and the
// guest runs on meanwhile.
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RandomAccessFile } from "../../backends/block/random-access.ts";
import { VmError } from "../../vmm/error.ts";
import { lockImage } from "./image-lock.ts";

/** Why the host refused, in a few words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  EACCES: "access is denied",
  EROFS: "its file system is read-only",
  EEXIST: "it exists already",
  ENOSPC: "the host's disk is full",
  EFBIG: "the host's file size limit is reached",
};

function reason(cause: unknown): string {
  const { code, message } = cause as { code?: string; message?: string };
  return REASONS[code ?? ""] ?? code ?? message ?? "unknown";
}

export type OpenMode = "read" | "write" | "create";

/**
 * Opens a file; "create" makes it and refuses one that exists. Throws VmError("not-found") for a file that is not there,
 * VmError("host") for one that cannot be opened.
 */
export function openDiskFile(path: string, mode: OpenMode): NodeDiskFile {
  const flags = {
    read: constants.O_RDONLY,
    write: constants.O_RDWR,
    create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  }[mode];
  let fd: number;
  try {
    fd = openSync(path, flags, 0o644);
    if (fstatSync(fd).isDirectory()) {
      closeSync(fd);
      throw Object.assign(new Error(), { code: "EISDIR" });
    }
  } catch (cause) {
    const code = (cause as { code?: string }).code === "ENOENT" ? "not-found" : "host";
    throw new VmError(code, `${path} cannot be opened: ${reason(cause)}.`, { path }, { cause });
  }
  return new NodeDiskFile(fd, path, mode === "read");
}

/** An empty file without a name in the host's folder for temporary files; gone when it is closed, whatever happens. */
export function temporaryDiskFile(): RandomAccessFile {
  const path = join(tmpdir(), `paravane-overlay-${process.pid}-${crypto.randomUUID()}`);
  const file = openDiskFile(path, "create");
  try {
    unlinkSync(path);
  } catch {
    // Where an open file cannot be unlinked it stays until the host clears its temporary folder.
  }
  return file;
}

export class NodeDiskFile implements RandomAccessFile {
  #sizeBytes: number;
  #open = true;
  #lock: Disposable | undefined;

  constructor(
    private readonly fd: number,
    readonly name: string,
    readonly readOnly: boolean,
  ) {
    this.#sizeBytes = sizeOf(fd);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Nobody else writes it until it is closed. Throws VmError("bad-state") while somebody does. */
  async lock(): Promise<void> {
    this.#lock = await lockImage(this.fd, this.name);
  }

  read(offset: number, into: Uint8Array): void {
    try {
      let at = 0;
      while (at < into.length) {
        const count = readSync(this.fd, into, at, into.length - at, offset + at);
        if (count === 0) break;
        at += count;
      }
      into.fill(0, at);
    } catch (cause) {
      throw this.#error("read", cause);
    }
  }

  write(offset: number, from: Uint8Array): void {
    try {
      for (let at = 0; at < from.length; ) at += writeSync(this.fd, from, at, from.length - at, offset + at);
    } catch (cause) {
      throw this.#error("written", cause);
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + from.length);
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.fd, (cause) => (cause ? reject(this.#error("flushed", cause)) : resolve()));
    });
  }

  truncate(sizeBytes: number): void {
    try {
      ftruncateSync(this.fd, sizeBytes);
    } catch (cause) {
      throw this.#error("resized", cause);
    }
    this.#sizeBytes = sizeBytes;
  }

  close(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }

  #error(done: string, cause: unknown): VmError {
    return new VmError("io", `${this.name} cannot be ${done}: ${reason(cause)}.`, { path: this.name }, { cause });
  }
}

/** Block devices say 0 to fstat: their end is where reading stops. */
function sizeOf(fd: number): number {
  const stat = fstatSync(fd);
  if (!stat.isBlockDevice()) return stat.size;
  const probe = new Uint8Array(1);
  let low = 0;
  let high = 2 ** 50;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (readSync(fd, probe, 0, 1, middle) === 1) low = middle + 1;
    else high = middle;
  }
  return low;
}
