// Where snapshots are kept. The format needs little of a file: whole at once or not at all, and reads at offsets; so a
// folder, a page's private files and memory do alike.
import { loadPlatform } from "../platform/platform.ts";
import { VmError } from "../vmm/error.ts";

/** A snapshot being read. */
export interface SnapshotSource {
  readonly sizeBytes: number;
  /**
   * Exactly `lengthBytes` from `offset`, within the size. They may be put into `room`, if that is given: it is as long or
   * longer, and nobody else's until they have been used. Throws VmError("io").
   */
  read(offset: number, lengthBytes: number, room?: Uint8Array): Promise<Uint8Array>;
  /**
   * The same at once, on this thread, where the store can: what a guest waits for is then read when it needs it, and not held in
   * memory until then. The bytes must stay what they were when the snapshot was opened, whatever becomes of its name.
   */
  readNow?(offset: number, lengthBytes: number, room: Uint8Array): Uint8Array;
  close(): Promise<void>;
}

/** A snapshot being written, which nobody sees before `commit`. */
export interface SnapshotSink {
  /** Appends. Throws VmError("io"). */
  write(bytes: Uint8Array): Promise<void>;
  /** It is there from now on, all of it, and survives a crash of the host; one of the same name is replaced. */
  commit(): Promise<void>;
  /** Forgets what was written. */
  abort(): Promise<void>;
}

export interface SnapshotStore {
  /** Throws VmError("not-found") when there is none of that name. */
  open(name: string): Promise<SnapshotSource>;
  create(name: string): Promise<SnapshotSink>;
}

/**
 * The files of a folder that exists. A snapshot is written under another name first, so a crash at any moment leaves the
 * old one. Throws VmError("host") where there are no folders.
 */
export async function snapshotFolder(folder: string): Promise<SnapshotStore> {
  const platform = await loadPlatform();
  if (platform.snapshotFolder === undefined) {
    throw new VmError("host", "A page has no folders; keep snapshots in a MemorySnapshots or a store of your own.");
  }
  return platform.snapshotFolder(folder);
}

/** Snapshots in this process's memory. */
export class MemorySnapshots implements SnapshotStore {
  readonly #files = new Map<string, Uint8Array>();

  /** The bytes of a snapshot, to send or to keep elsewhere; undefined when there is none. */
  get(name: string): Uint8Array | undefined {
    return this.#files.get(name);
  }

  put(name: string, bytes: Uint8Array): void {
    this.#files.set(name, bytes);
  }

  delete(name: string): boolean {
    return this.#files.delete(name);
  }

  async open(name: string): Promise<SnapshotSource> {
    const bytes = this.#files.get(name);
    if (bytes === undefined) throw new VmError("not-found", `There is no snapshot "${name}" in memory.`, { name });
    return {
      sizeBytes: bytes.length,
      read: async (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
      readNow: (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
      close: async () => {},
    };
  }

  async create(name: string): Promise<SnapshotSink> {
    let parts: Uint8Array[] = [];
    return {
      write: async (bytes) => {
        parts.push(bytes.slice());
      },
      commit: async () => {
        const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
        let at = 0;
        for (const part of parts) {
          all.set(part, at);
          at += part.length;
        }
        this.#files.set(name, all);
      },
      abort: async () => {
        parts = [];
      },
    };
  }
}
