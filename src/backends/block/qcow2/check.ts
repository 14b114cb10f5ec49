// Is a qcow2 image sound? Counts who refers to each cluster and compares with the refcounts, as qemu-img check does.
import type { MaybePromise } from "../../../vmm/block.ts";
import { runSteps, type Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";
import { compressedRange } from "./compressed.ts";
import { ENTRY_COMPRESSED, ENTRY_COPIED, entryOffset, type Qcow2Header } from "./format.ts";
import { Refcounts } from "./refcounts.ts";
import { readSnapshots } from "./snapshots.ts";

export interface Qcow2Check {
  /** One sentence each; the image must not be written before it is repaired. */
  readonly errors: readonly string[];
  /** Clusters that nobody refers to and that count as used: wasted room, no danger. */
  readonly leakedClusters: number;
  readonly usedClusters: number;
}

/** More would only repeat themselves. */
const ERRORS_MAX = 100;

/** Throws VmError("bad-image") for an image whose tables cannot be followed at all. */
export function checkQcow2(file: RandomAccessFile, header: Qcow2Header): MaybePromise<Qcow2Check> {
  return runSteps(new Checker(file, header).run());
}

class Checker {
  readonly #cluster: number;
  readonly #references: Uint32Array;
  readonly #errors: string[] = [];
  /** Entries that claim to be the only owner: checked once all are counted. */
  readonly #copied: { cluster: number; copied: boolean; what: string }[] = [];

  constructor(
    private readonly file: RandomAccessFile,
    private readonly header: Qcow2Header,
  ) {
    this.#cluster = 2 ** header.clusterBits;
    this.#references = new Uint32Array(Math.ceil(file.sizeBytes / this.#cluster));
  }

  *run(): Steps<Qcow2Check> {
    const { file, header } = this;
    this.#refer(0, 1, "the header");
    this.#refer(header.l1Offset, header.l1Entries * 8, "the L1 table");
    const tableBytes = header.refcountTableClusters * this.#cluster;
    this.#refer(header.refcountTableOffset, tableBytes, "the refcount table");
    const table = yield* this.#readTable(header.refcountTableOffset, tableBytes);
    for (let i = 0; i < tableBytes / 8; i++) {
      const offset = entryOffset(table, i);
      if (offset !== 0) this.#refer(offset, this.#cluster, `refcount block ${i}`);
    }
    yield* this.#walkL1(header.l1Offset, header.l1Entries, true);
    if (header.snapshotCount > 0) {
      const { snapshots, lengthBytes } = yield* readSnapshots(file, header);
      this.#refer(header.snapshotsOffset, lengthBytes, "the snapshot table");
      for (const { l1Offset, l1Entries, name } of snapshots) {
        this.#refer(l1Offset, l1Entries * 8, `the L1 table of snapshot ${name}`);
        yield* this.#walkL1(l1Offset, l1Entries, false);
      }
    }
    return yield* this.#compare();
  }

  *#compare(): Steps<Qcow2Check> {
    const refcounts = yield* Refcounts.open(this.file, this.header);
    let leakedClusters = 0;
    let usedClusters = 0;
    const counts = new Float64Array(this.#references.length);
    for (const [index, wanted] of this.#references.entries()) {
      const count = yield* refcounts.get(index);
      counts[index] = count;
      if (wanted > 0) usedClusters++;
      if (count > wanted) leakedClusters++;
      else if (count < wanted) this.#error(`cluster ${index} has ${wanted} owners and a refcount of ${count}`);
    }
    for (const { cluster, copied, what } of this.#copied) {
      if (copied !== (counts[cluster] === 1))
        this.#error(`${what} says ${copied ? "sole owner" : "shared"}, its refcount is ${counts[cluster]}`);
    }
    return { errors: this.#errors, leakedClusters, usedClusters };
  }

  *#walkL1(l1Offset: number, entries: number, active: boolean): Steps<void> {
    const l1 = yield* this.#readTable(l1Offset, entries * 8);
    for (let i = 0; i < entries; i++) {
      const offset = entryOffset(l1, i);
      if (offset === 0 || !this.#refer(offset, this.#cluster, `L2 table ${i}`)) continue;
      if (active) this.#note(l1, i, offset, `L1 entry ${i}`);
      const l2 = yield* this.#readTable(offset, this.#cluster);
      for (let j = 0; j < this.#cluster / 8; j++) {
        const what = `L2 entry ${i}/${j}`;
        if (l2.getUint32(j * 8) & ENTRY_COMPRESSED) {
          const range = compressedRange(l2, j, this.header.clusterBits);
          // The descriptor counts whole sectors, the last of which the file need not have in full.
          this.#refer(range.offset, Math.min(range.length, this.file.sizeBytes - range.offset), what, false);
          continue;
        }
        const data = entryOffset(l2, j);
        if (data !== 0 && this.#refer(data, this.#cluster, what) && active) this.#note(l2, j, data, what);
      }
    }
  }

  #note(table: DataView, index: number, offset: number, what: string): void {
    const copied = (table.getUint32(index * 8) & ENTRY_COPIED) !== 0;
    this.#copied.push({ cluster: Math.floor(offset / this.#cluster), copied, what });
  }

  *#readTable(offset: number, lengthBytes: number): Steps<DataView> {
    const bytes = new Uint8Array(lengthBytes);
    yield this.file.read(offset, bytes);
    return new DataView(bytes.buffer);
  }

  /** One more owner to each cluster of the range. False when it is no place for a cluster. */
  #refer(offset: number, lengthBytes: number, what: string, aligned = true): boolean {
    if (aligned && offset % this.#cluster !== 0) {
      this.#error(`${what} does not point to the beginning of a cluster`);
      return false;
    }
    const first = Math.floor(offset / this.#cluster);
    const end = Math.ceil((offset + lengthBytes) / this.#cluster);
    if (offset >= this.file.sizeBytes || end > this.#references.length) {
      this.#error(`${what} points outside the file`);
      return false;
    }
    for (let index = first; index < end; index++) this.#references[index] = (this.#references[index] ?? 0) + 1;
    return true;
  }

  #error(sentence: string): void {
    if (this.#errors.length < ERRORS_MAX) this.#errors.push(sentence);
  }
}
