// The register states that boot protocols hand over with.
import { ATTR_ACCESSED, ATTR_CODE, ATTR_DB, ATTR_G, ATTR_PRESENT, ATTR_RW, ATTR_S } from "../../spec/layout.ts";
import type { SegmentState, StartState } from "./machine.ts";

const CR0_PE = 1;
const CR0_ET = 1 << 4;
/** Bit 1 of EFLAGS is always one; everything else, IF above all, is clear. */
const EFLAGS_RESERVED = 2;

const FLAT_DATA = ATTR_S | ATTR_PRESENT | ATTR_RW | ATTR_ACCESSED | ATTR_DB | ATTR_G;
const FLAT_CODE = FLAT_DATA | ATTR_CODE;
const REAL_DATA = ATTR_S | ATTR_PRESENT | ATTR_RW | ATTR_ACCESSED;

/** Where the GDT of flat segments goes: free conventional memory above the BIOS data area. */
export const GDT_BASE = 0x1000;
export const GDT_BYTES = 32;

/** Selectors of the two flat segments: Linux asks for 0x10 and 0x18 (`__BOOT_CS`, `__BOOT_DS`). */
export interface FlatSelectors {
  readonly code: number;
  readonly data: number;
}
export const LINUX_SELECTORS: FlatSelectors = { code: 0x10, data: 0x18 };
export const MULTIBOOT_SELECTORS: FlatSelectors = { code: 0x08, data: 0x10 };

/** A GDT whose two descriptors are 4 GiB code and data at privilege 0 (SDM 3A 3.4.5). */
export function flatGdt(selectors: FlatSelectors): Uint8Array {
  const gdt = new Uint8Array(GDT_BYTES);
  const view = new DataView(gdt.buffer);
  for (const [selector, type] of [
    [selectors.code, 0x9b],
    [selectors.data, 0x93],
  ] as const) {
    view.setUint32(selector, 0x0000ffff, true);
    view.setUint32(selector + 4, 0x00cf0000 | (type << 8), true);
  }
  return gdt;
}

/** 32-bit protected mode, paging off, interrupts off, flat segments from the GDT at GDT_BASE. */
export function protectedStart(
  eip: number,
  selectors: FlatSelectors,
  registers: Partial<StartState> = {},
): Partial<StartState> {
  const data: SegmentState = { selector: selectors.data, base: 0, limit: 0xffffffff, attr: FLAT_DATA };
  return {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: 0,
    edi: 0,
    ebp: 0,
    esp: 0,
    eip,
    eflags: EFLAGS_RESERVED,
    cr0: CR0_PE | CR0_ET,
    cr3: 0,
    cr4: 0,
    cs: { selector: selectors.code, base: 0, limit: 0xffffffff, attr: FLAT_CODE },
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    gdtr: { base: GDT_BASE, limit: GDT_BYTES - 1 },
    ...registers,
  };
}

/** Real mode at `address` (below 1 MiB): CS 0 below 64 KiB, else the 64 KiB frame; stack 0000:7C00 as a BIOS leaves it. */
export function realStart(address: number, registers: Partial<StartState> = {}): Partial<StartState> {
  const selector = address < 0x10000 ? 0 : (address >>> 4) & 0xf000;
  const segment = (value: number, attr: number): SegmentState => ({
    selector: value,
    base: value << 4,
    limit: 0xffff,
    attr,
  });
  const data = segment(selector, REAL_DATA);
  return {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: 0,
    edi: 0,
    ebp: 0,
    esp: 0x7c00,
    eip: address - (selector << 4),
    eflags: EFLAGS_RESERVED,
    cr0: CR0_ET,
    cs: segment(selector, REAL_DATA | ATTR_CODE),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: segment(0, REAL_DATA),
    ...registers,
  };
}
