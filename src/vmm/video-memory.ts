// What the graphics adapter has of the machine's memory.
import type { VideoMemory } from "../devices/vga/vga.ts";
import type { Core } from "./core.ts";
import type { MemoryMap } from "./memory.ts";
import type { SlotTable } from "./slots.ts";

/** Undefined where the machine has none. */
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
