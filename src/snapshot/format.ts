// The frame of a snapshot file: header, blobs, index (manifest and chunk table), trailer. docs/SNAPSHOTS.md is its
// specification; every number here is one of its numbers.
import { VmError } from "../vmm/error.ts";

/** A reader takes files of its own version only; what must change in the frame or in the manifest's meaning changes it. */
export const FORMAT_VERSION = 1;

export const HEADER_BYTES = 32;
export const TRAILER_BYTES = 64;
export const PAGE_BYTES = 4096;
/** Pages of guest memory in one blob: enough for zlib's threads to be busy and for its calls to cost nothing. */
export const CHUNK_PAGES = 128;
export const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;
const MASK_BYTES = CHUNK_PAGES / 8;
const ROW_BYTES = 56 + 2 * MASK_BYTES;
const DIGEST_BYTES = 32;
/** No DEFLATE stream unpacks to more: memory for what a file claims is bounded by the file. */
const DEFLATE_RATIO_MAX = 1032;
/** A manifest is some 50 KB; what claims more than this is not read into memory. */
const MANIFEST_MAX = 256 * 1024 * 1024;

const MAGIC = Uint8Array.of(0x89, 0x50, 0x56, 0x53, 0x0d, 0x0a, 0x1a, 0x0a); // \x89 P V S \r \n \x1a \n
const END_MAGIC = Uint8Array.of(0x50, 0x56, 0x53, 0x45, 0x4e, 0x44, 0x0d, 0x0a); // P V S E N D \r \n

export const METHOD_RAW = 0;
export const METHOD_DEFLATE = 1;
/** Chunks of memory alone: groups of pages, each unpacked by itself (groups.ts). */
export const METHOD_GROUPS = 2;

/** Bytes in the file, and what they are once unpacked. */
export interface Blob {
  readonly offset: number;
  readonly storedBytes: number;
  readonly method: number;
  readonly sizeBytes: number;
  /** SHA-256 of the stored bytes. */
  readonly digest: Uint8Array;
}

/** One chunk of guest memory. Pages in neither mask are as in the parent, in a snapshot without parent zero. */
export interface ChunkRow extends Blob {
  readonly chunk: number;
  /** Pages in the blob, in order. */
  readonly present: Uint8Array;
  /** Pages that are zero now. */
  readonly zero: Uint8Array;
}

export interface Frame {
  readonly manifest: Uint8Array;
  readonly rows: readonly ChunkRow[];
  /** SHA-256 of header and index, which has every blob's digest: the name of exactly this snapshot. */
  readonly id: string;
  /** Blobs lie from HEADER_BYTES up to here. */
  readonly indexOffset: number;
}

export type Reader = (offset: number, lengthBytes: number) => Promise<Uint8Array>;
type Sha256 = (bytes: Uint8Array) => Promise<Uint8Array>;

export function refuse(field: string, what: string, cause?: unknown): never {
  throw new VmError("bad-snapshot", `${field} ${what}.`, { field }, { cause });
}

export function encodeHeader(): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(MAGIC);
  new DataView(bytes.buffer).setUint32(8, FORMAT_VERSION, true);
  return bytes;
}

/** What follows the last blob, and the snapshot's id. */
export async function encodeIndex(
  indexOffset: number,
  manifest: Uint8Array,
  rows: readonly ChunkRow[],
  sha256: Sha256,
): Promise<{ readonly bytes: Uint8Array; readonly id: string }> {
  const indexBytes = manifest.length + rows.length * ROW_BYTES;
  const bytes = new Uint8Array(indexBytes + TRAILER_BYTES);
  bytes.set(manifest);
  rows.forEach((row, i) => encodeRow(bytes.subarray(manifest.length + i * ROW_BYTES), row));
  const digest = await indexDigest(encodeHeader(), bytes.subarray(0, indexBytes), sha256);
  const view = new DataView(bytes.buffer, indexBytes);
  view.setBigUint64(0, BigInt(indexOffset), true);
  view.setUint32(8, manifest.length, true);
  view.setUint32(12, rows.length, true);
  bytes.set(digest, indexBytes + 16);
  bytes.set(END_MAGIC, indexBytes + TRAILER_BYTES - END_MAGIC.length);
  return { bytes, id: hex(digest) };
}

function encodeRow(at: Uint8Array, row: ChunkRow): void {
  const view = new DataView(at.buffer, at.byteOffset, ROW_BYTES);
  view.setBigUint64(0, BigInt(row.offset), true);
  view.setUint32(8, row.storedBytes, true);
  view.setUint32(12, row.chunk, true);
  view.setUint32(16, row.method, true);
  view.setUint32(20, 0, true);
  at.set(row.digest, 24);
  at.set(row.present, 24 + DIGEST_BYTES);
  at.set(row.zero, 24 + DIGEST_BYTES + MASK_BYTES);
}

async function indexDigest(header: Uint8Array, index: Uint8Array, sha256: Sha256): Promise<Uint8Array> {
  const both = new Uint8Array(header.length + index.length);
  both.set(header);
  both.set(index, header.length);
  return await sha256(both);
}

