// Messages of 9P2000.L: little-endian fields and counted strings, read and put together.
import { ERRNO, P9Error } from "./errno.ts";

export const HEADER_BYTES = 7;

/** Reads fields from the front; past the end is the guest's mistake. */
export class MessageReader {
  readonly #view: DataView;
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.bytes.length) throw new P9Error(ERRNO.EINVAL);
    this.#at += count;
    return at;
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  text(): string {
    return new TextDecoder().decode(this.rest(this.u16()).slice());
  }
  /** The next `count` bytes, without a copy. */
  rest(count: number): Uint8Array {
    const at = this.#take(count);
    return this.bytes.subarray(at, at + count);
  }
}

/** Puts a reply together; the header is filled in at the end. */
export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = HEADER_BYTES;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #make(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
  u8(value: number): this {
    this.#view.setUint8(this.#make(1), value);
    return this;
  }
  u16(value: number): this {
    this.#view.setUint16(this.#make(2), value, true);
    return this;
  }
  u32(value: number): this {
    this.#view.setUint32(this.#make(4), value, true);
    return this;
  }
  u64(value: bigint): this {
    this.#view.setBigUint64(this.#make(8), BigInt.asUintN(64, value), true);
    return this;
  }
  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    this.u16(bytes.length);
    this.#bytes.set(bytes, this.#make(bytes.length));
    return this;
  }
  /** A count of 32 bits and up to so many bytes, which `fill` puts in place and counts. */
  counted(most: number, fill: (into: Uint8Array) => number): this {
    const at = this.#make(4);
    const start = this.#make(most);
    const count = fill(this.#bytes.subarray(start, start + most));
    this.#view.setUint32(at, count, true);
    this.#length = start + count;
    return this;
  }

  finish(type: number, tag: number): Uint8Array {
    this.#view.setUint32(0, this.#length, true);
    this.#view.setUint8(4, type);
    this.#view.setUint16(5, tag, true);
    return this.#bytes.subarray(0, this.#length);
  }
}
