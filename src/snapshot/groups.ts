// Chunks of guest memory packed in groups of a few pages, so that one page can be had without unpacking the others. Such a
// blob begins with the length of each group (u32); a group that DEFLATE would not make shorter is stored as it is.
import type { InflateNow, Platform } from "../platform/platform.ts";
import { PAGE_BYTES } from "./format.ts";

/** 16 KiB: larger ones pack 1% better and make a page that is needed twice as dear, smaller ones the snapshot (docs/RATIONALE.md). */
const GROUP_PAGES = 4;
const GROUP_BYTES = GROUP_PAGES * PAGE_BYTES;
const LENGTH_BYTES = 4;

/** Where a group lies in its blob, and where in what the blob holds. */
export interface Group {
  readonly offset: number;
  readonly storedBytes: number;
  readonly at: number;
  readonly sizeBytes: number;
}

export async function packGroups(bytes: Uint8Array, deflate: Platform["deflate"]): Promise<Uint8Array> {
  const starts = Array.from({ length: Math.ceil(bytes.length / GROUP_BYTES) }, (_, i) => i * GROUP_BYTES);
  const groups = await Promise.all(
    starts.map(async (at) => {
      const group = bytes.subarray(at, at + GROUP_BYTES);
      const packed = await deflate(group);
      return packed.length < group.length ? packed : group;
    }),
  );
  const table = groups.length * LENGTH_BYTES;
  const blob = new Uint8Array(groups.reduce((sum, group) => sum + group.length, table));
  const view = new DataView(blob.buffer);
  let offset = table;
  groups.forEach((group, i) => {
    view.setUint32(i * LENGTH_BYTES, group.length, true);
    blob.set(group, offset);
    offset += group.length;
  });
  return blob;
}

/** The groups of a blob that holds `sizeBytes`; undefined when its lengths cannot be right. */
export function readGroups(blob: Uint8Array, sizeBytes: number): Group[] | undefined {
  const count = Math.ceil(sizeBytes / GROUP_BYTES);
  let offset = count * LENGTH_BYTES;
  if (blob.length < offset) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset);
  const groups: Group[] = [];
  for (let i = 0; i < count; i++) {
    const at = i * GROUP_BYTES;
    const group = {
      offset,
      storedBytes: view.getUint32(i * LENGTH_BYTES, true),
      at,
      sizeBytes: Math.min(GROUP_BYTES, sizeBytes - at),
    };
    if (group.storedBytes > group.sizeBytes) return undefined;
    offset += group.storedBytes;
    groups.push(group);
  }
  return offset === blob.length ? groups : undefined;
}

/** The groups of a blob that is stored as it is. */
export function rawGroups(sizeBytes: number): Group[] {
  return Array.from({ length: Math.ceil(sizeBytes / GROUP_BYTES) }, (_, i) => {
    const at = i * GROUP_BYTES;
    const length = Math.min(GROUP_BYTES, sizeBytes - at);
    return { offset: at, storedBytes: length, at, sizeBytes: length };
  });
}

/** What a group holds. Throws, whatever it is, for a stream that gives something else. */
export function unpackGroupNow(group: Group, stored: Uint8Array, inflateNow: InflateNow): Uint8Array {
  return group.storedBytes === group.sizeBytes ? stored : whole(group, inflateNow(stored, group.sizeBytes));
}

/** The same on other threads. */
export async function unpackGroup(group: Group, stored: Uint8Array, inflate: Platform["inflate"]): Promise<Uint8Array> {
  return group.storedBytes === group.sizeBytes ? stored : whole(group, await inflate(stored, group.sizeBytes));
}

function whole({ sizeBytes }: Group, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== sizeBytes) throw new RangeError(`${bytes.length} bytes in place of ${sizeBytes}`);
  return bytes;
}

/** What a blob holds, all of it. Throws likewise. */
export async function unpackGroups(
  blob: Uint8Array,
  sizeBytes: number,
  inflate: Platform["inflate"],
): Promise<Uint8Array> {
  const groups = readGroups(blob, sizeBytes);
  if (groups === undefined) throw new RangeError("lengths of groups that do not fit");
  const all = new Uint8Array(sizeBytes);
  await Promise.all(
    groups.map(async (group) => {
      const stored = blob.subarray(group.offset, group.offset + group.storedBytes);
      all.set(await unpackGroup(group, stored, inflate), group.at);
    }),
  );
  return all;
}
