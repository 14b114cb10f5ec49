// Builds the `linux-tiny` kernel from Debian's kernel source package.
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { VmError } from "../../vmm/error.ts";
import { readTar } from "../archive.ts";
import { TINY_KERNEL_OPTIONS } from "../kernel-tiny.ts";
import type { DebianPackage, SourceOptions } from "./packages.ts";
import { isInstalled, lastLines, run } from "./process.ts";

/** Program and the Debian package that has it. */
const BUILD_TOOLS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["make", "make"],
  ["gcc", "gcc"],
  ["ld", "binutils"],
  ["flex", "flex"],
  ["bison", "bison"],
  ["bc", "bc"],
  ["xz", "xz-utils"],
  ["tar", "tar"],
];
/** Objects that the build compiles, about: for the progress display alone. */
const EXPECTED_OBJECTS = 790;

/** Throws VmError("host") naming the packages to install, before anything is fetched. */
export async function checkBuildTools(): Promise<void> {
  const missing: string[] = [];
  for (const [program, debianPackage] of BUILD_TOOLS) if (!(await isInstalled(program))) missing.push(debianPackage);
  if (missing.length === 0) return;
  throw new VmError(
    "host",
    `Building linux-tiny needs ${missing.join(", ")}; install with "apt-get install ${missing.join(" ")}" and pull again.`,
    { missing },
  );
}

/** The bzImage. `directory` is for the source and the build, about 2 GB; the caller removes it. */
export async function buildTinyKernel(
  source: DebianPackage,
  directory: string,
  options: SourceOptions,
): Promise<Uint8Array> {
  await mkdir(directory, { recursive: true });
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  options.onProgress?.({ phase: "unpacking the kernel source" });
  const archive = findSource(await source.dataTar());
  const archivePath = join(directory, "linux.tar.xz");
  await writeFile(archivePath, archive.data);
  await must(await run("tar", ["-xf", archivePath, "-C", directory], signal), "unpack the kernel source");
  const tree = join(directory, archive.folder);

  options.onProgress?.({ phase: "configuring the kernel" });
  // The same source and options give the same bytes, whoever builds where.
  const env = {
    ARCH: "i386",
    KBUILD_BUILD_TIMESTAMP: "1970-01-01",
    KBUILD_BUILD_USER: "paravane",
    KBUILD_BUILD_HOST: "localhost",
  };
  const make = async (what: string, args: readonly string[], onLine?: (line: string) => void) =>
    await must(
      await run("make", ["-C", tree, ...args], { env, ...signal, ...(onLine === undefined ? {} : { onLine }) }),
      what,
    );
  await make("configure the kernel", ["tinyconfig"]);
  await appendFile(join(tree, ".config"), `${TINY_KERNEL_OPTIONS.join("\n")}\n`);
  await make("configure the kernel", ["olddefconfig"]);
  checkConfiguration(await readFile(join(tree, ".config"), "utf8"));

  let objects = 0;
  await make("build the kernel", [`-j${availableParallelism()}`, "bzImage"], (line) => {
    if (!/^\s+(CC|AS|AR|LD)\s/.test(line)) return;
    objects++;
    options.onProgress?.({
      phase: "building the kernel",
      done: Math.min(objects, EXPECTED_OBJECTS),
      total: EXPECTED_OBJECTS,
    });
  });
  return await readFile(join(tree, "arch/x86/boot/bzImage"));
}

function findSource(tar: Uint8Array): { data: Uint8Array; folder: string } {
  for (const entry of readTar(tar)) {
    const match = /(?:^|\/)(linux-source-[\d.]+)\.tar\.xz$/.exec(entry.path);
    if (match && entry.kind === "file") return { data: entry.data, folder: match[1] as string };
  }
  throw new VmError("not-found", "The kernel source package has no linux-source-*.tar.xz; try another mirror.");
}

/** An option that Kconfig dropped (a renamed one, an unmet dependency) would otherwise go unnoticed. */
function checkConfiguration(config: string): void {
  const lines = new Set(config.split("\n"));
  const dropped = TINY_KERNEL_OPTIONS.filter((option) => {
    const [name, value] = option.split("=");
    return value === "n" ? config.includes(`\n${name}=`) : !lines.has(option);
  });
  if (dropped.length === 0) return;
  throw new VmError(
    "internal",
    `The kernel source does not accept ${dropped.join(", ")}; adapt src/images/kernel-tiny.ts to this version.`,
    { dropped },
  );
}

async function must(result: { status: number; stderr: string }, what: string): Promise<void> {
  if (result.status === 0) return;
  throw new VmError("host", `Could not ${what} (status ${result.status}): ${lastLines(result.stderr)}`, {
    stderr: result.stderr.slice(-4000),
  });
}
