// Interrupt lines of the board: which controller inputs each IRQ reaches, and message-signalled interrupts.
import { KDEV_IOAPIC, KDEV_PIC, VM_BASE, VM_KERNEL_DEVICES } from "../../spec/layout";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { deliver } from "./bus";
import { ioapicSetIrq } from "./ioapic";
import { picSetIrq } from "./pic";
import { traceIrq } from "./trace";

/** ISA IRQ 0..15 to both controllers; the timer's IRQ 0 is on pin 2 of the I/O APIC, whose pin 0 is the 8259s' INTR. */
export function isaIrq(irq: u32, level: bool): void {
  traceIrq(IrqTrace.Line, irq, level, 0);
  const devices = load<u32>(VM_BASE, VM_KERNEL_DEVICES);
  if (devices & KDEV_PIC) picSetIrq(irq, level);
  if (devices & KDEV_IOAPIC) ioapicSetIrq(irq == 0 ? 2 : irq, level);
}

/**
 * Sets the level of an interrupt line, called by the host: 0..15 are the ISA IRQs (2 does not exist), 16..23 pins of the
 * I/O APIC only. `level` is true while any of the devices that share the line asserts it.
 */
export function setIrqLine(gsi: u32, level: bool): void {
  if (gsi < 16) {
    if (gsi != 2) isaIrq(gsi, level);
  } else if (load<u32>(VM_BASE, VM_KERNEL_DEVICES) & KDEV_IOAPIC) {
    traceIrq(IrqTrace.Line, gsi, level, 0);
    ioapicSetIrq(gsi, level);
  }
}

/** A message-signalled interrupt (SDM 3A 11.11): the write of `data` to an address in FEExxxxxh. */
export function deliverMsi(address: u32, data: u32): void {
  if (address >> 20 != 0xfee) return;
  const level = (data & 0x8000) != 0;
  // A level-triggered message that de-asserts ends nothing: EOI does.
  if (level && !(data & 0x4000)) return;
  const mode = <i32>(data >> 8) & 7;
  traceIrq(IrqTrace.Send, data & 0xff, IrqSource.Msi, mode);
  // The redirection hint asks for the processor with the lowest priority among those addressed.
  const hinted = (address & 8) != 0 && mode == 0;
  deliver((address >> 12) & 0xff, (address & 4) != 0, hinted ? 1 : mode, data & 0xff, level);
}
