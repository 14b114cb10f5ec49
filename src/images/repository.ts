// An archive of Debian packages that debootstrap and apt can install from (repository format, wiki.debian.org): one suite, one
// component, no signature. Who reads it has it from us.
import { debControl } from "./deb.ts";

export interface RepositoryPackage {
  readonly name: string;
  readonly version: string;
  /** Hex SHA-256 of the .deb. */
  readonly digest: string;
  readonly deb: Uint8Array;
}

export interface RepositoryOptions {
  /** Codename, such as "bookworm". */
  readonly suite: string;
  readonly architecture: string;
  /** Hex SHA-256. */
  readonly sha256: (bytes: Uint8Array) => string;
}

/** The archive's files by their paths. Throws ArchiveError for what is no package. */
export async function makeRepository(
  packages: readonly RepositoryPackage[],
  { suite, architecture, sha256 }: RepositoryOptions,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const paragraphs: string[] = [];
  for (const { name, digest, deb } of packages) {
    const path = `pool/${name}.deb`;
    files.set(path, deb);
    // debootstrap overlooks a paragraph without an empty line after it.
    paragraphs.push(`${await debControl(deb)}\nFilename: ${path}\nSize: ${deb.length}\nSHA256: ${digest}\n\n`);
  }
  const index = new TextEncoder().encode(paragraphs.join(""));
  const indexPath = `main/binary-${architecture}/Packages`;
  const release = [
    `Codename: ${suite}`,
    `Architectures: ${architecture}`,
    "Components: main",
    "SHA256:",
    ` ${sha256(index)} ${index.length} ${indexPath}`,
    "",
  ].join("\n");
  files.set(`dists/${suite}/${indexPath}`, index);
  files.set(`dists/${suite}/Release`, new TextEncoder().encode(release));
  return files;
}
