// The log that the interrupt controllers keep while somebody traces interrupts: written by assembly/irq/trace.ts, read
// and emptied by src/vmm/irq-trace.ts after every runVcpu. Derived: nothing of it is part of a VM's state.

/** Between the memory slots and the vCPU blocks. */
export const IRQ_TRACE_BASE = 0x44000;
export const IRQ_TRACE_STRIDE = 16;
/** Room for so many records; what comes when it is full is counted and lost. */
export const IRQ_TRACE_MAX = 1024;
/** A record: u32 kind, then three u32 that depend on it. */
export const IRQ_TRACE_KIND = 0;
export const IRQ_TRACE_A = 4;
export const IRQ_TRACE_B = 8;
export const IRQ_TRACE_C = 12;

export const enum IrqTrace {
  /** A line of the board: A = GSI, B = level (as told; not every record is a change). */
  Line = 1,
  /** A message to local APICs: A = vector, B = source, C = delivery mode. */
  Send = 2,
  /** A vCPU takes an interrupt: A = vector, B = source, C = EIP of the instruction that it comes before. */
  Take = 3,
  /** End of interrupt: A = vector (local APIC) or IRQ (8259s), B = IrqSource.Apic or IrqSource.Pic. */
  End = 4,
}

/** Bits 31..8 of a source; bits 7..0 are its number. */
export const enum IrqSource {
  /** IRQ 0..15 of the 8259s. */
  Pic = 0x100,
  /** Input of the I/O APIC. */
  Gsi = 0x200,
  Msi = 0x300,
  Ipi = 0x400,
  /** An entry of the local vector table: its number, in the order of the registers. */
  Local = 0x500,
  /** A local APIC, whoever asked it. */
  Apic = 0x600,
  Nmi = 0x700,
}
export const IRQ_SOURCE_KIND = 0xffffff00;
