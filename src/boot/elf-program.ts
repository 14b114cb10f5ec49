// Programs in ELF on the bare machine.
import type { BootSource } from "../vmm/config.ts";
import { loadElf, parseElf } from "./elf.ts";
import type { BootMachine } from "./machine.ts";
import { Placement } from "./placement.ts";
import { flatGdt, GDT_BASE, MULTIBOOT_SELECTORS, protectedStart } from "./start.ts";

/** 32-bit protected mode, flat segments 08h and 10h, no stack. */
export function prepareElf(source: Extract<BootSource, { kind: "elf" }>, machine: BootMachine): void {
  const elf = parseElf(source.kernel, "ELF kernel");
  const placement = new Placement(machine);
  loadElf(elf, placement, "ELF kernel");
  placement.place("boot GDT", GDT_BASE, flatGdt(MULTIBOOT_SELECTORS));
  machine.setRegisters(protectedStart(elf.entry, MULTIBOOT_SELECTORS));
}
