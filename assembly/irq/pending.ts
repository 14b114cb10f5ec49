// What the run loop asks between instructions: is there an interrupt to take, and which. IRQ_SUMMARY of each vCPU is kept
// up to date by the controllers, so the question is one load; EVENT_IRQ makes the block loop come and ask.
import {
  APIC_BASE,
  EIP,
  EVENT,
  EVENT_IRQ,
  KDEV_LAPIC,
  LAPIC,
  LAPIC_PRIVATE,
  NMI_PENDING,
  VCPU_BASE,
  VCPU_ID,
  VCPU_MAX,
  VCPU_STRIDE,
  VM_BASE,
  VM_KERNEL_DEVICES,
  VM_VCPU_COUNT,
} from "../../spec/layout";
import {
  APIC_BASE_ENABLE,
  APIC_LVT_LINT0,
  DELIVER_EXTINT,
  INIT_PENDING,
  IRQ_FROM_APIC,
  IRQ_FROM_EXTINT,
  IRQ_FROM_PIC,
  IRQ_SUMMARY,
  LVT_MASKED,
  SIPI_PENDING,
} from "../../spec/chipset";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { ioapicPicPin } from "./ioapic";
import { lapicAccept, lapicSetLint } from "./lapic";
import { picAcknowledge, picOutput } from "./pic";
import { traceIrq } from "./trace";

/** vCPUs of the VM. */
export function vcpuCount(): i32 {
  return min<i32>(load<i32>(VM_BASE, VM_VCPU_COUNT), VCPU_MAX);
}

// @ts-ignore: decorator
@inline
export function vcpuAt(index: i32): i32 {
  return VCPU_BASE + index * VCPU_STRIDE;
}

/** The machine has a local APIC and IA32_APIC_BASE has it switched on. */
export function lapicOn(vcpu: i32): bool {
  return (
    (load<u32>(VM_BASE, VM_KERNEL_DEVICES) & KDEV_LAPIC) != 0 && (load<u32>(vcpu, APIC_BASE) & APIC_BASE_ENABLE) != 0
  );
}

/** True when a maskable interrupt waits; EFLAGS.IF and interrupt shadows are the caller's. */
// @ts-ignore: decorator
@inline
export function interruptPending(vcpu: i32): bool {
  return load<u32>(vcpu, LAPIC_PRIVATE + IRQ_SUMMARY) != 0;
}

/** True when an NMI waits; NMI_BLOCKED is the caller's. */
// @ts-ignore: decorator
@inline
export function nmiPending(vcpu: i32): bool {
  return load<u32>(vcpu, NMI_PENDING) != 0;
}

/** Makes the block loop go through the dispatcher after the current instruction. */
export function signal(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_IRQ, EVENT);
}

/** Sets or clears one source in the summary word. */
export function setSummary(vcpu: i32, source: u32, on: bool): void {
  const old = load<u32>(vcpu, LAPIC_PRIVATE + IRQ_SUMMARY);
  const summary = on ? old | source : old & ~source;
  if (summary == old) return;
  store<u32>(vcpu, summary, LAPIC_PRIVATE + IRQ_SUMMARY);
  if (on) signal(vcpu);
}

/** The 8259s' INTR reaches this vCPU: straight when the APIC is off (first vCPU only), else by LINT0 in ExtINT mode. */
function picWired(vcpu: i32): bool {
  if (!lapicOn(vcpu)) return load<u32>(vcpu, VCPU_ID) == 0;
  const lint0 = load<u32>(vcpu, LAPIC + APIC_LVT_LINT0);
  return (lint0 & LVT_MASKED) == 0 && (<i32>(lint0 >> 8) & 7) == DELIVER_EXTINT;
}

/** Recomputes IRQ_FROM_PIC after INTR, LINT0 or IA32_APIC_BASE changed. */
export function updateExtInt(vcpu: i32): void {
  setSummary(vcpu, IRQ_FROM_PIC, picOutput() && picWired(vcpu));
}

/** The 8259s' INTR changed: LINT0 of every vCPU and pin 0 of the I/O APIC hang on it. */
export function intrChanged(level: bool): void {
  const count = vcpuCount();
  for (let i = 0; i < count; i++) {
    const vcpu = vcpuAt(i);
    lapicSetLint(vcpu, 0, level);
    updateExtInt(vcpu);
  }
  ioapicPicPin(level);
}

/**
 * Takes the interrupt with the highest priority: the local APIC's, then an external one (the 8259s' vector, which may be
 * a spurious one). -1 when nothing waits.
 */
export function acknowledgeInterrupt(vcpu: i32): i32 {
  const summary = load<u32>(vcpu, LAPIC_PRIVATE + IRQ_SUMMARY);
  if (summary & IRQ_FROM_APIC) {
    const vector = lapicAccept(vcpu);
    traceIrq(IrqTrace.Take, vector, IrqSource.Apic, load<u32>(vcpu, EIP));
    return vector;
  }
  if (!(summary & (IRQ_FROM_PIC | IRQ_FROM_EXTINT))) return -1;
  // Before the INTA cycle: a request that is left raises INTR, and with it the message, once more.
  setSummary(vcpu, IRQ_FROM_EXTINT, false);
  return picAcknowledge(vcpu);
}

/** A non-maskable interrupt for this vCPU, from LINT1, an IPI, the I/O APIC, an MSI or the host. */
export function raiseNmi(vcpu: i32): void {
  store<u32>(vcpu, 1, NMI_PENDING);
  signal(vcpu);
}

/** INIT for this vCPU: recorded for whoever runs it. */
export function requestInit(vcpu: i32): void {
  store<u32>(vcpu, 1, LAPIC_PRIVATE + INIT_PENDING);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + SIPI_PENDING);
  signal(vcpu);
}

/** Start-up IPI: execution would begin at vector * 4096. */
export function requestStartup(vcpu: i32, vector: u32): void {
  store<u32>(vcpu, 0x100 | (vector & 0xff), LAPIC_PRIVATE + SIPI_PENDING);
  signal(vcpu);
}
