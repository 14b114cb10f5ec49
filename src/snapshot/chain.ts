// A snapshot with its parents, opened and checked: what the guest's memory was, and the images it boots from.
import type { Platform } from "../platform/platform.ts";
import { sameBytes } from "../vmm/compare-bytes.ts";
import { VmError } from "../vmm/error.ts";
import {
  type Blob,
  CHUNK_PAGES,
  type ChunkRow,
  type Frame,
  hasPage,
  hex,
  METHOD_DEFLATE,
  METHOD_GROUPS,
  METHOD_RAW,
  PAGE_BYTES,
  readFrame,
  refuse,
} from "./format.ts";
import { unpackGroups } from "./groups.ts";
import { type GuestPages, sameSizes, totalBytes } from "./guest-pages.ts";
import { decodeManifest, type ImageBlob, type Manifest } from "./manifest.ts";
import { forEach } from "./parallel.ts";
import type { SnapshotSource, SnapshotStore } from "./store.ts";

/** Blobs read and unpacked at once: half a megabyte each. */
const UNDER_WAY = 16;
/** More parents than this make a restore slow for nothing: flatten. */
const CHAIN_MAX = 256;
/** No level of the chain has the page: it is zero. */
const NOBODY = -1;

/** Pages that follow each other, in memory and in the blob at `at`. */
export interface Run {
  readonly page: number;
  readonly at: number;
  count: number;
}

type Tools = Pick<Platform, "sha256" | "inflate">;

/** A chunk of one file, and those of its pages that count: no child has them otherwise. */
export interface Piece {
  readonly file: SnapshotFile;
  readonly row: ChunkRow;
  readonly runs: readonly Run[];
}

export interface SnapshotFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly id: string;
  readonly manifest: Manifest;
  readonly rows: readonly ChunkRow[];
  readonly source: SnapshotSource;
}

/** Opens one file, without its parents, and checks its frame and manifest. Throws VmError("bad-snapshot"), whose message begins with the name. */
export async function openFile(store: SnapshotStore, name: string, tools: Tools): Promise<SnapshotFile> {
  const source = await store.open(name);
  try {
    const frame = await readFrame(source.sizeBytes, (offset, length) => source.read(offset, length), tools.sha256);
    const manifest = decodeManifest(frame.manifest, frame.indexOffset);
    checkRows(frame, manifest);
    return { name, sizeBytes: source.sizeBytes, id: frame.id, manifest, rows: frame.rows, source };
  } catch (error) {
    await source.close();
    throw naming(name, error);
  }
}

function checkRows({ rows }: Frame, manifest: Manifest): void {
  const pageCount = totalBytes(manifest) / PAGE_BYTES;
  for (const { chunk, present, zero } of rows) {
    for (let i = 0; i < CHUNK_PAGES; i++) {
      if (chunk * CHUNK_PAGES + i >= pageCount && (hasPage(present, i) || hasPage(zero, i))) {
        refuse(`chunk ${chunk}`, "lies beyond the end of memory");
      }
    }
  }
}

function naming(name: string, error: unknown): unknown {
  if (!(error instanceof VmError) || error.code !== "bad-snapshot") return error;
  return new VmError(
    "bad-snapshot",
    `${name}: ${error.message}`,
    { ...error.details, snapshot: name },
    { cause: error },
  );
}

export class SnapshotChain {
  #imagePlaces: Map<string, { readonly file: SnapshotFile; readonly blob: ImageBlob }> | undefined;

  private constructor(
    /** The one asked for, its parent, and so on to the full one. */
    readonly files: readonly SnapshotFile[],
    private readonly tools: Tools,
  ) {}

  /** Throws VmError: "not-found" for a name that the store does not have, "bad-snapshot" for what is wrong with one. */
  static async open(store: SnapshotStore, name: string, tools: Tools): Promise<SnapshotChain> {
    const files: SnapshotFile[] = [];
    try {
      let file = await openFile(store, name, tools);
      files.push(file);
      for (let parent = file.manifest.parent; parent !== null; parent = file.manifest.parent) {
        const child = file;
        if (files.length === CHAIN_MAX) refuse(name, `has more than ${CHAIN_MAX} parents`);
        file = await openParent(store, child, parent.name, tools);
        files.push(file);
        checkParent(child, file, parent.id);
      }
      return new SnapshotChain(files, tools);
    } catch (error) {
      for (const file of files) await file.source.close();
      throw error;
    }
  }

