// Para paging: which pages are page tables of the guest, and why. A count a page and kind of use, outside guest RAM: as page
// table (named by directory entries), as directory (named by PAE roots, or pinned), as PAE root (pinned). A page with any
// is write-protected (PAGE_TABLE). A table is checked when it gets its first use of a kind, so every entry in use is good.
//
// A device writes where the guest tells it to, tables included: then counts and entries disagree, so counts never go below 0.
import { CR4, PAGE_TABLE, SLOT_GPA, SLOT_SIZE, VCPU_BASE, VM_BASE, VM_RAM_BASE, VM_RAM_SIZE, VM_TABLE_REFS, VM_TABLE_WORK, VM_VRAM_SIZE } from "../../spec/layout";
import { HC_EFAULT, HC_ENOMEM, HC_EPERM } from "../../spec/hypercalls";
import { CR4_PAE, CR4_PSE } from "../../spec/registers";
import { dropWriteTags } from "./code-pages";
import { findSlot, pageFlagAddress, ramAt } from "./physical";

/** Uses of a page: shift of its count. */
export const AS_TABLE: u32 = 0;
export const AS_DIRECTORY: u32 = 12;
export const AS_ROOT: u32 = 24;
/** A count of this is full; roots of 32 bytes are 128 a page. */
const COUNT_MAX: u32 = 0xfff;
const ROOT_COUNT_MAX: u32 = 0xff;

const PTE_P: u64 = 1;
const PTE_PS: u64 = 128;
/** Guest-physical addresses that are devices': the video window, and all from here. */
const DEVICE_BASE: u32 = 0xc0000000;
const VIDEO_BASE: u32 = 0xa0000;
const VIDEO_END: u32 = 0xc0000;

function refsAddress(host: u32): i32 {
  return load<i32>(VM_BASE, VM_TABLE_REFS) + <i32>(host >> 12 << 2);
}

export function refsOf(host: u32): u32 {
  return load<u32>(refsAddress(host));
}

export function countOf(host: u32, use: u32): u32 {
  return (refsOf(host) >> use) & (use == AS_ROOT ? ROOT_COUNT_MAX : COUNT_MAX);
}

function setRefs(host: u32, refs: u32): void {
  store<u32>(refsAddress(host), refs);
  const flag = pageFlagAddress(host);
  const flags = <u32>load<u8>(flag);
  if (refs == 0) store<u8>(flag, flags & ~PAGE_TABLE);
  else if (!(flags & PAGE_TABLE)) {
    store<u8>(flag, flags | PAGE_TABLE);
    dropWriteTags(host >> 12);
  }
}

/** No page is a registered table. */
export function clearRefs(): void {
  const end = load<u32>(VM_BASE, VM_RAM_BASE) + load<u32>(VM_BASE, VM_RAM_SIZE);
  for (let host = load<u32>(VM_BASE, VM_RAM_BASE) - load<u32>(VM_BASE, VM_VRAM_SIZE); host < end; host += 4096) {
    if (refsOf(host) != 0) setRefs(host, 0);
  }
}

/** One more use. False when the count is full. */
export function addRef(host: u32, use: u32): bool {
  if (countOf(host, use) == (use == AS_ROOT ? ROOT_COUNT_MAX : COUNT_MAX)) return false;
  setRefs(host, refsOf(host) + (1 << use));
  return true;
}

/** One use less. True when it was the last of its kind. */
export function dropRef(host: u32, use: u32): bool {
  const count = countOf(host, use);
  if (count == 0) return false;
  setRefs(host, refsOf(host) - (1 << use));
  return count == 1;
}

/** True when all of a range is memory of the guest's or devices'. */
function mayMap(gpa: u64, size: u64): bool {
  const end = gpa + size;
  if (end > 0x100000000) return false;
  let at = gpa;
  while (at < end) {
    const a = <u32>at;
    const slot = findSlot(a);
    if (slot != 0) at = <u64>load<u32>(slot, SLOT_GPA) + <u64>load<u32>(slot, SLOT_SIZE);
    else if (a >= VIDEO_BASE && a < VIDEO_END) at = VIDEO_END;
    else if (a >= DEVICE_BASE) return true;
    else return false;
  }
  return true;
}

