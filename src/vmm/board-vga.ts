// The graphics adapter of a board.
import type { PciHost } from "../devices/pci/host.ts";
import { Vga, type VideoMemory } from "../devices/vga/vga.ts";
import type { DeviceClock } from "./device.ts";

/** Where PC firmware and operating systems expect it: 00:02.0, as in QEMU. */
const VGA_SLOT = 2;

export function addVga(memory: VideoMemory, pci: PciHost, clock: DeviceClock): Vga {
  const vga = new Vga(memory, clock);
  pci.add(VGA_SLOT, 0, vga.pci);
  return vga;
}
