// Writes one snapshot file: blobs as they are packed, then the index that names them.
import type { Platform } from "../platform/platform.ts";
import { type FrozenDrive, packDisk, type SavedDisk } from "./disks.ts";
import {
  type Blob,
  type ChunkRow,
  encodeHeader,
  encodeIndex,
  HEADER_BYTES,
  hex,
  METHOD_DEFLATE,
  METHOD_GROUPS,
  METHOD_RAW,
} from "./format.ts";
import { packGroups } from "./groups.ts";
import type { CapturedChunk } from "./guest-pages.ts";
import { encodeManifest, type ImageBlob, type Manifest } from "./manifest.ts";
import { inOrder } from "./parallel.ts";
import type { SnapshotSink } from "./store.ts";

/** Blobs packed at once: zlib's pool has four threads. */
const UNDER_WAY = 8;
/** What deflates to more than this stays as it is, and is read faster. */
const WORTH_PACKING = 0.9;

export interface SnapshotContent {
  readonly manifest: Omit<Manifest, "images" | "disks">;
  /** By digest. */
  readonly images: Iterable<readonly [string, Uint8Array]> | AsyncIterable<readonly [string, Uint8Array]>;
  /** Disks to be written, or as a snapshot has them whose images are among these. */
  readonly disks: readonly (FrozenDrive | SavedDisk)[];
  /** Images that the parents have. */
  readonly known?: ReadonlySet<string>;
  readonly chunks: Iterable<CapturedChunk> | AsyncIterable<CapturedChunk>;
  /** False: blobs as they are, for a faster restore from a fast disk. */
  readonly compress: boolean;
}

export interface Written {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Writes and commits; after an error nothing of it is left. */
export async function writeSnapshot(
  sink: SnapshotSink,
  content: SnapshotContent,
  platform: Pick<Platform, "sha256" | "deflate">,
): Promise<Written> {
  try {
    let offset = HEADER_BYTES;
    const append = async (stored: Stored): Promise<Blob> => {
      await sink.write(stored.bytes);
      const { method, sizeBytes, digest } = stored;
      const blob = { offset, storedBytes: stored.bytes.length, method, sizeBytes, digest };
      offset += stored.bytes.length;
      return blob;
    };
    await sink.write(encodeHeader());
    const images: ImageBlob[] = [];
    const written = new Set(content.known);
    const addImage = async (image: string, bytes: Uint8Array): Promise<void> => {
      if (written.has(image)) return;
      written.add(image);
      images.push({ image, ...(await append(await pack(bytes, content.compress, platform))) });
    };
    for await (const [image, bytes] of content.images) await addImage(image, bytes);
    const disks: SavedDisk[] = [];
    for (const disk of content.disks) {
      const saved =
        "pieces" in disk
          ? disk
          : await packDisk(
              disk,
              async (clusters) => {
                const image = hex(await platform.sha256(clusters));
                await addImage(image, clusters);
                return image;
              },
              platform.sha256,
            );
      disks.push(saved);
    }
    const rows: ChunkRow[] = [];
    const packed = inOrder(content.chunks, UNDER_WAY, async (captured) => ({
      captured,
      stored: await pack(captured.bytes, content.compress, platform, METHOD_GROUPS),
    }));
    for await (const { captured, stored } of packed) {
      const { chunk, present, zero } = captured;
      rows.push({ ...(await append(stored)), chunk, present, zero });
    }
    const manifest = encodeManifest({ ...content.manifest, images, disks });
    const index = await encodeIndex(offset, manifest, rows, platform.sha256);
    await sink.write(index.bytes);
    await sink.commit();
    return { id: index.id, sizeBytes: offset + index.bytes.length };
  } catch (error) {
    await sink.abort().catch(() => {});
    throw error;
  }
}

interface Stored {
  readonly bytes: Uint8Array;
  readonly method: number;
  readonly sizeBytes: number;
  readonly digest: Uint8Array;
}

async function pack(
  bytes: Uint8Array,
  compress: boolean,
  platform: Pick<Platform, "sha256" | "deflate">,
  method: number = METHOD_DEFLATE,
): Promise<Stored> {
  let packed = bytes;
  if (compress && bytes.length > 0)
    packed = method === METHOD_GROUPS ? await packGroups(bytes, platform.deflate) : await platform.deflate(bytes);
  const worth = packed.length < bytes.length * WORTH_PACKING;
  const stored = worth ? packed : bytes;
  return {
    bytes: stored,
    method: worth ? method : METHOD_RAW,
    sizeBytes: bytes.length,
    digest: await platform.sha256(stored),
  };
}
