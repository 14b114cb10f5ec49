// Local APIC in xAPIC mode (SDM 3A chapter 11): registers, acceptance, priorities, local vector table, errors.
// The register page of the vCPU block holds the registers as they read; the timer is in time/apictimer.ts, sending in ipi.ts.
import { APIC_BASE, KDEV_LAPIC, LAPIC, LAPIC_PRIVATE, VCPU_ID, VM_BASE, VM_KERNEL_DEVICES } from "../../spec/layout";
import {
  APIC_BASE_ENABLE,
  APIC_BASE_SEEN,
  APIC_DFR,
  APIC_ERRORS,
  APIC_ERROR_SENT,
  APIC_ESR,
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_LINT,
  APIC_LVT_ERROR,
  APIC_LVT_LINT0,
  APIC_LVT_TIMER,
  APIC_PPR,
  APIC_SVR,
  APIC_TMR,
  APIC_TPR,
  APIC_VERSION,
  DELIVER_EXTINT,
  DELIVER_FIXED,
  ESR_RECEIVE_ILLEGAL_VECTOR,
  INIT_PENDING,
  IRQ_FROM_APIC,
  IRQ_FROM_EXTINT,
  LAPIC_VERSION,
  LVT_ACTIVE_LOW,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_REMOTE_IRR,
  SIPI_PENDING,
  SVR_ENABLE,
} from "../../spec/chipset";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { apicTimerReset } from "../time/apictimer";
import { vectorClear, vectorHighest, vectorSet, vectorTest } from "./bits";
import { deliverTo } from "./bus";
import { ioapicEoi } from "./ioapic";
import { offerPvEoi, settlePvEoi, withdrawPvEoi } from "../pv/eoi";
import { lapicOn, setSummary, updateExtInt } from "./pending";
import { traceIrq } from "./trace";

export { lapicMmioRead, lapicMmioWrite } from "./registers";
export { lapicAdvance, lapicGetTscDeadline, lapicNextDeadline, lapicSetTscDeadline } from "../time/apictimer";

/** Switched on by IA32_APIC_BASE and by the spurious-vector register: accepts fixed interrupts. */
export function lapicEnabled(vcpu: i32): bool {
  return lapicOn(vcpu) && (load<u32>(vcpu, LAPIC + APIC_SVR) & SVR_ENABLE) != 0;
}

/** Recomputes the processor priority (SDM 3A 11.8.3.1) and whether a request is above it. */
export function lapicUpdate(vcpu: i32): void {
  const tpr = load<u32>(vcpu, LAPIC + APIC_TPR);
  const serving = vectorHighest(vcpu + LAPIC + APIC_ISR);
  const isrClass: u32 = serving < 0 ? 0 : <u32>serving & 0xf0;
  const ppr = (tpr & 0xf0) >= isrClass ? tpr : isrClass;
  store<u32>(vcpu, ppr, LAPIC + APIC_PPR);
  const request = vectorHighest(vcpu + LAPIC + APIC_IRR);
  setSummary(vcpu, IRQ_FROM_APIC, request >= 0 && (<u32>request & 0xf0) > (ppr & 0xf0) && lapicOn(vcpu));
}

/** A fixed interrupt arrives. False when the APIC is disabled or the vector illegal. */
export function lapicReceive(vcpu: i32, vector: u32, level: bool): bool {
  if (!lapicEnabled(vcpu)) return false;
  settlePvEoi(vcpu);
  if (vector < 16) {
    lapicError(vcpu, ESR_RECEIVE_ILLEGAL_VECTOR);
    return false;
  }
  if (level) vectorSet(vcpu + LAPIC + APIC_TMR, vector);
  else vectorClear(vcpu + LAPIC + APIC_TMR, vector);
  vectorSet(vcpu + LAPIC + APIC_IRR, vector);
  lapicUpdate(vcpu);
  return true;
}

