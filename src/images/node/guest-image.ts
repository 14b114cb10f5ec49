// Linux guests with programs of Debian's in their initramfs: for tests of whole guests, and for one's own images.
import { join } from "node:path";
import { VmError } from "../../vmm/error.ts";
import type { CpioEntry } from "../cpio.ts";
import { debEntries } from "../deb.ts";
import { buildInitramfs } from "../initramfs.ts";
import { moduleEntries } from "../modules.ts";
import { type BuiltImage, describePackages, fileOf, GUEST_ARCHITECTURE, SERIAL_CONSOLE } from "./built-image.ts";
import { sha256 } from "./cache.ts";
import { type DebianPackage, openPackageSource, type SourceOptions } from "./packages.ts";

const MIB = 1 << 20;

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

/** SHA-256 of what such an image is made of, hex; versions of packages are no part of it. */
export function guestImageDigest(options: GuestImageOptions): string {
  const { kernelPackage, packages = [], modules = [], autoloadModules = [], entries = [] } = options;
  const parts = entries.map((entry) => ("data" in entry ? { ...entry, data: sha256(entry.data) } : entry));
  return sha256(Buffer.from(JSON.stringify([kernelPackage, packages, modules, autoloadModules, parts])));
}

/** Throws VmError("host" | "bad-config"). */
export async function buildGuestImage(directory: string, options: GuestImageOptions): Promise<BuiltImage> {
  const source = await openPackageSource(join(directory, "packages"), GUEST_ARCHITECTURE, options);
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
    source: describePackages([kernelPackage, busyboxPackage, ...extra]),
    append: SERIAL_CONSOLE,
    // The archive and the file system that it becomes are both in memory for a moment.
    memoryBytes: Math.max(256, Math.ceil((128 * MIB + 3 * initrd.length) / (64 * MIB)) * 64) * MIB,
  };
}
