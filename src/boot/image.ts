// Bounds-checked little-endian reading of an image that may be anything at all.
import { VmError } from "../vmm/error.ts";

/** The error of every image that cannot be booted: `sentence` names the field, what was found and the next step. */
export function badImage(sentence: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown): VmError {
  return new VmError("bad-image", sentence, details, cause === undefined ? undefined : { cause });
}

/** An address or size for a message. */
export const hex = (value: number): string => `0x${value.toString(16)}`;

/** Bytes for a message, in the unit that reads best. */
export function sizeText(bytes: number): string {
  if (bytes >= 1 << 20) return `${Math.ceil((bytes / (1 << 20)) * 10) / 10} MiB`;
  if (bytes >= 1 << 10) return `${Math.ceil((bytes / (1 << 10)) * 10) / 10} KiB`;
  return `${bytes} bytes`;
}

export class ImageReader {
  readonly #view: DataView;

  /** `name` is how messages call the image: "kernel", "multiboot module 2". */
  constructor(
    readonly bytes: Uint8Array,
    readonly name: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(offset: number, field: string): number {
    this.#check(offset, 1, field);
    return this.#view.getUint8(offset);
  }

  u16(offset: number, field: string): number {
    this.#check(offset, 2, field);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number, field: string): number {
    this.#check(offset, 4, field);
    return this.#view.getUint32(offset, true);
  }

  /** Exact up to 2^53; larger values come out rounded, which every range check refuses anyway. */
  u64(offset: number, field: string): number {
    this.#check(offset, 8, field);
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 2 ** 32;
  }

  /** A view of the bytes, not a copy. */
  slice(offset: number, length: number, field: string): Uint8Array {
    this.#check(offset, length, field);
    return this.bytes.subarray(offset, offset + length);
  }

  #check(offset: number, length: number, field: string): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.bytes.length) return;
    throw badImage(
      `The ${this.name} ends too early: ${field} lies at offset ${hex(offset)} with ${length} bytes, but the file has ${this.bytes.length}; fetch or build it again.`,
      { field, offset, length, fileBytes: this.bytes.length },
    );
  }
}
