// Guest-physical memory: memory slots, and what happens when RAM that holds decoded code is written.
import {
  PAGE_CODE, PAGE_DIRTY, PAGE_TABLE, SLOT_FLAGS, SLOT_GPA, SLOT_HOST, SLOT_SIZE, SLOT_STRIDE, SLOTF_READONLY, SLOTS_BASE, VM_A20_MASK, VM_BASE,
  VM_PAGE_FLAGS, VM_SLOT_COUNT, VM_DIRTY_LOG,
} from "../../spec/layout";
import { bringPage, bringRange } from "./absent";
import { codeWritten } from "./code-pages";
import { forgetEntries } from "./shadow-pool";

/** Slot that backs a guest-physical address, or 0. Slots are few and the first one holds most of RAM. */
export function findSlot(gpa: u32): i32 {
  const count = load<i32>(VM_BASE, VM_SLOT_COUNT);
  let slot = SLOTS_BASE;
  for (let i = 0; i < count; i++) {
    if (gpa - load<u32>(slot, SLOT_GPA) < load<u32>(slot, SLOT_SIZE)) return slot;
    slot += SLOT_STRIDE;
  }
  return 0;
}

/** Wasm address of a guest-physical byte, or 0 where no slot is. A20 is applied. */
export function hostAddress(gpa: u32): u32 {
  const a = gpa & load<u32>(VM_BASE, VM_A20_MASK);
  const slot = findSlot(a);
  if (slot == 0) return 0;
  return a - load<u32>(slot, SLOT_GPA) + load<u32>(slot, SLOT_HOST);
}

export function isReadOnly(gpa: u32): bool {
  const slot = findSlot(gpa & load<u32>(VM_BASE, VM_A20_MASK));
  return slot != 0 && (load<u32>(slot, SLOT_FLAGS) & SLOTF_READONLY) != 0;
}

/** True for a Wasm address that backs RAM, not ROM. */
export function isWritableHost(host: u32): bool {
  const count = load<i32>(VM_BASE, VM_SLOT_COUNT);
  let slot = SLOTS_BASE;
  for (let i = 0; i < count; i++) {
    if (host - load<u32>(slot, SLOT_HOST) < load<u32>(slot, SLOT_SIZE)) return !(load<u32>(slot, SLOT_FLAGS) & SLOTF_READONLY);
    slot += SLOT_STRIDE;
  }
  return false;
}

/** Flag byte of the page that holds a Wasm address. */
export function pageFlagAddress(host: u32): i32 {
  return load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>(host >> 12);
}

/** Bookkeeping before `size` bytes at `host` (inside one page) are written past the TLB. */
export function beforeWrite(vcpu: i32, host: u32, size: u32): void {
  const p = pageFlagAddress(host);
  const flags = <u32>load<u8>(p);
  if (flags & PAGE_CODE) codeWritten(vcpu, host, size);
  if (flags & PAGE_TABLE) forgetEntries(host, size);
  if (load<u32>(VM_BASE, VM_DIRTY_LOG)) store<u8>(p, <u32>load<u8>(p) | PAGE_DIRTY);
}

/** Wasm address of `size` bytes at `gpa`, or 0 unless all of them are RAM of one slot. The A20 gate has no say, as for DMA. */
export function ramAt(gpa: u64, size: u32): u32 {
  if (gpa >> 32) return 0;
  const slot = findSlot(<u32>gpa);
  if (slot == 0 || load<u32>(slot, SLOT_FLAGS) & SLOTF_READONLY) return 0;
  const offset = <u32>gpa - load<u32>(slot, SLOT_GPA);
  if (load<u32>(slot, SLOT_SIZE) - offset < size) return 0;
  const host = load<u32>(slot, SLOT_HOST) + offset;
  return bringRange(host, size) ? host : 0;
}

/** Reads a page-table entry; memory that is not there reads as all ones. */
export function readPhysical32(gpa: u32): u32 {
  const h = hostAddress(gpa);
  if (h == 0) return 0xffffffff;
  bringPage(h);
  return load<u32>(<i32>h);
}

export function readPhysical64(gpa: u32): u64 {
  const h = hostAddress(gpa);
  if (h == 0) return 0xffffffffffffffff;
  bringPage(h);
  return load<u64>(<i32>h);
}

export function writePhysical32(vcpu: i32, gpa: u32, value: u32): void {
  const h = hostAddress(gpa);
  if (h == 0 || isReadOnly(gpa)) return;
  bringPage(h);
  beforeWrite(vcpu, h, 4);
  store<u32>(<i32>h, value);
}
