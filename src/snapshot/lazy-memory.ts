// Memory of a restored machine that is unpacked when it is needed. Everything that is stored has been read and its digest
// compared before the machine exists, so that a damaged file is refused as ever; what is left to do is to unpack.
import type { InflateNow, Platform } from "../platform/platform.ts";
import type { PageSource, PutPages } from "../vmm/absent-pages.ts";
import { damagedPiece, type Piece, Rooms, type SnapshotChain } from "./chain.ts";
import { METHOD_DEFLATE, METHOD_GROUPS, PAGE_BYTES } from "./format.ts";
import { type Group, rawGroups, readGroups, unpackGroup, unpackGroupNow } from "./groups.ts";
import { forEach } from "./parallel.ts";

/** Blobs being read and checked at once: one is read while another is hashed. */
const UNDER_WAY = 2;

type Tools = Pick<Platform, "inflate" | "loadInflateNow">;

/** A piece that was checked. */
interface Checked {
  readonly piece: Piece;
  readonly groups: readonly Group[];
  /** What is stored, where it cannot be read again at once. */
  readonly kept: Uint8Array | undefined;
}

export class LazyMemory implements PageSource {
  /** Number of the piece that has a page of RAM, from 1; 0 is a page that is zero. */
  readonly #checkedOf: Uint32Array;
  readonly #room = new Rooms();

  /** `pieces` lie in RAM alone, whose pages are `pageCount`. Closing this closes the chain. */
  private constructor(
    private readonly chain: SnapshotChain,
    private readonly checked: readonly Checked[],
    private readonly tools: Tools,
    private readonly inflateNow: InflateNow,
    pageCount: number,
  ) {
    this.#checkedOf = new Uint32Array(pageCount);
    checked.forEach(({ piece }, i) => {
      for (const { page, count } of piece.runs) this.#checkedOf.fill(i + 1, page, page + count);
    });
  }

  /** Reads all of what is stored and compares digests. Throws VmError("bad-snapshot"). */
  static async check(
    chain: SnapshotChain,
    pieces: readonly Piece[],
    pageCount: number,
    tools: Tools,
  ): Promise<LazyMemory> {
    const rooms = new Rooms();
    const checked: Checked[] = [];
    await forEach(pieces, UNDER_WAY, async (piece, place) => {
      const { file, row } = piece;
      const again = file.source.readNow !== undefined;
      const stored = await chain.readStored(piece, again ? rooms.get(place, row.storedBytes) : undefined);
      const groups = groupsOf(piece, stored);
      if (groups === undefined) throw damagedPiece(piece);
      checked.push({ piece, groups, kept: again ? undefined : stored });
    });
    return new LazyMemory(chain, checked, tools, await tools.loadInflateNow(), pageCount);
  }

  forEachRun(each: (page: number, count: number) => void): void {
    for (const { piece } of this.checked) for (const { page, count } of piece.runs) each(page, count);
  }

  load(page: number, put: PutPages): void {
    const { piece, group, kept } = this.#find(page);
    const { offset, storedBytes } = group;
    const stored = kept ?? this.#readAgain(piece, offset, storedBytes);
    let bytes: Uint8Array;
    try {
      bytes = unpackGroupNow(group, stored, this.inflateNow);
    } catch (cause) {
      throw damagedPiece(piece, cause);
    }
    putGroup(piece, group, bytes, put);
  }

  async loadLater(page: number, put: PutPages): Promise<void> {
    const { piece, group, kept } = this.#find(page);
    const { file, row } = piece;
    const stored = kept ?? (await file.source.read(row.offset + group.offset, group.storedBytes));
    let bytes: Uint8Array;
    try {
      bytes = await unpackGroup(group, stored, this.tools.inflate);
    } catch (cause) {
      throw damagedPiece(piece, cause);
    }
    putGroup(piece, group, bytes, put);
  }

  /** The group that has a page, with what is stored of it where that is kept. */
  #find(page: number): { readonly piece: Piece; readonly group: Group; readonly kept: Uint8Array | undefined } {
    const { piece, groups, kept } = this.checked[(this.#checkedOf[page] as number) - 1] as Checked;
    const run = piece.runs.find((one) => page >= one.page && page < one.page + one.count);
    if (run === undefined) throw damagedPiece(piece);
    const at = run.at + (page - run.page) * PAGE_BYTES;
    const group = groups.find((one) => at < one.at + one.sizeBytes) as Group;
    return { piece, group, kept: kept?.subarray(group.offset, group.offset + group.storedBytes) };
  }

  #readAgain({ file, row }: Piece, offset: number, storedBytes: number): Uint8Array {
    const { source } = file;
    return source.readNow?.(row.offset + offset, storedBytes, this.#room.get(0, storedBytes)) ?? new Uint8Array(0);
  }

  async close(): Promise<void> {
    await this.chain.close();
  }
}

/** What of a piece can be unpacked by itself. */
function groupsOf({ row }: Piece, stored: Uint8Array): readonly Group[] | undefined {
  const { method, sizeBytes, storedBytes } = row;
  if (method === METHOD_GROUPS) return readGroups(stored, sizeBytes);
  if (method === METHOD_DEFLATE) return [{ offset: 0, storedBytes, at: 0, sizeBytes }];
  return rawGroups(sizeBytes);
}

/** Puts what of a group counts. */
function putGroup(piece: Piece, group: Group, bytes: Uint8Array, put: PutPages): void {
  for (const one of piece.runs) {
    const from = Math.max(one.at, group.at);
    const to = Math.min(one.at + one.count * PAGE_BYTES, group.at + group.sizeBytes);
    if (from < to) put(one.page + (from - one.at) / PAGE_BYTES, bytes.subarray(from - group.at, to - group.at));
  }
}
