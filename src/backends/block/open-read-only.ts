// A disk whose image cannot be written: what the guest writes goes to memory and is gone at the end.
import type { BlockBackend } from "../../vmm/block.ts";
import { VmError } from "../../vmm/error.ts";
import { runSteps } from "../../vmm/maybe-promise.ts";
import { detectFormat, SIGNATURE_BYTES } from "./detect.ts";
import { TemporaryOverlay } from "./overlay.ts";
import { blobFile } from "./piece-file.ts";
import { readHeader } from "./qcow2/format.ts";
import { Qcow2Disk } from "./qcow2/image.ts";
import { MemoryFile, type RandomAccessFile } from "./random-access.ts";
import { CD_SECTOR_BYTES, RawDisk } from "./raw.ts";

export interface ReadOnlyImageOptions {
  readonly format?: string | undefined;
  readonly overlay?: string | undefined;
  readonly readOnly?: boolean | undefined;
  readonly media: "disk" | "cdrom";
}

export function openBlobDisk(blob: Blob, name: string, options: ReadOnlyImageOptions): Promise<BlockBackend> {
  return openReadOnlyImage(blobFile(blob, name), options);
}

/** Closes `file` with the disk, or at once when it is none. Throws VmError("bad-image" | "bad-config" | "io"). */
export async function openReadOnlyImage(file: RandomAccessFile, options: ReadOnlyImageOptions): Promise<BlockBackend> {
  try {
    const cdrom = options.media === "cdrom";
    const base = await openImage(file, options);
    return (options.readOnly ?? cdrom) ? base : new TemporaryOverlay(base, new MemoryFile());
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openImage(file: RandomAccessFile, options: ReadOnlyImageOptions): Promise<BlockBackend> {
  const { format, overlay, media } = options;
  const refuse = (field: string, value: string, accepted: string): never => {
    throw new VmError("bad-config", `${file.name}: ${field} ${value} needs files of the host; accepted: ${accepted}.`, {
      field,
    });
  };
  if (overlay !== undefined) refuse("overlay", overlay, "none");
  if (format === "dir") refuse("format", format, "raw, qcow2");
  if (media === "cdrom") return new RawDisk(file, { readOnly: true, sectorBytes: CD_SECTOR_BYTES });
  if (file.sizeBytes === 0) throw new VmError("bad-image", `${file.name} is empty; a disk image is expected.`);
  if ((format ?? (await formatOf(file))) === "raw") return new RawDisk(file, { readOnly: true });
  const header = await runSteps(readHeader(file));
  if (header.backingName !== undefined) {
    throw new VmError(
      "bad-image",
      `${file.name} lies on ${header.backingName}, which is out of reach here; flatten it with qemu-img convert.`,
      { name: file.name, backing: header.backingName },
    );
  }
  return await Qcow2Disk.open(file, header, { readOnly: true });
}

async function formatOf(file: RandomAccessFile): Promise<string> {
  const head = new Uint8Array(SIGNATURE_BYTES);
  await file.read(0, head);
  return detectFormat(file.name, head);
}
