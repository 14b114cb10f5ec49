// Debian packages through the machine's own apt configuration (sources, keys, proxies), or through apt with a mirror
// that the user names. apt gets a state directory of its own: no root is needed, nothing is installed, and the system
// need not know the guest's architecture.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VmError } from "../../vmm/error.ts";
import { debDataTar } from "../deb.ts";
import { parseStanza, parseStanzas, requiredPackages, type Stanza } from "../stanza.ts";
import { sha256 } from "./cache.ts";
import type { DebianPackage, PackageSource, SourceOptions } from "./packages.ts";
import { isInstalled, lastLines, run } from "./process.ts";

/** Debian 12, whose i386 port still has kernels. */
export const DEBIAN_SUITE = "bookworm";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export class AptSource implements PackageSource {
  readonly #directory: string;
  readonly #options: SourceOptions;
  #updateErrors = "";

  private constructor(directory: string, options: SourceOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Reads the package lists into `directory`. Throws VmError("not-found") when there is no apt or no list at all. */
  static async open(directory: string, architecture: string, options: SourceOptions): Promise<AptSource> {
    const source = new AptSource(directory, options);
    await source.#configure(architecture);
    await source.#update();
    return source;
  }

  async #configure(architecture: string): Promise<void> {
    for (const path of ["lists/partial", "archives/partial", "state"])
      await mkdir(join(this.#directory, path), { recursive: true });
    await writeFile(join(this.#directory, "state", "status"), "");
    const settings: string[] = [
      "#clear APT::Architectures;",
      "#clear APT::Update::Post-Invoke-Success;",
      `APT::Architecture "${architecture}";`,
      `APT::Architectures { "${architecture}"; };`,
      `Dir::State "${join(this.#directory, "state")}";`,
      `Dir::State::lists "${join(this.#directory, "lists")}";`,
      `Dir::State::status "${join(this.#directory, "state", "status")}";`,
      `Dir::Cache "${this.#directory}";`,
      `Dir::Cache::archives "${join(this.#directory, "archives")}";`,
      `Acquire::Languages "none";`,
      `Acquire::Retries "3";`,
      `APT::Sandbox::User "root";`,
      `APT::Install-Recommends "false";`,
    ];
    if (this.#options.mirror !== undefined) {
      const list = join(this.#directory, "sources.list");
      await writeFile(list, `deb [signed-by=${KEYRING}] ${this.#options.mirror} ${DEBIAN_SUITE} main\n`);
      settings.push(`Dir::Etc::sourcelist "${list}";`, `Dir::Etc::sourceparts "/dev/null";`);
    }
    await writeFile(join(this.#directory, "apt.conf"), `${settings.join("\n")}\n`);
  }

  /** One broken index (a mirror in the middle of a sync) does not matter while another has the packages. */
  async #update(): Promise<void> {
    this.#options.onProgress?.({ phase: "reading package lists" });
    for (let attempt = 0; attempt < 2; attempt++) {
      const result = await this.#run("apt-get", ["update"]);
      const lists = (await readdir(join(this.#directory, "lists"))).filter((file) => file.includes("_Packages"));
      this.#updateErrors = result.stderr;
      if (result.status === 0 || lists.length > 0) return;
    }
    throw this.#unavailable("apt-get could read no package list");
  }

  async fetch(names: readonly string[]): Promise<DebianPackage[]> {
    const packages: DebianPackage[] = [];
    for (const name of names) {
      this.#options.onProgress?.({ phase: `fetching ${name}` });
      const stanza = await this.#show(name);
      const directory = join(this.#directory, "download", name);
      await mkdir(directory, { recursive: true });
      const result = await this.#run("apt-get", ["download", name], directory);
      const file = (await readdir(directory)).find((entry) => entry.endsWith(".deb"));
      if (result.status !== 0 || file === undefined)
        throw this.#unavailable(`apt-get could not fetch ${name}`, result.stderr);
      packages.push(await this.#package(join(directory, file), name, stanza.get("Version") ?? "?"));
    }
    return packages;
  }

  async fetchWithDependencies(names: readonly string[]): Promise<DebianPackage[]> {
    this.#options.onProgress?.({ phase: `fetching ${names.join(", ")}` });
    const result = await this.#run("apt-get", [
      "install",
      "--download-only",
      "--yes",
      "--no-install-recommends",
      ...names,
    ]);
    if (result.status !== 0)
      throw this.#unavailable(`apt-get could not fetch ${names.join(", ")} with what they depend on`, result.stderr);
    const archives = join(this.#directory, "archives");
    const files = (await readdir(archives)).filter((file) => file.endsWith(".deb")).sort();
    return await Promise.all(
      files.map(async (file) => {
        const [name = file, version = "?"] = file.split("_");
        return await this.#package(join(archives, file), name, decodeURIComponent(version));
      }),
    );
  }

  async dependencies(name: string): Promise<string[]> {
    return ((await this.#show(name)).get("Depends") ?? "")
      .split(",")
      .map((part) => part.trim().split(/[ (|:]/)[0] ?? "")
      .filter(Boolean);
  }

  async required(): Promise<string[]> {
    const result = await this.#run("apt-cache", ["dumpavail"]);
    if (result.status !== 0) throw this.#unavailable("apt-cache cannot list the packages", result.stderr);
    return requiredPackages(parseStanzas(Buffer.from(result.stdout).toString()));
  }

  async #package(path: string, name: string, version: string): Promise<DebianPackage> {
    const deb = await readFile(path);
    return { name, version, digest: sha256(deb), deb, dataTar: () => dataTar(path, deb, this.#options.signal) };
  }

  async #show(name: string): Promise<Stanza> {
    const result = await this.#run("apt-cache", ["show", "--no-all-versions", name]);
    const text = Buffer.from(result.stdout).toString();
    if (result.status !== 0 || text.trim() === "")
      throw this.#unavailable(`apt knows no package ${name} for this architecture`);
    return parseStanza(text);
  }

  async #run(program: string, args: readonly string[], cwd?: string) {
    const env = { APT_CONFIG: join(this.#directory, "apt.conf") };
    return await run(program, args, {
      env,
      ...(cwd === undefined ? {} : { cwd }),
      ...(this.#options.signal === undefined ? {} : { signal: this.#options.signal }),
    });
  }

  #unavailable(what: string, errors = this.#updateErrors): VmError {
    const where =
      this.#options.mirror === undefined
        ? "check the machine's apt sources, or give the URL of a Debian mirror with --mirror URL"
        : `check that ${this.#options.mirror} is a Debian mirror with ${DEBIAN_SUITE}`;
    const said = errors.trim() === "" ? "" : ` (${lastLines(errors)})`;
    return new VmError("not-found", `${what}${said}; ${where}.`, { errors });
  }
}

async function dataTar(path: string, deb: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  // dpkg-deb unpacks large packages some times faster than the reader here.
  if (!(await isInstalled("dpkg-deb"))) return await debDataTar(deb);
  const result = await run("dpkg-deb", ["--fsys-tarfile", path], signal === undefined ? {} : { signal });
  if (result.status !== 0)
    throw new VmError("bad-image", `dpkg-deb cannot read ${path}: ${lastLines(result.stderr)}; pull again.`, { path });
  return result.stdout;
}