  get top(): SnapshotFile {
    return this.files[0] as SnapshotFile;
  }

  /** Puts every page that is not zero into `target`, which is zero. */
  async readMemory(target: GuestPages, pieces: readonly Piece[] = this.pieces()): Promise<void> {
    const rooms = new Rooms();
    await forEach(pieces, UNDER_WAY, async (piece, place) => {
      const bytes = await this.unpack(piece, rooms.get(place, piece.row.storedBytes));
      for (const { page, at, count } of piece.runs) target.put(page, bytes.subarray(at, at + count * PAGE_BYTES));
    });
  }

  /** What all of memory that is not zero lies in. */
  pieces(): Piece[] {
    const { manifest } = this.top;
    const owner = this.#owners(totalBytes(manifest) / PAGE_BYTES);
    const ramEnd = manifest.ramBytes / PAGE_BYTES;
    const vramEnd = ramEnd + manifest.vramBytes / PAGE_BYTES;
    const work = this.files.flatMap((file, level) => file.rows.map((row) => ({ file, level, row })));
    return work.flatMap(({ file, level, row }) => {
      const first = row.chunk * CHUNK_PAGES;
      const runs: Run[] = [];
      let at = 0;
      for (let i = 0; i < CHUNK_PAGES; i++) {
        if (!hasPage(row.present, i)) continue;
        const page = first + i;
        const last = runs.at(-1);
        if (owner[page] === level) {
          // RAM, video memory and ROM are apart.
          const follows = last?.page === page - (last?.count ?? 0) && page !== ramEnd && page !== vramEnd;
          if (follows && last.at + last.count * PAGE_BYTES === at) last.count++;
          else runs.push({ page, at, count: 1 });
        }
        at += PAGE_BYTES;
      }
      return runs.length === 0 ? [] : [{ file, row, runs }];
    });
  }

  /** Reads, checks and unpacks. Throws VmError("bad-snapshot"). */
  unpack({ file, row }: Piece, room?: Uint8Array): Promise<Uint8Array> {
    return this.#unpack(file, row, `chunk ${row.chunk}`, room);
  }

  /** What is stored of a piece, checked. Throws VmError("bad-snapshot"). */
  async readStored({ file, row }: Piece, room?: Uint8Array): Promise<Uint8Array> {
    return await this.#stored(file, row, `chunk ${row.chunk}`, room);
  }

