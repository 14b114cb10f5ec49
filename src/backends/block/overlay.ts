// A temporary overlay: what the guest writes goes elsewhere, the disk below stays as it is. Overlays that outlive the VM
// are qcow2 images with a backing file.
import {
  type BlockBackend,
  type FrozenDisk,
  type MaybePromise,
  OVERLAY_CLUSTER_BYTES,
  type OverlayContent,
} from "../../vmm/block.ts";
import { OneAtATime, type Steps } from "../../vmm/maybe-promise.ts";
import { checkRange, checkWritable, type RandomAccessFile } from "./random-access.ts";

/** The first write to a cluster copies the rest of it; smaller ones copy less and cost more look-ups. */
const CLUSTER = OVERLAY_CLUSTER_BYTES;

/** What was, of clusters that were written since. */
interface Frozen {
  readonly present: Uint8Array;
  readonly before: Map<number, Uint8Array>;
}

export class TemporaryOverlay implements BlockBackend, OverlayContent {
  readonly readOnly = false;
  readonly temporary = true;
  readonly sizeBytes: number;
  /** A bit a cluster that the store has. */
  readonly #present: Uint8Array;
  readonly #queue = new OneAtATime();
  readonly #frozen = new Set<Frozen>();
  readonly overlay: OverlayContent = this;

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

  freeze(): FrozenDisk {
    const frozen: Frozen = { present: this.#present.slice(), before: new Map() };
    this.#frozen.add(frozen);
    return {
      has: (cluster) => bit(frozen.present, cluster),
      read: (cluster) => this.#queue.run(() => this.#readFrozen(frozen, cluster)),
      close: () => void this.#frozen.delete(frozen),
    };
  }

  putCluster(cluster: number, bytes: Uint8Array): MaybePromise<void> {
    const start = cluster * CLUSTER;
    return this.write(start, bytes.subarray(0, Math.min(CLUSTER, this.sizeBytes - start)));
  }

  *#readFrozen({ present, before }: Frozen, cluster: number): Steps<Uint8Array> {
    const kept = before.get(cluster);
    if (kept !== undefined) return kept;
    const bytes = this.#room(cluster);
    const from = bit(present, cluster) ? this.store : this.base;
    yield from.read(cluster * CLUSTER, bytes);
    return bytes;
  }

  /** Copies what is about to be overwritten for whoever looks at the disk as it was. */
  *#keep(offset: number, end: number): Steps<void> {
    for (let cluster = Math.floor(offset / CLUSTER); cluster * CLUSTER < end; cluster++) {
      const missing = [...this.#frozen].filter(({ present, before }) => bit(present, cluster) && !before.has(cluster));
      if (missing.length === 0) continue;
      const bytes = this.#room(cluster);
      yield this.store.read(cluster * CLUSTER, bytes);
      for (const { before } of missing) before.set(cluster, bytes);
    }
  }

  #room(cluster: number): Uint8Array {
    return new Uint8Array(Math.min(CLUSTER, this.sizeBytes - cluster * CLUSTER));
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
    if (this.#frozen.size > 0) yield* this.#keep(offset, end);
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
    return bit(this.#present, Math.floor(offset / CLUSTER));
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

function bit(bits: Uint8Array, at: number): boolean {
  return (((bits[at >> 3] ?? 0) >> (at & 7)) & 1) !== 0;
}
