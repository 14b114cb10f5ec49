// Where Debian packages come from.
import { VmError } from "../../vmm/error.ts";
import { AptSource } from "./apt.ts";
import { MirrorSource } from "./mirror.ts";
import { isInstalled } from "./process.ts";

export interface Progress {
  /** What is being done, for people: "fetching linux-image-686". */
  readonly phase: string;
  readonly done?: number;
  readonly total?: number;
}

export interface SourceOptions {
  /** URL of a Debian mirror, in place of the machine's own apt sources. */
  readonly mirror?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Hex SHA-256 of the .deb. */
  readonly digest: string;
  /** The .deb itself. */
  readonly deb: Uint8Array;
  /** The tar archive of its files. */
  dataTar(): Promise<Uint8Array>;
}

export interface PackageSource {
  /** Exactly these packages. */
  fetch(names: readonly string[]): Promise<DebianPackage[]>;
  /** These and all that they depend on. */
  fetchWithDependencies(names: readonly string[]): Promise<DebianPackage[]>;
  /** The names that a package depends on directly. */
  dependencies(name: string): Promise<string[]>;
  /** The packages of priority "required": what every Debian system has. */
  required(): Promise<string[]>;
}

/** apt where there is one, else the mirror. `directory` is for apt's lists and downloads. Throws VmError("not-found") for what cannot be had. */
export async function openPackageSource(
  directory: string,
  architecture: string,
  options: SourceOptions,
): Promise<PackageSource> {
  if (options.mirror !== undefined && !/^https?:\/\/[^\s]+$/.test(options.mirror)) {
    throw new VmError(
      "bad-config",
      `The mirror "${options.mirror}" is no URL; one that begins with http:// or https:// is accepted.`,
      { mirror: options.mirror },
    );
  }
  if (await isInstalled("apt-get")) return await AptSource.open(directory, architecture, options);
  if (options.mirror !== undefined) return await MirrorSource.open(options.mirror, architecture, options);
  throw new VmError(
    "not-found",
    "Images are made from Debian packages, and this machine has no apt-get; give the URL of a Debian mirror with --mirror URL.",
  );
}
