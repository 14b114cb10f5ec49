// For the host: after registers were changed from outside, everything that follows from them is derived again.
import { CR0, CR3, CR4, PDPTE, SLOT_GPA, SLOT_HOST, SEG_GS, SEG_LDTR, SEG_TR, VECTORING, VM_A20_MASK, VM_BASE, VM_VCPU_COUNT, VCPU_BASE, VCPU_STRIDE, WALK_GPA } from "../../spec/layout";
import { CR0_PG, CR4_PAE } from "../../spec/registers";
import { beforeWrite, findSlot, readPhysical64 } from "../mmu/physical";
import { restorePins } from "../mmu/para";
import { resetPool } from "../mmu/shadow-pool";
import { flushTlbAll } from "../mmu/tlb";
import { ACCESS_READ, walk } from "../mmu/walk";
import { resetRun } from "./run";
import { updateMode, updateSegment } from "./segment";

/** Recomputes segment rights, decode mode and PDPTEs, forgets half-done instructions, and empties the TLB. */
export function syncVcpu(vcpu: i32): void {
  for (let seg = 0; seg <= SEG_GS; seg++) updateSegment(vcpu, seg);
  updateSegment(vcpu, SEG_LDTR);
  updateSegment(vcpu, SEG_TR);
  if (load<u32>(vcpu, CR0) & CR0_PG && load<u32>(vcpu, CR4) & CR4_PAE) {
    const table = load<u32>(vcpu, CR3) & 0xffffffe0;
    for (let i = 0; i < 4; i++) store<u64>(vcpu + (i << 3), readPhysical64(table + <u32>(i << 3)), PDPTE);
  }
  store<u32>(vcpu, 0, VECTORING);
  resetRun(vcpu);
  updateMode(vcpu);
  resetPool();
  restorePins(vcpu);
  flushTlbAll(vcpu);
}

/** Guest-physical address of a linear one by the current tables, without side effects; -1 where nothing is mapped. */
export function translateGva(vcpu: i32, lin: u32): i64 {
  if (!walk(vcpu, lin, ACCESS_READ, false, true)) return -1;
  return <i64>load<u32>(vcpu, WALK_GPA);
}

/** Bytes of guest memory were changed by the host (DMA, loaders, debugger), which the A20 gate does not concern. */
export function guestWritten(gpa: u32, size: u32): void {
  let at = gpa;
  let left = size;
  while (left > 0) {
    let n: u32 = 0x1000 - (at & 0xfff);
    if (n > left) n = left;
    const slot = findSlot(at);
    if (slot != 0) beforeWrite(VCPU_BASE, at - load<u32>(slot, SLOT_GPA) + load<u32>(slot, SLOT_HOST), n);
    at += n;
    left -= n;
  }
}

/** The same for memory of the VM that a device reaches by its Wasm address, whether or not a slot shows it to the guest. */
export function memoryWritten(host: u32, size: u32): void {
  let at = host;
  let left = size;
  while (left > 0) {
    let n: u32 = 0x1000 - (at & 0xfff);
    if (n > left) n = left;
    beforeWrite(VCPU_BASE, at, n);
    at += n;
    left -= n;
  }
}

/** What guest-physical addresses mean has changed (memory slots, A20): every vCPU forgets what it knows of them. */
export function slotsChanged(): void {
  resetPool();
  const n = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let i = 0; i < n; i++) flushTlbAll(VCPU_BASE + i * VCPU_STRIDE);
}

/** A20 gate: off makes address bit 20 zero. */
export function setA20(enabled: bool): void {
  const mask: u32 = enabled ? 0xffffffff : 0xffefffff;
  if (mask == load<u32>(VM_BASE, VM_A20_MASK)) return;
  store<u32>(VM_BASE, mask, VM_A20_MASK);
  slotsChanged();
}

