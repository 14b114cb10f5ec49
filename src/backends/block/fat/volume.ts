// A tree of files as a FAT disk, built on the fly: tables and directories in memory, contents read when the guest does.
// Read-only; writes of the guest belong into an overlay.
import type { BlockBackend, MaybePromise } from "../../../vmm/block.ts";
import { VmError } from "../../../vmm/error.ts";
import { runSteps, type Steps } from "../../../vmm/maybe-promise.ts";
import { checkRange, checkWritable } from "../random-access.ts";
import {
  diskGeometry,
  type FatGeometry,
  floppyGeometry,
  partitionTrack,
  reservedArea,
  VOLUME_LABEL,
} from "./geometry.ts";
import { entriesFor, type FatName, NameSpace, nameEntries } from "./names.ts";

export interface TreeFile {
  readonly kind: "file";
  readonly name: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Fills `into`; zeros where the file has meanwhile become shorter. */
  read(offset: number, into: Uint8Array): MaybePromise<void>;
}
export interface TreeDirectory {
  readonly kind: "directory";
  readonly name: string;
  readonly modifiedMs: number;
  readonly entries: readonly (TreeFile | TreeDirectory)[];
}
export interface FileTree {
  readonly name: string;
  readonly root: TreeDirectory;
  close(): void;
}

const SECTOR = 512;
const ENTRY_BYTES = 32;
const FILE_MAX = 0xffffffff;
const ATTRIBUTE_VOLUME = 0x08;
const ATTRIBUTE_DIRECTORY = 0x10;
const ATTRIBUTE_ARCHIVE = 0x20;

/** A run of clusters: a directory's bytes or a file of the tree. */
interface Extent {
  readonly first: number;
  readonly clusters: number;
  readonly content: Uint8Array | TreeFile;
}

interface Folder {
  readonly directory: TreeDirectory;
  readonly names: readonly FatName[];
  readonly entryCount: number;
}

/** Throws VmError("bad-config") for a tree that does not fit: files from 4 GiB, or more than a floppy holds. */
export function exportFat(tree: FileTree, options: { readonly floppy: boolean }): BlockBackend {
  return new FatVolume(tree, options.floppy);
}

class FatVolume implements BlockBackend {
  readonly readOnly = true;
  readonly sizeBytes: number;
  readonly #geometry: FatGeometry;
  readonly #folders = new Map<TreeDirectory, Folder>();
  readonly #firstCluster = new Map<TreeFile | TreeDirectory, number>();
  readonly #extents: Extent[] = [];
  #nextCluster = 2;
  /** What lies before the data, from the volume's start. */
  readonly #head: Uint8Array;
  readonly #track: Uint8Array;

  constructor(
    private readonly tree: FileTree,
    floppy: boolean,
  ) {
    const { root } = tree;
    const contentBytes = this.#measure(root, true);
    const rootEntries = this.#folders.get(root)?.entryCount ?? 0;
    const geometry = floppy ? floppyGeometry() : diskGeometry(contentBytes, rootEntries);
    this.#geometry = geometry;
    this.#place(root, geometry.bits === 32);
    const used = this.#nextCluster - 2;
    if (used > geometry.clusters || (geometry.bits === 12 && rootEntries > geometry.rootEntries)) {
      const room = geometry.clusters * geometry.sectorsPerCluster * SECTOR;
      throw new VmError(
        "bad-config",
        `${tree.name} holds more than fits on the volume of ${room} bytes; ${floppy ? "give it as a hard disk" : "take files out"}.`,
        { name: tree.name, contentBytes, room },
      );
    }
    const serial = (Math.floor(root.modifiedMs / 1000) ^ 0x50415241) >>> 0;
    this.#head = new Uint8Array(geometry.dataSector * SECTOR);
    this.#head.set(reservedArea(geometry, serial, used), 0);
    const table = this.#table();
    for (const copy of [0, 1])
      this.#head.set(table, (geometry.reservedSectors + copy * geometry.sectorsPerFat) * SECTOR);
    const rootSector = geometry.reservedSectors + 2 * geometry.sectorsPerFat;
    for (const extent of this.#buildDirectories()) {
      if (extent.first === 0) this.#head.set(extent.content as Uint8Array, rootSector * SECTOR);
      else this.#extents.push(extent);
    }
    this.#extents.sort((a, b) => a.first - b.first);
    this.#track = geometry.hiddenSectors > 0 ? partitionTrack(geometry, serial) : new Uint8Array(0);
    this.sizeBytes = (geometry.hiddenSectors + geometry.totalSectors) * SECTOR;
  }