  /** Which level's page counts, for every page. */
  #owners(pageCount: number): Int16Array {
    const owner = new Int16Array(pageCount).fill(NOBODY);
    for (let level = this.files.length - 1; level >= 0; level--) {
      for (const { chunk, present, zero } of (this.files[level] as SnapshotFile).rows) {
        for (let i = 0; i < CHUNK_PAGES; i++) {
          if (hasPage(present, i)) owner[chunk * CHUNK_PAGES + i] = level;
          else if (hasPage(zero, i)) owner[chunk * CHUNK_PAGES + i] = NOBODY;
        }
      }
    }
    return owner;
  }

  /** Digests of the images that the chain has. */
  imageDigests(): Set<string> {
    return new Set(this.files.flatMap(({ manifest }) => manifest.images.map(({ image }) => image)));
  }

  /** Boot images by digest; all of them, or those in `wanted`. */
  async readImages(wanted: ReadonlySet<string> = this.imageDigests()): Promise<Map<string, Uint8Array>> {
    const images = new Map<string, Uint8Array>();
    for await (const [image, bytes] of this.eachImage(wanted)) images.set(image, bytes);
    return images;
  }

  /** One after the other: together they may be as large as disks. */
  async *eachImage(wanted: ReadonlySet<string> = this.imageDigests()): AsyncGenerator<[string, Uint8Array]> {
    const seen = new Set<string>();
    for (const file of this.files) {
      for (const blob of file.manifest.images) {
        if (!wanted.has(blob.image) || seen.has(blob.image)) continue;
        seen.add(blob.image);
        yield [blob.image, await this.#image(file, blob)];
      }
    }
  }

  /** Throws VmError("bad-snapshot"). */
  async readImage(image: string): Promise<Uint8Array> {
    this.#imagePlaces ??= new Map(
      this.files.flatMap((file) => file.manifest.images.map((blob) => [blob.image, { file, blob }])),
    );
    const { file, blob } = this.#imagePlaces.get(image) ?? refuse("images", `lack ${image}, which disks need`);
    return await this.#image(file, blob);
  }

  async #image(file: SnapshotFile, blob: ImageBlob): Promise<Uint8Array> {
    const bytes = await this.#unpack(file, blob, `image ${blob.image}`);
    // Stored as it is, the blob's digest is the image's.
    const digest = blob.method === METHOD_DEFLATE ? await this.tools.sha256(bytes) : blob.digest;
    if (hex(digest) !== blob.image) throw naming(file.name, damaged(`image ${blob.image}`));
    return bytes;
  }

  /** Reads and unpacks everything. */
  async verify(): Promise<void> {
    for (const file of this.files) {
      const rooms = new Rooms();
      await forEach(file.rows, UNDER_WAY, async (row, place) => {
        await this.#unpack(file, row, `chunk ${row.chunk}`, rooms.get(place, row.storedBytes));
      });
    }
    for await (const image of this.eachImage()) void image;
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.source.close();
  }

  sha256(bytes: Uint8Array): Promise<Uint8Array> {
    return this.tools.sha256(bytes);
  }

  async #stored(file: SnapshotFile, blob: Blob, what: string, room?: Uint8Array): Promise<Uint8Array> {
    const stored = await file.source.read(blob.offset, blob.storedBytes, room);
    if (!sameBytes(await this.tools.sha256(stored), blob.digest)) throw naming(file.name, damaged(what));
    return stored;
  }

  async #unpack(file: SnapshotFile, blob: Blob, what: string, room?: Uint8Array): Promise<Uint8Array> {
    const stored = await this.#stored(file, blob, what, room);
    if (blob.method === METHOD_RAW) return stored;
    let bytes: Uint8Array;
    try {
      if (blob.method === METHOD_GROUPS) bytes = await unpackGroups(stored, blob.sizeBytes, this.tools.inflate);
      else bytes = await this.tools.inflate(stored, blob.sizeBytes);
    } catch (cause) {
      throw naming(file.name, damaged(what, cause));
    }
    if (bytes.length !== blob.sizeBytes) throw naming(file.name, damaged(what));
    return bytes;
  }
}

export function damagedPiece({ file, row }: Piece, cause?: unknown): unknown {
  return naming(file.name, damaged(`chunk ${row.chunk}`, cause));
}

/** Memory to read into, one piece for each place: fresh memory costs more than what is read into it. */
export class Rooms {
  readonly #rooms: Uint8Array[] = [];

  get(place: number, bytes: number): Uint8Array {
    let room = this.#rooms[place];
    if (room === undefined || room.length < bytes) room = this.#rooms[place] = new Uint8Array(bytes);
    return room;
  }
}

async function openParent(
  store: SnapshotStore,
  child: SnapshotFile,
  name: string,
  tools: Tools,
): Promise<SnapshotFile> {
  try {
    return await openFile(store, name, tools);
  } catch (cause) {
    if (!(cause instanceof VmError) || cause.code !== "not-found") throw cause;
    throw new VmError(
      "bad-snapshot",
      `${child.name}: parent ${name} is not there; put it beside its child.`,
      { field: "parent", snapshot: child.name },
      { cause },
    );
  }
}

function checkParent(child: SnapshotFile, parent: SnapshotFile, id: string): void {
  const wrong = (what: string): never => {
    throw new VmError("bad-snapshot", `${child.name}: parent ${parent.name} ${what}.`, {
      field: "parent",
      snapshot: child.name,
    });
  };
  if (parent.id !== id) wrong("is another snapshot than the one this was made from");
  if (!sameSizes(child.manifest, parent.manifest)) wrong("has another size of memory");
}

function damaged(what: string, cause?: unknown): VmError {
  return new VmError("bad-snapshot", `${what} is damaged: its digest or length differs.`, { field: what }, { cause });
}
