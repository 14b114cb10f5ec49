// A qcow2 image as a disk. Metadata is written back at flush, in an order (tables.ts) such that whatever is cut off leaves
// clusters that nobody owns, never one with two owners or data that was flushed and is gone.
import type { BlockBackend, MaybePromise } from "../../../vmm/block.ts";
import { OneAtATime, runSteps, type Steps } from "../../../vmm/maybe-promise.ts";
import { checkRange, checkWritable, type RandomAccessFile } from "../random-access.ts";
import { compressedRange, unpackCluster } from "./compressed.ts";
import { badQcow2, H_AUTOCLEAR, type Qcow2Header } from "./format.ts";
import type { Qcow2Snapshot } from "./snapshots.ts";
import { ClusterTables, type L2Table } from "./tables.ts";

export interface Qcow2Options {
  readonly readOnly?: boolean;
  /** Closed with the image. */
  readonly backing?: BlockBackend | undefined;
}

export class Qcow2Disk implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  #autoclear: boolean;
  readonly #queue = new OneAtATime();
  readonly #backing: BlockBackend | undefined;
  /** Content of the compressed cluster read last: guests read on in it. */
  #unpacked: { offset: number; bytes: Uint8Array } | undefined;

  private constructor(
    private readonly file: RandomAccessFile,
    readonly header: Qcow2Header,
    private readonly tables: ClusterTables,
    options: Qcow2Options,
  ) {
    this.sizeBytes = Math.ceil(header.sizeBytes / 512) * 512;
    this.readOnly = options.readOnly ?? file.readOnly;
    this.#backing = options.backing;
    this.#autoclear = header.autoclear;
  }

  /**
   * `header` is the file's, `options.backing` the disk that it names. Throws VmError("bad-image") for an image that is
   * damaged or, opened for writing, marked as not closed properly.
   */
  static open(file: RandomAccessFile, header: Qcow2Header, options: Qcow2Options = {}): MaybePromise<Qcow2Disk> {
    return runSteps(Qcow2Disk.#open(file, header, options));
  }

  static *#open(file: RandomAccessFile, header: Qcow2Header, options: Qcow2Options): Steps<Qcow2Disk> {
    const readOnly = options.readOnly ?? file.readOnly;
    if (!readOnly && header.corrupt)
      throw badQcow2(file.name, "it is marked corrupt; repair it with qemu-img check -r all, or open it read-only");
    if (!readOnly && header.dirty)
      throw badQcow2(
        file.name,
        "its refcounts are marked out of date (lazy refcounts, not closed properly); repair it with qemu-img check -r all, or open it read-only",
      );
    return new Qcow2Disk(file, header, yield* ClusterTables.open(file, header, readOnly), { ...options, readOnly });
  }

  get snapshots(): readonly Qcow2Snapshot[] {
    return this.tables.snapshots;
  }

  // ---- the disk

  read(offset: number, into: Uint8Array): MaybePromise<void> {
    checkRange(this.file.name, this.sizeBytes, offset, into.length);
    return this.#queue.run(() => this.#read(offset, into));
  }

  write(offset: number, from: Uint8Array): MaybePromise<void> {
    checkWritable(this.file.name, this.readOnly);
    checkRange(this.file.name, this.sizeBytes, offset, from.length);
    return this.#queue.run(() => this.#write(offset, from));
  }

  flush(): MaybePromise<void> {
    return this.readOnly ? undefined : this.#queue.run(() => this.tables.flush());
  }

  discard(offset: number, lengthBytes: number): MaybePromise<void> {
    checkWritable(this.file.name, this.readOnly);
    checkRange(this.file.name, this.sizeBytes, offset, lengthBytes);
    return this.#queue.run(() => this.#discard(offset, lengthBytes));
  }

  writeZeroes(offset: number, lengthBytes: number): MaybePromise<void> {
    checkWritable(this.file.name, this.readOnly);
    checkRange(this.file.name, this.sizeBytes, offset, lengthBytes);
    return this.#queue.run(() => this.#writeZeroes(offset, lengthBytes));
  }

  close(): MaybePromise<void> {
    return this.#queue.run(() => this.#close());
  }

  /** Calls back for each cluster that this image itself decides on (not its backing file), in order. */
  ownClusters(visit: (offset: number, lengthBytes: number) => MaybePromise<void>): MaybePromise<void> {
    return runSteps(this.#ownClusters(visit));
  }

  // ---- reading

  *#read(offset: number, into: Uint8Array): Steps<void> {
    const { tables } = this;
    for (let at = 0; at < into.length; ) {
      const guest = offset + at;
      const within = guest % tables.cluster;
      let length = Math.min(tables.cluster - within, into.length - at);
      const table = yield* tables.tableFor(guest);
      const index = tables.index(guest);
      if (table !== undefined && tables.kind(table, index) === "data") {
        // Neighbours in the file are read in one go.
        length = tables.run(table, index, length, into.length - at, (next) => tables.kind(table, next) === "data");
        yield this.file.read(tables.hostOffset(table, index) + within, into.subarray(at, at + length));
      } else {
        yield* this.#readPiece(table, index, guest, into.subarray(at, at + length));
      }
      at += length;
    }
  }

  /** A piece within one cluster that is not plain data. */
  *#readPiece(table: L2Table | undefined, index: number, guest: number, into: Uint8Array): Steps<void> {
    const kind = this.tables.kind(table, index);
    if (kind === "data" && table !== undefined) {
      yield this.file.read(this.tables.hostOffset(table, index) + (guest % this.tables.cluster), into);
    } else if (kind === "compressed" && table !== undefined) {
      const { offset, length } = compressedRange(table.view, index, this.header.clusterBits);
      if (offset >= this.file.sizeBytes)
        throw badQcow2(this.file.name, `a compressed cluster at ${offset} lies outside the file; it was cut short`);
      if (this.#unpacked?.offset !== offset) {
        const packed = new Uint8Array(length);
        yield this.file.read(offset, packed);
        this.#unpacked = { offset, bytes: unpackCluster(this.file.name, this.header, packed) };
      }
      const within = guest % this.tables.cluster;
      into.set(this.#unpacked.bytes.subarray(within, within + into.length));
    } else if (kind === "unallocated" && this.#backing !== undefined) {
      const have = Math.max(0, Math.min(into.length, this.#backing.sizeBytes - guest));
      if (have > 0) yield this.#backing.read(guest, into.subarray(0, have));
      into.fill(0, have);
    } else {
      into.fill(0);
    }
  }

  // ---- writing

  *#write(offset: number, from: Uint8Array): Steps<void> {
    const { tables } = this;
    yield* this.#clearAutoclear();
    for (let at = 0; at < from.length; ) {
      const guest = offset + at;
      const within = guest % tables.cluster;
      let length = Math.min(tables.cluster - within, from.length - at);
      const table = yield* tables.writableTable(guest);
      const index = tables.index(guest);
      if (tables.inPlace(table, index)) {
        length = tables.run(table, index, length, from.length - at, (next) => tables.inPlace(table, next));
        yield this.file.write(tables.hostOffset(table, index) + within, from.subarray(at, at + length));
      } else {
        yield* this.#writeNew(table, index, guest, from.subarray(at, at + length));
      }
      at += length;
    }
  }

  /** A piece within one cluster that gets a cluster of its own, with the rest as it was. */
  *#writeNew(table: L2Table, index: number, guest: number, from: Uint8Array): Steps<void> {
    const { cluster } = this.tables;
    let content = from;
    if (from.length < cluster) {
      const start = guest - (guest % cluster);
      content = new Uint8Array(cluster);
      const old = Math.min(cluster, this.sizeBytes - start);
      yield* this.#readPiece(table, index, start, content.subarray(0, old));
      content.set(from, guest - start);
    }
    this.#forget(yield* this.tables.store(table, index, content));
  }

  *#discard(offset: number, lengthBytes: number): Steps<void> {
    yield* this.#clearAutoclear();
    // A version 2 image cannot say "zeros" where a backing file has something.
    const able = this.header.version === 3 || this.#backing === undefined;
    const { cluster } = this.tables;
    const end = offset + lengthBytes;
    const last = end === this.sizeBytes ? end : end - (end % cluster);
    for (let at = Math.ceil(offset / cluster) * cluster; at < last && able; at += cluster) {
      const known = yield* this.tables.tableFor(at);
      if (known === undefined && this.#backing === undefined) continue;
      yield* this.#zeroCluster(at);
    }
  }

  *#writeZeroes(offset: number, lengthBytes: number): Steps<void> {
    yield* this.#clearAutoclear();
    const able = this.header.version === 3 || this.#backing === undefined;
    const { cluster } = this.tables;
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      const next = Math.min(end, at - (at % cluster) + cluster);
      const whole = at % cluster === 0 && (next - at === cluster || next === this.sizeBytes);
      if (whole && able) yield* this.#zeroCluster(at);
      else yield* this.#write(at, new Uint8Array(next - at));
      at = next;
    }
  }

  *#zeroCluster(guest: number): Steps<void> {
    const table = yield* this.tables.writableTable(guest);
    this.#forget(this.tables.zero(table, this.tables.index(guest), this.#backing !== undefined));
  }

  /** What lay at an offset of the file is no longer what it was. */
  #forget(offset: number): void {
    if (this.#unpacked?.offset === offset) this.#unpacked = undefined;
  }

  *#clearAutoclear(): Steps<void> {
    if (!this.#autoclear) return;
    this.#autoclear = false;
    yield this.file.write(H_AUTOCLEAR, new Uint8Array(8));
  }

  *#close(): Steps<void> {
    try {
      if (!this.readOnly) yield* this.tables.finish();
    } finally {
      yield this.file.close();
      yield this.#backing?.close();
    }
  }

  *#ownClusters(visit: (offset: number, lengthBytes: number) => MaybePromise<void>): Steps<void> {
    const reach = this.tables.l2Entries * this.tables.cluster;
    for (let at = 0; at < this.sizeBytes; ) {
      const table = yield* this.tables.tableFor(at);
      if (table === undefined) {
        at = (Math.floor(at / reach) + 1) * reach;
        continue;
      }
      if (this.tables.kind(table, this.tables.index(at)) !== "unallocated")
        yield visit(at, Math.min(this.tables.cluster, this.sizeBytes - at));
      at += this.tables.cluster;
    }
  }
}
