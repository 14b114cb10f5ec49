// The memory map that a BIOS would report for this machine (ACPI 6.5, chapter 15).
import type { E820Entry } from "../boot/machine.ts";
import { E820_RAM, E820_RESERVED } from "../boot/machine.ts";
import { FOUR_GIB, LOW_MEMORY_END, VGA_HOLE_BASE } from "./slots.ts";

/** The last KiB of conventional memory, where an extended BIOS data area is expected. */
const EBDA_BASE = 0x9fc00;
/** What a BIOS keeps for itself below 1 MiB; our ACPI tables lie there. */
export const BIOS_AREA_BASE = 0xe0000;
const FIRMWARE_WINDOW = 0xfffc0000;
/** I/O APIC at FEC00000, local APIC at FEE00000. */
const APIC_WINDOW = 0xfec00000;
const APIC_WINDOW_BYTES = 0x201000;

export function memoryMapFor(ramBytes: number, apic: boolean): E820Entry[] {
  const map: E820Entry[] = [
    { base: 0, size: EBDA_BASE, type: E820_RAM },
    { base: EBDA_BASE, size: VGA_HOLE_BASE - EBDA_BASE, type: E820_RESERVED },
    { base: BIOS_AREA_BASE, size: LOW_MEMORY_END - BIOS_AREA_BASE, type: E820_RESERVED },
  ];
  if (ramBytes > LOW_MEMORY_END) map.push({ base: LOW_MEMORY_END, size: ramBytes - LOW_MEMORY_END, type: E820_RAM });
  if (apic) map.push({ base: APIC_WINDOW, size: APIC_WINDOW_BYTES, type: E820_RESERVED });
  map.push({ base: FIRMWARE_WINDOW, size: FOUR_GIB - FIRMWARE_WINDOW, type: E820_RESERVED });
  return map;
}

/** The rows as firmware reads them from fw_cfg: u64 base, u64 size, u32 type, packed. */
export function e820File(rows: readonly E820Entry[]): Uint8Array {
  const file = new Uint8Array(rows.length * 20);
  const view = new DataView(file.buffer);
  for (const [i, { base, size, type }] of rows.entries()) {
    view.setBigUint64(i * 20, BigInt(base), true);
    view.setBigUint64(i * 20 + 8, BigInt(size), true);
    view.setUint32(i * 20 + 16, type, true);
  }
  return file;
}
