// The ACPI tables of a machine that starts without firmware (ACPI 6.5, chapter 5), as one image to copy below 1 MiB.

import { IOAPIC_ADDRESS, LAPIC_ADDRESS } from "../../../spec/chipset.ts";
import { ACPI_DISABLE, ACPI_ENABLE, GPE0_BASE, GPE0_BYTES, SCI_IRQ, SMI_COMMAND_PORT } from "../acpi-pm.ts";
import { HPET_BASE, HPET_ID, HPET_SHORTEST_TICKS } from "../hpet.ts";
import { AS_THE_BUS, ISA_OVERRIDES, ioApicId, NMI_LINT } from "../interrupt-wiring.ts";
import { ascii, checksum, u16, u32 } from "../table-bytes.ts";
import { dsdtBody } from "./dsdt.ts";

/** In the area that guests search for the RSDP (E0000..FFFFF). */
export const ACPI_BASE = 0xf0000;
const RSDP_BYTES = 36;
const FACS_BYTES = 64;
const OEM_ID = "PARAVN";
const OEM_TABLE_ID = "PARAVANE";
const CREATOR_ID = "PVNE";

// ---- FADT
const PM1_EVENT_BYTES = 4;
const PM1_CONTROL_OFFSET = 4;
const PM1_CONTROL_BYTES = 2;
const PM_TIMER_OFFSET = 8;
const PM_TIMER_BYTES = 4;
const CENTURY_INDEX = 0x32;
const FLAG_WBINVD = 1 << 0;
const FLAG_C1 = 1 << 2;
const FLAG_NO_SLEEP_BUTTON = 1 << 5;
const FLAG_RTC_NOT_FIXED = 1 << 6;
const FLAG_RESET_REGISTER = 1 << 10;
const BOOT_LEGACY_DEVICES = 1 << 0;
const BOOT_8042 = 1 << 1;
const BOOT_NO_VGA = 1 << 2;
const RESET_PORT = 0xcf9;
const RESET_VALUE = 0x06;
/** C2 and C3 latencies that mean "not there". */
const NO_C2 = 101;
const NO_C3 = 1001;

// ---- MADT
const PC_AT_8259 = 1;
const ALL_PROCESSORS = 0xff;

export interface AcpiOptions {
  readonly apic: boolean;
  readonly cpuCount: number;
  /** There is a VGA; otherwise the guest is told not to look for one. Default false. */
  readonly vga?: boolean;
  /** There is an HPET. Default false. */
  readonly hpet?: boolean;
  readonly pmBase: number;
  readonly serialPorts: readonly { readonly base: number; readonly irq: number }[];
}

export interface AcpiTables {
  readonly base: number;
  readonly image: Uint8Array;
  /** Guest-physical address of the RSDP. */
  readonly rsdp: number;
  /** Guest-physical address and size of each table by signature. */
  readonly directory: Readonly<Record<string, { readonly address: number; readonly size: number }>>;
}

export function buildAcpiTables(options: AcpiOptions): AcpiTables {
  const parts: number[] = new Array(RSDP_BYTES).fill(0);
  const directory: Record<string, { address: number; size: number }> = {};
  const place = (signature: string, bytes: readonly number[], alignment = 16): number => {
    while (parts.length % alignment !== 0) parts.push(0);
    const address = ACPI_BASE + parts.length;
    parts.push(...bytes);
    directory[signature] = { address, size: bytes.length };
    return address;
  };
  const facs = place("FACS", [...ascii("FACS"), ...u32(FACS_BYTES), ...new Array<number>(FACS_BYTES - 8).fill(0)], 64);
  const dsdt = place("DSDT", table("DSDT", 2, dsdtBody(options)));
  const fadt = place("FACP", table("FACP", 3, fadtBody(options.pmBase, facs, dsdt, options.vga ?? false)));
  const pointers = [fadt];
  if (options.apic) pointers.push(place("APIC", table("APIC", 3, madtBody(options.cpuCount))));
  if (options.hpet) pointers.push(place("HPET", table("HPET", 1, hpetBody())));
  const rsdt = place("RSDT", table("RSDT", 1, pointers.flatMap(u32)));
  const xsdt = place(
    "XSDT",
    table(
      "XSDT",
      1,
      pointers.flatMap((address) => [...u32(address), ...u32(0)]),
    ),
  );
  const image = Uint8Array.from(parts);
  image.set(rsdp(rsdt, xsdt));
  return { base: ACPI_BASE, image, rsdp: ACPI_BASE, directory };
}

