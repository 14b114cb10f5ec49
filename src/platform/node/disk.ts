// Opens disks by the names of files: format, backing files, overlays.
import { statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { type DiskFormat, detectFormat, type ImageFormat, SIGNATURE_BYTES } from "../../backends/block/detect.ts";
import { exportFat } from "../../backends/block/fat/volume.ts";
import { TemporaryOverlay } from "../../backends/block/overlay.ts";
import { createQcow2 } from "../../backends/block/qcow2/create.ts";
import { type Qcow2Header, readHeader } from "../../backends/block/qcow2/format.ts";
import { Qcow2Disk } from "../../backends/block/qcow2/image.ts";
import type { RandomAccessFile } from "../../backends/block/random-access.ts";
import { CD_SECTOR_BYTES, RawDisk } from "../../backends/block/raw.ts";
import type { BlockBackend } from "../../vmm/block.ts";
import { VmError } from "../../vmm/error.ts";
import { runSteps } from "../../vmm/maybe-promise.ts";
import { directoryTree } from "./directory-tree.ts";
import { openDiskFile, temporaryDiskFile } from "./disk-file.ts";

export interface OpenDiskOptions {
  /** Default: what the name says, where the content does not contradict. */
  readonly format?: DiskFormat | undefined;
  readonly readOnly?: boolean;
  /** Writes go to a temporary overlay and are dropped at the end; the file is only read. */
  readonly snapshot?: boolean;
  /** Writes go to this qcow2 image, which is made unless it is there, and stays. */
  readonly overlay?: string | undefined;
  readonly media?: "disk" | "cdrom";
  /** For a directory: the volume is a floppy without partition table. */
  readonly floppy?: boolean;
}

/** More images than this on top of each other are a mistake. */
const CHAIN_MAX = 32;

/**
 * Opens a disk. Throws VmError: "not-found", "host" for files that cannot be opened, "bad-image" for what is in them,
 * "bad-config" for options that contradict each other.
 */
export async function openDisk(path: string, options: OpenDiskOptions = {}): Promise<BlockBackend> {
  const cdrom = options.media === "cdrom";
  const readOnly = options.readOnly ?? cdrom;
  if (options.overlay !== undefined) {
    if (readOnly)
      throw new VmError(
        "bad-config",
        `${path}: an overlay for a read-only disk has no meaning; leave out one of them.`,
      );
    return await openOverlay(options.overlay, path, options);
  }
  const format = options.format ?? formatOf(path, cdrom);
  if (format === "dir") {
    const volume = exportFat(directoryTree(path), { floppy: options.floppy ?? false });
    return readOnly ? volume : new TemporaryOverlay(volume, temporaryDiskFile());
  }
  const base = await openImage(path, format, readOnly || options.snapshot === true, cdrom, []);
  return options.snapshot && !readOnly ? new TemporaryOverlay(base, temporaryDiskFile()) : base;
}

/** The header of a qcow2 file. */
export async function readQcow2Header(file: RandomAccessFile): Promise<Qcow2Header> {
  return await runSteps(readHeader(file));
}

/** "raw", "qcow2" or "dir" for a file whose user does not say. Throws VmError. */
export function formatOf(path: string, cdrom = false): DiskFormat {
  if (isDirectory(path)) return "dir";
  if (cdrom) return "raw";
  const file = openDiskFile(path, "read");
  const head = new Uint8Array(SIGNATURE_BYTES);
  file.read(0, head);
  file.close();
  return detectFormat(path, head);
}

async function openImage(
  path: string,
  format: DiskFormat,
  readOnly: boolean,
  cdrom: boolean,
  above: readonly string[],
): Promise<BlockBackend> {
  const file = openDiskFile(path, readOnly ? "read" : "write");
  try {
    if (!readOnly) await file.lock();
    if (format === "raw") return new RawDisk(file, { readOnly, ...(cdrom ? { sectorBytes: CD_SECTOR_BYTES } : {}) });
    const header = await readQcow2Header(file);
    const backing = await openBacking(path, header, above);
    return await Qcow2Disk.open(file, header, { readOnly, backing });
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openBacking(
  path: string,
  header: Qcow2Header,
  above: readonly string[],
): Promise<BlockBackend | undefined> {
  const below = backingPath(path, header);
  if (below === undefined) return undefined;
  const bad = (what: string): VmError => new VmError("bad-image", `${path}: ${what}.`, { path, backing: below.path });
  const chain = [...above, resolve(path)];
  if (chain.includes(below.path)) throw bad(`its chain of backing files comes back to ${below.path}`);
  if (chain.length >= CHAIN_MAX) throw bad(`more than ${CHAIN_MAX} backing files lie on top of each other`);
  return await openImage(below.path, below.format, true, false, chain);
}

/** Where the backing file of an image is and what it is. Throws VmError("bad-image") unless both are certain. */
export function backingPath(path: string, header: Qcow2Header): { path: string; format: ImageFormat } | undefined {
  const { backingName, backingFormat } = header;
  if (backingName === undefined) return undefined;
  const bad = (what: string): VmError => new VmError("bad-image", `${path}: ${what}.`, { path, backingName });
  if (backingFormat !== "raw" && backingFormat !== "qcow2") {
    const advice = "record it with qemu-img rebase -u -F raw or -F qcow2";
    throw bad(`the format of its backing file ${backingName} is ${backingFormat ?? "not recorded"}; ${advice}`);
  }
  const name = backingName.replace(/^file:/, "");
  if (/^\w{2,}:/.test(name)) throw bad(`its backing file ${name} is no file of this host`);
  return { path: isAbsolute(name) ? name : resolve(dirname(path), name), format: backingFormat };
}

async function openOverlay(overlay: string, base: string, options: OpenDiskOptions): Promise<BlockBackend> {
  if (!exists(overlay)) {
    const format = options.format ?? formatOf(base);
    if (format === "dir")
      throw new VmError("bad-config", `${base} is a directory, which no overlay can be kept on; leave out overlay.`);
    const below = await openImage(base, format, true, false, []);
    const { sizeBytes } = below;
    await below.close();
    const file = openDiskFile(overlay, "create");
    await createQcow2(file, { sizeBytes, backing: { name: resolve(base), format } });
    await file.close();
  }
  const file = openDiskFile(overlay, "read");
  const { backingName } = await readQcow2Header(file);
  await file.close();
  if (backingName === undefined || resolve(dirname(overlay), backingName) !== resolve(base)) {
    const below = backingName === undefined ? "has no backing file" : `lies on ${backingName}`;
    throw new VmError(
      "bad-config",
      `The overlay ${overlay} ${below}, not on ${base}; name the disk that it belongs to.`,
      {
        overlay,
        base,
      },
    );
  }
  return await openImage(overlay, "qcow2", false, false, []);
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
