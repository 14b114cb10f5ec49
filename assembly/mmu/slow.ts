// Accesses that miss the TLB: page walk and fill, page crossing, MMIO, alignment checks, data breakpoints, code pages.
import {
  COUNT_TLB_FILL, CPL, CR0, CTRL_PAGING, DR0, DR7, EFLAGS_SYS, IMPLICIT_ACCESS, JOURNAL_GLOBAL, JOURNAL_LARGE, PAGE_CODE, PAGE_DIRTY, PAGE_TABLE, PAGING_PARA, PAGING_SHADOW, SLOT_FLAGS,
  SLOT_GPA, SLOT_HOST, SLOTF_READONLY, TLB_CURRENT, TLB_DELTA, TLB_EXEC, TLB_NULL, TLB_READ, TLB_SUPER, TLB_USER, TLB_WRITE, VM_A20_MASK, VM_BASE,
  VM_DIRTY_LOG, WALK_FLAGS, WALK_GPA, WATCH_COUNT,
} from "../../spec/layout";
import { CR0_AM, CR0_PG, FLAG_AC } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { checkDataBreakpoint, pageHasWatch } from "../cpu/debug";
import { faulted, raise, supervisorTlb } from "../cpu/fault";
import { bringPage } from "./absent";
import { Mem } from "./access";
import { mmioRead, mmioWrite } from "./mmio";
import { beforeWrite, findSlot, pageFlagAddress } from "./physical";
import { shadowTranslate, tableWriteExits } from "./shadow";
import { FILL_EXEC, FILL_READ, FILL_WRITE, fillTlb } from "./tlb";
import { ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE, accessAllowed, ERROR_P, pageFault, UNPAGED, walk, WALK_DIRTY, WALK_GLOBAL, WALK_LARGE } from "./walk";

/** No Wasm address: the page is not memory (see WALK_GPA), or a fault is recorded. */
const NO_HOST: u32 = 0;

/** True when a data breakpoint or a watch lies in the page: such a page gets no read or write tag. */
function pageWatched(vcpu: i32, lin: u32): bool {
  if (load<u32>(vcpu, WATCH_COUNT) != 0 && pageHasWatch(vcpu, lin)) return true;
  const dr7 = load<u32>(vcpu, DR7);
  if (!(dr7 & 0xff)) return false;
  for (let i = 0; i < 4; i++) {
    if (!((dr7 >> (i << 1)) & 3)) continue;
    if (!((dr7 >> (16 + (i << 2))) & 3)) continue; // execution
    if ((load<u32>(vcpu + (i << 2), DR0) ^ lin) >> 12 == 0) return true;
  }
  return false;
}

/** Walks, fills the TLB and returns the Wasm address; NO_HOST on a fault or where no memory is (`faulted` tells). */
function fill(vcpu: i32, lin: u32, access: u32, user: bool): u32 {
  store<u64>(vcpu, load<u64>(vcpu, COUNT_TLB_FILL) + 1, COUNT_TLB_FILL);
  const paging = load<u32>(vcpu, CTRL_PAGING);
  const shadowed = paging == PAGING_SHADOW && (load<u32>(vcpu, CR0) & CR0_PG) != 0;
  if (!(shadowed ? shadowTranslate(vcpu, lin, access, user) : walk(vcpu, lin, access, user, false))) return NO_HOST;
  const gpa = load<u32>(vcpu, WALK_GPA) & load<u32>(VM_BASE, VM_A20_MASK);
  store<u32>(vcpu, gpa, WALK_GPA);
  const slot = findSlot(gpa);
  if (slot == 0) return NO_HOST;
  const readOnly = (load<u32>(slot, SLOT_FLAGS) & SLOTF_READONLY) != 0;
  if (readOnly && access == ACCESS_WRITE) return NO_HOST;
  const host = gpa - load<u32>(slot, SLOT_GPA) + load<u32>(slot, SLOT_HOST);
  const found = load<u32>(vcpu, WALK_FLAGS);
  const open = found == UNPAGED;
  let rights: u32 = 0;
  const flag = pageFlagAddress(host);
  bringPage(host);
  if (paging == PAGING_PARA && access == ACCESS_WRITE && <u32>load<u8>(flag) & PAGE_TABLE) {
    pageFault(vcpu, lin, ERROR_P, access, user, false);
    return NO_HOST;
  }
  if (access == ACCESS_WRITE && load<u32>(VM_BASE, VM_DIRTY_LOG)) store<u8>(flag, <u32>load<u8>(flag) | PAGE_DIRTY);
  if (open || accessAllowed(vcpu, found, ACCESS_EXEC, user)) rights |= FILL_EXEC;
  if (!pageWatched(vcpu, lin)) {
    if (open || accessAllowed(vcpu, found, ACCESS_READ, user)) rights |= FILL_READ;
    const logged = !load<u32>(VM_BASE, VM_DIRTY_LOG) || (<u32>load<u8>(flag) & PAGE_DIRTY) != 0;
    if (found & WALK_DIRTY && !readOnly && logged && !(<u32>load<u8>(flag) & (PAGE_CODE | PAGE_TABLE))) {
      if (open || accessAllowed(vcpu, found, ACCESS_WRITE, user)) rights |= FILL_WRITE;
    }
  }
  let journal: u32 = 0;
  if (found & WALK_GLOBAL) journal |= JOURNAL_GLOBAL;
  if (found & WALK_LARGE) journal |= JOURNAL_LARGE;
  fillTlb(vcpu, tlbOf(vcpu, user), lin, host, rights, journal);
  return host;
}

