// From what one names on the command line to what a machine boots.
import { readFile } from "node:fs/promises";
import type { BootSource, VmConfig } from "../vmm/config.ts";
import type { DriveConfig, NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import { BOOT_ROM_IMAGE, bootsOverNetwork, withBootRoms } from "./boot-roms.ts";
import { errorText } from "./chardev.ts";
import { type GuestRequest, type MachineOptions, moduleOf } from "./machine-options.ts";
import type { Progress } from "./progress.ts";
import { type RomEntry, readRomImage, readRomManifest } from "./roms.ts";
import { didYouMean, parseMemory, UsageError } from "./values.ts";

export interface ResolvedGuest {
  /** For messages and statistics. */
  readonly name: string;
  readonly boot: BootSource;
  /** What the guest needs where the user says nothing else. */
  readonly defaults: Partial<VmConfig>;
  /** The disk that it boots from, before those of the user. */
  readonly drives?: readonly DriveConfig[];
  /** The user's network cards, with what they boot by. */
  readonly nics?: readonly NicConfig[];
}

/** What boots a machine of which only the disks are given. */
const FIRMWARE_IMAGE = "seabios";

/** What is said of the machine comes before what its guest would have. */
export function machineConfig(resolved: ResolvedGuest, { machine }: Pick<MachineOptions, "machine">): VmConfig {
  const { name, boot, defaults } = resolved;
  const drives = [...(resolved.drives ?? []), ...(machine.drives ?? [])];
  const nics = resolved.nics === undefined ? {} : { nics: resolved.nics };
  return { ...defaults, ...machine, ...(drives.length === 0 ? {} : { drives }), ...nics, name, boot };
}

/** Reads everything the guest is made of. Throws UsageError or VmError("not-found" | "bad-image"). */
export async function resolveGuest(request: GuestRequest, progress: Progress): Promise<ResolvedGuest> {
  const resolved = await resolveBoot(request, progress);
  const vgaBios = await readVgaBios(request, resolved, progress);
  const defaults = vgaBios === undefined ? resolved.defaults : { ...resolved.defaults, vgaBios };
  const { nics = [], bootOrder } = request;
  if (resolved.boot.kind !== "firmware" || !bootsOverNetwork(nics, bootOrder)) return { ...resolved, defaults };
  return { ...resolved, defaults, nics: await pulled(BOOT_ROM_IMAGE, progress, () => withBootRoms(nics)) };
}

/** Firmware runs it, and it has the font for guests that start without firmware. */
async function readVgaBios(
  { display, vgaBios }: GuestRequest,
  { name, boot, defaults, drives }: ResolvedGuest,
  progress: Progress,
): Promise<Uint8Array | undefined> {
  if (vgaBios !== undefined) return await readInput(vgaBios, "--vga-bios");
  const isSeaBios = boot.kind === "firmware" && (name === FIRMWARE_IMAGE || drives !== undefined);
  if ((display ?? defaults.display ?? (isSeaBios ? "vga" : "none")) === "none") return undefined;
  const { readImageFile } = await import("../images/node/index.ts");
  return await pulled(FIRMWARE_IMAGE, progress, () => readImageFile(FIRMWARE_IMAGE, "vgabios"));
}

/** What `open` reads of an image, which is pulled where it is not here. */
async function pulled<T>(name: string, progress: Progress, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof VmError && error.code === "not-found")) throw error;
    const { pullImage } = await import("../images/node/index.ts");
    await pullImage(name, { onProgress: (step) => progress.show(step) });
    progress.done();
    return await open();
  }
}

/** Whoever else boots writes to no disk of its own. */
async function requireOwnDisk({ guest, kernel, bios }: GuestRequest): Promise<void> {
  const { knownImages } = await import("../images/node/index.ts");
  const disks = knownImages.filter(({ runs }) => runs === "disk").map(({ name }) => name);
  const name = bios ?? kernel ?? guest;
  if (name !== undefined && disks.includes(name)) return;
  throw new UsageError(
    `--overlay keeps the writes to the disk of an image that is one (${disks.join(", ")})${name === undefined ? "" : `, and ${name} has none`}; a disk of yours takes --drive file=FILE,overlay=FILE`,
  );
}

