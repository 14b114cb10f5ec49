// How interrupt sources reach the interrupt controllers on this board, said once. The ACPI tables (MADT, _PRT) and the
// MultiProcessor tables tell guests what is here.
import { SCI_IRQ } from "./acpi-pm.ts";
import { LINK_IRQS } from "./pci/firmware-setup.ts";
import { linkOf, PIRQ_GSI_BASE, SOUTH_BRIDGE_SLOT } from "./pci/piix3.ts";

export const ISA_IRQS = 16;
/** The input of the master 8259 that the slave hangs on: no device has it. */
export const CASCADE_IRQ = 2;

/** MPS INTI flags (MultiProcessor Specification 1.4 table 4-10; ACPI 6.5, 5.2.12.5): polarity and trigger of the source's bus. */
export const AS_THE_BUS = 0x0000;
export const LEVEL_HIGH = 0x000d;

export interface IsaOverride {
  readonly irq: number;
  readonly gsi: number;
  readonly flags: number;
}

/** ISA IRQs that are not on the I/O APIC input of their own number, or not triggered as ISA is. */
export const ISA_OVERRIDES: readonly IsaOverride[] = [
  // Input 0 has the 8259s' INTR.
  { irq: 0, gsi: 2, flags: AS_THE_BUS },
  { irq: SCI_IRQ, gsi: SCI_IRQ, flags: LEVEL_HIGH },
];

/** Inputs of every local APIC: the 8259s' INTR and NMI. */
export const EXTINT_LINT = 0;
export const NMI_LINT = 1;

/** Local APIC IDs count from 0; the I/O APIC takes the next. */
export function ioApicId(cpuCount: number): number {
  return cpuCount;
}

export interface PciInterrupt {
  readonly slot: number;
  /** 0..3 = INTA..INTD. */
  readonly pin: number;
  /** Input of the I/O APIC. */
  readonly gsi: number;
  /** ISA IRQ while the guest uses the 8259s. */
  readonly irq: number;
}

const PCI_SLOTS = 32;
const PCI_PINS = 4;

/** Every pin of every slot but the host bridge's. The power management function's, slot 1 INTA, is the SCI. */
export function pciInterrupts(): PciInterrupt[] {
  const rows: PciInterrupt[] = [];
  for (let slot = 1; slot < PCI_SLOTS; slot++) {
    for (let pin = 0; pin < PCI_PINS; pin++) {
      const link = linkOf(slot, pin);
      const wired = slot === SOUTH_BRIDGE_SLOT && pin === 0 ? SCI_IRQ : undefined;
      rows.push({ slot, pin, gsi: wired ?? PIRQ_GSI_BASE + link, irq: wired ?? LINK_IRQS[link] ?? 0 });
    }
  }
  return rows;
}
