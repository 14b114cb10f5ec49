// A temporary overlay: what the guest writes goes elsewhere, the disk below stays as it is. Overlays that outlive the VM
// are qcow2 images with a backing file.
import type { BlockBackend, MaybePromise } from "../../vmm/block.ts";
import { OneAtATime, type Steps } from "../../vmm/maybe-promise.ts";
import { checkRange, checkWritable, type RandomAccessFile } from "./random-access.ts";

/** The first write to a cluster copies the rest of it; smaller ones copy less and cost more look-ups. */
const CLUSTER = 65536;

export class TemporaryOverlay implements BlockBackend {
  readonly readOnly = false;
  readonly temporary = true;
  readonly sizeBytes: number;
  /** A bit a cluster that the store has. */
  readonly #present: Uint8Array;
  readonly #queue = new OneAtATime();

  /** `store` is an empty, sparse file that nobody else uses; both are closed with the overlay. */
  constructor(
    private readonly base: BlockBackend,
    private readonly store: RandomAccessFile,
  ) {
    this.sizeBytes = base.sizeBytes;
    this.#present = new Uint8Array(Math.ceil(this.sizeBytes / CLUSTER / 8));
  }

  read(offset: number, into: Uint8Array): MaybePromise<void> {
    checkRange("overlay", this.sizeBytes, offset, into.length);
    return this.#queue.run(() => this.#read(offset, into));
  }

  write(offset: number, from: Uint8Array): MaybePromise<void> {
    checkRange("overlay", this.sizeBytes, offset, from.length);
    return this.#queue.run(() => this.#write(offset, from));
  }

  /** Nothing to do: the overlay does not outlive the VM, so neither can a write to it. */
  flush(): void {}

  /** Writes what the overlay has into the disk below and flushes that. Throws VmError("io") when it is read-only. */
  commit(): MaybePromise<void> {
    checkWritable("the disk below the overlay", this.base.readOnly);
    return this.#queue.run(() => this.#commit());
  }

  close(): MaybePromise<void> {
    return this.#queue.run(() => this.#close());
  }

  *#read(offset: number, into: Uint8Array): Steps<void> {
    for (let at = 0; at < into.length; ) {
      const here = this.#has(offset + at);
      const end = this.#runEnd(offset + at, offset + into.length, here) - offset;
      const piece = into.subarray(at, end);
      yield here ? this.store.read(offset + at, piece) : this.base.read(offset + at, piece);
      at = end;
    }
  }

  *#write(offset: number, from: Uint8Array): Steps<void> {
    const end = offset + from.length;
    // Only the first and the last cluster can be written in part.
    for (const edge of [offset, end - 1]) {
      const start = edge - (edge % CLUSTER);
      const stop = Math.min(start + CLUSTER, this.sizeBytes);
      if ((start >= offset && stop <= end) || this.#has(start)) continue;
      const cluster = new Uint8Array(stop - start);
      yield this.base.read(start, cluster);
      yield this.store.write(start, cluster);
      this.#mark(start);
    }
    yield this.store.write(offset, from);
    for (let at = offset - (offset % CLUSTER); at < end; at += CLUSTER) this.#mark(at);
  }

  *#commit(): Steps<void> {
    for (let at = 0; at < this.sizeBytes; at += CLUSTER) {
      if (!this.#has(at)) continue;
      const cluster = new Uint8Array(Math.min(CLUSTER, this.sizeBytes - at));
      yield this.store.read(at, cluster);
      yield this.base.write(at, cluster);
    }
    yield this.base.flush();
  }

  *#close(): Steps<void> {
    yield this.store.close();
    yield this.base.close();
  }

  #has(offset: number): boolean {
    const cluster = Math.floor(offset / CLUSTER);
    return (((this.#present[cluster >> 3] ?? 0) >> (cluster & 7)) & 1) !== 0;
  }

  #mark(offset: number): void {
    const cluster = Math.floor(offset / CLUSTER);
    this.#present[cluster >> 3] = (this.#present[cluster >> 3] ?? 0) | (1 << (cluster & 7));
  }

  /** End of the run of clusters, from `offset` to `end`, that are all here or all below. */
  #runEnd(offset: number, end: number, here: boolean): number {
    let at = offset - (offset % CLUSTER) + CLUSTER;
    while (at < end && this.#has(at) === here) at += CLUSTER;
    return Math.min(at, end);
  }
}
