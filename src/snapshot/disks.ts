// Disks in a snapshot: what temporary overlays hold, and all of a file that a page brought along, which whoever restores may
// not have. In pieces, each an image named by its digest: a snapshot with a parent has only those that are new.
import { type BlockBackend, type FrozenDisk, OVERLAY_CLUSTER_BYTES } from "../vmm/block.ts";
import { isZero } from "../vmm/compare-bytes.ts";
import type { DriveConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import type { Machine } from "../vmm/machine.ts";
import type { SnapshotChain } from "./chain.ts";
import type { SavedConfig } from "./config.ts";
import { countPages, hex, refuse } from "./format.ts";

const PIECE_CLUSTERS = 64;
const PIECE_BYTES = PIECE_CLUSTERS * OVERLAY_CLUSTER_BYTES;
const MASK_BYTES = PIECE_CLUSTERS / 8;
/** A page has no larger file, and a hostile snapshot shall not make one of nothing. */
const WHOLE_MAX_BYTES = 64 * 2 ** 30;

/** "overlay": clusters that lie above the drive's image. "whole": the disk, but for clusters of zeros. */
const KINDS = ["overlay", "whole"] as const;
type Kind = (typeof KINDS)[number];

export interface SavedDisk {
  /** Id of the drive. */
  readonly drive: string;
  readonly kind: Kind;
  readonly sizeBytes: number;
  readonly pieces: readonly SavedPiece[];
  /** Of an overlay: clusters of the image below, by which another one of the same size is told. */
  readonly samples?: readonly Sample[];
}

interface Sample {
  readonly cluster: number;
  /** SHA-256. */
  readonly digest: Uint8Array;
}

type Sha256 = (bytes: Uint8Array) => Promise<Uint8Array>;
/** At even distances. All of an image would take seconds. */
const SAMPLES = 16;

/** Clusters of one piece: those in `present`, one after the other. The disk's last one is filled up with zeros. */
export interface SavedPiece {
  readonly piece: number;
  /** A bit a cluster. */
  readonly present: Uint8Array;
  /** SHA-256 of the clusters, hex: an image of the snapshot. */
  readonly image: string;
}

/** A disk that stands still while the guest runs on. */
export interface FrozenDrive extends FrozenDisk {
  readonly drive: string;
  readonly kind: Kind;
  readonly sizeBytes: number;
}

/** With the vCPU at rest. To be closed. */
export function freezeDisks(machine: Machine): FrozenDrive[] {
  return [...savable(machine)].map(({ drive, kind, backend }) => ({
    drive,
    kind,
    sizeBytes: backend.sizeBytes,
    ...(backend.overlay?.freeze() ?? still(backend)),
  }));
}

interface SavableDrive {
  readonly drive: string;
  readonly kind: Kind;
  readonly backend: BlockBackend;
}

function* savable(machine: Machine): Generator<SavableDrive> {
  for (const { id, backend: source } of machine.config.drives) {
    const backend = machine.backendOf(id);
    const kind = backend && kindOf(source, backend);
    if (backend !== undefined && kind !== undefined) yield { drive: id, kind, backend };
  }
}

/** Undefined for what is there anyway when somebody restores. */
function kindOf(source: DriveConfig["backend"], backend: BlockBackend): Kind | undefined {
  if (source === undefined || !("path" in source)) return undefined;
  if (source.blob !== undefined) return backend.sizeBytes <= WHOLE_MAX_BYTES ? "whole" : undefined;
  // A folder's disk is made anew each time, and may be another one by then.
  return backend.overlay !== undefined && source.format !== "dir" ? "overlay" : undefined;
}

/** Nobody writes to it. */
function still(backend: BlockBackend): FrozenDisk {
  return {
    has: () => false,
    read: async (cluster) => {
      const start = cluster * OVERLAY_CLUSTER_BYTES;
      const bytes = new Uint8Array(Math.min(OVERLAY_CLUSTER_BYTES, backend.sizeBytes - start));
      await backend.read(start, bytes);
      return bytes;
    },
    close: () => {},
  };
}

/** What there is of a disk, a piece at a time. `name` writes the clusters and gives their image's name. */
export async function packDisk(
  disk: FrozenDrive,
  name: (clusters: Uint8Array) => Promise<string>,
  sha256: Sha256,
): Promise<SavedDisk> {
  const { drive, kind, sizeBytes } = disk;
  const pieces: SavedPiece[] = [];
  for (let piece = 0; piece * PIECE_BYTES < sizeBytes; piece++) {
    const present = new Uint8Array(MASK_BYTES);
    const clusters: Uint8Array[] = [];
    for (let i = 0; i < PIECE_CLUSTERS; i++) {
      const cluster = piece * PIECE_CLUSTERS + i;
      if (cluster * OVERLAY_CLUSTER_BYTES >= sizeBytes) break;
      if (kind === "overlay" && !disk.has(cluster)) continue;
      const bytes = await disk.read(cluster);
      // Above an image zeros count, where there is none they need no room.
      if (kind === "whole" && isZero(bytes)) continue;
      present[i >> 3] = (present[i >> 3] as number) | (1 << (i & 7));
      clusters.push(bytes);
    }
    if (clusters.length === 0) continue;
    const all = new Uint8Array(clusters.length * OVERLAY_CLUSTER_BYTES);
    clusters.forEach((bytes, i) => all.set(bytes, i * OVERLAY_CLUSTER_BYTES));
    pieces.push({ piece, present, image: await name(all) });
  }
  return { drive, kind, sizeBytes, pieces, ...(kind === "overlay" && { samples: await sample(disk, sha256) }) };
}

/** What the guest wrote hides the image, so such clusters are none. */
async function sample(disk: FrozenDrive, sha256: Sha256): Promise<Sample[]> {
  const count = Math.ceil(disk.sizeBytes / OVERLAY_CLUSTER_BYTES);
  const places = new Set(Array.from({ length: SAMPLES }, (_, i) => Math.floor((i * count) / SAMPLES)));
  const samples: Sample[] = [];
  for (const cluster of places)
    if (!disk.has(cluster)) samples.push({ cluster, digest: await sha256(await disk.read(cluster)) });
  return samples;
}

/** `backend` has an overlay that is empty yet. */
async function checkImage(chain: SnapshotChain, disk: SavedDisk, backend: BlockBackend): Promise<void> {
  const image = still(backend);
  for (const { cluster, digest } of disk.samples ?? []) {
    if (hex(await chain.sha256(await image.read(cluster))) !== hex(digest))
      refuse("disks", `have an overlay for ${disk.drive}, whose image has another content now`);
  }
}

/** Digests of the images that the disks are made of. */
export function imagesOfDisks(disks: readonly SavedDisk[]): Set<string> {
  return new Set(disks.flatMap(({ pieces }) => pieces.map(({ image }) => image)));
}

/** Clusters of a piece in order: their place in it, and their bytes. */
async function* clustersOf(
  chain: SnapshotChain,
  { piece, present, image }: SavedPiece,
): AsyncGenerator<{ readonly cluster: number; readonly bytes: Uint8Array }> {
  const all = await chain.readImage(image);
  const places = Array.from({ length: PIECE_CLUSTERS }, (_, i) => i).filter(
    (i) => ((present[i >> 3] as number) >> (i & 7)) & 1,
  );
  if (all.length !== places.length * OVERLAY_CLUSTER_BYTES) refuse(`image ${image}`, "is no piece of a disk");
  for (const [at, place] of places.entries()) {
    const bytes = all.subarray(at * OVERLAY_CLUSTER_BYTES, (at + 1) * OVERLAY_CLUSTER_BYTES);
    yield { cluster: piece * PIECE_CLUSTERS + place, bytes };
  }
}

/** Puts the overlays' clusters into a machine that has not run. Throws VmError("bad-snapshot"). */
export async function fillOverlays(chain: SnapshotChain, disks: readonly SavedDisk[], machine: Machine): Promise<void> {
  for (const disk of disks) {
    const { drive, kind, sizeBytes, pieces } = disk;
    if (kind !== "overlay") continue;
    const backend = machine.backendOf(drive);
    const overlay = backend?.overlay;
    if (backend === undefined || overlay === undefined)
      refuse("disks", `have an overlay for ${drive}, which is no drive with a temporary one`);
    if (backend.sizeBytes !== sizeBytes)
      refuse("disks", `have an overlay of ${sizeBytes} bytes for ${drive}, whose image has ${backend.sizeBytes} now`);
    await checkImage(chain, disk, backend);
    for (const piece of pieces)
      for await (const { cluster, bytes } of clustersOf(chain, piece)) await overlay.putCluster(cluster, bytes);
  }
}

/** The configuration with the files that a page brought along, as they were saved. Throws VmError("bad-snapshot"). */
export async function withWholeDisks(
  chain: SnapshotChain,
  saved: SavedConfig,
  disks: readonly SavedDisk[],
): Promise<SavedConfig> {
  const whole = disks.filter(({ kind }) => kind === "whole");
  if (whole.length === 0) return saved;
  const drives = saved.config["drives"];
  if (!Array.isArray(drives)) refuse("disks", "are there, and config has no drives");
  const rows = [...(drives as Record<string, unknown>[])];
  for (const disk of whole) {
    const at = rows.findIndex((row) => row?.["id"] === disk.drive);
    const row = rows[at];
    const backend = row?.["backend"];
    if (row === undefined || typeof backend !== "object" || backend === null)
      refuse("disks", `have ${disk.drive}, which is no drive with a file`);
    // What is saved is the disk, whatever the format of the file was.
    const format = row["media"] === "cdrom" ? {} : { format: "raw" };
    rows[at] = { ...row, backend: { ...backend, ...format, blob: await wholeDisk(chain, disk) } };
  }
  return {
    config: { ...saved.config, drives: rows },
    external: externalOf({ ...saved, disks }),
  };
}

async function wholeDisk(chain: SnapshotChain, { drive, sizeBytes, pieces }: SavedDisk): Promise<Blob> {
  const hole = new Blob([new Uint8Array(PIECE_BYTES)]);
  // Pieces that are alike are one: no disk takes more memory than the file can hold.
  const made = new Map<string, Blob>();
  const parts: Blob[] = [];
  let next = 0;
  for (let piece = 0; piece * PIECE_BYTES < sizeBytes; piece++) {
    const length = Math.min(PIECE_BYTES, sizeBytes - piece * PIECE_BYTES);
    const saved = pieces[next];
    if (saved?.piece !== piece) {
      parts.push(hole.slice(0, length));
      continue;
    }
    next++;
    const name = `${saved.image} ${hex(saved.present)}`;
    const blob = made.get(name) ?? (await wholePiece(chain, saved));
    made.set(name, blob);
    parts.push(length === PIECE_BYTES ? blob : blob.slice(0, length));
  }
  try {
    return new Blob(parts);
  } catch (cause) {
    // Node has none beyond 4 GiB.
    return refuse("disks", `have ${drive} of ${sizeBytes} bytes, more than this runtime can hold`, cause);
  }
}

async function wholePiece(chain: SnapshotChain, saved: SavedPiece): Promise<Blob> {
  const bytes = new Uint8Array(PIECE_BYTES);
  for await (const { cluster, bytes: from } of clustersOf(chain, saved))
    bytes.set(from, (cluster % PIECE_CLUSTERS) * OVERLAY_CLUSTER_BYTES);
  return new Blob([bytes]);
}

/** For people: how large a disk is, and how much of it is in the snapshot or its parents, not compressed. */
export function reportDisk({ drive, kind, sizeBytes, pieces }: SavedDisk) {
  const clusters = pieces.reduce((sum, { present }) => sum + countPages(present), 0);
  return { drive, kind, sizeBytes, savedBytes: clusters * OVERLAY_CLUSTER_BYTES };
}

/** Fields that whoever restores must give: not the files that the snapshot has. */
export function externalOf(saved: SavedConfig & { readonly disks: readonly SavedDisk[] }): readonly string[] {
  const drives = saved.config["drives"];
  const rows = Array.isArray(drives) ? (drives as Record<string, unknown>[]) : [];
  const given = saved.disks
    .filter(({ kind }) => kind === "whole")
    .map(({ drive }) => blobField(rows.findIndex((row) => row?.["id"] === drive)));
  return saved.external.filter((path) => !given.includes(path));
}

function blobField(drive: number): string {
  return `drives.${drive}.backend.blob`;
}

const SECTOR = 512;

/** Of a manifest that came from anywhere. Throws VmError("bad-snapshot"). */
export function checkDisk(raw: Record<string, unknown>, field: string): SavedDisk {
  const { drive, kind, sizeBytes, pieces } = raw;
  if (typeof drive !== "string") refuse(`${field}.drive`, "is not text");
  if (!KINDS.includes(kind as Kind)) refuse(`${field}.kind`, `is none of ${KINDS.join(", ")}`);
  const isSize = Number.isSafeInteger(sizeBytes) && (sizeBytes as number) > 0 && (sizeBytes as number) % SECTOR === 0;
  if (!isSize || (kind === "whole" && (sizeBytes as number) > WHOLE_MAX_BYTES))
    refuse(`${field}.sizeBytes`, "is not a size of a disk");
  if (!Array.isArray(pieces)) refuse(`${field}.pieces`, "is not a list");
  const size = sizeBytes as number;
  let last = -1;
  for (const [i, item] of (pieces as unknown[]).entries()) {
    const { piece, present, image } = (item ?? {}) as Record<string, unknown>;
    const name = `${field}.pieces[${i}]`;
    if (!Number.isSafeInteger(piece) || (piece as number) <= last || (piece as number) * PIECE_BYTES >= size)
      refuse(name, "is not in order within the disk");
    if (!(present instanceof Uint8Array) || present.length !== MASK_BYTES || present.every((byte) => byte === 0))
      refuse(name, "has no clusters");
    const clusters = Math.ceil((size - (piece as number) * PIECE_BYTES) / OVERLAY_CLUSTER_BYTES);
    for (let place = clusters; place < PIECE_CLUSTERS; place++)
      if (((present[place >> 3] as number) >> (place & 7)) & 1) refuse(name, "has clusters beyond the disk");
    if (typeof image !== "string" || !/^[0-9a-f]{64}$/.test(image)) refuse(name, "names no image");
    last = piece as number;
  }
  const samples = checkSamples(raw["samples"] ?? [], size, `${field}.samples`);
  return { drive, kind: kind as Kind, sizeBytes: size, pieces: pieces as SavedPiece[], samples };
}

function checkSamples(raw: unknown, sizeBytes: number, field: string): Sample[] {
  if (!Array.isArray(raw) || raw.length > SAMPLES) refuse(field, `is no list of at most ${SAMPLES}`);
  for (const item of raw as unknown[]) {
    const { cluster, digest } = (item ?? {}) as Record<string, unknown>;
    const isCluster = Number.isSafeInteger(cluster) && (cluster as number) >= 0;
    if (!isCluster || (cluster as number) * OVERLAY_CLUSTER_BYTES >= sizeBytes) refuse(field, "is not within the disk");
    if (!(digest instanceof Uint8Array) || digest.length !== 32) refuse(field, "has no digest");
  }
  return raw as Sample[];
}

/** Throws VmError("bad-state") when the VM has a disk whose writes would be lost. */
export function requireSavable(machine: Machine): void {
  const saved = new Set([...savable(machine)].map(({ drive }) => drive));
  const lost = machine.temporaryDrives().filter((id) => !saved.has(id));
  if (lost.length === 0) return;
  throw new VmError(
    "bad-state",
    `Cannot snapshot a VM whose drives (${lost.join(", ")}) keep writes in a temporary overlay of a folder or of the caller's own; give them an overlay file, or open them read-only.`,
    { drives: lost },
  );
}
