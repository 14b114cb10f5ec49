// The qcow2 format (QEMU docs/interop/qcow2): the header with its extensions, and the bits of table entries.

import { VmError } from "../../../vmm/error.ts";
import type { Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";

export const QCOW2_MAGIC = 0x514649fb;
export const HEADER_V2_BYTES = 72;
export const HEADER_V3_BYTES = 104;
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** Bounds of QEMU's: larger tables are refused there too. */
const L1_MAX_BYTES = 32 << 20;
const REFCOUNT_TABLE_MAX_BYTES = 8 << 20;
const SNAPSHOTS_MAX = 65536;
const BACKING_NAME_MAX = 1023;
const MAX_SAFE_HIGH = 2 ** 21;

// ---- header fields
export const H_BACKING_OFFSET = 8;
export const H_L1_SIZE = 36;
export const H_L1_OFFSET = 40;
export const H_REFCOUNT_OFFSET = 48;
export const H_REFCOUNT_CLUSTERS = 56;
const H_SNAPSHOT_COUNT = 60;
const H_SNAPSHOT_OFFSET = 64;
const H_INCOMPATIBLE = 72;
export const H_AUTOCLEAR = 88;
const H_REFCOUNT_ORDER = 96;
const H_HEADER_BYTES = 100;
const H_COMPRESSION = 104;

// ---- header extensions
export const EXTENSION_END = 0;
export const EXTENSION_BACKING_FORMAT = 0xe2792aca;

// ---- incompatible features
const FEATURE_DIRTY = 1;
const FEATURE_CORRUPT = 2;
const FEATURE_COMPRESSION = 8;
const FEATURE_NAMES = ["dirty", "corrupt", "external data file", "compression type", "extended L2 entries"];
const FEATURES_KNOWN = FEATURE_DIRTY | FEATURE_CORRUPT | FEATURE_COMPRESSION;

// ---- entries of L1 and L2 tables: the bits of the high word
export const ENTRY_COPIED = 0x80000000;
export const ENTRY_COMPRESSED = 0x40000000;
const ENTRY_OFFSET_HIGH = 0x00ffffff;
/** In the low word of an L2 entry: reads as zeros, allocated or not (version 3). */
export const ENTRY_ZERO = 1;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly backingName: string | undefined;
  readonly backingFormat: string | undefined;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshotCount: number;
  readonly snapshotsOffset: number;
  /** A refcount has 1 << refcountOrder bits. */
  readonly refcountOrder: number;
  readonly compression: "zlib" | "zstd";
  /** Refcounts may be wrong: the image was not closed by a writer that keeps them lazily. */
  readonly dirty: boolean;
  readonly corrupt: boolean;
  /** Some writer's extra data that every other writer must declare stale. */
  readonly autoclear: boolean;
}

export function badQcow2(name: string, what: string, details: Record<string, unknown> = {}): VmError {
  return new VmError("bad-image", `${name}: ${what}.`, { name, ...details });
}

/** Byte offset of an L1, L2 or refcount table entry (bits 9 to 55). */
export function entryOffset(table: DataView, index: number): number {
  const low = (table.getUint32(index * 8 + 4) & ~0x1ff) >>> 0;
  return (table.getUint32(index * 8) & ENTRY_OFFSET_HIGH) * 0x1_0000_0000 + low;
}

export function setEntry(table: DataView, index: number, offset: number, high = 0, low = 0): void {
  table.setUint32(index * 8, (Math.floor(offset / 0x1_0000_0000) | high) >>> 0);
  table.setUint32(index * 8 + 4, ((offset % 0x1_0000_0000) | low) >>> 0);
}

