// Files that a visitor drops: what each one is, and what machine they make together.
import { type BootSource, type DriveConfig, detectImageKind, VmError } from "../src/index.ts";
import type { Preset } from "./catalogue.ts";

export type FileKind = "kernel" | "initrd" | "firmware" | "cdrom" | "disk" | "floppy" | "snapshot";

export interface DroppedFile {
  readonly file: File;
  readonly kind: FileKind;
}

export const KIND_NAMES: Readonly<Record<FileKind, string>> = {
  kernel: "kernel",
  initrd: "initial RAM disk",
  firmware: "BIOS",
  cdrom: "CD",
  disk: "hard disk",
  floppy: "floppy disk",
  snapshot: "saved guest",
};

/** Enough to tell what a file is: the volume descriptor of a CD lies at 32 KiB. */
const HEAD_BYTES = 64 * 1024;
/** Larger ones are disks, whatever they hold. */
const KERNEL_MAX = 256 * 2 ** 20;
const FLOPPY_MAX = 2880 * 1024;
/** docs/SNAPSHOTS.md. */
const SNAPSHOT_MAGIC = [0x89, 0x50, 0x56, 0x53, 0x0d, 0x0a, 0x1a, 0x0a];
/** cpio (newc, crc), gzip, xz, zstd, bzip2, lzma, lz4: what an initrd begins with. */
const INITRD_MAGICS: readonly (readonly number[])[] = [
  [0x30, 0x37, 0x30, 0x37, 0x30, 0x31],
  [0x30, 0x37, 0x30, 0x37, 0x30, 0x32],
  [0x1f, 0x8b],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0x42, 0x5a, 0x68],
  [0x5d, 0x00, 0x00],
  [0x02, 0x21, 0x4c, 0x18],
];
const QCOW2_MAGIC = [0x51, 0x46, 0x49, 0xfb];

/** Throws VmError("bad-image") for what no machine can use. */
export async function inspectFile(file: File): Promise<DroppedFile> {
  const head = await bytesOf(file, HEAD_BYTES);
  if (head.length === 0) throw bad(file, "is empty");
  const begins = (magic: readonly number[]): boolean => magic.every((byte, i) => head[i] === byte);
  if (begins(SNAPSHOT_MAGIC)) return { file, kind: "snapshot" };
  if (begins(QCOW2_MAGIC)) return { file, kind: "disk" };
  if (INITRD_MAGICS.some(begins)) return { file, kind: "initrd" };
  const kind = detectImageKind(head.length < file.size && file.size <= KERNEL_MAX ? await bytesOf(file) : head);
  if (kind === "iso") return { file, kind: "cdrom" };
  if (kind === "firmware") return { file, kind: "firmware" };
  if (kind === "linux" || kind === "multiboot" || kind === "elf") return { file, kind: "kernel" };
  if (kind === "boot-sector") return { file, kind: file.size <= FLOPPY_MAX ? "floppy" : "disk" };
  if (/\.(img|raw|disk|hdd)$/i.test(file.name) && file.size % 512 === 0) return { file, kind: "disk" };
  throw bad(file, "is none of: kernel, initial RAM disk, BIOS, CD or disk image, saved guest");
}

export interface Assembled {
  readonly name: string;
  readonly boot: BootSource;
  readonly vgaBios?: Uint8Array;
  readonly drives: readonly DriveConfig[];
}

/**
 * The machine that the files make. `firmware` boots disks where no BIOS is among them. Throws VmError("bad-config") for files
 * that do not go together.
 */
export async function assemble(
  files: readonly DroppedFile[],
  append: string | undefined,
  paravirtual: boolean,
  firmware: Preset | undefined,
): Promise<Assembled> {
  const only = (kind: FileKind): DroppedFile | undefined => {
    const found = files.filter((dropped) => dropped.kind === kind);
    if (found.length > 1)
      throw new VmError("bad-config", `There are ${found.length} files that are a ${KIND_NAMES[kind]}; remove one.`);
    return found[0];
  };
  const drives = drivesOf(files, paravirtual);
  const kernel = only("kernel");
  const bios = only("firmware");
  const initrd = only("initrd");
  if (kernel !== undefined) {
    const boot = await bootKernel(kernel.file, initrd?.file, append);
    return { name: kernel.file.name, boot, drives };
  }
  if (initrd !== undefined)
    throw new VmError(
      "bad-config",
      `${initrd.file.name} is an initial RAM disk; drop the kernel that it belongs to, too.`,
    );
  const name = files.find(({ kind }) => kind !== "firmware")?.file.name ?? bios?.file.name ?? "guest";
  if (bios !== undefined) return { name, boot: { kind: "firmware", image: await bytesOf(bios.file) }, drives };
  if (firmware === undefined) {
    throw new VmError(
      "bad-config",
      `${name} needs a BIOS to boot from: drop one too, or serve this page where "paravane images pull seabios" was run.`,
    );
  }
  const vgaBios = await firmware.file("vgabios");
  return { name, boot: await firmware.load(undefined), drives, ...(vgaBios === undefined ? {} : { vgaBios }) };
}

/** A kernel by its bytes, with what it starts. Throws VmError("bad-image") where it is none. */
export async function bootKernel(
  file: Blob & { readonly name: string },
  initrd: Blob | undefined,
  append: string | undefined,
): Promise<BootSource> {
  const kernel = await bytesOf(file);
  const words = append === undefined ? {} : { append };
  switch (detectImageKind(kernel)) {
    case "linux":
      return { kind: "linux", kernel, ...words, ...(initrd === undefined ? {} : { initrd: await bytesOf(initrd) }) };
    case "multiboot": {
      const modules = initrd === undefined ? [] : [{ image: await bytesOf(initrd), append: "" }];
      return { kind: "multiboot", kernel, name: file.name, ...words, modules };
    }
    case "elf":
      return { kind: "elf", kernel };
    default:
      throw bad(file, "is no kernel: neither Linux nor multiboot nor a 32-bit ELF file");
  }
}

/** The guest reads what was dropped, and its writes are gone with it. */
function drivesOf(files: readonly DroppedFile[], paravirtual: boolean): DriveConfig[] {
  const drives: DriveConfig[] = [];
  for (const { file, kind } of files) {
    if (kind !== "cdrom" && kind !== "disk" && kind !== "floppy") continue;
    const backend = {
      path: file.name,
      blob: file,
      ...(kind === "disk" && /\.qcow2$/i.test(file.name) ? { format: "qcow2" as const } : {}),
    };
    const id = `${kind}${drives.length}`;
    if (kind === "cdrom") drives.push({ id, bus: "ide", media: "cdrom", backend });
    else if (kind === "floppy") drives.push({ id, bus: "floppy", backend });
    else drives.push({ id, bus: paravirtual ? "virtio" : "ide", backend });
  }
  return drives;
}

async function bytesOf(file: Blob, most = file.size): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(0, most).arrayBuffer());
  } catch (cause) {
    throw new VmError("io", `${(file as File).name ?? "The file"} cannot be read any more.`, {}, { cause });
  }
}

function bad(file: { readonly name: string }, what: string): VmError {
  return new VmError("bad-image", `${file.name} ${what}.`, { name: file.name });
}
