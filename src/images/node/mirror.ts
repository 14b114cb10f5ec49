// Debian packages straight from a mirror over HTTP, for hosts without apt. Packages are checked against the digests in
// the mirror's index; the index itself is trusted as far as the URL is.

import { unpackPayload } from "../../boot/payload.ts";
import { VmError } from "../../vmm/error.ts";
import { debDataTar } from "../deb.ts";
import { parseStanzas, requiredPackages, type Stanza } from "../stanza.ts";
import { DEBIAN_SUITE } from "./apt.ts";
import { sha256 } from "./cache.ts";
import type { DebianPackage, PackageSource, SourceOptions } from "./packages.ts";

const MAX_INDEX_BYTES = 1 << 30;

export class MirrorSource implements PackageSource {
  private constructor(
    readonly url: string,
    readonly index: ReadonlyMap<string, Stanza>,
    readonly options: SourceOptions,
  ) {}

  /** Throws VmError("not-found") when the mirror has no index for the architecture. */
  static async open(mirror: string, architecture: string, options: SourceOptions): Promise<MirrorSource> {
    const url = mirror.replace(/\/+$/, "");
    options.onProgress?.({ phase: "reading package lists" });
    const packed = await download(`${url}/dists/${DEBIAN_SUITE}/main/binary-${architecture}/Packages.xz`, options);
    const text = new TextDecoder().decode(
      await unpackPayload(packed, "package index", { limitBytes: MAX_INDEX_BYTES }),
    );
    const index = new Map<string, Stanza>();
    for (const stanza of parseStanzas(text)) {
      const name = stanza.get("Package");
      if (name !== undefined) index.set(name, stanza);
    }
    return new MirrorSource(url, index, options);
  }

  async fetch(names: readonly string[]): Promise<DebianPackage[]> {
    const packages: DebianPackage[] = [];
    for (const name of names) {
      const stanza = this.#stanza(name);
      this.options.onProgress?.({ phase: `fetching ${name}` });
      const deb = await download(`${this.url}/${stanza.get("Filename") ?? ""}`, this.options);
      const digest = sha256(deb);
      if (digest !== stanza.get("SHA256")) {
        throw new VmError(
          "not-found",
          `The package ${name} from ${this.url} has SHA-256 ${digest.slice(0, 12)}, its index says ${stanza.get("SHA256")?.slice(0, 12)}; try another mirror.`,
          { name, digest },
        );
      }
      packages.push({ name, version: stanza.get("Version") ?? "?", digest, deb, dataTar: () => debDataTar(deb) });
    }
    return packages;
  }

  /**
   * Of alternatives one that is asked for, else the first; virtual packages by their first provider. Enough for programs
   * and their libraries.
   */
  async fetchWithDependencies(names: readonly string[]): Promise<DebianPackage[]> {
    const wanted = new Set<string>();
    const visit = (name: string): void => {
      if (wanted.has(name)) return;
      wanted.add(name);
      for (const field of ["Depends", "Pre-Depends"]) {
        for (const alternatives of dependencyAlternatives(this.#stanza(name).get(field) ?? "")) {
          const dependency = alternatives.find((one) => names.includes(one)) ?? (alternatives[0] as string);
          const provider = this.index.has(dependency) ? dependency : this.#provider(dependency);
          if (provider !== undefined) visit(provider);
        }
      }
    };
    for (const name of names) visit(name);
    return await this.fetch([...wanted].sort());
  }

  async dependencies(name: string): Promise<string[]> {
    return splitDependencies(this.#stanza(name).get("Depends") ?? "");
  }

  async required(): Promise<string[]> {
    return requiredPackages(this.index.values());
  }

  #provider(virtual: string): string | undefined {
    for (const [name, stanza] of this.index) {
      if (splitDependencies(stanza.get("Provides") ?? "").includes(virtual)) return name;
    }
    return undefined;
  }

  #stanza(name: string): Stanza {
    const stanza = this.index.get(name);
    if (!stanza)
      throw new VmError(
        "not-found",
        `The mirror ${this.url} has no package ${name} in ${DEBIAN_SUITE}; try another mirror.`,
        { name },
      );
    return stanza;
  }
}

/** The names of each part of a field such as Depends, without versions. */
const dependencyAlternatives = (field: string): string[][] =>
  field
    .split(",")
    .map((part) => part.split("|").map((one) => one.trim().split(/[ (:]/)[0] ?? ""))
    .filter(([first]) => first);

const splitDependencies = (field: string): string[] => dependencyAlternatives(field).map(([first]) => first as string);

async function download(url: string, options: SourceOptions): Promise<Uint8Array> {
  try {
    const response = await fetch(url, options.signal === undefined ? {} : { signal: options.signal });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new VmError(
      "not-found",
      `${url} cannot be fetched: ${(cause as Error).message}; check the mirror's URL and the network.`,
      { url },
      { cause },
    );
  }
}