/** The processor takes the highest request: it moves into service. Call when IRQ_FROM_APIC is set. */
export function lapicAccept(vcpu: i32): i32 {
  const vector = vectorHighest(vcpu + LAPIC + APIC_IRR);
  if (vector < 0 || (<u32>vector & 0xf0) <= (load<u32>(vcpu, LAPIC + APIC_PPR) & 0xf0)) {
    return <i32>(load<u32>(vcpu, LAPIC + APIC_SVR) & 0xff);
  }
  vectorClear(vcpu + LAPIC + APIC_IRR, <u32>vector);
  vectorSet(vcpu + LAPIC + APIC_ISR, <u32>vector);
  lapicUpdate(vcpu);
  offerPvEoi(vcpu, <u32>vector);
  return vector;
}

/** End of interrupt: the highest vector in service is done; the I/O APIC hears of level-triggered ones. */
export function lapicEoi(vcpu: i32): void {
  const vector = vectorHighest(vcpu + LAPIC + APIC_ISR);
  if (vector < 0) return;
  vectorClear(vcpu + LAPIC + APIC_ISR, <u32>vector);
  lapicUpdate(vcpu);
  traceIrq(IrqTrace.End, <u32>vector, IrqSource.Apic, 0);
  if (!vectorTest(vcpu + LAPIC + APIC_TMR, <u32>vector)) return;
  for (let lint = 0; lint < 2; lint++) {
    const lvt = vcpu + LAPIC + APIC_LVT_LINT0 + (lint << 4);
    if ((load<u32>(lvt) & (LVT_REMOTE_IRR | 0xff)) == <u32>(LVT_REMOTE_IRR | vector)) {
      store<u32>(lvt, load<u32>(lvt) & ~LVT_REMOTE_IRR);
      lapicLint(vcpu, lint, false);
    }
  }
  ioapicEoi(<u32>vector);
}

/** Logs an error and sends the error interrupt, once until ESR is written. */
export function lapicError(vcpu: i32, bits: u32): void {
  store<u32>(vcpu, load<u32>(vcpu, LAPIC_PRIVATE + APIC_ERRORS) | bits, LAPIC_PRIVATE + APIC_ERRORS);
  if (load<u32>(vcpu, LAPIC_PRIVATE + APIC_ERROR_SENT)) return;
  store<u32>(vcpu, 1, LAPIC_PRIVATE + APIC_ERROR_SENT);
  lapicLocal(vcpu, APIC_LVT_ERROR);
}

/** A write to ESR: shows what was logged since the last one and arms the error interrupt again. */
export function lapicWriteEsr(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, LAPIC_PRIVATE + APIC_ERRORS), LAPIC + APIC_ESR);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_ERRORS);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_ERROR_SENT);
}

/** A message of an entry of the local vector table, which is numbered by its register. */
function traceLocal(lvt: i32, entry: u32): void {
  traceIrq(IrqTrace.Send, entry & 0xff, IrqSource.Local | (<u32>(lvt - APIC_LVT_TIMER) >> 4), (entry >> 8) & 7);
}

/** An edge on a local source: timer, thermal, performance counter or error (offset of its LVT register). */
export function lapicLocal(vcpu: i32, lvt: i32): void {
  if (!lapicOn(vcpu)) return;
  const entry = load<u32>(vcpu + LAPIC + lvt);
  if (entry & LVT_MASKED) return;
  const mode = lvt == APIC_LVT_TIMER || lvt == APIC_LVT_ERROR ? DELIVER_FIXED : <i32>(entry >> 8) & 7;
  if (mode == DELIVER_EXTINT) return;
  traceLocal(lvt, entry);
  deliverTo(vcpu, mode, entry & 0xff, false);
}

/** Drives LINT0 (the 8259s' INTR) or LINT1 (the board's NMI). */
export function lapicSetLint(vcpu: i32, lint: i32, level: bool): void {
  const old = load<u32>(vcpu, LAPIC_PRIVATE + APIC_LINT);
  const bit: u32 = 1 << lint;
  const now = level ? old | bit : old & ~bit;
  if (now == old) return;
  store<u32>(vcpu, now, LAPIC_PRIVATE + APIC_LINT);
  if (lapicOn(vcpu)) lapicLint(vcpu, lint, true);
  // Without an APIC the pins are INTR, which updateExtInt looks after, and NMI.
  else if (lint == 1 && level) deliverTo(vcpu, 4, 0, false);
}

