// Segment descriptors: reading them from the GDT and LDT into a draft (a segment cache in SEG_DRAFT), the tests that
// the checks of SDM 3A 5.5-5.8 are made of, and committing a draft to a segment register.
import {
  ATTR_ACCESSED, ATTR_CODE, ATTR_DB, ATTR_DC, ATTR_DPL_SHIFT, ATTR_G, ATTR_PRESENT, ATTR_RW, ATTR_S, ATTR_TYPE, ATTR_UNUSABLE,
  CR0, DRAFT_ADDR, DRAFT_HIGH, DRAFT_LOW, EFLAGS_SYS, GDTR_BASE, GDTR_LIMIT, SEG_ATTR, SEG_BASE, SEG_DRAFT, SEG_LDTR,
  SEG_LIMIT, SEG_SELECTOR, SEG_STRIDE,
} from "../../../spec/layout";
import { CR0_PE, FLAG_VM } from "../../../spec/registers";
import { faulted } from "../../cpu/fault";
import { segAddress, updateSegment } from "../../cpu/segment";
import { sysRead, sysWrite } from "../../mmu/access";

// System descriptor types (SDM 3A table 3-2)
export const TYPE_TSS16 = 1;
export const TYPE_LDT = 2;
export const TYPE_CALL16 = 4;
export const TYPE_TASK = 5;
export const TYPE_INT16 = 6;
export const TYPE_TRAP16 = 7;
export const TYPE_TSS32 = 9;
export const TYPE_CALL32 = 12;
export const TYPE_INT32 = 14;
export const TYPE_TRAP32 = 15;
/** Set in the type of a TSS that is the current one or in a chain of nested tasks. */
export const TYPE_BUSY = 2;
/** Of type 4..15 gates and 1/9 TSSs: the 32-bit form. */
export const TYPE_32 = 8;

/** Where the attributes come from in the high half of a descriptor. */
export const DESCRIPTOR_ATTR = 0xf0ff;

/** Protected mode proper: CR0.PE = 1 and EFLAGS.VM = 0. */
export function isProtected(vcpu: i32): bool {
  return (load<u32>(vcpu, CR0) & CR0_PE) != 0 && !(load<u32>(vcpu, EFLAGS_SYS) & FLAG_VM);
}

/** Virtual-8086 mode. */
export function isVm86(vcpu: i32): bool {
  return (load<u32>(vcpu, EFLAGS_SYS) & FLAG_VM) != 0;
}

/** Address of the draft for a segment register. */
export function draftAddress(vcpu: i32, seg: i32): i32 {
  return vcpu + SEG_DRAFT + seg * SEG_STRIDE;
}

/** A null selector: index 0 of the GDT, whatever its RPL. */
export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}

export function dpl(attr: u32): u32 {
  return (attr >> ATTR_DPL_SHIFT) & 3;
}

export function isCode(attr: u32): bool {
  return (attr & (ATTR_S | ATTR_CODE)) == (ATTR_S | ATTR_CODE);
}

export function isConforming(attr: u32): bool {
  return (attr & ATTR_DC) != 0;
}

export function isWritableData(attr: u32): bool {
  return (attr & (ATTR_S | ATTR_CODE | ATTR_RW)) == (ATTR_S | ATTR_RW);
}

/** Data segment or readable code segment. */
export function isReadable(attr: u32): bool {
  return (attr & ATTR_S) != 0 && (attr & (ATTR_CODE | ATTR_RW)) != ATTR_CODE;
}

/** Type of a system descriptor (0..15), or 16 and more for code and data. */
export function systemType(attr: u32): u32 {
  return attr & (ATTR_TYPE | ATTR_S);
}

export function isPresent(attr: u32): bool {
  return (attr & ATTR_PRESENT) != 0;
}

/** Fills base, limit and attributes of `draft` from the two halves of a descriptor. */
export function decodeDescriptor(draft: i32, selector: u32, low: u32, high: u32): void {
  let limit = (low & 0xffff) | (high & 0xf0000);
  const attr = (high >> 8) & DESCRIPTOR_ATTR;
  if (attr & ATTR_G) limit = (limit << 12) | 0xfff;
  store<u32>(draft, selector, SEG_SELECTOR);
  store<u32>(draft, (low >> 16) | ((high & 0xff) << 16) | (high & 0xff000000), SEG_BASE);
  store<u32>(draft, limit, SEG_LIMIT);
  store<u32>(draft, attr, SEG_ATTR);
  store<u32>(draft, low, DRAFT_LOW);
  store<u32>(draft, high, DRAFT_HIGH);
}

