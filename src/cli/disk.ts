// `paravane disk`: makes, describes, converts and checks disk images, and writes an overlay into what lies below it.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { copyData } from "../backends/block/copy.ts";
import type { ImageFormat } from "../backends/block/detect.ts";
import { checkQcow2 } from "../backends/block/qcow2/check.ts";
import { createQcow2 } from "../backends/block/qcow2/create.ts";
import { Qcow2Disk } from "../backends/block/qcow2/image.ts";
import type { RandomAccessFile } from "../backends/block/random-access.ts";
import { backingPath, formatOf, openDisk, readQcow2Header } from "../platform/node/disk.ts";
import { openDiskFile } from "../platform/node/disk-file.ts";
import { VmError } from "../vmm/error.ts";
import { EXIT_IMAGE, EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { parseChoice, UsageError } from "./values.ts";

const FORMATS: readonly ImageFormat[] = ["raw", "qcow2"];
const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
/** 2^53: beyond it offsets are not exact. */
const SIZE_MAX = 8 * 2 ** 50;

export interface RawDiskOptions {
  format?: string;
  from?: string;
  to?: string;
  backing?: string;
  backingFormat?: string;
  json?: boolean;
}

/** "10G", "512M", "1474560": bytes. */
export function parseDiskSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text);
  const bytes = match ? Number(match[1]) * (SIZE_UNITS[(match[2] ?? "").toLowerCase()] ?? 1) : Number.NaN;
  if (!(bytes > 0 && bytes <= SIZE_MAX) || bytes % 512 !== 0)
    throw new UsageError(`size: "${text}" is not a multiple of 512 bytes such as 1474560, 512M or 10G`);
  return bytes;
}

export async function createVerb(path: string, size: string | undefined, options: RawDiskOptions): Promise<number> {
  const { backing } = options;
  const byName = backing === undefined ? formatForName(path) : "qcow2";
  const format = options.format === undefined ? byName : parseChoice(options.format, "--format", FORMATS);
  if (backing === undefined && size === undefined) throw new UsageError("disk create needs a size such as 10G");
  if (backing !== undefined && format === "raw") throw new UsageError("--backing: raw images have no backing file");
  let sizeBytes = size === undefined ? 0 : parseDiskSize(size);
  let below: { name: string; format: ImageFormat } | undefined;
  if (backing !== undefined) {
    const backingFormat =
      options.backingFormat === undefined
        ? imageFormat(backing)
        : parseChoice(options.backingFormat, "--backing-format", FORMATS);
    const disk = await openDisk(backing, { format: backingFormat, readOnly: true });
    if (size === undefined) ({ sizeBytes } = disk);
    await disk.close();
    below = { name: resolve(backing), format: backingFormat };
  }
  const file = openDiskFile(path, "create");
  await makeImage(file, format, sizeBytes, below);
  await file.close();
  return EXIT_OK;
}

export async function infoVerb(path: string, options: RawDiskOptions, io: CliIo): Promise<number> {
  const format = options.format === undefined ? imageFormat(path) : parseChoice(options.format, "--format", FORMATS);
  const { blocks, size } = await stat(path);
  const facts: Record<string, unknown> = { file: path, format };
  const file = openDiskFile(path, "read");
  if (format === "qcow2") {
    const header = await readQcow2Header(file);
    const disk = await Qcow2Disk.open(file, header, { readOnly: true });
    facts.sizeBytes = header.sizeBytes;
    facts.version = header.version;
    facts.clusterBytes = 2 ** header.clusterBits;
    if (header.backingName !== undefined) {
      facts.backingFile = header.backingName;
      facts.backingFormat = header.backingFormat ?? null;
    }
    if (disk.snapshots.length > 0) facts.snapshots = disk.snapshots.map(({ id, name }) => (name === "" ? id : name));
    if (header.dirty) facts.dirty = true;
    if (header.corrupt) facts.corrupt = true;
    await disk.close();
  } else {
    facts.sizeBytes = size;
    await file.close();
  }
  facts.onDiskBytes = blocks * 512;
  const text = Object.entries(facts).map(([name, value]) => `${name.padEnd(14)} ${String(value)}`);
  io.stdout.write(`${options.json ? JSON.stringify(facts) : text.join("\n")}\n`);
  return EXIT_OK;
}

export async function convertVerb(from: string, to: string, options: RawDiskOptions): Promise<number> {
  const format = options.to === undefined ? formatForName(to) : parseChoice(options.to, "--to", FORMATS);
  const fromFormat =
    options.from === undefined ? formatOf(from) : parseChoice(options.from, "--from", [...FORMATS, "dir" as const]);
  const source = await openDisk(from, { format: fromFormat, readOnly: true });
  try {
    const file = openDiskFile(to, "create");
    await makeImage(file, format, source.sizeBytes, undefined);
    await file.close();
    const target = await openDisk(to, { format });
    try {
      await copyData(source, target);
      await target.flush();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  return EXIT_OK;
}

export async function checkVerb(path: string, options: RawDiskOptions, io: CliIo): Promise<number> {
  if (options.format !== "qcow2" && imageFormat(path) !== "qcow2") {
    throw new VmError("bad-image", `${path} is a raw image: there is nothing in it that could be wrong.`, { path });
  }
  const file = openDiskFile(path, "read");
  const result = await checkQcow2(file, await readQcow2Header(file));
  await file.close();
  if (options.json) io.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const error of result.errors) io.stdout.write(`error: ${error}\n`);
    const verdict = result.errors.length === 0 ? "sound" : "damaged; qemu-img check -r all repairs what can be";
    io.stdout.write(`${path}: ${verdict}; ${result.usedClusters} clusters in use, ${result.leakedClusters} leaked\n`);
  }
  return result.errors.length === 0 ? EXIT_OK : EXIT_IMAGE;
}

/** Writes what an overlay has into its backing file; the overlay stays as it is. */
export async function commitVerb(path: string, io: CliIo): Promise<number> {
  const file = openDiskFile(path, "read");
  const header = await readQcow2Header(file);
  const below = backingPath(path, header);
  if (below === undefined) {
    await file.close();
    throw new VmError("bad-image", `${path} has no backing file to commit to.`, { path });
  }
  const target = await openDisk(below.path, { format: below.format });
  // Without its backing file: only what the overlay has itself is asked for.
  const overlay = await Qcow2Disk.open(file, header, { readOnly: true });
  let count = 0;
  try {
    if (target.sizeBytes < overlay.sizeBytes)
      throw new VmError("bad-image", `${below.path} is smaller than ${path}; enlarge it first.`, { path });
    await overlay.ownClusters(async (offset, length) => {
      const bytes = new Uint8Array(length);
      await overlay.read(offset, bytes);
      await target.write(offset, bytes);
      count += length;
    });
    await target.flush();
  } finally {
    await overlay.close();
    await target.close();
  }
  io.stdout.write(`${count} bytes written to ${below.path}\n`);
  return EXIT_OK;
}

async function makeImage(
  file: RandomAccessFile,
  format: ImageFormat,
  sizeBytes: number,
  backing: { name: string; format: ImageFormat } | undefined,
): Promise<void> {
  if (format === "raw") await file.truncate(sizeBytes);
  else await createQcow2(file, { sizeBytes, ...(backing === undefined ? {} : { backing }) });
}

function formatForName(path: string): ImageFormat {
  return /\.qcow2$/i.test(path) ? "qcow2" : "raw";
}

function imageFormat(path: string): ImageFormat {
  const format = formatOf(path);
  if (format === "dir") throw new UsageError(`${path} is a directory; an image file is expected`);
  return format;
}