  read(offset: number, into: Uint8Array): MaybePromise<void> {
    checkRange(this.tree.name, this.sizeBytes, offset, into.length);
    return runSteps(this.#read(offset, into));
  }
  write(): void {
    checkWritable(this.tree.name, true);
  }
  flush(): void {}
  close(): void {
    this.tree.close();
  }

  // ---- laying out

  /** Names everything; returns an upper bound of the bytes in clusters, for the choice of a geometry. */
  #measure(directory: TreeDirectory, isRoot: boolean): number {
    const space = new NameSpace();
    const names = directory.entries.map((entry) => space.add(entry.name));
    // The root has the volume's label, every other directory "." and "..".
    const entryCount = names.reduce((sum, name) => sum + entriesFor(name), isRoot ? 1 : 2);
    this.#folders.set(directory, { directory, names, entryCount });
    const round = (bytes: number): number => Math.ceil(bytes / 32768) * 32768;
    let bytes = round(entryCount * ENTRY_BYTES);
    for (const entry of directory.entries) {
      if (entry.kind === "directory") bytes += this.#measure(entry, false);
      else if (entry.sizeBytes <= FILE_MAX) bytes += round(entry.sizeBytes);
      else
        throw new VmError("bad-config", `${entry.name} has ${entry.sizeBytes} bytes; FAT holds files below 4 GiB.`, {
          name: entry.name,
        });
    }
    return bytes;
  }

