// Memory slots: which guest-physical ranges are backed by Wasm memory (KVM_SET_USER_MEMORY_REGION of this machine).
// What no slot covers is MMIO.
import {
  SLOT_FLAGS,
  SLOT_GPA,
  SLOT_HOST,
  SLOT_SIZE,
  SLOT_STRIDE,
  SLOTF_READONLY,
  SLOTS_BASE,
  SLOTS_MAX,
  VM_BASE,
  VM_SLOT_COUNT,
} from "../../spec/layout.ts";
import type { Core } from "./core.ts";
import { VmError } from "./error.ts";
import type { MemoryMap } from "./memory.ts";

export interface MemorySlot {
  readonly gpa: number;
  readonly size: number;
  /** Wasm address that backs it. */
  readonly host: number;
  readonly readonly: boolean;
}

/** The legacy video window: MMIO, or video memory where a graphics adapter says so. */
export const VGA_HOLE_BASE = 0xa0000;
export const VGA_HOLE_END = 0xc0000;
export const LOW_MEMORY_END = 0x100000;
/** How much of the end of a firmware image also appears below 1 MiB. */
export const FIRMWARE_ALIAS_BYTES = 128 * 1024;
export const FOUR_GIB = 0x100000000;

/**
 * RAM from 0 with the video hole; 0xC0000..0xFFFFF is RAM too: the shadow memory that firmware and option ROMs are
 * copied into, always writable. `firmwareBytes` of ROM end at 4 GiB.
 */
export function machineSlots(map: MemoryMap, firmwareBytes: number): MemorySlot[] {
  const slots: MemorySlot[] = [
    { gpa: 0, size: VGA_HOLE_BASE, host: map.ramBase, readonly: false },
    { gpa: VGA_HOLE_END, size: map.ramBytes - VGA_HOLE_END, host: map.ramBase + VGA_HOLE_END, readonly: false },
  ];
  if (firmwareBytes > 0) {
    slots.push({ gpa: FOUR_GIB - firmwareBytes, size: firmwareBytes, host: map.romBase, readonly: true });
  }
  return slots;
}

export function writeSlots(memory: WebAssembly.Memory, slots: readonly MemorySlot[]): void {
  if (slots.length > SLOTS_MAX) throw new VmError("internal", `A machine has at most ${SLOTS_MAX} memory slots.`);
  const view = new DataView(memory.buffer);
  slots.forEach((slot, i) => {
    const at = SLOTS_BASE + i * SLOT_STRIDE;
    view.setUint32(at + SLOT_GPA, slot.gpa, true);
    view.setUint32(at + SLOT_SIZE, slot.size, true);
    view.setUint32(at + SLOT_HOST, slot.host, true);
    view.setUint32(at + SLOT_FLAGS, slot.readonly ? SLOTF_READONLY : 0, true);
  });
  view.setUint32(VM_BASE + VM_SLOT_COUNT, slots.length, true);
}

/** Where slots that come and go may lie: above are the interrupt controllers and firmware, which win over them. */
const MOVABLE_END = 0xfec00000;

/**
 * The memory slots of a machine: fixed ones, and behind them those that devices open and close while it runs. Where two
 * overlap the earlier one is seen.
 */
export class SlotTable {
  /** As the core sees them. */
  readonly slots: MemorySlot[];

  constructor(
    private readonly memory: WebAssembly.Memory,
    fixed: readonly MemorySlot[],
    private readonly core: Core,
  ) {
    this.slots = [...fixed];
    writeSlots(memory, this.slots);
  }

  /** Shows memory to the guest, until closed. What reaches beyond the space for devices is not shown. */
  open(slot: MemorySlot): { close(): void } {
    const size = Math.min(slot.size, MOVABLE_END - slot.gpa);
    if (size <= 0) return { close: () => {} };
    const shown = { ...slot, size };
    this.slots.push(shown);
    this.#changed();
    return {
      close: () => {
        const at = this.slots.indexOf(shown);
        if (at < 0) return;
        this.slots.splice(at, 1);
        this.#changed();
      },
    };
  }

  #changed(): void {
    writeSlots(this.memory, this.slots);
    this.core.slotsChanged();
  }
}