/** Reads and checks everything but the blobs. Throws VmError("bad-snapshot") naming the part that is wrong. */
export async function readFrame(sizeBytes: number, read: Reader, sha256: Sha256): Promise<Frame> {
  const start = await read(0, Math.min(sizeBytes, HEADER_BYTES));
  if (!startsWith(start, MAGIC)) refuse("magic", "is not that of a Paravane snapshot");
  if (sizeBytes < HEADER_BYTES + TRAILER_BYTES) refuse("trailer", "is missing: the file was cut off");
  const version = new DataView(start.buffer, start.byteOffset).getUint32(8, true);
  if (version !== FORMAT_VERSION) refuse("version", `of the format is ${version}; this build reads ${FORMAT_VERSION}`);
  if (start.subarray(12).some((byte) => byte !== 0)) refuse("header", "has bits that this build does not know");

  const trailer = await read(sizeBytes - TRAILER_BYTES, TRAILER_BYTES);
  if (!startsWith(trailer.subarray(TRAILER_BYTES - END_MAGIC.length), END_MAGIC)) {
    refuse("trailer", "is missing: the file was cut off, or something was appended to it");
  }
  const view = new DataView(trailer.buffer, trailer.byteOffset);
  if (trailer.subarray(16 + DIGEST_BYTES, TRAILER_BYTES - END_MAGIC.length).some((byte) => byte !== 0)) {
    refuse("trailer", "has bits that this build does not know");
  }
  const indexOffset = Number(view.getBigUint64(0, true));
  const manifestBytes = view.getUint32(8, true);
  const rowCount = view.getUint32(12, true);
  const indexBytes = manifestBytes + rowCount * ROW_BYTES;
  if (
    manifestBytes > MANIFEST_MAX ||
    indexOffset < HEADER_BYTES ||
    indexOffset + indexBytes + TRAILER_BYTES !== sizeBytes
  ) {
    refuse("trailer", "does not fit the length of the file");
  }
  const index = await read(indexOffset, indexBytes);
  const digest = await indexDigest(start, index, sha256);
  if (hex(digest) !== hex(trailer.subarray(16, 16 + DIGEST_BYTES))) refuse("index", "is damaged: its digest differs");
  const rows = Array.from({ length: rowCount }, (_, i) => decodeRow(index.subarray(manifestBytes + i * ROW_BYTES), i));
  rows.forEach((row, i) => {
    checkBlob(row, `chunk ${row.chunk}`, indexOffset, [METHOD_RAW, METHOD_DEFLATE, METHOD_GROUPS]);
    if (i > 0 && (rows[i - 1] as ChunkRow).chunk >= row.chunk) refuse("chunks", "are not in order");
  });
  return { manifest: index.subarray(0, manifestBytes), rows, id: hex(digest), indexOffset };
}

function decodeRow(at: Uint8Array, i: number): ChunkRow {
  const view = new DataView(at.buffer, at.byteOffset, ROW_BYTES);
  const present = at.slice(24 + DIGEST_BYTES, 24 + DIGEST_BYTES + MASK_BYTES);
  const zero = at.slice(24 + DIGEST_BYTES + MASK_BYTES, ROW_BYTES);
  if (present.some((byte, k) => byte & (zero[k] as number)))
    refuse(`chunk row ${i}`, "has pages that are both stored and zero");
  if (view.getUint32(20, true) !== 0) refuse(`chunk row ${i}`, "has bits that this build does not know");
  return {
    offset: Number(view.getBigUint64(0, true)),
    storedBytes: view.getUint32(8, true),
    chunk: view.getUint32(12, true),
    method: view.getUint32(16, true),
    sizeBytes: countPages(present) * PAGE_BYTES,
    digest: at.slice(24, 24 + DIGEST_BYTES),
    present,
    zero,
  };
}

/** Throws unless a blob lies among the blobs and has one of `methods`. */
export function checkBlob(
  blob: Blob,
  name: string,
  indexOffset: number,
  methods: readonly number[] = [METHOD_RAW, METHOD_DEFLATE],
): void {
  const { offset, storedBytes, method, sizeBytes } = blob;
  if (offset < HEADER_BYTES || offset + storedBytes > indexOffset) refuse(name, "lies outside the file's data");
  if (!methods.includes(method)) refuse(name, `is stored by method ${method}, which this build does not know`);
  if (method === METHOD_RAW && storedBytes !== sizeBytes) refuse(name, "does not have the length of what it holds");
  if (sizeBytes > storedBytes * DEFLATE_RATIO_MAX + 64) refuse(name, "claims to hold more than it can");
}

export function emptyMask(): Uint8Array {
  return new Uint8Array(MASK_BYTES);
}
export function hasPage(mask: Uint8Array, page: number): boolean {
  return (((mask[page >>> 3] as number) >>> (page & 7)) & 1) !== 0;
}
export function addPage(mask: Uint8Array, page: number): void {
  mask[page >>> 3] = (mask[page >>> 3] as number) | (1 << (page & 7));
}
export function countPages(mask: Uint8Array): number {
  let count = 0;
  for (let byte of mask) for (; byte !== 0; byte &= byte - 1) count++;
  return count;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function startsWith(bytes: Uint8Array, head: Uint8Array): boolean {
  return bytes.length >= head.length && head.every((byte, i) => bytes[i] === byte);
}
