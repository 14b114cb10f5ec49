// Everything the core exports. The host's side of this list is src/vmm/core.ts.
import { VCPU_BASE, VCPU_STRIDE, VM_BASE, VM_VCPU_COUNT } from "../spec/layout";
import { resetRun } from "./cpu/run";
import { chipsetReset } from "./irq/ports";
import { lapicReset } from "./irq/lapic";
import { setIrqLine as setLine } from "./irq/lines";
import { flushBlocks } from "./mmu/code-pages";
import { resetPins } from "./mmu/para";
import { resetPool } from "./mmu/shadow-pool";
import { initTlbs } from "./mmu/tlb";
import { nowNs } from "./time/clock";
import { pitReplace } from "./time/pit";
import { deliverMsi as sendMsi } from "./irq/lines";
import { raiseNmi as sendNmi } from "./irq/pending";
import { PVCLOCK_GUEST_STOPPED } from "../spec/paravirt";
import { publishClock } from "./pv/clock";

export { runVcpu } from "./cpu/run";
export { syncVcpu, translateGva, guestWritten, memoryWritten, slotsChanged, setA20 } from "./cpu/sync";
export { resetVcpu } from "./cpu/reset";
export { flushTlbAll } from "./mmu/tlb";
export { chipsetPortRead, chipsetPortWrite } from "./irq/ports";
export { setDirtyLog } from "./mmu/dirty-log";
export { nextDeadlineNs, advanceTimers } from "./time/deadline";
export { advanceClock } from "./time/clock";
export { pinRoot, unpinRoot, updateTables } from "./mmu/para";
export { chipsetRead, chipsetWrite } from "./irq/mmio";
export { asyncPfReady, asyncPfRestored } from "./pv/async-pf";
export { addStealNs, setPreempted } from "./pv/steal";

/** Chipset to its power-on state, derived state emptied. The host has filled the header and the slots. */
export function initVm(): void {
  resetPool();
  resetPins();
  const n = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let i = 0; i < n; i++) {
    const vcpu = VCPU_BASE + i * VCPU_STRIDE;
    initTlbs(vcpu);
    resetRun(vcpu);
    lapicReset(vcpu);
  }
  flushBlocks(VCPU_BASE);
  chipsetReset(VCPU_BASE);
}

/** Level of an interrupt line: GSI 0..15 drive the 8259s and the I/O APIC, 16..23 the I/O APIC alone. */
export function setIrqLine(gsi: u32, level: u32): void {
  setLine(gsi, level != 0);
}

/** 1 = the 8254 no longer drives IRQ 0: the host does, by setIrqLine. */
export function setPitReplaced(vcpu: i32, replaced: u32): void {
  pitReplace(replaced != 0, nowNs(vcpu));
}

/** A message-signalled interrupt as a memory write of `data` to `address` (0xFEE.....). */
export function deliverMsi(address: u32, data: u32): void {
  sendMsi(address, data);
}

/** Makes an NMI pending. */
export function raiseNmi(vcpu: i32): void {
  sendNmi(vcpu);
}

/** Guest nanoseconds since power-on. */
export function clockNowNs(vcpu: i32): i64 {
  return nowNs(vcpu);
}

/** Tells a guest with kvm-clock that the host had stopped it, so that its watchdogs do not bark. 0 where it has no time page. */
export function clockStopped(vcpu: i32): u32 {
  return publishClock(vcpu, PVCLOCK_GUEST_STOPPED) ? 1 : 0;
}
