// A disk in memory; with `late`, requests complete on a later turn of the event loop.
import type { BlockBackend, MaybePromise } from "../../../src/vmm/block.ts";

export class MemoryDisk implements BlockBackend {
  readonly log: string[] = [];
  /** Requests that fail. */
  fails = false;
  constructor(
    public bytes: Uint8Array,
    readonly readOnly = false,
    private readonly late = false,
  ) {}
  get sizeBytes(): number {
    return this.bytes.length;
  }
  #then(what: string, act: () => void): MaybePromise<void> {
    this.log.push(what);
    const run = (): void => {
      if (this.fails) throw new Error("the disk is broken");
      act();
    };
    if (!this.late) return run();
    return new Promise((resolve) => setImmediate(resolve)).then(run);
  }
  read(offset: number, into: Uint8Array): MaybePromise<void> {
    return this.#then(`read ${offset}+${into.length}`, () =>
      into.set(this.bytes.subarray(offset, offset + into.length)),
    );
  }
  write(offset: number, from: Uint8Array): MaybePromise<void> {
    const copy = from.slice();
    return this.#then(`write ${offset}+${from.length}`, () => this.bytes.set(copy, offset));
  }
  flush(): MaybePromise<void> {
    return this.#then("flush", () => {});
  }
  discard(offset: number, length: number): MaybePromise<void> {
    return this.#then(`discard ${offset}+${length}`, () => this.bytes.fill(0, offset, offset + length));
  }
  writeZeroes(offset: number, length: number): MaybePromise<void> {
    return this.#then(`zero ${offset}+${length}`, () => this.bytes.fill(0, offset, offset + length));
  }
  close(): void {
    this.log.push("close");
  }
}