/**
 * Reads the descriptor of a non-null selector into `draft`. False when the selector is outside its table (no fault is
 * raised: the caller knows which one), or when reading the table faulted.
 */
export function fetchDescriptor(vcpu: i32, selector: u32, draft: i32): bool {
  let base = load<u32>(vcpu, GDTR_BASE);
  let limit = load<u32>(vcpu, GDTR_LIMIT);
  if (selector & 4) {
    const ldt = segAddress(vcpu, SEG_LDTR);
    if (load<u32>(ldt, SEG_ATTR) & ATTR_UNUSABLE) return false;
    base = load<u32>(ldt, SEG_BASE);
    limit = load<u32>(ldt, SEG_LIMIT);
  }
  if ((selector | 7) > limit) return false;
  const address = base + (selector & 0xfff8);
  const low = sysRead<u32>(vcpu, address);
  const high = sysRead<u32>(vcpu, address + 4);
  if (faulted(vcpu)) return false;
  decodeDescriptor(draft, selector, low, high);
  store<u32>(draft, address, DRAFT_ADDR);
  return true;
}

/** Sets the accessed bit in memory where it is clear (a table in ROM whose bits are set is never written). */
export function markAccessed(vcpu: i32, draft: i32): void {
  const attr = load<u32>(draft, SEG_ATTR);
  if (!(attr & ATTR_S) || attr & ATTR_ACCESSED) return;
  sysWrite<u8>(vcpu, load<u32>(draft, DRAFT_ADDR) + 5, <u8>(attr | ATTR_ACCESSED));
  store<u32>(draft, attr | ATTR_ACCESSED, SEG_ATTR);
}

/** Copies a validated draft into a segment register. The caller ends with updateMode. */
export function commitSegment(vcpu: i32, seg: i32, draft: i32): void {
  const s = segAddress(vcpu, seg);
  store<u32>(s, load<u32>(draft, SEG_SELECTOR), SEG_SELECTOR);
  store<u32>(s, load<u32>(draft, SEG_BASE), SEG_BASE);
  store<u32>(s, load<u32>(draft, SEG_LIMIT), SEG_LIMIT);
  store<u32>(s, load<u32>(draft, SEG_ATTR), SEG_ATTR);
  updateSegment(vcpu, seg);
}

/** Loads a null selector: the register is unusable until it is loaded again. */
export function commitNull(vcpu: i32, seg: i32, selector: u32): void {
  const s = segAddress(vcpu, seg);
  store<u32>(s, selector, SEG_SELECTOR);
  store<u32>(s, 0, SEG_BASE);
  store<u32>(s, 0, SEG_LIMIT);
  store<u32>(s, ATTR_UNUSABLE, SEG_ATTR);
  updateSegment(vcpu, seg);
}

/** Attributes of every segment in virtual-8086 mode: present, DPL 3, accessed, writable data. */
const ATTR_VM86: u32 = 0xf3;
/** Attributes that a load in real mode leaves, beside G and D/B: present, DPL 0, accessed, writable data. */
const ATTR_REAL: u32 = 0x93;

/**
 * Loads a segment register as the 8086 does: base = selector * 16. In real mode limit, G and D/B stay as protected
 * mode left them ("unreal" mode, SDM 3A 9.9.2); in virtual-8086 mode they are 64 KiB and 16-bit.
 */
export function commit8086(vcpu: i32, seg: i32, selector: u32, vm86: bool): void {
  const s = segAddress(vcpu, seg);
  const old = load<u32>(s, SEG_ATTR);
  store<u32>(s, selector, SEG_SELECTOR);
  store<u32>(s, selector << 4, SEG_BASE);
  if (vm86) {
    store<u32>(s, 0xffff, SEG_LIMIT);
    store<u32>(s, ATTR_VM86, SEG_ATTR);
  } else {
    // a null selector left no limit behind
    if (old & ATTR_UNUSABLE) store<u32>(s, 0xffff, SEG_LIMIT);
    store<u32>(s, (old & (ATTR_G | ATTR_DB)) | ATTR_REAL, SEG_ATTR);
  }
  updateSegment(vcpu, seg);
}

/** Range check of `size` bytes at `offset` in a cached or drafted segment; rights are not looked at. */
export function withinLimit(segment: i32, offset: u32, size: u32): bool {
  const limit = load<u32>(segment, SEG_LIMIT);
  const attr = load<u32>(segment, SEG_ATTR);
  const last = offset + (size - 1);
  if (last < offset) return false;
  if ((attr & (ATTR_S | ATTR_CODE | ATTR_DC)) != (ATTR_S | ATTR_DC)) return last <= limit;
  return offset > limit && last <= (attr & ATTR_DB ? <u32>0xffffffff : 0xffff);
}
