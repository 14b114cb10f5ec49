// Boot loaders that people use, from Debian's packages, talked to over COM1: GRUB on a rescue CD, syslinux on a FAT floppy.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memoryDisk } from "../../src/index.ts";
import { has, runTool, Scratch } from "../backends/block/tools.ts";
import { BOOT_SECTOR_EXIT, bootDisk, bootSector, FirmwareGuest, SEABIOS } from "./firmware-guest.ts";

const MIB = 1 << 20;
const GRUB_CONFIG = `serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo "the rescue CD is here"
`;
const SYSLINUX_CONFIG = `SERIAL 0 115200
PROMPT 1
SAY the floppy is here
DEFAULT sector
LABEL sector
  KERNEL sector.bs
`;

describe.skipIf(!existsSync(SEABIOS) || !has("nasm"))("boot loaders", () => {
  it.skipIf(!has("grub-mkrescue") || !has("xorriso") || !has("mformat"))(
    "GRUB comes from a rescue CD to its prompt, lists drives and chain-loads a disk",
    async () => {
      using scratch = new Scratch();
      mkdirSync(scratch.path("tree/boot/grub"), { recursive: true });
      writeFileSync(scratch.path("tree/boot/grub/grub.cfg"), GRUB_CONFIG);
      const iso = scratch.path("rescue.iso");
      runTool("grub-mkrescue", "-o", iso, scratch.path("tree"));
      await using guest = await FirmwareGuest.start(
        [
          { id: "hd", bus: "ide", backend: memoryDisk(bootDisk(16 * MIB, { 1: "chained" })) },
          { id: "cd", bus: "ide", unit: 2, media: "cdrom", backend: { path: iso } },
        ],
        { bootOrder: ["cdrom"] },
      );
      await guest.until(/the rescue CD is here[\s\S]*grub>/);
      guest.type("ls\r");
      await guest.until(/\(hd0\)[\s\S]*\(cd/);
      // The drive number that a loaded boot sector is given is that of the root.
      guest.type("set root=hd0\r");
      guest.type("chainloader +1\r");
      guest.type("boot\r");
      expect(await guest.vm.exited, guest.said).toEqual(BOOT_SECTOR_EXIT);
      expect(guest.said).toMatch(/boot from 80\r\nchained\r\n/);
    },
    120_000,
  );

  it.skipIf(!has("syslinux") || !has("mformat"))(
    "syslinux comes from a FAT floppy to its prompt and starts what is named there",
    async () => {
      using scratch = new Scratch();
      const image = scratch.path("floppy.img");
      runTool("mformat", "-C", "-f", "1440", "-i", image, "::");
      writeFileSync(scratch.path("syslinux.cfg"), SYSLINUX_CONFIG);
      writeFileSync(scratch.path("sector.bs"), bootSector());
      runTool("mcopy", "-i", image, scratch.path("syslinux.cfg"), scratch.path("sector.bs"), "::");
      runTool("syslinux", "--install", image);
      await using guest = await FirmwareGuest.start([
        { id: "fd", bus: "floppy", backend: memoryDisk(new Uint8Array(readFileSync(image))) },
      ]);
      await guest.until(/the floppy is here[\s\S]*boot:/);
      guest.type("sector\r");
      expect(await guest.vm.exited, guest.said).toEqual(BOOT_SECTOR_EXIT);
      expect(guest.said).toContain("boot from 00");
    },
    120_000,
  );
});
