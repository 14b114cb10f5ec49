// The dirty log: which pages of RAM and video memory were written since it was last emptied. While it is on, a page whose PAGE_DIRTY is
// clear has no write tag in any TLB, so its first write takes the slow path (mmu/slow.ts), which sets the flag; writes past
// the TLB set it in beforeWrite. The host reads the flags themselves.
import {
  PAGE_DIRTY, TLB_JOURNAL, TLB_JOURNAL_COUNT, TLB_NO_TAG, TLB_WRITE, VCPU_BASE, VCPU_STRIDE, VM_BASE, VM_DIRTY_LOG, VM_PAGE_FLAGS, VM_RAM_BASE,
  VM_RAM_SIZE, VM_VCPU_COUNT, VM_VRAM_SIZE,
} from "../../spec/layout";
import { flushBaseCache } from "../cpu/fault";

/** PAGE_DIRTY of eight pages. */
const DIRTY_OF_EIGHT: u64 = 0x0101010101010101 * PAGE_DIRTY;

/** Switches the log on or off; either way it is empty afterwards. No vCPU may be running. */
export function setDirtyLog(on: bool): void {
  store<u32>(VM_BASE, on ? 1 : 0, VM_DIRTY_LOG);
  // Both are one range, a multiple of 4 KiB that begins at one of 64 KiB: the flags of its last pages may share eight
  // bytes with pages behind it, which have no use for theirs
  const first = load<u32>(VM_BASE, VM_RAM_BASE) - load<u32>(VM_BASE, VM_VRAM_SIZE);
  let p = load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>(first >> 12);
  const end = p + <i32>((load<u32>(VM_BASE, VM_VRAM_SIZE) + load<u32>(VM_BASE, VM_RAM_SIZE)) >> 12);
  for (; p < end; p += 8) {
    const flags = load<u64>(p);
    if (flags & DIRTY_OF_EIGHT) store<u64>(p, flags & ~DIRTY_OF_EIGHT);
  }
  if (on) dropAllWriteTags();
}

/** Every page's next write goes the slow way; what may be read and executed stays. */
function dropAllWriteTags(): void {
  const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let v = 0; v < vcpus; v++) {
    const vcpu = VCPU_BASE + v * VCPU_STRIDE;
    flushBaseCache(vcpu);
    const n = load<i32>(vcpu, TLB_JOURNAL_COUNT);
    for (let i = 0; i < n; i++) store<u32>(load<i32>(vcpu + TLB_JOURNAL + (i << 2)) & ~15, TLB_NO_TAG, TLB_WRITE);
  }
}