function isUser(vcpu: i32): bool {
  return load<u32>(vcpu, CPL) == 3;
}

/** The table that an access looks into. Its entries have the rights that accessAllowed gives such accesses. */
function tlbOf(vcpu: i32, user: bool): i32 {
  if (user) return load<i32>(vcpu, TLB_USER);
  if (load<u32>(vcpu, CPL) == 3 || load<u32>(vcpu, IMPLICIT_ACCESS) != 0) return load<i32>(vcpu, TLB_SUPER);
  return supervisorTlb(vcpu);
}

/** Wasm address for a read, by TLB or walk. */
function hostForRead(vcpu: i32, lin: u32, user: bool): u32 {
  const e = Mem.entry(tlbOf(vcpu, user), lin);
  if (load<u32>(e, TLB_READ) == (lin & ~0xfff)) return lin + load<u32>(e, TLB_DELTA);
  return fill(vcpu, lin, ACCESS_READ, user);
}

function hostForWrite(vcpu: i32, lin: u32, user: bool): u32 {
  const e = Mem.entry(tlbOf(vcpu, user), lin);
  if (load<u32>(e, TLB_WRITE) == (lin & ~0xfff)) return lin + load<u32>(e, TLB_DELTA);
  return fill(vcpu, lin, ACCESS_WRITE, user);
}

/** Wasm address of an instruction byte, or 0 with #PF recorded, or 0 without a fault where no memory is. */
export function hostForFetch(vcpu: i32, lin: u32): u32 {
  const user = isUser(vcpu);
  const e = Mem.entry(tlbOf(vcpu, user), lin);
  if (load<u32>(e, TLB_EXEC) == (lin & ~0xfff)) return lin + load<u32>(e, TLB_DELTA);
  return fill(vcpu, lin, ACCESS_EXEC, user);
}

/** #AC: alignment checks are on exactly when CPL 3 looks into the empty TLB. */
function misaligned(vcpu: i32, lin: u32, size: u32, user: bool): bool {
  if (!user || !(lin & (size - 1))) return false;
  if (!(load<u32>(vcpu, CR0) & CR0_AM && load<u32>(vcpu, EFLAGS_SYS) & FLAG_AC)) return false;
  if (load<u32>(vcpu, TLB_CURRENT) != TLB_NULL) return false;
  raise(vcpu, Vector.AC, 0);
  return true;
}

function loadBytes(host: u32, size: u32): u64 {
  if (size == 4) return <u64>load<u32>(<i32>host);
  if (size == 1) return <u64>load<u8>(<i32>host);
  if (size == 2) return <u64>load<u16>(<i32>host);
  return load<u64>(<i32>host);
}

function storeBytes(host: u32, size: u32, value: u64): void {
  if (size == 4) store<u32>(<i32>host, <u32>value);
  else if (size == 1) store<u8>(<i32>host, <u8>value);
  else if (size == 2) store<u16>(<i32>host, <u16>value);
  else store<u64>(<i32>host, value);
}

function readAny(vcpu: i32, lin: u32, size: u32, user: bool): u64 {
  if (faulted(vcpu) || misaligned(vcpu, lin, size, user)) return 0;
  const first: u32 = 0x1000 - (lin & 0xfff);
  if (first < size) {
    // both pages before any side effect
    const a = hostForRead(vcpu, lin, user);
    const gpaA = load<u32>(vcpu, WALK_GPA);
    if (faulted(vcpu)) return 0;
    const b = hostForRead(vcpu, (lin & ~0xfff) + 0x1000, user);
    const gpaB = load<u32>(vcpu, WALK_GPA);
    if (faulted(vcpu)) return 0;
    checkDataBreakpoint(vcpu, lin, size, false);
    let value: u64 = 0;
    for (let i: u32 = 0; i < size; i++) {
      let byte: u64;
      if (i < first) byte = a == NO_HOST ? mmioRead(vcpu, gpaA + i, 1) : <u64>load<u8>(<i32>(a + i));
      else byte = b == NO_HOST ? mmioRead(vcpu, gpaB + (i - first), 1) : <u64>load<u8>(<i32>(b + (i - first)));
      value |= (byte & 0xff) << (i << 3);
    }
    return value;
  }
  const h = hostForRead(vcpu, lin, user);
  if (faulted(vcpu)) return 0;
  checkDataBreakpoint(vcpu, lin, size, false);
  if (h == NO_HOST) return mmioRead(vcpu, load<u32>(vcpu, WALK_GPA), size);
  return loadBytes(h, size);
}

