// The L1 and L2 tables of a qcow2 image: what each cluster of the disk is and where it lies. Changed tables wait for a flush,
// which writes them in the order that a crash of the host needs: refcounts, then L2 tables that name the clusters, then L1
// entries that name the tables, each on the disk before the next.
import type { Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";
import { compressedRange } from "./compressed.ts";
import {
  badQcow2,
  ENTRY_COMPRESSED,
  ENTRY_COPIED,
  ENTRY_ZERO,
  entryOffset,
  type Qcow2Header,
  setEntry,
} from "./format.ts";
import { Refcounts } from "./refcounts.ts";
import { type Qcow2Snapshot, readSnapshots } from "./snapshots.ts";

/** Clean L2 tables kept; with 64 KiB clusters each maps 512 MiB. */
const L2_TABLES = 64;

export interface L2Table {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty: boolean;
}

/** What a cluster is: on the disk at an offset, packed, zeros (perhaps with a cluster kept), or the backing file's. */
export type ClusterKind = "data" | "compressed" | "zero" | "unallocated";

export class ClusterTables {
  /** Bytes of a cluster. */
  readonly cluster: number;
  readonly l2Entries: number;
  snapshots: readonly Qcow2Snapshot[] = [];
  readonly #l1: DataView;
  readonly #dirtyL1 = new Set<number>();
  /** By L1 index; in order of use. */
  readonly #l2 = new Map<number, L2Table>();
  #refcounts: Refcounts | undefined;
  /** References that go once nothing on the disk has them any more. */
  #released: { offset: number; length: number }[] = [];

  private constructor(
    private readonly file: RandomAccessFile,
    private readonly header: Qcow2Header,
  ) {
    this.cluster = 2 ** header.clusterBits;
    this.l2Entries = this.cluster / 8;
    this.#l1 = new DataView(new ArrayBuffer(header.l1Entries * 8));
  }

  /** Throws VmError("bad-image") for tables that cannot be. */
  static *open(file: RandomAccessFile, header: Qcow2Header, readOnly: boolean): Steps<ClusterTables> {
    const tables = new ClusterTables(file, header);
    if (header.l1Entries > 0) yield file.read(header.l1Offset, bytesOf(tables.#l1));
    const refcounts = readOnly ? undefined : yield* Refcounts.open(file, header);
    for (let i = 0; i < header.l1Entries; i++) {
      const offset = entryOffset(tables.#l1, i);
      if (offset % tables.cluster !== 0) throw badQcow2(file.name, `L2 table ${i} does not begin at a cluster`);
      if (offset >= file.sizeBytes) throw badQcow2(file.name, `L2 table ${i} lies outside the file`);
      if (offset !== 0) refcounts?.reserve(offset, tables.cluster);
    }
    refcounts?.reserve(header.l1Offset, header.l1Entries * 8);
    if (header.snapshotCount > 0) {
      const table = yield* readSnapshots(file, header);
      tables.snapshots = table.snapshots;
      refcounts?.reserve(header.snapshotsOffset, table.lengthBytes);
      for (const { l1Offset, l1Entries } of table.snapshots) refcounts?.reserve(l1Offset, l1Entries * 8);
    }
    tables.#refcounts = refcounts;
    return tables;
  }

  get #allocator(): Refcounts {
    if (this.#refcounts === undefined) throw badQcow2(this.file.name, "it was opened read-only");
    return this.#refcounts;
  }

  /** Of the entry for a guest offset in its table. */
  index(guest: number): number {
    return Math.floor(guest / this.cluster) % this.l2Entries;
  }

  kind(table: L2Table | undefined, index: number): ClusterKind {
    if (table === undefined) return "unallocated";
    const high = table.view.getUint32(index * 8);
    const low = table.view.getUint32(index * 8 + 4);
    if (high & ENTRY_COMPRESSED) return "compressed";
    if (low & ENTRY_ZERO && this.header.version === 3) return "zero";
    return entryOffset(table.view, index) === 0 ? "unallocated" : "data";
  }

  /** Data in a cluster that only this image's active state owns. */
  inPlace(table: L2Table, index: number): boolean {
    return this.kind(table, index) === "data" && (table.view.getUint32(index * 8) & ENTRY_COPIED) !== 0;
  }

  hostOffset(table: L2Table, index: number): number {
    const offset = entryOffset(table.view, index);
    if (offset % this.cluster !== 0) throw badQcow2(this.file.name, `a data cluster at ${offset} is not at a cluster`);
    if (offset >= this.file.sizeBytes)
      throw badQcow2(this.file.name, `a data cluster at ${offset} lies outside the file; it was cut short`);
    return offset;
  }

  /** Bytes of clusters that lie one behind the other in the file, from `index` on, as far as `belongs` says and `most`. */
  run(table: L2Table, index: number, first: number, most: number, belongs: (index: number) => boolean): number {
    const host = this.hostOffset(table, index);
    let length = first;
    for (let more = 1; length < most && index + more < this.l2Entries; more++) {
      if (!belongs(index + more) || this.hostOffset(table, index + more) !== host + more * this.cluster) break;
      length = Math.min(length + this.cluster, most);
    }
    return length;
  }

  /** The table for a guest offset, undefined where there is none. */
  *tableFor(guest: number): Steps<L2Table | undefined> {
    const l1Index = this.#l1Index(guest);
    const known = this.#l2.get(l1Index);
    if (known !== undefined) {
      this.#l2.delete(l1Index);
      this.#l2.set(l1Index, known);
      return known;
    }
    const offset = entryOffset(this.#l1, l1Index);
    if (offset === 0) return undefined;
    yield* this.#makeRoom();
    const table = newTable(offset, this.cluster);
    yield this.file.read(offset, table.bytes);
    this.#l2.set(l1Index, table);
    return table;
  }

  /** The same, made where there is none, and copied where a snapshot has it too. */
  *writableTable(guest: number): Steps<L2Table> {
    const l1Index = this.#l1Index(guest);
    const old = yield* this.tableFor(guest);
    if (old !== undefined && this.#l1.getUint32(l1Index * 8) & ENTRY_COPIED) return old;
    yield* this.#makeRoom();
    const table = newTable(yield* this.#allocator.allocate(), this.cluster);
    this.#allocator.reserve(table.offset, this.cluster);
    table.dirty = true;
    if (old !== undefined) {
      table.bytes.set(old.bytes);
      this.#released.push({ offset: old.offset, length: this.cluster });
    }
    this.#l2.set(l1Index, table);
    setEntry(this.#l1, l1Index, table.offset, ENTRY_COPIED);
    this.#dirtyL1.add(l1Index);
    return table;
  }

  /**
   * A cluster of the file that nobody has, filled with `content` before anything names it. Returns the offset of what
   * was there before.
   */
  *store(table: L2Table, index: number, content: Uint8Array): Steps<number> {
    const host = yield* this.#allocator.allocate();
    yield this.file.write(host, content);
    const before = this.#release(table, index);
    setEntry(table.view, index, host, ENTRY_COPIED);
    table.dirty = true;
    return before;
  }

  /** The cluster reads as zeros, also where a backing file has something. Returns the offset of what was there before. */
  zero(table: L2Table, index: number, overBacking: boolean): number {
    const before = this.#release(table, index);
    setEntry(table.view, index, 0, 0, overBacking ? ENTRY_ZERO : 0);
    table.dirty = true;
    return before;
  }

  /** The references of an entry that is about to be replaced go; returns its offset, 0 for none. */
  #release(table: L2Table, index: number): number {
    const range =
      table.view.getUint32(index * 8) & ENTRY_COMPRESSED
        ? compressedRange(table.view, index, this.header.clusterBits)
        : { offset: entryOffset(table.view, index), length: this.cluster };
    if (range.offset !== 0) this.#released.push(range);
    return range.offset;
  }

  *flush(): Steps<void> {
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

  /** The last flush, with the references that it let go. */
  *finish(): Steps<void> {
    yield* this.flush();
    if (!this.#allocator.dirty) return;
    yield* this.#allocator.write();
    yield this.file.flush();
  }

  #l1Index(guest: number): number {
    return Math.floor(guest / this.cluster / this.l2Entries);
  }

  *#makeRoom(): Steps<void> {
    if (this.#l2.size < L2_TABLES) return;
    for (const [l1Index, table] of this.#l2) {
      if (table.dirty) continue;
      this.#l2.delete(l1Index);
      return;
    }
    yield* this.flush();
    for (const l1Index of this.#l2.keys()) {
      this.#l2.delete(l1Index);
      return;
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
