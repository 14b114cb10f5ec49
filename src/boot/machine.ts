// What boot code sees of the machine: memory to write images into, the memory map to report, and the registers to
// start with. Boot code never sees the VM object.
import type { GuestMemory } from "../vmm/device.ts";

/** One row of the BIOS memory map (INT 15h AX=E820h; ACPI 6.5 table 15.4). */
export interface E820Entry {
  readonly base: number;
  readonly size: number;
  readonly type: E820Type;
}
export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;
export type E820Type = 1 | 2 | 3 | 4;

/**
 * A segment register as the VMX guest-state area holds it. `attr` uses ATTR_* of spec/layout.ts (descriptor bits
 * 40..47 in 0..7, AVL L D/B G in 12..15); `limit` is in bytes, already expanded by G.
 */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
}

/** The architectural state that a vCPU starts with; what is left out keeps its reset value (SDM 3A table 9-1). */
export interface StartState {
  readonly eax: number;
  readonly ecx: number;
  readonly edx: number;
  readonly ebx: number;
  readonly esp: number;
  readonly ebp: number;
  readonly esi: number;
  readonly edi: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly es: SegmentState;
  readonly cs: SegmentState;
  readonly ss: SegmentState;
  readonly ds: SegmentState;
  readonly fs: SegmentState;
  readonly gs: SegmentState;
  readonly ldtr: SegmentState;
  readonly tr: SegmentState;
  readonly gdtr: { readonly base: number; readonly limit: number };
  readonly idtr: { readonly base: number; readonly limit: number };
}

/** A VGA in colour text mode 3. */
export interface TextScreenShape {
  readonly columns: number;
  readonly rows: number;
  /** Dots. */
  readonly cellHeight: number;
}

export interface BootMachine {
  /** Guest-physical memory; `ramBytes` is RAM counted from 0 (the VGA hole at 0xA0000..0xBFFFF is not RAM). */
  readonly memory: GuestMemory & { readonly ramBytes: number };
  /** The map a BIOS would report, ascending, without overlaps. */
  readonly e820: readonly E820Entry[];
  /** Guest-physical address of the RSDP (already written), 0 when the machine has no ACPI. */
  readonly acpiRsdp: number;
  /** What is on the screen; undefined when there is none, or when firmware looks after it. */
  readonly textScreen?: TextScreenShape | undefined;
  /** Sets vCPU 0; may be called several times, later values win. */
  setRegisters(state: Partial<StartState>): void;
  /**
   * Maps a firmware image so that it ends at 4 GiB and its last 128 KiB also end at 1 MiB (writable shadow RAM), and
   * leaves the vCPU at the reset vector. Throws VmError("bad-image") for a size that is not a multiple of 64 KiB or
   * is above 8 MiB.
   */
  loadFirmware(image: Uint8Array): void;
  /** Files that firmware reads through fw_cfg ("bootorder", "etc/e820"...). */
  addFwCfgFile(name: string, data: Uint8Array): void;
}