function rsdp(rsdt: number, xsdt: number): number[] {
  const bytes = [
    ...ascii("RSD PTR "),
    0,
    ...ascii(OEM_ID),
    2,
    ...u32(rsdt),
    ...u32(RSDP_BYTES),
    ...u32(xsdt),
    ...u32(0),
    0,
    0,
    0,
    0,
  ];
  // Two checksums: of the 20 bytes of version 1, then of all.
  bytes[8] = checksum(bytes.slice(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

function table(signature: string, revision: number, body: Iterable<number> & { readonly length: number }): number[] {
  const bytes = [
    ...ascii(signature),
    ...u32(36 + body.length),
    revision,
    0,
    ...ascii(OEM_ID),
    ...ascii(OEM_TABLE_ID),
    ...u32(1),
    ...ascii(CREATOR_ID),
    ...u32(1),
    ...body,
  ];
  bytes[9] = checksum(bytes);
  return bytes;
}

/** Fixed hardware description, revision 3 (5.2.9); 208 bytes follow the header. */
// biome-ignore format: a table
function fadtBody(pmBase: number, facs: number, dsdt: number, vga: boolean): number[] {
  const flags = FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_RTC_NOT_FIXED | FLAG_RESET_REGISTER;
  return [
    ...u32(facs), ...u32(dsdt),
    0, // reserved
    0, // preferred profile: unspecified
    ...u16(SCI_IRQ), ...u32(SMI_COMMAND_PORT), ACPI_ENABLE, ACPI_DISABLE,
    0, 0, // S4BIOS, P-state control
    ...u32(pmBase), ...u32(0), // PM1a, PM1b event blocks
    ...u32(pmBase + PM1_CONTROL_OFFSET), ...u32(0), // PM1a, PM1b control
    ...u32(0), // PM2 control
    ...u32(pmBase + PM_TIMER_OFFSET), ...u32(GPE0_BASE), ...u32(0), // timer, GPE0, GPE1
    PM1_EVENT_BYTES, PM1_CONTROL_BYTES, 0, PM_TIMER_BYTES, GPE0_BYTES, 0, 0,
    0, // C-state control
    ...u16(NO_C2), ...u16(NO_C3),
    ...u16(0), ...u16(0), // WBINVD flush size and stride
    0, 0, // duty cycle
    0, 0, CENTURY_INDEX, // RTC: day alarm, month alarm, century
    ...u16(BOOT_LEGACY_DEVICES | BOOT_8042 | (vga ? 0 : BOOT_NO_VGA)), 0,
    ...u32(flags),
    ...ioAddress(RESET_PORT, 1), RESET_VALUE,
    0, 0, 0, // ARM boot flags, minor version
    ...u32(facs), ...u32(0), ...u32(dsdt), ...u32(0),
    ...ioAddress(pmBase, PM1_EVENT_BYTES), ...NO_ADDRESS,
    ...ioAddress(pmBase + PM1_CONTROL_OFFSET, PM1_CONTROL_BYTES), ...NO_ADDRESS,
    ...NO_ADDRESS,
    ...ioAddress(pmBase + PM_TIMER_OFFSET, PM_TIMER_BYTES),
    ...ioAddress(GPE0_BASE, GPE0_BYTES), ...NO_ADDRESS,
  ];
}

/** Interrupt controllers (5.2.12). */
function madtBody(cpuCount: number): number[] {
  const entries: number[] = [];
  for (let cpu = 0; cpu < cpuCount; cpu++) entries.push(0, 8, cpu, cpu, ...u32(1));
  entries.push(1, 12, ioApicId(cpuCount), 0, ...u32(IOAPIC_ADDRESS), ...u32(0));
  for (const { irq, gsi, flags } of ISA_OVERRIDES) entries.push(2, 10, 0, irq, ...u32(gsi), ...u16(flags));
  entries.push(4, 6, ALL_PROCESSORS, ...u16(AS_THE_BUS), NMI_LINT);
  return [...u32(LAPIC_ADDRESS), ...u32(PC_AT_8259), ...entries];
}

/** IA-PC HPET specification 1.0a, 3.2.4: the block by its number, address and shortest period that loses no tick. */
function hpetBody(): number[] {
  return [
    ...u32(HPET_ID),
    ...[0, 64, 0, 0, ...u32(HPET_BASE), ...u32(0)],
    0, // number
    ...u16(HPET_SHORTEST_TICKS),
    0, // page protection: none
  ];
}

/** Generic address structure (5.2.3.2) of an I/O register; access size is that of the legacy field. */
function ioAddress(port: number, bytes: number): number[] {
  const access = bytes === 1 ? 1 : bytes === 2 ? 2 : 0;
  return [1, bytes * 8, 0, access, ...u32(port), ...u32(0)];
}
const NO_ADDRESS: readonly number[] = new Array<number>(12).fill(0);