/** Reads and checks the header. Throws VmError("bad-image") with what is wrong and what helps. */
export function* readHeader(file: RandomAccessFile): Steps<Qcow2Header> {
  const bytes = new Uint8Array(HEADER_V3_BYTES + 8);
  yield file.read(0, bytes);
  const view = new DataView(bytes.buffer);
  const bad = (what: string): VmError => badQcow2(file.name, what);
  if (view.getUint32(0) !== QCOW2_MAGIC) throw bad("it is not a qcow2 image; its format is another one");
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw bad(`qcow2 version ${version} is not supported; versions 2 and 3 are`);
  const clusterBits = view.getUint32(20);
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS)
    throw bad(`its clusters of 2^${clusterBits} bytes are outside 2^${MIN_CLUSTER_BITS} to 2^${MAX_CLUSTER_BITS}`);
  const cluster = 2 ** clusterBits;
  if (view.getUint32(32) !== 0) throw bad("it is encrypted; convert it with qemu-img to an image that is not");
  const wide = (at: number, what: string): number => {
    if (view.getUint32(at) >= MAX_SAFE_HIGH) throw bad(`its ${what} is out of range`);
    return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
  };
  const table = (at: number, what: string): number => {
    const offset = wide(at, `${what} offset`);
    if (offset % cluster !== 0) throw bad(`its ${what} does not begin at a cluster`);
    return offset;
  };

  const headerBytes = version === 2 ? HEADER_V2_BYTES : view.getUint32(H_HEADER_BYTES);
  let features = 0;
  let refcountOrder = 4;
  let compression = 0;
  if (version === 3) {
    if (headerBytes < HEADER_V3_BYTES || headerBytes > cluster)
      throw bad(`its header length ${headerBytes} is impossible`);
    features = view.getUint32(H_INCOMPATIBLE + 4);
    const unknown = view.getUint32(H_INCOMPATIBLE) !== 0 ? 32 : 31 - Math.clz32(features & ~FEATURES_KNOWN);
    if (unknown >= 0) {
      const feature = FEATURE_NAMES[unknown] ?? `number ${unknown}`;
      throw bad(`it uses the feature "${feature}", which is not supported; convert it with qemu-img without it`);
    }
    refcountOrder = view.getUint32(H_REFCOUNT_ORDER);
    if (refcountOrder > 6) throw bad(`its refcounts of 2^${refcountOrder} bits are too wide`);
    if (features & FEATURE_COMPRESSION && headerBytes > H_COMPRESSION) compression = bytes[H_COMPRESSION] ?? 0;
    if (compression > 1)
      throw bad(`its compression type ${compression} is unknown; zlib (0) and zstd (1) are supported`);
  }

  const sizeBytes = wide(24, "size");
  const l1Entries = view.getUint32(H_L1_SIZE);
  if (l1Entries * 8 > L1_MAX_BYTES) throw bad(`its L1 table of ${l1Entries} entries is too large`);
  if (sizeBytes > l1Entries * (cluster / 8) * cluster) throw bad("its L1 table is too small for its size");
  const l1Offset = table(H_L1_OFFSET, "L1 table");
  const refcountTableOffset = table(H_REFCOUNT_OFFSET, "refcount table");
  const refcountTableClusters = view.getUint32(H_REFCOUNT_CLUSTERS);
  if (refcountTableClusters === 0 || refcountTableClusters * cluster > REFCOUNT_TABLE_MAX_BYTES)
    throw bad(`its refcount table of ${refcountTableClusters} clusters is impossible`);
  const snapshotCount = view.getUint32(H_SNAPSHOT_COUNT);
  if (snapshotCount > SNAPSHOTS_MAX) throw bad(`its ${snapshotCount} snapshots are too many`);
  const snapshotsOffset = snapshotCount === 0 ? 0 : table(H_SNAPSHOT_OFFSET, "snapshot table");
  const within = (offset: number, length: number): boolean => offset > 0 && offset + length <= file.sizeBytes;
  if (l1Entries > 0 && !within(l1Offset, l1Entries * 8)) throw bad("its L1 table lies outside the file");
  if (!within(refcountTableOffset, 8)) throw bad("its refcount table lies outside the file");
  if (snapshotCount > 0 && !within(snapshotsOffset, 1)) throw bad("its snapshot table lies outside the file");

  const backingOffset = wide(H_BACKING_OFFSET, "backing file name offset");
  const backingBytes = view.getUint32(16);
  let backingName: string | undefined;
  if (backingOffset !== 0) {
    if (backingBytes === 0 || backingBytes > BACKING_NAME_MAX || backingOffset + backingBytes > cluster)
      throw bad("the name of its backing file lies outside the first cluster");
    const name = new Uint8Array(backingBytes);
    yield file.read(backingOffset, name);
    backingName = new TextDecoder().decode(name);
  }
  return {
    version,
    clusterBits,
    sizeBytes,
    backingName,
    backingFormat: yield* readBackingFormat(file, headerBytes, backingOffset === 0 ? cluster : backingOffset),
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    snapshotCount,
    snapshotsOffset,
    refcountOrder,
    compression: compression === 1 ? "zstd" : "zlib",
    dirty: (features & FEATURE_DIRTY) !== 0,
    corrupt: (features & FEATURE_CORRUPT) !== 0,
    autoclear: version === 3 && (view.getUint32(H_AUTOCLEAR) | view.getUint32(H_AUTOCLEAR + 4)) !== 0,
  };
}