/** True when a write must wait for the hypervisor: the bytes, inside one page, are part of a guarded page table. */
function heldBack(vcpu: i32, host: u32, gpa: u32, size: u32, value: u64): bool {
  return host != NO_HOST && load<u32>(vcpu, CTRL_PAGING) == PAGING_SHADOW && tableWriteExits(vcpu, host, gpa, size, value);
}

function writeAny(vcpu: i32, lin: u32, size: u32, value: u64, user: bool): void {
  if (faulted(vcpu) || misaligned(vcpu, lin, size, user)) return;
  const first: u32 = 0x1000 - (lin & 0xfff);
  if (first < size) {
    const a = hostForWrite(vcpu, lin, user);
    const gpaA = load<u32>(vcpu, WALK_GPA);
    if (faulted(vcpu)) return;
    const b = hostForWrite(vcpu, (lin & ~0xfff) + 0x1000, user);
    const gpaB = load<u32>(vcpu, WALK_GPA);
    if (faulted(vcpu)) return;
    if (heldBack(vcpu, a, gpaA, first, value) || heldBack(vcpu, b, gpaB, size - first, value >> (first << 3))) return;
    checkDataBreakpoint(vcpu, lin, size, true);
    // device bytes first: they may need the host, and memory must not change twice
    for (let i: u32 = 0; i < size; i++) {
      const byte = (value >> (i << 3)) & 0xff;
      if (i < first && a == NO_HOST) mmioWrite(vcpu, gpaA + i, 1, byte);
      if (i >= first && b == NO_HOST) mmioWrite(vcpu, gpaB + (i - first), 1, byte);
    }
    if (faulted(vcpu)) return;
    if (a != NO_HOST) beforeWrite(vcpu, a, first);
    if (b != NO_HOST) beforeWrite(vcpu, b, size - first);
    for (let i: u32 = 0; i < size; i++) {
      const byte = <u8>(value >> (i << 3));
      if (i < first) {
        if (a != NO_HOST) store<u8>(<i32>(a + i), byte);
      } else if (b != NO_HOST) store<u8>(<i32>(b + (i - first)), byte);
    }
    return;
  }
  const h = hostForWrite(vcpu, lin, user);
  if (faulted(vcpu) || heldBack(vcpu, h, load<u32>(vcpu, WALK_GPA), size, value)) return;
  checkDataBreakpoint(vcpu, lin, size, true);
  if (h == NO_HOST) {
    mmioWrite(vcpu, load<u32>(vcpu, WALK_GPA), size, value);
    return;
  }
  beforeWrite(vcpu, h, size);
  storeBytes(h, size, value);
}

/** Makes sure that `size` bytes can be written (page rights only; alignment too). False with a fault recorded. */
export function probeWrite(vcpu: i32, lin: u32, size: u32): bool {
  if (faulted(vcpu) || misaligned(vcpu, lin, size, isUser(vcpu))) return false;
  hostForWrite(vcpu, lin, isUser(vcpu));
  if (!faulted(vcpu) && <u32>0x1000 - (lin & 0xfff) < size) hostForWrite(vcpu, (lin & ~0xfff) + 0x1000, isUser(vcpu));
  return !faulted(vcpu);
}

/** The same for reading. */
export function probeRead(vcpu: i32, lin: u32, size: u32): bool {
  if (faulted(vcpu) || misaligned(vcpu, lin, size, isUser(vcpu))) return false;
  hostForRead(vcpu, lin, isUser(vcpu));
  if (!faulted(vcpu) && <u32>0x1000 - (lin & 0xfff) < size) hostForRead(vcpu, (lin & ~0xfff) + 0x1000, isUser(vcpu));
  return !faulted(vcpu);
}

export function slowRead(vcpu: i32, lin: u32, size: u32): u32 {
  return <u32>readAny(vcpu, lin, size, isUser(vcpu));
}

export function slowRead64(vcpu: i32, lin: u32): u64 {
  return readAny(vcpu, lin, 8, isUser(vcpu));
}

export function slowWrite(vcpu: i32, lin: u32, size: u32, value: u32): void {
  writeAny(vcpu, lin, size, <u64>value, isUser(vcpu));
}

export function slowWrite64(vcpu: i32, lin: u32, value: u64): void {
  writeAny(vcpu, lin, 8, value, isUser(vcpu));
}

export function slowReadForUpdate(vcpu: i32, lin: u32, size: u32): u64 {
  if (!probeWrite(vcpu, lin, size)) return 0;
  return readAny(vcpu, lin, size, isUser(vcpu));
}

export function sysReadSlow(vcpu: i32, lin: u32, size: u32): u64 {
  store<u32>(vcpu, 1, IMPLICIT_ACCESS);
  const value = readAny(vcpu, lin, size, false);
  store<u32>(vcpu, 0, IMPLICIT_ACCESS);
  return value;
}

export function sysWriteSlow(vcpu: i32, lin: u32, size: u32, value: u64): void {
  writeAny(vcpu, lin, size, value, false);
}
