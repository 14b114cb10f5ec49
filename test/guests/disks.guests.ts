// Linux's own disk drivers (ata_piix, sd, sr, floppy) on our controllers, with images that other programs made.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { overlayInitrd } from "../../src/images/initramfs.ts";
import { openImage, pullGuestImage } from "../../src/images/node/index.ts";
import { type DriveConfig, memoryDisk, Vm, type VmConfig } from "../../src/index.ts";
import { pattern, Scratch } from "../backends/block/tools.ts";
import { expectPassed, type GuestRun } from "./linux-guest.ts";

const IMAGE = "guest-disks";
const MODULES = [
  "ata_piix",
  "sd_mod",
  "sr_mod",
  "floppy",
  "ext4",
  "isofs",
  "vfat",
  "nls_cp437",
  "nls_ascii",
  "nls_utf8",
  "virtio_pci",
  "virtio_blk",
];
const DISK_BYTES = 64 << 20;
const KNOWN_BYTES = 8 << 20;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

beforeAll(() => pullGuestImage(IMAGE, { modules: MODULES, packages: ["eject"] }), 300_000);

async function runGuest(
  script: string,
  files: Readonly<Record<string, string>>,
  config: Partial<VmConfig>,
  append = "",
): Promise<GuestRun> {
  const image = await openImage(IMAGE);
  const text = new TextEncoder();
  const entry = (path: string, data: Uint8Array) => ({ kind: "file", path, data, permissions: 0o755 }) as const;
  const initrd = overlayInitrd(image.initrd ?? new Uint8Array(), [
    entry("tests/script", readFileSync(new URL(`scripts/${script}`, import.meta.url))),
    ...Object.entries(files).map(([name, content]) => entry(`tests/${name}`, text.encode(content))),
  ]);
  await using vm = await Vm.create({
    memoryBytes: image.memoryBytes,
    clock: "virtual",
    timeoutMs: 600_000,
    ...config,
    boot: {
      kind: "linux",
      kernel: image.kernel,
      initrd,
      append: `${image.append} paravane.script=/tests/script ${append}`,
    },
  });
  let console = "";
  const decoder = new TextDecoder();
  vm.on("serial", ({ bytes }) => {
    console += decoder.decode(bytes, { stream: true });
  });
  vm.start();
  const status = await vm.exited;
  return { status, console: console.replaceAll("\r", ""), statistics: vm.statistics() };
}

/** Disk, directory and CD, with what the guest is to find on them. */
function media(scratch: Scratch): { drives: DriveConfig[]; files: Record<string, string>; disk: string } {
  const disk = scratch.path("disk.img");
  writeFileSync(disk, pattern(KNOWN_BYTES, 1));
  truncateSync(disk, DISK_BYTES);
  const tree: Record<string, Uint8Array> = {
    "readme.txt": pattern(100, 2),
    "A file with a rather long name.data": pattern(300_000, 3),
    "sub/\u00fcber.bin": pattern(2_000_000, 4),
  };
  const folder = scratch.path("tree");
  mkdirSync(`${folder}/sub`, { recursive: true });
  for (const [name, bytes] of Object.entries(tree)) writeFileSync(`${folder}/${name}`, bytes);
  const cd = scratch.path("cd.iso");
  execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", cd, folder], { stdio: "ignore" });
  const sums = Object.entries(tree).map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`);
  return {
    disk,
    drives: [
      { id: "first", bus: "ide", unit: 0, backend: { path: disk } },
      { id: "folder", bus: "ide", unit: 1, backend: { path: folder } },
      { id: "cd", bus: "ide", unit: 2, media: "cdrom", backend: { path: cd } },
    ],
    files: {
      "first-sum": sha256(pattern(KNOWN_BYTES, 1)),
      "dir-sums": sums.join(""),
      "cd-sums": sums.join(""),
      "cd-size": String(Math.ceil(statSync(cd).size / 2048) * 4),
    },
  };
}

describe("Linux on our disks", () => {
  it.each([
    ["bus-master DMA", "", "MW_DMA2"],
    ["PIO", "libata.dma=0", "PIO4"],
  ])("reads, writes and verifies disk, directory and CD by %s", async (_name, append, mode) => {
    using scratch = new Scratch();
    const { drives, files, disk } = media(scratch);
    const run = await runGuest("disks.sh", files, { drives }, append);
    expectPassed(run, 18);
    expect(/disks: mode (.*)/.exec(run.console)?.[1]).toContain(mode);
    const after = readFileSync(disk);
    expect(sha256(after.subarray(0, KNOWN_BYTES))).toBe(files["first-sum"]);
    expect(after.subarray(160 * 65536, 160 * 65536 + 65536).some((byte) => byte !== 0)).toBe(true);
  });

  it("reads, writes and mounts floppies by DMA", async () => {
    using scratch = new Scratch();
    const image = scratch.path("floppy.img");
    execFileSync("mformat", ["-C", "-f", "1440", "-i", image, "::"]);
    const floppy = new Uint8Array(readFileSync(image));
    floppy.set(pattern(500_000, 1), floppy.length - 500_000);
    const small = pattern(737_280, 2);
    const backend = memoryDisk(floppy);
    const drives: DriveConfig[] = [
      { id: "a", bus: "floppy", backend },
      { id: "b", bus: "floppy", backend: memoryDisk(small), readOnly: true },
    ];
    const run = await runGuest("floppy.sh", { "floppy-sum": sha256(floppy), "small-sum": sha256(small) }, { drives });
    expectPassed(run, 5);
    const after = new Uint8Array(floppy.length);
    backend.read(0, after);
    writeFileSync(image, after);
    expect(execFileSync("mdir", ["-i", image, "::"], { encoding: "utf8" })).toContain("random");
  });
});
