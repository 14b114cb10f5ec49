// A file that comes piece by piece from where reading takes a while and nothing can be written: a Blob that somebody dropped
// on a page, a web server. The pieces used last are kept.
import type { MaybePromise } from "../../vmm/block.ts";
import { VmError } from "../../vmm/error.ts";
import { checkWritable, type RandomAccessFile } from "./random-access.ts";

const PIECE_BYTES = 256 * 1024;
const PIECES_KEPT = 32;

/** Bytes from `start` to before `end`, both within the file. */
export type ReadPiece = (start: number, end: number) => Promise<Uint8Array>;

export class PieceFile implements RandomAccessFile {
  readonly readOnly = true;
  /** In order of use. What is on its way is here too, so nothing is asked for twice. */
  readonly #pieces = new Map<number, Uint8Array | Promise<Uint8Array>>();

  constructor(
    readonly name: string,
    readonly sizeBytes: number,
    private readonly readPiece: ReadPiece,
  ) {}

  read(offset: number, into: Uint8Array): MaybePromise<void> {
    into.fill(0);
    const end = Math.min(offset + into.length, this.sizeBytes);
    const copy = (number: number, piece: Uint8Array): void => {
      const start = number * PIECE_BYTES;
      const from = Math.max(offset, start);
      const to = Math.min(end, start + piece.length);
      into.set(piece.subarray(from - start, to - start), from - offset);
    };
    const waiting: Promise<void>[] = [];
    for (let number = Math.floor(offset / PIECE_BYTES); number * PIECE_BYTES < end; number++) {
      const piece = this.#piece(number);
      if (piece instanceof Uint8Array) copy(number, piece);
      else waiting.push(piece.then((bytes) => copy(number, bytes)));
    }
    return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => {});
  }

  write(): void {
    checkWritable(this.name, true);
  }
  truncate(): void {
    checkWritable(this.name, true);
  }
  flush(): void {}
  close(): void {
    this.#pieces.clear();
  }

  #piece(number: number): Uint8Array | Promise<Uint8Array> {
    const known = this.#pieces.get(number);
    this.#pieces.delete(number);
    const piece = known ?? this.#fetch(number);
    this.#pieces.set(number, piece);
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size <= PIECES_KEPT) break;
      this.#pieces.delete(oldest);
    }
    return piece;
  }

  async #fetch(number: number): Promise<Uint8Array> {
    const start = number * PIECE_BYTES;
    const end = Math.min(start + PIECE_BYTES, this.sizeBytes);
    try {
      const bytes = await this.readPiece(start, end);
      if (bytes.length !== end - start) throw new Error(`${bytes.length} bytes came in place of ${end - start}`);
      if (this.#pieces.has(number)) this.#pieces.set(number, bytes);
      return bytes;
    } catch (cause) {
      // The next read asks again.
      this.#pieces.delete(number);
      throw new VmError("io", `${this.name} cannot be read at byte ${start}.`, { name: this.name, start }, { cause });
    }
  }
}

export function blobFile(blob: Blob, name: string): PieceFile {
  return new PieceFile(
    name,
    blob.size,
    async (start, end) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
  );
}
