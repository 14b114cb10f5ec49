// A raw binary at an address, as assemblers make it with `-f bin`.
import type { BootSource } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { badImage, hex } from "./image.ts";
import type { BootMachine } from "./machine.ts";
import { Placement } from "./placement.ts";
import { flatGdt, GDT_BASE, GDT_BYTES, MULTIBOOT_SELECTORS, protectedStart, realStart } from "./start.ts";

/** The BIOS drive number that a boot sector finds in DL. */
const FIRST_HARD_DISK = 0x80;
const REAL_MODE_END = 0x100000;

type FlatSource = Extract<BootSource, { kind: "flat" }>;

/**
 * Real mode starts as a BIOS starts a boot sector: DL is the boot drive 80h, stack 0000:7C00. Protected mode starts
 * with flat segments 08h (code) and 10h (data) from a GDT at 1000h, which is left out when the image covers it, and
 * with ESP zero: the program brings its own stack. Throws VmError("bad-image" | "bad-config").
 */
export function prepareFlat(source: FlatSource, machine: BootMachine): void {
  const { image, address } = source;
  const entry = source.entry ?? address;
  const mode = source.mode ?? "protected";
  for (const [name, value] of [
    ["address", address],
    ["entry", entry],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new VmError("bad-config", `boot.${name} is ${value}; an integer from 0 to 0xffffffff is accepted.`, {
        [name]: value,
      });
    }
  }
  if (image.length === 0) throw badImage("The flat binary is empty; give a file with at least one byte.");
  if (entry < address || entry >= address + image.length) {
    throw new VmError(
      "bad-config",
      `boot.entry ${hex(entry)} lies outside the binary at ${hex(address)} to ${hex(address + image.length - 1)}; give an address in it.`,
      { entry, address, bytes: image.length },
    );
  }
  if (mode === "real" && entry >= REAL_MODE_END) {
    throw new VmError(
      "bad-config",
      `boot.entry ${hex(entry)} cannot be reached in real mode; use an address below 1 MiB or mode "protected".`,
      { entry },
    );
  }
  const placement = new Placement(machine);
  placement.place("flat binary", address, image);
  if (mode === "real") {
    machine.setRegisters(realStart(entry, { edx: FIRST_HARD_DISK }));
    return;
  }
  const coversGdt = address < GDT_BASE + GDT_BYTES && address + image.length > GDT_BASE;
  if (!coversGdt) placement.place("boot GDT", GDT_BASE, flatGdt(MULTIBOOT_SELECTORS));
  machine.setRegisters(protectedStart(entry, MULTIBOOT_SELECTORS));
}
