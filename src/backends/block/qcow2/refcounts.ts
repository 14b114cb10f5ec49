// The refcounts of a qcow2 image: who owns which cluster of the file. Changes stay in memory until `write`; the image
// writes them before anything refers to a new cluster, so that a crash can leak clusters but never share them.

import type { Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";
import { badQcow2, entryOffset, H_REFCOUNT_OFFSET, type Qcow2Header, setEntry } from "./format.ts";

interface Block {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty: boolean;
}

export class Refcounts {
  readonly #blocks = new Map<number, Block>();
  #table: DataView;
  #tableOffset: number;
  readonly #dirtyTable = new Set<number>();
  readonly #cluster: number;
  /** Refcounts in a block. */
  readonly #perBlock: number;
  readonly #bits: number;
  /** No cluster below is free. */
  #firstFree = 1;
  /** Clusters of the file that hold tables: never given out, whatever their refcount says. */
  readonly #reserved = new Set<number>();

  private constructor(
    private readonly file: RandomAccessFile,
    header: Qcow2Header,
  ) {
    this.#cluster = 2 ** header.clusterBits;
    this.#bits = 2 ** header.refcountOrder;
    this.#perBlock = (this.#cluster * 8) / this.#bits;
    this.#tableOffset = header.refcountTableOffset;
    this.#table = new DataView(new ArrayBuffer(header.refcountTableClusters * this.#cluster));
  }

  static *open(file: RandomAccessFile, header: Qcow2Header): Steps<Refcounts> {
    const refcounts = new Refcounts(file, header);
    yield file.read(header.refcountTableOffset, bytesOf(refcounts.#table));
    refcounts.reserve(0, 1);
    refcounts.reserve(header.refcountTableOffset, refcounts.#table.byteLength);
    for (let i = 0; i < refcounts.#entries; i++) {
      const offset = entryOffset(refcounts.#table, i);
      if (offset % refcounts.#cluster !== 0)
        throw badQcow2(file.name, `refcount block ${i} does not begin at a cluster`);
      if (offset !== 0) refcounts.reserve(offset, refcounts.#cluster);
    }
    return refcounts;
  }

  /** Protects the clusters of a table against being given out by refcounts that are wrong. */
  reserve(offset: number, lengthBytes: number): void {
    const end = Math.ceil((offset + lengthBytes) / this.#cluster);
    for (let index = Math.floor(offset / this.#cluster); index < end; index++) this.#reserved.add(index);
  }

  get #entries(): number {
    return this.#table.byteLength / 8;
  }

  get dirty(): boolean {
    if (this.#dirtyTable.size > 0) return true;
    for (const block of this.#blocks.values()) if (block.dirty) return true;
    return false;
  }

  /** How many refer to the cluster with this index. */
  *get(index: number): Steps<number> {
    const block = yield* this.#block(Math.floor(index / this.#perBlock));
    return block === undefined ? 0 : this.#read(block, index % this.#perBlock);
  }

  /** Takes a free cluster; returns its offset. Its old content is undefined. */
  *allocate(): Steps<number> {
    for (let index = this.#firstFree; ; ) {
      const number = Math.floor(index / this.#perBlock);
      const block = (yield* this.#block(number)) ?? (yield* this.#makeBlock(number, index));
      for (const end = (number + 1) * this.#perBlock; index < end; index++) {
        const at = index % this.#perBlock;
        if (this.#read(block, at) !== 0) continue;
        if (this.#reserved.has(index)) {
          throw badQcow2(
            this.file.name,
            `cluster ${index} holds a table but counts as free; repair it with qemu-img check -r all`,
          );
        }
        this.#write(block, at, 1);
        this.#firstFree = index + 1;
        return index * this.#cluster;
      }
    }
  }

  /** One reference less to each cluster that the range touches. */
  *release(offset: number, lengthBytes: number): Steps<void> {
    const end = Math.ceil((offset + lengthBytes) / this.#cluster);
    for (let index = Math.floor(offset / this.#cluster); index < end; index++) {
      const block = yield* this.#block(Math.floor(index / this.#perBlock));
      const at = index % this.#perBlock;
      const count = block === undefined ? 0 : this.#read(block, at);
      if (block === undefined || count === 0)
        throw badQcow2(
          this.file.name,
          `cluster ${index} is in use but counts as free; repair it with qemu-img check -r`,
        );
      this.#write(block, at, count - 1);
      if (count === 1) {
        this.#reserved.delete(index);
        this.#firstFree = Math.min(this.#firstFree, index);
      }
    }
  }

  /** Writes what changed: blocks, then the table that names new ones. Without the last flush. */
  *write(): Steps<void> {
    for (const block of this.#blocks.values()) {
      if (!block.dirty) continue;
      yield this.file.write(block.offset, block.bytes);
      block.dirty = false;
    }
    if (this.#dirtyTable.size === 0) return;
    yield this.file.flush();
    for (const index of this.#dirtyTable)
      yield this.file.write(this.#tableOffset + index * 8, bytesOf(this.#table).subarray(index * 8, index * 8 + 8));
    this.#dirtyTable.clear();
  }

  *#block(number: number): Steps<Block | undefined> {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const offset = number < this.#entries ? entryOffset(this.#table, number) : 0;
    if (offset === 0) return undefined;
    if (offset >= this.file.sizeBytes) throw badQcow2(this.file.name, `refcount block ${number} lies outside the file`);
    const block = this.#newBlock(number, offset);
    yield this.file.read(offset, block.bytes);
    return block;
  }

  #newBlock(number: number, offset: number): Block {
    const bytes = new Uint8Array(this.#cluster);
    const block = { offset, bytes, view: new DataView(bytes.buffer), dirty: false };
    this.#blocks.set(number, block);
    return block;
  }

  /** A block for a part of the file that has none: it lies in the first cluster of that part that is wanted. */
  *#makeBlock(number: number, index: number): Steps<Block> {
    if (number >= this.#entries) {
      yield* this.#growTable(number, index);
      const covered = yield* this.#block(number);
      if (covered !== undefined) return covered;
    }
    const block = this.#newBlock(number, index * this.#cluster);
    this.#write(block, index % this.#perBlock, 1);
    this.#name(number, block.offset);
    return block;
  }

  #name(number: number, offset: number): void {
    setEntry(this.#table, number, offset);
    this.#dirtyTable.add(number);
    this.reserve(offset, this.#cluster);
  }

  /** Moves the table to the end of the file, half as large again, with the blocks that count its own clusters. */
  *#growTable(number: number, index: number): Steps<void> {
    const oldOffset = this.#tableOffset;
    const oldBytes = this.#table.byteLength;
    const wanted = Math.max(number + 1, Math.ceil(this.#entries * 1.5));
    // Room for the blocks that the table's own clusters and these blocks may need.
    const clusters = Math.ceil(((wanted + 2) * 8) / this.#cluster) + 1;
    const table = new DataView(new ArrayBuffer(clusters * this.#cluster));
    bytesOf(table).set(bytesOf(this.#table));
    this.#table = table;
    this.#tableOffset = index * this.#cluster;
    this.reserve(this.#tableOffset, table.byteLength);
    let next = index + clusters;
    const count = function* (this: Refcounts, cluster: number): Steps<void> {
      const owner = Math.floor(cluster / this.#perBlock);
      let block = yield* this.#block(owner);
      if (block === undefined) {
        const at = next++;
        block = this.#newBlock(owner, at * this.#cluster);
        this.#name(owner, block.offset);
        yield* count.call(this, at);
      }
      this.#write(block, cluster % this.#perBlock, 1);
    };
    for (let cluster = index; cluster < index + clusters; cluster++) yield* count.call(this, cluster);
    // On the disk before the header names it; nothing but the header does.
    for (const block of this.#blocks.values()) {
      if (!block.dirty) continue;
      yield this.file.write(block.offset, block.bytes);
      block.dirty = false;
    }
    yield this.file.write(this.#tableOffset, bytesOf(table));
    this.#dirtyTable.clear();
    yield this.file.flush();
    const header = new DataView(new ArrayBuffer(12));
    setEntry(header, 0, this.#tableOffset);
    header.setUint32(8, clusters);
    yield this.file.write(H_REFCOUNT_OFFSET, bytesOf(header));
    yield this.file.flush();
    yield* this.release(oldOffset, oldBytes);
  }

  #read({ bytes, view }: Block, at: number): number {
    switch (this.#bits) {
      case 16:
        return view.getUint16(at * 2);
      case 8:
        return bytes[at] ?? 0;
      case 32:
        return view.getUint32(at * 4);
      case 64:
        return view.getUint32(at * 8) * 0x1_0000_0000 + view.getUint32(at * 8 + 4);
      default: {
        const bit = at * this.#bits;
        return ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & ((1 << this.#bits) - 1);
      }
    }
  }

  #write(block: Block, at: number, count: number): void {
    const { bytes, view } = block;
    block.dirty = true;
    switch (this.#bits) {
      case 16:
        view.setUint16(at * 2, count);
        return;
      case 8:
        bytes[at] = count;
        return;
      case 32:
        view.setUint32(at * 4, count);
        return;
      case 64:
        view.setUint32(at * 8, Math.floor(count / 0x1_0000_0000));
        view.setUint32(at * 8 + 4, count % 0x1_0000_0000);
        return;
      default: {
        const bit = at * this.#bits;
        const mask = ((1 << this.#bits) - 1) << (bit & 7);
        bytes[bit >> 3] = ((bytes[bit >> 3] ?? 0) & ~mask) | (count << (bit & 7));
      }
    }
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
