// Makes the disk of the image `debian`: packages from the host's apt, everything else in a guest of ours.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { copyData } from "../../backends/block/copy.ts";
import { createQcow2 } from "../../backends/block/qcow2/create.ts";
import { openDisk } from "../../platform/node/disk.ts";
import { openDiskFile } from "../../platform/node/disk-file.ts";
import { VmError } from "../../vmm/error.ts";
import type { CpioEntry } from "../cpio.ts";
import {
  BUILDER_MODULES,
  BUILDER_PACKAGES,
  BUILDER_PATH,
  builderScript,
  DEBIAN_PACKAGES,
  STEP_PREFIX,
} from "../debian-root.ts";
import { INIT_EXIT_PREFIX } from "../init.ts";
import { overlayInitrd } from "../initramfs.ts";
import { makeRepository } from "../repository.ts";
import { DEBIAN_SUITE } from "./apt.ts";
import { type BuiltImage, describePackages, GUEST_ARCHITECTURE } from "./built-image.ts";
import { sha256 } from "./cache.ts";
import { buildGuestImage } from "./guest-image.ts";
import { openPackageSource, type SourceOptions } from "./packages.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;
/** Room for what users install; nothing of it takes room before. */
const DISK_BYTES = 4 * GIB;
/** The initramfs is there twice for a moment, and files of the disk are to stay in the page cache. */
const BUILDER_MEMORY_BYTES = 1024 * MIB;
const BUILDER_TIMEOUT_MS = 3_600_000;
const SYSTEM_MEMORY_BYTES = 512 * MIB;
const SHOWN_LINES = 12;

export async function debianDisk(directory: string, options: SourceOptions): Promise<BuiltImage> {
  const source = await openPackageSource(join(directory, "packages"), GUEST_ARCHITECTURE, options);
  const packages = await source.fetchWithDependencies([...(await source.required()), ...DEBIAN_PACKAGES]);
  const repository = join(directory, "repository");
  const files = await makeRepository(packages, { suite: DEBIAN_SUITE, architecture: GUEST_ARCHITECTURE, sha256 });
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(repository, path)), { recursive: true });
    await writeFile(join(repository, path), bytes);
  }
  const builder = await buildGuestImage(join(directory, "builder"), {
    ...options,
    packages: BUILDER_PACKAGES,
    autoloadModules: BUILDER_MODULES,
  });
  const work = join(directory, "work.qcow2");
  const names = packages.map(({ name }) => name);
  await runBuilder(builder, work, repository, names, options);
  options.onProgress?.({ phase: "compacting the disk" });
  const disk = join(directory, "disk.qcow2");
  await copyDisk(work, disk);
  return {
    kind: "disk",
    files: {},
    largeFiles: { disk },
    source: describePackages(packages),
    append: "",
    memoryBytes: SYSTEM_MEMORY_BYTES,
  };
}

async function runBuilder(
  { files, append }: BuiltImage,
  disk: string,
  repository: string,
  packages: readonly string[],
  options: SourceOptions,
): Promise<void> {
  const { kernel, initrd } = files;
  if (kernel === undefined || initrd === undefined) throw new VmError("internal", "The builder guest has no kernel.");
  const file = openDiskFile(disk, "create");
  await createQcow2(file, { sizeBytes: DISK_BYTES });
  await file.close();
  const script = builderScript({ suite: DEBIAN_SUITE, architecture: GUEST_ARCHITECTURE, packages });
  const entry: CpioEntry = {
    kind: "file",
    path: BUILDER_PATH,
    data: new TextEncoder().encode(script),
    permissions: 0o755,
  };
  const { Vm } = await import("../../vmm/vm.ts");
  await using vm = await Vm.create({
    name: "debian-builder",
    memoryBytes: BUILDER_MEMORY_BYTES,
    timeoutMs: BUILDER_TIMEOUT_MS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    boot: {
      kind: "linux",
      kernel,
      initrd: overlayInitrd(initrd, [entry]),
      append: `${append} quiet cryptomgr.notests paravane.run="dash /${BUILDER_PATH}"`,
    },
    rng: true,
    drives: [
      { id: "disk", bus: "virtio", backend: { path: disk, format: "qcow2" } },
      { id: "packages", bus: "virtio", readOnly: true, backend: { path: repository, format: "dir" } },
    ],
  });
  const watch = new BuilderConsole(packages.length, options);
  vm.on("serial", ({ bytes }) => watch.push(bytes));
  vm.start();
  const status = await vm.exited;
  options.signal?.throwIfAborted();
  if (status.kind === "power-off" && watch.exit === 0) return;
  throw new VmError(
    "host",
    `Debian could not be installed (${watch.exit === undefined ? status.kind : `status ${watch.exit}`}): ${watch.lastLines.join(" / ")}`,
    { status, lines: watch.lastLines },
  );
}

/** What the builder says, as progress: debootstrap names each package once when it unpacks and once when it configures it. */
class BuilderConsole {
  exit: number | undefined;
  lastLines: string[] = [];
  #rest = "";
  #phase = "starting the guest that installs it";
  readonly #seen = new Set<string>();

  constructor(
    private readonly packageCount: number,
    private readonly options: SourceOptions,
  ) {
    this.#report();
  }

  push(bytes: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(bytes).toString("latin1")).replaceAll("\r", "").split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line.trim() === "") return;
    this.lastLines = [...this.lastLines, line].slice(-SHOWN_LINES);
    if (line.startsWith(STEP_PREFIX)) {
      this.#phase = line.slice(STEP_PREFIX.length);
      this.#seen.clear();
    } else if (line.startsWith(INIT_EXIT_PREFIX)) {
      this.exit = Number(line.slice(INIT_EXIT_PREFIX.length));
    } else {
      const name = /^I: (?:Unpacking|Extracting|Configuring) ([\w.+-]+)(?::\w+)?\.\.\./.exec(line)?.[1];
      if (name !== undefined) this.#seen.add(name);
    }
    this.#report();
  }

  #report(): void {
    const counted = this.#seen.size === 0 ? {} : { done: this.#seen.size, total: this.packageCount };
    this.options.onProgress?.({ phase: this.#phase, ...counted });
  }
}

/** Into a new image that has only what is not zero: clusters that the guest gave back stay behind. */
async function copyDisk(from: string, to: string): Promise<void> {
  const file = openDiskFile(to, "create");
  await createQcow2(file, { sizeBytes: DISK_BYTES });
  await file.close();
  const source = await openDisk(from, { format: "qcow2", readOnly: true });
  const target = await openDisk(to, { format: "qcow2" });
  try {
    await copyData(source, target);
    await target.flush();
  } finally {
    await target.close();
    await source.close();
  }
}
