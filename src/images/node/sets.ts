// The images that can be pulled, and how each is made.
import { join } from "node:path";
import { VmError } from "../../vmm/error.ts";
import { readTar } from "../archive.ts";
import type { CpioEntry } from "../cpio.ts";
import { debEntries } from "../deb.ts";
import { buildInitramfs } from "../initramfs.ts";
import { moduleEntries } from "../modules.ts";
import { buildTinyKernel, checkBuildTools } from "./kernel-build.ts";
import { type DebianPackage, openPackageSource, type PackageSource, type SourceOptions } from "./packages.ts";

export const GUEST_ARCHITECTURE = "i386";

export interface BuiltImage {
  readonly kind: "linux" | "firmware";
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly source: string;
  readonly append: string;
  readonly memoryBytes?: number;
  /** It is used through its screen. */
  readonly display?: "vga";
}

export interface ImageSet {
  readonly name: string;
  readonly title: string;
  /** Counted up when it is made of something else: older ones are made again. Default 1. */
  readonly recipe?: number;
  /** `directory` is for work in progress. */
  build(directory: string, options: SourceOptions): Promise<BuiltImage>;
}

const MIB = 1 << 20;
/** Drivers of our network cards, and what a DHCP client needs; init loads those of the cards that there are. */
const NETWORK_MODULES = ["virtio_pci", "virtio_net", "8139cp", "8139too", "af_packet"];
/** 2: drivers of network cards. */
const LINUX_RECIPE = 2;
const SERIAL_CONSOLE = "console=ttyS0";

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
  { name: "memtest86+", title: "the memory tester", build: memtest },
  {
    name: "debian-installer",
    title: "Debian's installer over the network, on the screen",
    build: debianInstaller,
  },
  { name: "seabios", title: "SeaBIOS and its VGA BIOS, the usual PC firmware", build: seabios },
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
  const { entries } = moduleEntries(debEntries(kernelTar), NETWORK_MODULES);
  return {
    kind: "linux",
    files: { kernel, initrd: await shellInitrd(busyboxPackage, entries) },
    source: describe([kernelPackage, busyboxPackage]),
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
    source: describe([kernelSource, busyboxPackage]),
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
    source: describe([debianPackage]),
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
    source: describe([debianPackage]),
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
    source: describe([debianPackage]),
    append: "",
  };
}

async function shellInitrd(busyboxPackage: DebianPackage, entries: readonly CpioEntry[] = []): Promise<Uint8Array> {
  const busybox = fileOf(await busyboxPackage.dataTar(), /^(usr\/)?bin\/busybox$/, busyboxPackage);
  // Not compressed: the guest would spend longer on unpacking it than the host on reading a megabyte more.
  return buildInitramfs({ busybox, entries });
}

export interface GuestImageOptions extends SourceOptions {
  /** The metapackage of the kernel. Default "linux-image-686". */
  readonly kernelPackage?: string;
  /** Debian packages whose files go into the initramfs, with all that they depend on. */
  readonly packages?: readonly string[];
  /** Kernel modules (with what they depend on) that are in the initramfs, for `modprobe`. */
  readonly modules?: readonly string[];
  /** Those of them that init loads first. */
  readonly autoloadModules?: readonly string[];
  /** More files. */
  readonly entries?: readonly CpioEntry[];
}

/** A Linux guest with programs of Debian's in its initramfs: for tests of whole guests, and for one's own images. */
export async function buildGuestImage(directory: string, options: GuestImageOptions): Promise<BuiltImage> {
  const source = await open(directory, options);
  const metapackage = options.kernelPackage ?? "linux-image-686";
  const name = (await source.dependencies(metapackage)).find((dependency) => dependency.startsWith("linux-image-"));
  if (name === undefined) throw new VmError("host", `The package ${metapackage} names no kernel; try another mirror.`);
  const [kernelPackage, busyboxPackage] = (await source.fetch([name, "busybox-static"])) as [
    DebianPackage,
    DebianPackage,
  ];
  const kernelTar = await kernelPackage.dataTar();
  const wanted = [...(options.modules ?? []), ...(options.autoloadModules ?? [])];
  const modules = moduleEntries(wanted.length === 0 ? [] : debEntries(kernelTar), wanted);
  if (modules.missing.length > 0) {
    throw new VmError(
      "bad-config",
      `${name} has no module ${modules.missing.join(", ")}; leave out what is built in, and check the names.`,
      { missing: modules.missing },
    );
  }
  const extra = options.packages?.length ? await source.fetchWithDependencies(options.packages) : [];
  const entries: CpioEntry[] = [...modules.entries];
  for (const debianPackage of extra) {
    options.onProgress?.({ phase: `unpacking ${debianPackage.name}` });
    entries.push(...debEntries(await debianPackage.dataTar()));
  }
  entries.push(...(options.entries ?? []));
  const busybox = fileOf(await busyboxPackage.dataTar(), /^(usr\/)?bin\/busybox$/, busyboxPackage);
  const initrd = buildInitramfs({ busybox, entries, autoloadModules: options.autoloadModules ?? [] });
  return {
    kind: "linux",
    files: { kernel: fileOf(kernelTar, /^boot\/vmlinuz-/, kernelPackage), initrd },
    source: describe([kernelPackage, busyboxPackage, ...extra]),
    append: SERIAL_CONSOLE,
    // The archive and the file system that it becomes are both in memory for a moment.
    memoryBytes: Math.max(256, Math.ceil((128 * MIB + 3 * initrd.length) / (64 * MIB)) * 64) * MIB,
  };
}

function fileOf(tar: Uint8Array, path: RegExp, debianPackage: DebianPackage): Uint8Array {
  for (const entry of readTar(tar))
    if (entry.kind === "file" && path.test(entry.path)) return new Uint8Array(entry.data);
  throw new VmError(
    "host",
    `The package ${debianPackage.name} ${debianPackage.version} has no file like ${path.source}; its layout has changed.`,
  );
}

const describe = (packages: readonly DebianPackage[]): string =>
  packages.map(({ name, version }) => `${name} ${version}`).join(", ");