async function resolveBoot(request: GuestRequest, progress: Progress): Promise<ResolvedGuest> {
  if (request.overlay !== undefined) await requireOwnDisk(request);
  if (request.bios !== undefined) {
    return {
      name: request.bios,
      boot: { kind: "firmware", image: await readInput(request.bios, "--bios") },
      defaults: {},
    };
  }
  if (request.kernel !== undefined) return await fromFile(request.kernel, request, "--kernel");
  if (request.initrd !== undefined && request.guest === undefined)
    throw new UsageError("--initrd needs a kernel: give --kernel FILE or the name of a guest");

  const fromNetwork = bootsOverNetwork(request.nics ?? [], request.bootOrder);
  if (request.guest === undefined && (request.fromDisk || fromNetwork))
    return await fromImage(FIRMWARE_IMAGE, request, progress);
  const manifest = readRomManifest();
  const name = request.guest ?? manifest.default;
  const rom = manifest.roms.find((entry) => entry.name === name);
  if (rom) return await fromRom(rom, request);
  const images = await import("../images/node/index.ts");
  if (images.knownImages.some((image) => image.name === name)) return await fromImage(name, request, progress);
  if (looksLikePath(name) || (await exists(name))) return await fromFile(name, request, "guest");
  const names = [...manifest.roms.map((entry) => entry.name), ...images.knownImages.map((image) => image.name)];
  throw new UsageError(
    `no guest and no file is called "${name}"${didYouMean(name, names)}; paravane roms and paravane images list what there is`,
  );
}

async function fromRom(rom: RomEntry, request: GuestRequest): Promise<ResolvedGuest> {
  refuseFileOptions(rom.name, request);
  const image = await readRomImage(rom);
  const append = request.append ?? rom.append;
  const { kind, address, entry, mode } = rom;
  const boot = await bootSource(rom.name, image, { ...request, as: kind, loadAddress: address, entry, mode, append });
  const needs = rom.needs ?? {};
  return {
    name: rom.name,
    boot,
    defaults: {
      ...(needs.memory === undefined
        ? {}
        : { memoryBytes: parseMemory(needs.memory, `roms/manifest.json: ${rom.name}`) }),
      ...(needs.cpu === undefined ? {} : { cpu: needs.cpu }),
      ...(needs.apic === undefined ? {} : { apic: needs.apic }),
      ...(needs.testDevice === undefined ? {} : { testDevice: needs.testDevice }),
    },
  };
}

async function fromImage(name: string, request: GuestRequest, progress: Progress): Promise<ResolvedGuest> {
  refuseFileOptions(name, request);
  if (request.modules.length > 0)
    throw new UsageError(`--module has a meaning only for multiboot kernels, and ${name} is none`);
  const { knownImages, openImage } = await import("../images/node/index.ts");
  const runs = knownImages.find((known) => known.name === name)?.runs;
  if (runs === "disk") return await fromDisk(name, request, progress);
  if (runs === "no")
    throw new UsageError(`${name} is no guest: machines that boot over the network have it (--boot n)`);
  const image = await pulled(name, progress, () => openImage(name));
  if (image.kind === "firmware") {
    refuseKernelOptions(name, "firmware", request);
    return { name, boot: { kind: "firmware", image: image.kernel }, defaults: {} };
  }
  const initrd = request.initrd === undefined ? image.initrd : await readInput(request.initrd, "--initrd");
  // What the user appends comes last: later words of a kernel command line win.
  const append = [image.append, request.append].filter(Boolean).join(" ");
  const boot: BootSource = {
    kind: "linux",
    kernel: image.kernel,
    append,
    guestDecompress: request.guestDecompress,
    ...(initrd === undefined ? {} : { initrd }),
  };
  return {
    name,
    boot,
    defaults: {
      ...(image.memoryBytes === undefined ? {} : { memoryBytes: image.memoryBytes }),
      ...(image.cpu === undefined ? {} : { cpu: image.cpu }),
      ...(image.display === undefined ? {} : { display: image.display }),
    },
  };
}

/** A disk with a boot loader: firmware starts it, and what the guest writes is dropped unless there is an overlay. */
async function fromDisk(name: string, request: GuestRequest, progress: Progress): Promise<ResolvedGuest> {
  refuseKernelOptions(name, "a disk whose boot loader says what the kernel is told", request);
  const { openDiskImage, openImage } = await import("../images/node/index.ts");
  const { path, memoryBytes } = await pulled(name, progress, () => openDiskImage(name));
  const firmware = await pulled(FIRMWARE_IMAGE, progress, () => openImage(FIRMWARE_IMAGE));
  const { overlay, virt } = request;
  return {
    name,
    boot: { kind: "firmware", image: firmware.kernel },
    defaults: memoryBytes === undefined ? {} : { memoryBytes },
    drives: [
      {
        id: name,
        bus: virt === "para" ? "virtio" : "ide",
        backend: { path, format: "qcow2", ...(overlay === undefined ? { snapshot: true } : { overlay }) },
      },
    ],
  };
}

