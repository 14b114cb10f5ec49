// The MultiProcessor tables of a machine that starts without firmware (Intel MultiProcessor Specification 1.4, chapter 4),
// for kernels that do not use ACPI: a floating pointer, and behind it the configuration table that it names.
import { IOAPIC_ADDRESS, IOAPIC_VERSION, LAPIC_ADDRESS, LAPIC_VERSION } from "../../spec/chipset.ts";
import {
  AS_THE_BUS,
  CASCADE_IRQ,
  EXTINT_LINT,
  ISA_IRQS,
  ISA_OVERRIDES,
  ioApicId,
  NMI_LINT,
  pciInterrupts,
} from "./interrupt-wiring.ts";
import { ascii, checksum, u16, u32 } from "./table-bytes.ts";

/** In the ROM area that guests search (F0000..FFFFF), behind the ACPI tables. */
export const MP_BASE = 0xf8000;
/** Specification 1.4. */
const REVISION = 4;
const PARAGRAPH = 16;
/** Feature byte 2, IMCRP: 0 = the machine comes up in virtual wire mode, not in PIC mode. */
const VIRTUAL_WIRE = 0;
const HEADER_CHECKSUM = 7;
const POINTER_CHECKSUM = 10;

// ---- entry types
const PROCESSOR = 0;
const BUS = 1;
const IO_APIC = 2;
const IO_INTERRUPT = 3;
const LOCAL_INTERRUPT = 4;

const CPU_ENABLED = 1;
const CPU_BOOTSTRAP = 2;
const IO_APIC_ENABLED = 1;

// ---- interrupt types
const INT = 0;
const NMI = 1;
const EXTINT = 3;

const PCI_BUS = 0;
const ISA_BUS = 1;
const BOOTSTRAP_LAPIC = 0;
const ALL_LAPICS = 0xff;

export interface MpOptions {
  readonly cpuCount: number;
  /** CPUID leaf 1, EAX. */
  readonly cpuSignature: number;
  /** CPUID leaf 1, EDX. */
  readonly cpuFeatures: number;
}

/** Floating pointer and configuration table as one image, to be copied to MP_BASE. */
export function buildMpTable(options: MpOptions): Uint8Array {
  const pointer = [
    ...ascii("_MP_"),
    ...u32(MP_BASE + PARAGRAPH),
    1, // paragraphs
    REVISION,
    0, // checksum
    0, // a configuration table is present
    VIRTUAL_WIRE,
    0,
    0,
    0,
  ];
  pointer[POINTER_CHECKSUM] = checksum(pointer);
  return Uint8Array.from([...pointer, ...configurationTable(options)]);
}

function configurationTable({ cpuCount, cpuSignature, cpuFeatures }: MpOptions): number[] {
  const entries = [
    ...processors(cpuCount, cpuSignature, cpuFeatures),
    [BUS, PCI_BUS, ...ascii("PCI", 6)],
    [BUS, ISA_BUS, ...ascii("ISA", 6)],
    [IO_APIC, ioApicId(cpuCount), IOAPIC_VERSION & 0xff, IO_APIC_ENABLED, ...u32(IOAPIC_ADDRESS)],
    ...pciEntries(ioApicId(cpuCount)),
    ...isaEntries(ioApicId(cpuCount)),
    [LOCAL_INTERRUPT, EXTINT, ...u16(AS_THE_BUS), ISA_BUS, 0, BOOTSTRAP_LAPIC, EXTINT_LINT],
    [LOCAL_INTERRUPT, NMI, ...u16(AS_THE_BUS), ISA_BUS, 0, ALL_LAPICS, NMI_LINT],
  ];
  const body = [
    ...ascii("PARAVANE"),
    ...ascii("MACHINE", 12),
    ...u32(0), // no OEM table
    ...u16(0),
    ...u16(entries.length),
    ...u32(LAPIC_ADDRESS),
    ...u32(0), // no extended table
    ...entries.flat(),
  ];
  const table = [...ascii("PCMP"), ...u16(8 + body.length), REVISION, 0, ...body];
  table[HEADER_CHECKSUM] = checksum(table);
  return table;
}

function processors(count: number, signature: number, features: number): number[][] {
  return Array.from({ length: count }, (_, id) => [
    PROCESSOR,
    id,
    LAPIC_VERSION & 0xff,
    CPU_ENABLED | (id === 0 ? CPU_BOOTSTRAP : 0),
    ...u32(signature),
    ...u32(features),
    ...u32(0),
    ...u32(0),
  ]);
}

/** A source on the PCI bus is named by slot and pin (table D-1). */
function pciEntries(ioApic: number): number[][] {
  return pciInterrupts().map(({ slot, pin, gsi }) => {
    const flags = ISA_OVERRIDES.find((override) => override.gsi === gsi)?.flags ?? AS_THE_BUS;
    return [IO_INTERRUPT, INT, ...u16(flags), PCI_BUS, (slot << 2) | pin, ioApic, gsi];
  });
}

/** ISA IRQs, without those that PCI devices have instead. */
function isaEntries(ioApic: number): number[][] {
  const taken = new Set(pciInterrupts().map(({ irq }) => irq));
  const rows: number[][] = [];
  for (let irq = 0; irq < ISA_IRQS; irq++) {
    if (irq === CASCADE_IRQ || taken.has(irq)) continue;
    const { gsi, flags } = ISA_OVERRIDES.find((override) => override.irq === irq) ?? { gsi: irq, flags: AS_THE_BUS };
    rows.push([IO_INTERRUPT, INT, ...u16(flags), ISA_BUS, irq, ioApic, gsi]);
  }
  return rows;
}
