// A qcow2 image as a disk. Metadata is written back at flush, in the order that a crash of the host needs: refcounts,
// then L2 tables that name the clusters, then L1 entries that name the tables, each on the disk before the next. Whatever
// is cut off leaves clusters that nobody owns, never one with two owners or data that was flushed and is gone.
import type { BlockBackend, MaybePromise } from "../../../vmm/block.ts";
import { OneAtATime, runSteps, type Steps } from "../../../vmm/maybe-promise.ts";
import { checkRange, checkWritable, type RandomAccessFile } from "../random-access.ts";
import { compressedRange, unpackCluster } from "./compressed.ts";
import {
  badQcow2,
  ENTRY_COMPRESSED,
  ENTRY_COPIED,
  ENTRY_ZERO,
  entryOffset,
  H_AUTOCLEAR,
  type Qcow2Header,
  setEntry,
} from "./format.ts";
import { Refcounts } from "./refcounts.ts";
import { type Qcow2Snapshot, readSnapshots } from "./snapshots.ts";

/** Clean L2 tables kept; with 64 KiB clusters each maps 512 MiB. */
const L2_TABLES = 64;

interface L2Table {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty: boolean;
}

/** What a cluster is: on the disk at an offset, packed, zeros (perhaps with a cluster kept), or the backing file's. */
type Kind = "data" | "compressed" | "zero" | "unallocated";

export interface Qcow2Options {
  readonly readOnly?: boolean;
  /** Closed with the image. */
  readonly backing?: BlockBackend | undefined;
}

