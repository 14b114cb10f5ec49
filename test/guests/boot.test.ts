// Debian's SeaBIOS boots what we assemble, from each kind of drive, by its own drivers: IDE PIO, ATAPI, floppy, virtio.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createQcow2 } from "../../src/backends/block/qcow2/create.ts";
import { type BootDevice, type DriveConfig, memoryCd, memoryDisk } from "../../src/index.ts";
import { openDisk } from "../../src/platform/node/disk.ts";
import { openDiskFile } from "../../src/platform/node/disk-file.ts";
import { has, runTool, Scratch } from "../backends/block/tools.ts";
import { BOOT_SECTOR_EXIT, bootDisk, bootSector, FirmwareGuest, SEABIOS } from "./firmware-guest.ts";

function bootCd(): Uint8Array {
  using scratch = new Scratch();
  mkdirSync(scratch.path("tree"));
  const sector = new Uint8Array(2048);
  sector.set(bootSector());
  writeFileSync(scratch.path("tree/boot.bin"), sector);
  const iso = scratch.path("cd.iso");
  runTool(
    "xorriso",
    "-as",
    "mkisofs",
    "-quiet",
    "-b",
    "boot.bin",
    "-no-emul-boot",
    "-boot-load-size",
    "4",
    "-o",
    iso,
    scratch.path("tree"),
  );
  return new Uint8Array(readFileSync(iso));
}

async function boot(drives: readonly DriveConfig[], bootOrder?: readonly BootDevice[]): Promise<string> {
  await using guest = await FirmwareGuest.start(drives, bootOrder === undefined ? {} : { bootOrder });
  expect(await guest.vm.exited, guest.said).toEqual(BOOT_SECTOR_EXIT);
  return guest.said.slice(guest.said.indexOf("boot from "));
}

const MIB = 1 << 20;
const disk = (): Uint8Array => bootDisk(16 * MIB, { 1: "second sector" });
const floppy = (): Uint8Array => bootDisk(1_474_560, { 1: "sector two", 2879: "the last sector" });

describe.skipIf(!existsSync(SEABIOS) || !has("nasm") || !has("xorriso"))("SeaBIOS boots", () => {
  it("an IDE disk, reads and writes it", async () => {
    const backend = memoryDisk(disk());
    const said = await boot([{ id: "a", bus: "ide", backend }]);
    expect(said).toMatch(/^boot from 80\r\nsecond sector\r\nWecond sector\r\n/);
    expect(said).toContain("int 10h work");
    const written = new Uint8Array(512);
    backend.read(1024, written);
    expect(new TextDecoder().decode(written)).toMatch(/^Wecond sector/);
  }, 60_000);

  it("a virtio disk", async () => {
    expect(await boot([{ id: "a", bus: "virtio", backend: memoryDisk(disk()) }])).toMatch(
      /^boot from 80\r\nsecond sector\r\nWecond sector\r\n/,
    );
  }, 60_000);

  it("a qcow2 image of ours", async () => {
    using scratch = new Scratch();
    const path = scratch.path("a.qcow2");
    const file = openDiskFile(path, "create");
    await createQcow2(file, { sizeBytes: 16 * MIB });
    await file.close();
    const target = await openDisk(path);
    await target.write(0, disk());
    await target.close();
    expect(await boot([{ id: "a", bus: "ide", backend: { path } }])).toMatch(
      /^boot from 80\r\nsecond sector\r\nWecond/,
    );
    const after = await openDisk(path);
    const written = new Uint8Array(512);
    await after.read(1024, written);
    await after.close();
    expect(new TextDecoder().decode(written)).toMatch(/^Wecond sector/);
  }, 60_000);

  it("a CD (El Torito)", async () => {
    const said = await boot([{ id: "cd", bus: "ide", media: "cdrom", unit: 2, backend: memoryCd(bootCd()) }]);
    expect(said).toMatch(/^boot from e0\r\nCD001\r\n/);
  }, 60_000);

  it("a floppy, to its last sector, and writes it", async () => {
    const backend = memoryDisk(floppy());
    const said = await boot([{ id: "fd", bus: "floppy", backend }]);
    expect(said).toMatch(/^boot from 00\r\nsector two\r\nthe last sector\r\nWhe last sector\r\n/);
    const written = new Uint8Array(512);
    backend.read(2879 * 512, written);
    expect(new TextDecoder().decode(written)).toMatch(/^Whe last sector/);
  }, 60_000);

  it("in the order of bootOrder, and before it that of bootIndex", async () => {
    const drives = (): DriveConfig[] => [
      { id: "fd", bus: "floppy", backend: memoryDisk(floppy()) },
      { id: "hd", bus: "ide", backend: memoryDisk(disk()) },
      { id: "hd2", bus: "ide", backend: memoryDisk(bootDisk(16 * MIB, { 1: "other disk" })) },
      { id: "cd", bus: "ide", media: "cdrom", backend: memoryCd(bootCd()) },
    ];
    expect(await boot(drives())).toMatch(/^boot from 80\r\nsecond/);
    expect(await boot(drives(), ["cdrom", "disk"])).toMatch(/^boot from e0/);
    expect(await boot(drives(), ["floppy"])).toMatch(/^boot from 00/);
    const indexed = drives().map((drive) => (drive.id === "hd2" ? { ...drive, bootIndex: 1 } : drive));
    expect(await boot(indexed, ["floppy"])).toMatch(/^boot from 80\r\nother disk/);
  }, 120_000);
});