  #place(directory: TreeDirectory, inClusters: boolean): void {
    const { entryCount } = this.#folders.get(directory) as Folder;
    this.#firstCluster.set(directory, inClusters ? this.#take(entryCount * ENTRY_BYTES) : 0);
    for (const entry of directory.entries) {
      if (entry.kind === "directory") {
        this.#place(entry, true);
        continue;
      }
      const first = entry.sizeBytes === 0 ? 0 : this.#take(entry.sizeBytes);
      this.#firstCluster.set(entry, first);
      if (first !== 0) this.#extents.push({ first, clusters: this.#clustersOf(entry.sizeBytes), content: entry });
    }
  }

  #take(bytes: number): number {
    const first = this.#nextCluster;
    this.#nextCluster += this.#clustersOf(bytes);
    return first;
  }

  #clustersOf(bytes: number): number {
    return Math.max(1, Math.ceil(bytes / (this.#geometry.sectorsPerCluster * SECTOR)));
  }

  /** One copy of the FAT, up to the last cluster in use. */
  #table(): Uint8Array {
    const { bits, media } = this.#geometry;
    const end = bits === 32 ? 0x0fffffff : 2 ** bits - 1;
    const table = new Uint8Array(Math.ceil((this.#nextCluster * bits) / 8) + 4);
    const set = (cluster: number, value: number): void => {
      const bit = cluster * bits;
      const at = bit >> 3;
      const shift = bit & 7;
      const shifted = value * 2 ** shift;
      for (let i = 0; i * 8 < bits + shift; i++)
        table[at + i] = (table[at + i] ?? 0) | (Math.floor(shifted / 2 ** (8 * i)) & 0xff);
    };
    set(0, (end & ~0xff) + media);
    set(1, end);
    const lasts = new Set<number>();
    for (const [entry, first] of this.#firstCluster) {
      if (first === 0) continue;
      const bytes =
        entry.kind === "file" ? entry.sizeBytes : (this.#folders.get(entry) as Folder).entryCount * ENTRY_BYTES;
      lasts.add(first + this.#clustersOf(bytes) - 1);
    }
    for (let cluster = 2; cluster < this.#nextCluster; cluster++) set(cluster, lasts.has(cluster) ? end : cluster + 1);
    return table;
  }

  #buildDirectories(): Extent[] {
    const parents = new Map<TreeDirectory, TreeDirectory>();
    return [...this.#folders.values()].map(({ directory, names, entryCount }) => {
      const first = this.#firstCluster.get(directory) ?? 0;
      const bytes = new Uint8Array(entryCount * ENTRY_BYTES);
      let at = 0;
      const put = (entries: Uint8Array, attributes: number, cluster: number, size: number, ms: number): void => {
        bytes.set(entries, at);
        at += entries.length;
        fillEntry(bytes.subarray(at - ENTRY_BYTES, at), attributes, cluster, size, ms);
      };
      const plain = (short: string): Uint8Array => nameEntries({ short, long: undefined });
      if (directory === this.tree.root) {
        put(plain(VOLUME_LABEL), ATTRIBUTE_VOLUME, 0, 0, directory.modifiedMs);
      } else {
        const parent = parents.get(directory) ?? this.tree.root;
        // ".." of a directory in the root says cluster 0, also on FAT32.
        const above = parent === this.tree.root ? 0 : (this.#firstCluster.get(parent) ?? 0);
        put(plain(".          "), ATTRIBUTE_DIRECTORY, first, 0, directory.modifiedMs);
        put(plain("..         "), ATTRIBUTE_DIRECTORY, above, 0, directory.modifiedMs);
      }
      for (const [i, entry] of directory.entries.entries()) {
        if (entry.kind === "directory") parents.set(entry, directory);
        const attributes = entry.kind === "directory" ? ATTRIBUTE_DIRECTORY : ATTRIBUTE_ARCHIVE;
        const size = entry.kind === "directory" ? 0 : entry.sizeBytes;
        put(nameEntries(names[i] as FatName), attributes, this.#firstCluster.get(entry) ?? 0, size, entry.modifiedMs);
      }
      return { first, clusters: this.#clustersOf(bytes.length), content: bytes };
    });
  }

  // ---- reading

  *#read(offset: number, into: Uint8Array): Steps<void> {
    into.fill(0);
    const { hiddenSectors, dataSector, sectorsPerCluster } = this.#geometry;
    const volume = hiddenSectors * SECTOR;
    copyOverlap(into, offset, this.#track, 0);
    copyOverlap(into, offset, this.#head, volume);
    const cluster = sectorsPerCluster * SECTOR;
    const data = volume + dataSector * SECTOR;
    const startOf = (extent: Extent): number => data + (extent.first - 2) * cluster;
    for (let i = this.#extentAt(Math.floor((offset - data) / cluster) + 2); i < this.#extents.length; i++) {
      const extent = this.#extents[i] as Extent;
      const start = startOf(extent);
      if (start >= offset + into.length) return;
      if (extent.content instanceof Uint8Array) {
        copyOverlap(into, offset, extent.content, start);
        continue;
      }
      const from = Math.max(offset, start);
      const end = Math.min(offset + into.length, start + extent.content.sizeBytes);
      if (from < end) yield extent.content.read(from - start, into.subarray(from - offset, end - offset));
    }
  }

  /** Index of the first extent that ends behind the cluster. */
  #extentAt(cluster: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { first, clusters } = this.#extents[middle] as Extent;
      if (first + clusters <= cluster) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What of `bytes`, which lie at `at` on the disk, falls into a read from `offset`. */
function copyOverlap(into: Uint8Array, offset: number, bytes: Uint8Array, at: number): void {
  const from = Math.max(offset, at);
  const end = Math.min(offset + into.length, at + bytes.length);
  if (from < end) into.set(bytes.subarray(from - at, end - at), from - offset);
}

function fillEntry(entry: Uint8Array, attributes: number, cluster: number, size: number, modifiedMs: number): void {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  const date = new Date(Math.max(modifiedMs, Date.UTC(1980, 0, 1)));
  const time = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  const year = Math.min(127, date.getUTCFullYear() - 1980);
  const day = (year << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  entry[11] = attributes;
  const dated = (attributes & ATTRIBUTE_VOLUME) === 0;
  if (dated) {
    view.setUint16(14, time, true);
    view.setUint16(16, day, true);
    view.setUint16(18, day, true);
  }
  view.setUint16(20, Math.floor(cluster / 65536), true);
  view.setUint16(22, time, true);
  view.setUint16(24, day, true);
  view.setUint16(26, cluster & 0xffff, true);
  view.setUint32(28, size, true);
}
