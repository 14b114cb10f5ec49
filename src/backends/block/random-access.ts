// What disk images are kept in: bytes at offsets. A file of the host (src/platform/node/disk-file.ts), memory, or what a
// page brings along.
import type { MaybePromise } from "../../vmm/block.ts";
import { VmError } from "../../vmm/error.ts";

export interface RandomAccessFile {
  /** For messages. */
  readonly name: string;
  readonly readOnly: boolean;
  /** As it is now: writes beyond the end make it grow. */
  readonly sizeBytes: number;
  /** Fills `into`; beyond the end there are zeros. Rejects or throws VmError("io"). */
  read(offset: number, into: Uint8Array): MaybePromise<void>;
  write(offset: number, from: Uint8Array): MaybePromise<void>;
  /** Afterwards everything written before survives a crash of the host. */
  flush(): MaybePromise<void>;
  truncate(sizeBytes: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

const SECTOR = 512;

/** Throws VmError("io") for a range that is not whole sectors within the disk. */
export function checkRange(name: string, sizeBytes: number, offset: number, lengthBytes: number): void {
  if (offset % SECTOR === 0 && lengthBytes % SECTOR === 0 && offset >= 0 && offset + lengthBytes <= sizeBytes) return;
  throw new VmError(
    "io",
    `${name}: ${lengthBytes} bytes at ${offset} are not whole sectors within its ${sizeBytes} bytes.`,
    { offset, lengthBytes, sizeBytes },
  );
}

/** Throws VmError("io") for a disk that cannot be written. */
export function checkWritable(name: string, readOnly: boolean): void {
  if (readOnly) throw new VmError("io", `${name} is read-only.`, { name });
}

const CHUNK = 65536;

/** Bytes in memory; only chunks that were written take room. */
export class MemoryFile implements RandomAccessFile {
  readonly readOnly = false;
  readonly #chunks = new Map<number, Uint8Array>();
  #sizeBytes: number;

  constructor(
    content: Uint8Array | number = 0,
    readonly name = "memory",
  ) {
    this.#sizeBytes = typeof content === "number" ? content : 0;
    if (typeof content !== "number") this.write(0, content);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(offset: number, into: Uint8Array): void {
    into.fill(0);
    this.#eachPiece(offset, Math.min(into.length, this.#sizeBytes - offset), (chunk, start, at, length) => {
      const bytes = this.#chunks.get(chunk);
      if (bytes !== undefined) into.set(bytes.subarray(start, start + length), at);
    });
  }

  write(offset: number, from: Uint8Array): void {
    this.#eachPiece(offset, from.length, (chunk, start, at, length) => {
      let bytes = this.#chunks.get(chunk);
      if (bytes === undefined) {
        bytes = new Uint8Array(CHUNK);
        this.#chunks.set(chunk, bytes);
      }
      bytes.set(from.subarray(at, at + length), start);
    });
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + from.length);
  }

  flush(): void {}

  truncate(sizeBytes: number): void {
    const last = Math.floor(sizeBytes / CHUNK);
    for (const chunk of this.#chunks.keys()) if (chunk > last) this.#chunks.delete(chunk);
    this.#chunks.get(last)?.fill(0, sizeBytes % CHUNK);
    this.#sizeBytes = sizeBytes;
  }

  close(): void {}

  #eachPiece(
    offset: number,
    lengthBytes: number,
    piece: (chunk: number, start: number, at: number, length: number) => void,
  ): void {
    for (let at = 0; at < lengthBytes; ) {
      const start = (offset + at) % CHUNK;
      const length = Math.min(CHUNK - start, lengthBytes - at);
      piece(Math.floor((offset + at) / CHUNK), start, at, length);
      at += length;
    }
  }
}
