// What making an image results in, and what most of them take from packages.
import { VmError } from "../../vmm/error.ts";
import { readTar } from "../archive.ts";
import type { ImageKind } from "./cache.ts";
import type { DebianPackage } from "./packages.ts";

export const GUEST_ARCHITECTURE = "i386";
export const SERIAL_CONSOLE = "console=ttyS0";

export interface BuiltImage {
  readonly kind: ImageKind;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** More files by where they are, for what is too large for memory. */
  readonly largeFiles?: Readonly<Record<string, string>>;
  readonly source: string;
  readonly append: string;
  readonly memoryBytes?: number;
  /** It is used through its screen. */
  readonly display?: "vga";
}

/** Throws VmError("host") when a package has no such file. */
export function fileOf(tar: Uint8Array, path: RegExp, debianPackage: DebianPackage): Uint8Array {
  for (const entry of readTar(tar))
    if (entry.kind === "file" && path.test(entry.path)) return new Uint8Array(entry.data);
  throw new VmError(
    "host",
    `The package ${debianPackage.name} ${debianPackage.version} has no file like ${path.source}; its layout has changed.`,
  );
}

export const describePackages = (packages: readonly DebianPackage[]): string =>
  packages.map(({ name, version }) => `${name} ${version}`).join(", ");