export class Qcow2Disk implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #cluster: number;
  readonly #l2Entries: number;
  readonly #l1: DataView;
  readonly #dirtyL1 = new Set<number>();
  /** By L1 index; in order of use. */
  readonly #l2 = new Map<number, L2Table>();
  #refcounts: Refcounts | undefined;
  /** References that go once nothing on the disk has them any more. */
  #released: { offset: number; length: number }[] = [];
  #autoclear: boolean;
  snapshots: readonly Qcow2Snapshot[] = [];
  readonly #queue = new OneAtATime();
  readonly #backing: BlockBackend | undefined;
  /** Content of the compressed cluster read last: guests read on in it. */
  #unpacked: { offset: number; bytes: Uint8Array } | undefined;

  private constructor(
    private readonly file: RandomAccessFile,
    readonly header: Qcow2Header,
    options: Qcow2Options,
  ) {
    this.#cluster = 2 ** header.clusterBits;
    this.#l2Entries = this.#cluster / 8;
    this.sizeBytes = Math.ceil(header.sizeBytes / 512) * 512;
    this.readOnly = options.readOnly ?? file.readOnly;
    this.#backing = options.backing;
    this.#l1 = new DataView(new ArrayBuffer(header.l1Entries * 8));
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
    const disk = new Qcow2Disk(file, header, options);
    if (!disk.readOnly && header.corrupt)
      throw badQcow2(file.name, "it is marked corrupt; repair it with qemu-img check -r all, or open it read-only");
    if (!disk.readOnly && header.dirty)
      throw badQcow2(
        file.name,
        "its refcounts are marked out of date (lazy refcounts, not closed properly); repair it with qemu-img check -r all, or open it read-only",
      );
    if (header.l1Entries > 0) yield file.read(header.l1Offset, bytesOf(disk.#l1));
    const refcounts = disk.readOnly ? undefined : yield* Refcounts.open(file, header);
    for (let i = 0; i < header.l1Entries; i++) {
      const offset = entryOffset(disk.#l1, i);
      if (offset % disk.#cluster !== 0) throw badQcow2(file.name, `L2 table ${i} does not begin at a cluster`);
      if (offset >= file.sizeBytes) throw badQcow2(file.name, `L2 table ${i} lies outside the file`);
      if (offset !== 0) refcounts?.reserve(offset, disk.#cluster);
    }
    refcounts?.reserve(header.l1Offset, header.l1Entries * 8);
    if (header.snapshotCount > 0) {
      const table = yield* readSnapshots(file, header);
      disk.snapshots = table.snapshots;
      refcounts?.reserve(header.snapshotsOffset, table.lengthBytes);
      for (const { l1Offset, l1Entries } of table.snapshots) refcounts?.reserve(l1Offset, l1Entries * 8);
    }
    disk.#refcounts = refcounts;
    return disk;
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
    return this.readOnly ? undefined : this.#queue.run(() => this.#flush());
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
    for (let at = 0; at < into.length; ) {
      const guest = offset + at;
      const within = guest % this.#cluster;
      let length = Math.min(this.#cluster - within, into.length - at);
      const table = yield* this.#tableFor(guest);
      const index = this.#l2Index(guest);
      const kind = this.#kind(table, index);
      if (kind === "data" && table !== undefined) {
        const host = this.#hostOffset(table, index);
        // Neighbours in the file are read in one go.
        for (let more = 1; at + length < into.length && index + more < this.#l2Entries; more++) {
          if (this.#kind(table, index + more) !== "data") break;
          if (this.#hostOffset(table, index + more) !== host + more * this.#cluster) break;
          length = Math.min(length + this.#cluster, into.length - at);
        }
        yield this.file.read(host + within, into.subarray(at, at + length));
      } else {
        yield* this.#readPiece(table, index, guest, into.subarray(at, at + length));
      }
      at += length;
    }
  }

  /** A piece within one cluster that is not plain data. */
  *#readPiece(table: L2Table | undefined, index: number, guest: number, into: Uint8Array): Steps<void> {
    const kind = this.#kind(table, index);
    if (kind === "data" && table !== undefined) {
      yield this.file.read(this.#hostOffset(table, index) + (guest % this.#cluster), into);
    } else if (kind === "compressed" && table !== undefined) {
      const { offset, length } = compressedRange(table.view, index, this.header.clusterBits);
      if (offset >= this.file.sizeBytes)
        throw badQcow2(this.file.name, `a compressed cluster at ${offset} lies outside the file; it was cut short`);
      if (this.#unpacked?.offset !== offset) {
        const packed = new Uint8Array(length);
        yield this.file.read(offset, packed);
        this.#unpacked = { offset, bytes: unpackCluster(this.file.name, this.header, packed) };
      }
      const within = guest % this.#cluster;
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
    yield* this.#clearAutoclear();
    for (let at = 0; at < from.length; ) {
      const guest = offset + at;
      const within = guest % this.#cluster;
      let length = Math.min(this.#cluster - within, from.length - at);
      const table = yield* this.#writableTable(guest);
      const index = this.#l2Index(guest);
      if (this.#inPlace(table, index)) {
        const host = this.#hostOffset(table, index);
        for (let more = 1; at + length < from.length && index + more < this.#l2Entries; more++) {
          if (!this.#inPlace(table, index + more)) break;
          if (this.#hostOffset(table, index + more) !== host + more * this.#cluster) break;
          length = Math.min(length + this.#cluster, from.length - at);
        }
        yield this.file.write(host + within, from.subarray(at, at + length));
      } else {
        yield* this.#writeNew(table, index, guest, from.subarray(at, at + length));
      }
      at += length;
    }
  }

  /** Data in a cluster that only this image's active state owns. */
  #inPlace(table: L2Table, index: number): boolean {
    return this.#kind(table, index) === "data" && (table.view.getUint32(index * 8) & ENTRY_COPIED) !== 0;
  }

  /** A piece within one cluster that gets a cluster of its own, with the rest as it was. */
  *#writeNew(table: L2Table, index: number, guest: number, from: Uint8Array): Steps<void> {
    let content = from;
    if (from.length < this.#cluster) {
      const start = guest - (guest % this.#cluster);
      content = new Uint8Array(this.#cluster);
      const old = Math.min(this.#cluster, this.sizeBytes - start);
      yield* this.#readPiece(table, index, start, content.subarray(0, old));
      content.set(from, guest - start);
    }
    const host = yield* this.#allocator.allocate();
    yield this.file.write(host, content);
    this.#release(table, index);
    setEntry(table.view, index, host, ENTRY_COPIED);
    table.dirty = true;
  }

  /** The references of an entry that is about to be replaced. */
  #release(table: L2Table, index: number): void {
    if (table.view.getUint32(index * 8) & ENTRY_COMPRESSED) {
      const { offset, length } = compressedRange(table.view, index, this.header.clusterBits);
      this.#released.push({ offset, length });
      if (this.#unpacked?.offset === offset) this.#unpacked = undefined;
      return;
    }
    const offset = entryOffset(table.view, index);
    if (offset !== 0) this.#released.push({ offset, length: this.#cluster });
  }

  *#discard(offset: number, lengthBytes: number): Steps<void> {
    yield* this.#clearAutoclear();
    // A version 2 image cannot say "zeros" where a backing file has something.
    const able = this.header.version === 3 || this.#backing === undefined;
    const end = offset + lengthBytes;
    const last = end === this.sizeBytes ? end : end - (end % this.#cluster);
    for (let at = Math.ceil(offset / this.#cluster) * this.#cluster; at < last && able; at += this.#cluster) {
      const known = yield* this.#tableFor(at);
      if (known === undefined && this.#backing === undefined) continue;
      yield* this.#zeroCluster(at);
    }
  }

  *#writeZeroes(offset: number, lengthBytes: number): Steps<void> {
    yield* this.#clearAutoclear();
    const able = this.header.version === 3 || this.#backing === undefined;
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      const next = Math.min(end, at - (at % this.#cluster) + this.#cluster);
      const whole = at % this.#cluster === 0 && (next - at === this.#cluster || next === this.sizeBytes);
      if (whole && able) yield* this.#zeroCluster(at);
      else yield* this.#write(at, new Uint8Array(next - at));
      at = next;
    }
  }

  *#zeroCluster(guest: number): Steps<void> {
    const table = yield* this.#writableTable(guest);
    const index = this.#l2Index(guest);
    this.#release(table, index);
    setEntry(table.view, index, 0, 0, this.#backing === undefined ? 0 : ENTRY_ZERO);
    table.dirty = true;
  }

  // ---- tables

  get #allocator(): Refcounts {
    if (this.#refcounts === undefined) throw badQcow2(this.file.name, "it was opened read-only");
    return this.#refcounts;
  }

  #l2Index(guest: number): number {
    return Math.floor(guest / this.#cluster) % this.#l2Entries;
  }

  #kind(table: L2Table | undefined, index: number): Kind {
    if (table === undefined) return "unallocated";
    const high = table.view.getUint32(index * 8);
    const low = table.view.getUint32(index * 8 + 4);
    if (high & ENTRY_COMPRESSED) return "compressed";
    if (low & ENTRY_ZERO && this.header.version === 3) return "zero";
    return entryOffset(table.view, index) === 0 ? "unallocated" : "data";
  }

  #hostOffset(table: L2Table, index: number): number {
    const offset = entryOffset(table.view, index);
    if (offset % this.#cluster !== 0) throw badQcow2(this.file.name, `a data cluster at ${offset} is not at a cluster`);
    if (offset >= this.file.sizeBytes)
      throw badQcow2(this.file.name, `a data cluster at ${offset} lies outside the file; it was cut short`);
    return offset;
  }

  /** The table for a guest offset, undefined where there is none. */
  *#tableFor(guest: number): Steps<L2Table | undefined> {
    const l1Index = Math.floor(guest / this.#cluster / this.#l2Entries);
    const known = this.#l2.get(l1Index);
    if (known !== undefined) {
      this.#l2.delete(l1Index);
      this.#l2.set(l1Index, known);
      return known;
    }
    const offset = entryOffset(this.#l1, l1Index);
    if (offset === 0) return undefined;
    yield* this.#makeRoom();
    const table = newTable(offset, this.#cluster);
    yield this.file.read(offset, table.bytes);
    this.#l2.set(l1Index, table);
    return table;
  }

  /** The same, made where there is none, and copied where a snapshot has it too. */
  *#writableTable(guest: number): Steps<L2Table> {
    const l1Index = Math.floor(guest / this.#cluster / this.#l2Entries);
    const old = yield* this.#tableFor(guest);
    if (old !== undefined && this.#l1.getUint32(l1Index * 8) & ENTRY_COPIED) return old;
    yield* this.#makeRoom();
    const table = newTable(yield* this.#allocator.allocate(), this.#cluster);
    this.#allocator.reserve(table.offset, this.#cluster);
    table.dirty = true;
    if (old !== undefined) {
      table.bytes.set(old.bytes);
      this.#released.push({ offset: old.offset, length: this.#cluster });
    }
    this.#l2.set(l1Index, table);
    setEntry(this.#l1, l1Index, table.offset, ENTRY_COPIED);
    this.#dirtyL1.add(l1Index);
    return table;
  }

  *#makeRoom(): Steps<void> {
    if (this.#l2.size < L2_TABLES) return;
    for (const [l1Index, table] of this.#l2) {
      if (table.dirty) continue;
      this.#l2.delete(l1Index);
      return;
    }
    yield* this.#flush();
    for (const l1Index of this.#l2.keys()) {
      this.#l2.delete(l1Index);
      return;
    }
  }

  *#clearAutoclear(): Steps<void> {
    if (!this.#autoclear) return;
    this.#autoclear = false;
    yield this.file.write(H_AUTOCLEAR, new Uint8Array(8));
  }

  // ---- flushing

  *#flush(): Steps<void> {
    const refcounts = this.#allocator;
    yield* refcounts.write();
    yield this.file.flush();
    let tables = false;
    for (const table of this.#l2.values()) {
      if (!table.dirty) continue;
      yield this.file.write(table.offset, table.bytes);
      table.dirty = false;
      tables = true;
    }
    if (this.#dirtyL1.size > 0) {
      yield this.file.flush();
      for (const index of this.#dirtyL1)
        yield this.file.write(this.header.l1Offset + index * 8, bytesOf(this.#l1).subarray(index * 8, index * 8 + 8));
      this.#dirtyL1.clear();
      tables = true;
    }
    if (tables) yield this.file.flush();
    const released = this.#released;
    this.#released = [];
    for (const { offset, length } of released) yield* refcounts.release(offset, length);
  }

  *#close(): Steps<void> {
    try {
      if (!this.readOnly) {
        yield* this.#flush();
        if (this.#allocator.dirty) {
          yield* this.#allocator.write();
          yield this.file.flush();
        }
      }
    } finally {
      yield this.file.close();
      yield this.#backing?.close();
    }
  }

  *#ownClusters(visit: (offset: number, lengthBytes: number) => MaybePromise<void>): Steps<void> {
    const reach = this.#l2Entries * this.#cluster;
    for (let at = 0; at < this.sizeBytes; ) {
      const table = yield* this.#tableFor(at);
      if (table === undefined) {
        at = (Math.floor(at / reach) + 1) * reach;
        continue;
      }
      if (this.#kind(table, this.#l2Index(at)) !== "unallocated")
        yield visit(at, Math.min(this.#cluster, this.sizeBytes - at));
      at += this.#cluster;
    }
  }
}

function newTable(offset: number, sizeBytes: number): L2Table {
  const bytes = new Uint8Array(sizeBytes);
  return { offset, bytes, view: new DataView(bytes.buffer), dirty: false };
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
