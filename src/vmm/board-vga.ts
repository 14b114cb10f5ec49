// The graphics adapter of a board: its place in the machine, and how it is found when a guest begins.

import type { TextScreenShape } from "../boot/machine.ts";
import type { PciHost } from "../devices/pci/host.ts";
import { TEXT_CELL_HEIGHT, TEXT_COLUMNS, TEXT_ROWS } from "../devices/vga/text-mode.ts";
import { Vga, type VideoMemory } from "../devices/vga/vga.ts";
import type { Board } from "./board.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { Core } from "./core.ts";
import type { DeviceClock } from "./device.ts";
import type { MemoryMap } from "./memory.ts";
import type { SlotTable } from "./slots.ts";

/** Where PC firmware and operating systems expect it: 00:02.0, as in QEMU. */
const VGA_SLOT = 2;
/** SeaBIOS runs the file of this name as the option ROM of PCI function 1234:1111. */
const OPTION_ROM_FILE = "pci1234,1111.rom";

export function addVga(memory: VideoMemory, pci: PciHost, clock: DeviceClock): Vga {
  const vga = new Vga(memory, clock);
  pci.add(VGA_SLOT, 0, vga.pci);
  return vga;
}

/** The machine's video memory; undefined where it has none. */
export function videoMemory(
  memory: WebAssembly.Memory,
  map: MemoryMap,
  slots: SlotTable,
  core: Core,
): VideoMemory | undefined {
  if (map.vramBytes === 0) return undefined;
  return {
    bytes: new Uint8Array(memory.buffer, map.vramBase, map.vramBytes),
    show: (base, offset, sizeBytes) => {
      const slot = slots.open({ gpa: base, size: sizeBytes, host: map.vramBase + offset, readonly: false });
      return { unmap: () => slot.close() };
    },
    written: (offset, sizeBytes) => core.memoryWritten(map.vramBase + offset, sizeBytes),
  };
}

/** Gives firmware its VGA BIOS; without firmware the adapter is in text mode, and what is returned says so. */
export function prepareVga(board: Board, config: CheckedConfig): TextScreenShape | undefined {
  if (board.vga === undefined) return undefined;
  if (config.boot.kind === "firmware") {
    if (config.vgaBios !== undefined) board.fwCfg.addFile(OPTION_ROM_FILE, config.vgaBios);
    return undefined;
  }
  board.vga.leaveAsFirmware(config.vgaBios);
  return { columns: TEXT_COLUMNS, rows: TEXT_ROWS, cellHeight: TEXT_CELL_HEIGHT };
}
