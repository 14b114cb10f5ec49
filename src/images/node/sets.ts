// The images that can be pulled, and how each is made.
import { join } from "node:path";
import { VmError } from "../../vmm/error.ts";
import type { CpioEntry } from "../cpio.ts";
import { debEntries } from "../deb.ts";
import { DEVICE_INIT_SCRIPT, DEVICE_MODULES } from "../init.ts";
import { buildInitramfs } from "../initramfs.ts";
import { moduleEntries } from "../modules.ts";
import { type BuiltImage, describePackages, fileOf, GUEST_ARCHITECTURE, SERIAL_CONSOLE } from "./built-image.ts";
import { debianDisk } from "./debian-disk.ts";
import { buildTinyKernel, checkBuildTools } from "./kernel-build.ts";
import { type DebianPackage, openPackageSource, type PackageSource, type SourceOptions } from "./packages.ts";

export interface ImageSet {
  readonly name: string;
  readonly title: string;
  /** Counted up when it is made of something else: older ones are made again. Default 1. */
  readonly recipe?: number;
  /** "disk": it is one that firmware boots. "no": it is a part of machines. Default "yes". */
  readonly runs?: "yes" | "disk" | "no";
  /** `directory` is for work in progress. */
  build(directory: string, options: SourceOptions): Promise<BuiltImage>;
}

const MIB = 1 << 20;
/** Drivers of our network cards, and what a DHCP client needs; init loads those of the cards that there are. */
const NETWORK_MODULES = ["virtio_pci", "virtio_net", "8139cp", "8139too", "af_packet"];
/** 2: drivers of network cards. 3: of disks, CDs and virtio. */
const LINUX_RECIPE = 3;

export const imageSets: readonly ImageSet[] = [
  {
    name: "linux",
    title: "Debian's stock i386 kernel with a busybox shell",
    recipe: LINUX_RECIPE,
    build: (directory, options) => debianLinux("linux-image-686", directory, options),
  },
  {
    name: "linux-pae",
    title: "Debian's stock i386 PAE kernel with a busybox shell",
    recipe: LINUX_RECIPE,
    build: (directory, options) => debianLinux("linux-image-686-pae", directory, options),
  },
  { name: "linux-tiny", title: "a kernel of 1 MB, built here, with a busybox shell", build: tinyLinux },
  {
    name: "debian",
    title: "Debian on a disk, started by its boot loader; root without a password",
    runs: "disk",
    build: debianDisk,
  },
  { name: "memtest86+", title: "the memory tester", build: memtest },
  {
    name: "debian-installer",
    title: "Debian's installer over the network, on the screen",
    build: debianInstaller,
  },
  { name: "seabios", title: "SeaBIOS and its VGA BIOS, the usual PC firmware", build: seabios },
  { name: "ipxe", title: "iPXE in the option ROMs of network cards, for --boot n", runs: "no", build: ipxe },
];

const open = async (directory: string, options: SourceOptions): Promise<PackageSource> =>
  await openPackageSource(join(directory, "packages"), GUEST_ARCHITECTURE, options);

async function debianLinux(metapackage: string, directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const name = (await source.dependencies(metapackage)).find((dependency) => dependency.startsWith("linux-image-"));
  if (name === undefined) throw new VmError("host", `The package ${metapackage} names no kernel; try another mirror.`);
  const [kernelPackage, busyboxPackage] = (await source.fetch([name, "busybox-static"])) as [
    DebianPackage,
    DebianPackage,
  ];
  options.onProgress?.({ phase: "unpacking the kernel" });
  const kernelTar = await kernelPackage.dataTar();
  const kernel = fileOf(kernelTar, /^boot\/vmlinuz-/, kernelPackage);
  const { entries } = moduleEntries(debEntries(kernelTar), [...NETWORK_MODULES, ...DEVICE_MODULES]);
  const init = new TextEncoder().encode(DEVICE_INIT_SCRIPT);
  entries.push({ kind: "file", path: "init", data: init, permissions: 0o755 });
  return {
    kind: "linux",
    files: { kernel, initrd: await shellInitrd(busyboxPackage, entries) },
    source: describePackages([kernelPackage, busyboxPackage]),
    append: SERIAL_CONSOLE,
    memoryBytes: 256 * MIB,
  };
}

async function tinyLinux(directory: string, options: SourceOptions): Promise<BuiltImage> {
  await checkBuildTools();
  const source = await open(directory, options);
  const [kernelSource, busyboxPackage] = (await source.fetch(["linux-source-6.1", "busybox-static"])) as [
    DebianPackage,
    DebianPackage,
  ];
  const kernel = await buildTinyKernel(kernelSource, join(directory, "build"), options);
  return {
    kind: "linux",
    files: { kernel, initrd: await shellInitrd(busyboxPackage) },
    source: describePackages([kernelSource, busyboxPackage]),
    append: SERIAL_CONSOLE,
    memoryBytes: 64 * MIB,
  };
}

async function memtest(directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const [debianPackage] = (await source.fetch(["memtest86+"])) as [DebianPackage];
  const kernel = fileOf(
    await debianPackage.dataTar(),
    /^boot\/(memtest86\+)?ia32\.bin$|^boot\/memtest86\+ia32\.bin$/,
    debianPackage,
  );
  return {
    kind: "linux",
    files: { kernel },
    source: describePackages([debianPackage]),
    append: `${SERIAL_CONSOLE},115200`,
    memoryBytes: 64 * MIB,
  };
}

async function debianInstaller(directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const [debianPackage] = (await source.fetch(["debian-installer-12-netboot-i386"])) as [DebianPackage];
  const tar = await debianPackage.dataTar();
  const part = (name: string): Uint8Array =>
    fileOf(tar, new RegExp(`/i386/text/debian-installer/i386/${name}$`), debianPackage);
  return {
    kind: "linux",
    files: { kernel: part("linux"), initrd: part("initrd\\.gz") },
    source: describePackages([debianPackage]),
    // Its dialogues as text: no driver for the adapter, no frame buffer.
    append: "nomodeset fb=false",
    memoryBytes: 512 * MIB,
    display: "vga",
  };
}

async function seabios(directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const [debianPackage] = (await source.fetch(["seabios"])) as [DebianPackage];
  const tar = await debianPackage.dataTar();
  const part = (name: string): Uint8Array =>
    fileOf(tar, new RegExp(`^usr/share/seabios/${name}\\.bin$`), debianPackage);
  return {
    kind: "firmware",
    files: { firmware: part("bios-256k"), bios: part("bios"), vgabios: part("vgabios-stdvga") },
    source: describePackages([debianPackage]),
    append: "",
  };
}

/** One for each card that we have, under the name of its model. */
async function ipxe(directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const [debianPackage] = (await source.fetch(["ipxe-qemu"])) as [DebianPackage];
  const tar = await debianPackage.dataTar();
  const rom = (name: string): Uint8Array => fileOf(tar, new RegExp(`/pxe-${name}\\.rom$`), debianPackage);
  return {
    kind: "roms",
    files: { virtio: rom("virtio"), rtl8139: rom("rtl8139") },
    source: describePackages([debianPackage]),
    append: "",
  };
}

async function shellInitrd(busyboxPackage: DebianPackage, entries: readonly CpioEntry[] = []): Promise<Uint8Array> {
  const busybox = fileOf(await busyboxPackage.dataTar(), /^(usr\/)?bin\/busybox$/, busyboxPackage);
  // Not compressed: the guest would spend longer on unpacking it than the host on reading a megabyte more.
  return buildInitramfs({ busybox, entries });
}
