// Segment registers: their cached descriptors, the checks on every access that is not known to be flat, and the
// decode mode that follows from them. SDM 3A chapters 3 and 5.
import {
  ATTR_CODE, ATTR_DB, ATTR_DC, ATTR_PRESENT, ATTR_RW, ATTR_S, ATTR_UNUSABLE, CR0, EFLAGS_SYS, MODE,
  MODE_CS32, MODE_FLAT_CODE, MODE_FLAT_DATA, MODE_PROTECTED, MODE_SS32, MODE_FS_OPEN, MODE_GS_OPEN, MODE_USER, CPL, SEG_FS, SEG_GS, SEGA_OPEN, SEG, SEG_ACCESS, SEG_ATTR, SEG_BASE, SEG_CS, SEG_DS, SEG_ES,
  SEG_LIMIT, SEG_SS, SEG_STRIDE, SEGA_EXPAND_DOWN, SEGA_FLAT, SEGA_READ, SEGA_WRITE,
} from "../../spec/layout";
import { CR0_PE, FLAG_VM } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { raise, updateCurrentTlb } from "./fault";

/** Address of a segment register's cache in the vCPU block. */
export function segAddress(vcpu: i32, seg: i32): i32 {
  return vcpu + SEG + seg * SEG_STRIDE;
}

/** Derives SEG_ACCESS after base, limit or attributes changed. */
export function updateSegment(vcpu: i32, seg: i32): void {
  const s = segAddress(vcpu, seg);
  const attr = load<u32>(s, SEG_ATTR);
  let access: u32 = 0;
  if (!(attr & ATTR_UNUSABLE) && attr & ATTR_PRESENT && attr & ATTR_S) {
    if (attr & ATTR_CODE) {
      if (attr & ATTR_RW) access |= SEGA_READ;
    } else {
      access |= SEGA_READ;
      if (attr & ATTR_RW) access |= SEGA_WRITE;
      if (attr & ATTR_DC) access |= SEGA_EXPAND_DOWN;
    }
    if (access & SEGA_WRITE && load<u32>(s, SEG_LIMIT) == 0xffffffff && !(access & SEGA_EXPAND_DOWN)) access |= SEGA_OPEN;
    const flatRange = load<u32>(s, SEG_BASE) == 0 && load<u32>(s, SEG_LIMIT) == 0xffffffff && !(access & SEGA_EXPAND_DOWN);
    if (flatRange && (seg == SEG_CS || access & SEGA_WRITE)) access |= SEGA_FLAT;
  }
  store<u32>(s, access, SEG_ACCESS);
}

/** Recomputes MODE and the current TLB from CS, SS, DS, ES, CR0, EFLAGS.VM and CPL. Call after any of them changed. */
export function updateMode(vcpu: i32): void {
  let mode: u32 = 0;
  if (load<u32>(segAddress(vcpu, SEG_CS), SEG_ATTR) & ATTR_DB) mode |= MODE_CS32;
  if (load<u32>(segAddress(vcpu, SEG_SS), SEG_ATTR) & ATTR_DB) mode |= MODE_SS32;
  if (
    load<u32>(segAddress(vcpu, SEG_DS), SEG_ACCESS) &
    load<u32>(segAddress(vcpu, SEG_ES), SEG_ACCESS) &
    load<u32>(segAddress(vcpu, SEG_SS), SEG_ACCESS) &
    SEGA_FLAT
  )
    mode |= MODE_FLAT_DATA;
  if (load<u32>(segAddress(vcpu, SEG_CS), SEG_ACCESS) & SEGA_FLAT) mode |= MODE_FLAT_CODE;
  if (load<u32>(vcpu, CR0) & CR0_PE && !(load<u32>(vcpu, EFLAGS_SYS) & FLAG_VM)) mode |= MODE_PROTECTED;
  if (load<u32>(vcpu, CPL) == 3) mode |= MODE_USER;
  if (load<u32>(segAddress(vcpu, SEG_FS), SEG_ACCESS) & SEGA_OPEN) mode |= MODE_FS_OPEN;
  if (load<u32>(segAddress(vcpu, SEG_GS), SEG_ACCESS) & SEGA_OPEN) mode |= MODE_GS_OPEN;
  store<u32>(vcpu, mode, MODE);
  updateCurrentTlb(vcpu);
}

/**
 * Limit and rights check of an access to `size` bytes at `offset`. Raises #SS(0) for SS, #GP(0) for the others.
 * An unusable (null) segment has no rights, so every access through it faults.
 */
export function checkSegment(vcpu: i32, seg: i32, offset: u32, size: u32, write: bool): bool {
  const s = segAddress(vcpu, seg);
  const access = load<u32>(s, SEG_ACCESS);
  if (access & (write ? SEGA_WRITE : SEGA_READ)) {
    const limit = load<u32>(s, SEG_LIMIT);
    const last = offset + (size - 1);
    if (!(access & SEGA_EXPAND_DOWN)) {
      if (last <= limit && last >= offset) return true;
    } else {
      const top: u32 = load<u32>(s, SEG_ATTR) & ATTR_DB ? 0xffffffff : 0xffff;
      if (offset > limit && last <= top && last >= offset) return true;
    }
  }
  raise(vcpu, seg == SEG_SS ? Vector.SS : Vector.GP, 0);
  return false;
}