export function paeTables(): bool {
  return (load<u32>(VCPU_BASE, CR4) & CR4_PAE) != 0;
}

/** Entry `index` of the table at a Wasm address. */
export function entryAt(host: u32, index: u32): u64 {
  return paeTables() ? load<u64>(<i32>(host + (index << 3))) : <u64>load<u32>(<i32>(host + (index << 2)));
}

function frameOf(entry: u64): u64 {
  return entry & (paeTables() ? 0x000ffffffffff000 : 0xfffff000);
}

function worked(entries: u32): void {
  store<u32>(VM_BASE, load<u32>(VM_BASE, VM_TABLE_WORK) + entries, VM_TABLE_WORK);
}

function entriesOfTable(): u32 {
  return paeTables() ? 512 : 1024;
}

/** 0, or the error of an entry of a page table. */
export function checkLeaf(entry: u64): i32 {
  return !(entry & PTE_P) || mayMap(frameOf(entry), 4096) ? 0 : -HC_EPERM;
}

/** A directory entry that maps a large page. */
function isLarge(entry: u64): bool {
  return (entry & PTE_PS) != 0 && (paeTables() || (load<u32>(VCPU_BASE, CR4) & CR4_PSE) != 0);
}

function checkLarge(entry: u64): i32 {
  if (paeTables()) return mayMap(frameOf(entry) & ~(<u64>0x1fffff), 0x200000) ? 0 : -HC_EPERM;
  // PSE-36: bits 32 to 35 of the frame
  return !(entry & 0x1e000) && mayMap(entry & 0xffc00000, 0x400000) ? 0 : -HC_EPERM;
}

/** One more name for the page table at `host`. 0 or an error. */
function acquireTable(host: u32): i32 {
  if (countOf(host, AS_TABLE) == 0) {
    const count = entriesOfTable();
    worked(count);
    for (let i: u32 = 0; i < count; i++) {
      const error = checkLeaf(entryAt(host, i));
      if (error != 0) return error;
    }
  }
  return addRef(host, AS_TABLE) ? 0 : -HC_ENOMEM;
}

/** An entry of a directory comes into use. 0 or an error. */
export function acquireEntry(entry: u64): i32 {
  if (!(entry & PTE_P)) return 0;
  if (isLarge(entry)) return checkLarge(entry);
  const host = ramAt(frameOf(entry), 4096);
  return host == 0 ? -HC_EFAULT : acquireTable(host);
}

/** An entry of a directory is no longer in use. */
export function releaseEntry(entry: u64): void {
  if (!(entry & PTE_P) || isLarge(entry)) return;
  const host = ramAt(frameOf(entry), 4096);
  if (host != 0) dropRef(host, AS_TABLE);
}

/** One more use of the directory at `host`. 0 or an error, with nothing changed. */
export function acquireDirectory(host: u32): i32 {
  if (countOf(host, AS_DIRECTORY) != 0) return addRef(host, AS_DIRECTORY) ? 0 : -HC_ENOMEM;
  addRef(host, AS_DIRECTORY);
  const count = entriesOfTable();
  worked(count);
  for (let i: u32 = 0; i < count; i++) {
    const error = acquireEntry(entryAt(host, i));
    if (error == 0) continue;
    for (let k: u32 = 0; k < i; k++) releaseEntry(entryAt(host, k));
    dropRef(host, AS_DIRECTORY);
    return error;
  }
  return 0;
}

export function releaseDirectory(host: u32): void {
  if (!dropRef(host, AS_DIRECTORY)) return;
  const count = entriesOfTable();
  worked(count);
  for (let i: u32 = 0; i < count; i++) releaseEntry(entryAt(host, i));
}

/** An entry of a PAE root comes into use. 0 or an error. */
export function acquireRootEntry(entry: u64): i32 {
  if (!(entry & PTE_P)) return 0;
  const host = ramAt(frameOf(entry), 4096);
  return host == 0 ? -HC_EFAULT : acquireDirectory(host);
}

export function releaseRootEntry(entry: u64): void {
  if (!(entry & PTE_P)) return;
  const host = ramAt(frameOf(entry), 4096);
  if (host != 0) releaseDirectory(host);
}