function* readBackingFormat(file: RandomAccessFile, from: number, end: number): Steps<string | undefined> {
  for (let at = from; at + 8 <= end; ) {
    const head = new Uint8Array(8);
    yield file.read(at, head);
    const view = new DataView(head.buffer);
    const kind = view.getUint32(0);
    const length = view.getUint32(4);
    if (kind === EXTENSION_END) return undefined;
    if (at + 8 + length > end) throw badQcow2(file.name, "a header extension is longer than the header");
    if (kind === EXTENSION_BACKING_FORMAT) {
      const text = new Uint8Array(length);
      yield file.read(at + 8, text);
      return new TextDecoder().decode(text);
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

export interface NewHeader {
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly backing?: { readonly name: string; readonly format: string } | undefined;
}

/** The header of a new version 3 image with 16-bit refcounts: its first cluster. Throws VmError("bad-config"). */
export function makeHeader(header: NewHeader): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  const wide = (at: number, value: number): void => {
    view.setUint32(at, Math.floor(value / 0x1_0000_0000));
    view.setUint32(at + 4, value % 0x1_0000_0000);
  };
  view.setUint32(0, QCOW2_MAGIC);
  view.setUint32(4, 3);
  view.setUint32(20, header.clusterBits);
  wide(24, header.sizeBytes);
  view.setUint32(H_L1_SIZE, header.l1Entries);
  wide(H_L1_OFFSET, header.l1Offset);
  wide(H_REFCOUNT_OFFSET, header.refcountTableOffset);
  view.setUint32(H_REFCOUNT_CLUSTERS, header.refcountTableClusters);
  view.setUint32(H_REFCOUNT_ORDER, 4);
  const headerBytes = HEADER_V3_BYTES + 8;
  view.setUint32(H_HEADER_BYTES, headerBytes);
  if (header.backing === undefined) return bytes;
  const format = new TextEncoder().encode(header.backing.format);
  const name = new TextEncoder().encode(header.backing.name);
  view.setUint32(headerBytes, EXTENSION_BACKING_FORMAT);
  view.setUint32(headerBytes + 4, format.length);
  bytes.set(format, headerBytes + 8);
  const nameAt = headerBytes + 8 + Math.ceil(format.length / 8) * 8 + 8;
  if (name.length > BACKING_NAME_MAX || nameAt + name.length > bytes.length) {
    throw new VmError(
      "bad-config",
      `The backing file's name has ${name.length} bytes; at most ${BACKING_NAME_MAX} fit into a header.`,
      { name: header.backing.name },
    );
  }
  wide(H_BACKING_OFFSET, nameAt);
  view.setUint32(16, name.length);
  bytes.set(name, nameAt);
  return bytes;
}