function refuseKernelOptions(name: string, what: string, request: GuestRequest): void {
  for (const option of ["append", "initrd"] as const)
    if (request[option] !== undefined) throw new UsageError(`--${option} has no meaning for ${name}, which is ${what}`);
  if (request.guestDecompress) throw new UsageError(`--guest-decompress has no meaning for ${name}, which is ${what}`);
}

/** How a ROM or an image of ours is booted, it says itself. */
function refuseFileOptions(name: string, { as, loadAddress, entry, mode }: GuestRequest): void {
  const options = { "--load": loadAddress, "--entry": entry, "--mode": mode, "--as": as };
  const given = Object.entries(options).find(([, value]) => value !== undefined)?.[0];
  if (given !== undefined)
    throw new UsageError(`${given} has a meaning only for a file, and "${name}" is a guest of ours`);
}

async function fromFile(path: string, request: GuestRequest, option: string): Promise<ResolvedGuest> {
  return { name: path, boot: await bootSource(path, await readInput(path, option), request), defaults: {} };
}

async function bootSource(name: string, image: Uint8Array, request: GuestRequest): Promise<BootSource> {
  if (image.length === 0)
    throw new VmError("bad-image", `${name} is empty; a kernel, ROM or firmware image is expected`, { name });
  const kind = request.as ?? (await import("../boot/detect.ts")).detectBootKind(image);
  const append = request.append === undefined ? {} : { append: request.append };
  if (kind !== "linux" && kind !== "multiboot") {
    if (request.append !== undefined)
      throw new UsageError(
        `--append has no meaning for ${name}, which is ${kind === undefined ? "no kernel" : `booted as ${kind}`}`,
      );
    if (request.initrd !== undefined)
      throw new UsageError(
        `--initrd has no meaning for ${name}, which is ${kind === undefined ? "no kernel" : `booted as ${kind}`}`,
      );
  }
  if (kind !== "multiboot" && request.modules.length > 0)
    throw new UsageError(`--module has a meaning only for multiboot kernels, and ${name} is none`);
  if (kind !== "linux" && request.guestDecompress)
    throw new UsageError(`--guest-decompress has a meaning only for Linux kernels, and ${name} is none`);
  switch (kind) {
    case "linux": {
      const initrd = request.initrd === undefined ? {} : { initrd: await readInput(request.initrd, "--initrd") };
      return { kind, kernel: image, guestDecompress: request.guestDecompress, ...append, ...initrd };
    }
    case "multiboot":
      return { kind, kernel: image, name, ...append, modules: await readModules(request) };
    case "elf":
      return { kind, kernel: image };
    case "firmware":
      return { kind, image };
    case "flat":
      return {
        kind,
        image,
        address: request.loadAddress ?? 0,
        ...(request.entry === undefined ? {} : { entry: request.entry }),
        mode: request.mode ?? "protected",
      };
    default:
      throw new VmError(
        "bad-image",
        `${name} is none of: Linux bzImage, multiboot kernel, 32-bit ELF, firmware image; say what it is with --as KIND, or --load ADDRESS for a flat binary`,
        { name },
      );
  }
}

/** QEMU's way: `--initrd "a.mod arg,b.mod"` lists modules of a multiboot kernel; --module adds one each. */
async function readModules(request: GuestRequest): Promise<{ image: Uint8Array; append: string }[]> {
  const fromInitrd = request.initrd === undefined ? [] : request.initrd.split(",").map(moduleOf);
  const wanted = [
    ...fromInitrd.map((module) => ({ ...module, option: "--initrd" })),
    ...request.modules.map((module) => ({ ...module, option: "--module" })),
  ];
  return await Promise.all(
    wanted.map(async ({ path, append, option }) => ({ image: await readInput(path, option), append })),
  );
}

async function readInput(path: string, option: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const where = option === "guest" ? "" : `${option}: `;
    throw new VmError(
      "not-found",
      `${where}cannot read ${path === "" ? "a file without a name" : path}: ${errorText(cause)}`,
      { path },
      { cause },
    );
  }
}

function looksLikePath(name: string): boolean {
  return name.includes("/") || name.includes("\\") || /\.\w+$/.test(name);
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await import("node:fs/promises")).stat(path);
    return true;
  } catch {
    return false;
  }
}
