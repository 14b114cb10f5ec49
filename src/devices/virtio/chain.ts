// A descriptor chain as a device sees it: bytes to read, then bytes to write, wherever in guest RAM they lie.
import type { DmaMemory } from "../../vmm/device.ts";

export class DescriptorChain {
  /** What the driver gave, in order: views of guest RAM, never empty. */
  readonly readable: Uint8Array[] = [];
  readonly writable: Uint8Array[] = [];
  readonly #writableAt: number[] = [];
  readableBytes = 0;
  writableBytes = 0;
  /** End of what was written so far; what the used ring reports. */
  writtenBytes = 0;
  #readSegment = 0;
  #readOffset = 0;
  #readLeft = 0;
  #writeSegment = 0;
  #writeOffset = 0;

  constructor(
    /** Index of the first descriptor. */
    readonly head: number,
    private readonly memory: DmaMemory,
  ) {}

  // ---- put together by the queue

  addReadable(view: Uint8Array): void {
    this.readable.push(view);
    this.readableBytes += view.length;
    this.#readLeft += view.length;
  }
  addWritable(view: Uint8Array, gpa: number): void {
    this.writable.push(view);
    this.#writableAt.push(gpa);
    this.writableBytes += view.length;
  }

  // ---- reading, front to back

  get unreadBytes(): number {
    return this.#readLeft;
  }

  /**
   * The next `count` bytes, fewer at the end. A view of guest RAM where they lie together, else a copy; the guest may
   * change a view, so look at each field once.
   */
  read(count: number): Uint8Array {
    const wanted = Math.min(count, this.#readLeft);
    const segment = this.readable[this.#readSegment];
    if (segment !== undefined && this.#readOffset + wanted <= segment.length) {
      const view = segment.subarray(this.#readOffset, this.#readOffset + wanted);
      this.#advanceRead(wanted);
      return view;
    }
    const copy = new Uint8Array(wanted);
    for (let at = 0; at < wanted; ) {
      const from = this.readable[this.#readSegment] as Uint8Array;
      const run = Math.min(wanted - at, from.length - this.#readOffset);
      copy.set(from.subarray(this.#readOffset, this.#readOffset + run), at);
      this.#advanceRead(run);
      at += run;
    }
    return copy;
  }

  /** As `read`, but always a copy that nobody else changes. */
  readCopy(count: number): Uint8Array {
    const bytes = this.read(count);
    return bytes.buffer === this.readable[0]?.buffer ? bytes.slice() : bytes;
  }

  /** Never past the end of a segment. */
  #advanceRead(count: number): void {
    this.#readOffset += count;
    this.#readLeft -= count;
    if (this.#readOffset === this.readable[this.#readSegment]?.length) {
      this.#readSegment++;
      this.#readOffset = 0;
    }
  }

  // ---- writing, front to back

  get roomBytes(): number {
    return this.writableBytes - this.writtenBytes;
  }

  /** Copies what fits into the guest's buffers; returns how much that was. */
  write(bytes: Uint8Array): number {
    return this.#put(bytes.length, (into, from) => into.set(bytes.subarray(from, from + into.length)));
  }

  /** Lets `fill` write up to `count` bytes in place, piece by piece; returns how many fitted. */
  fill(count: number, fill: (into: Uint8Array) => void): number {
    return this.#put(count, fill);
  }

  /** Leaves bytes as they are and goes on behind them. */
  skip(count: number): number {
    return this.#put(count, () => {}, false);
  }

  #put(count: number, put: (into: Uint8Array, from: number) => void, changes = true): number {
    const end = Math.min(count, this.roomBytes);
    for (let at = 0; at < end; ) {
      const segment = this.writable[this.#writeSegment] as Uint8Array;
      const run = Math.min(end - at, segment.length - this.#writeOffset);
      put(segment.subarray(this.#writeOffset, this.#writeOffset + run), at);
      if (changes) this.memory.written((this.#writableAt[this.#writeSegment] ?? 0) + this.#writeOffset, run);
      at += run;
      this.#writeOffset += run;
      if (this.#writeOffset === segment.length) {
        this.#writeSegment++;
        this.#writeOffset = 0;
      }
    }
    this.writtenBytes += end;
    return end;
  }
}