/** Looks at a LINT pin after its level (`moved`) or its LVT entry changed. ExtINT on LINT0 is updateExtInt's. */
export function lapicLint(vcpu: i32, lint: i32, moved: bool): void {
  const lvt = vcpu + LAPIC + APIC_LVT_LINT0 + (lint << 4);
  const entry = load<u32>(lvt);
  const high = ((load<u32>(vcpu, LAPIC_PRIVATE + APIC_LINT) >> lint) & 1) != 0;
  const asserted = high != ((entry & LVT_ACTIVE_LOW) != 0);
  const mode = <i32>(entry >> 8) & 7;
  if (!asserted || entry & LVT_MASKED || mode == DELIVER_EXTINT) return;
  if (mode == DELIVER_FIXED && entry & LVT_LEVEL) {
    if (entry & LVT_REMOTE_IRR) return;
    traceLocal(APIC_LVT_LINT0 + (lint << 4), entry);
    if (lapicReceive(vcpu, entry & 0xff, true)) store<u32>(lvt, entry | LVT_REMOTE_IRR);
  } else if (moved) {
    traceLocal(APIC_LVT_LINT0 + (lint << 4), entry);
    deliverTo(vcpu, mode, entry & 0xff, false);
  }
}

/** INIT state (SDM 3A 11.4.7.3): as after power-up, but the ID stays. */
export function lapicInit(vcpu: i32): void {
  const id = load<u32>(vcpu, LAPIC + APIC_ID);
  // A start-up IPI that came behind the INIT is still to be carried out.
  const startup = load<u32>(vcpu, LAPIC_PRIVATE + SIPI_PENDING);
  lapicReset(vcpu);
  store<u32>(vcpu, id, LAPIC + APIC_ID);
  store<u32>(vcpu, startup, LAPIC_PRIVATE + SIPI_PENDING);
}

/** Power-up state (SDM 3A 11.4.7.1). */
export function lapicReset(vcpu: i32): void {
  const lint = load<u32>(vcpu, LAPIC_PRIVATE + APIC_LINT);
  memory.fill(vcpu + LAPIC, 0, 0x400);
  withdrawPvEoi(vcpu);
  store<u32>(vcpu, load<u32>(vcpu, VCPU_ID) << 24, LAPIC + APIC_ID);
  store<u32>(vcpu, LAPIC_VERSION, LAPIC + APIC_VERSION);
  store<u32>(vcpu, 0xffffffff, LAPIC + APIC_DFR);
  store<u32>(vcpu, 0xff, LAPIC + APIC_SVR);
  for (let lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 0x10) store<u32>(vcpu + LAPIC + lvt, LVT_MASKED);
  // What firmware leaves behind on the first processor: the 8259s by virtual wire, also under software disable. Kernels
  // are started without firmware here, and those that never touch the APIC (nolapic) still need their timer tick.
  if (load<u32>(vcpu, VCPU_ID) == 0) store<u32>(vcpu, DELIVER_EXTINT << 8, LAPIC + APIC_LVT_LINT0);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_ERRORS);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_ERROR_SENT);
  store<u32>(vcpu, lint, LAPIC_PRIVATE + APIC_LINT);
  store<u32>(vcpu, load<u32>(vcpu, APIC_BASE), LAPIC_PRIVATE + APIC_BASE_SEEN);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + INIT_PENDING);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + SIPI_PENDING);
  apicTimerReset(vcpu);
  setSummary(vcpu, IRQ_FROM_EXTINT, false);
  lapicUpdate(vcpu);
  updateExtInt(vcpu);
}

/** IA32_APIC_BASE was written: switching the APIC off loses its state (SDM 3A 11.4.3). */
export function lapicBaseChanged(vcpu: i32): void {
  const was = load<u32>(vcpu, LAPIC_PRIVATE + APIC_BASE_SEEN);
  const now = load<u32>(vcpu, APIC_BASE);
  if ((was ^ now) & APIC_BASE_ENABLE) lapicReset(vcpu);
  store<u32>(vcpu, now, LAPIC_PRIVATE + APIC_BASE_SEEN);
}

/** True for a VM whose local APICs live here. */
export function lapicHere(): bool {
  return (load<u32>(VM_BASE, VM_KERNEL_DEVICES) & KDEV_LAPIC) != 0;
}
