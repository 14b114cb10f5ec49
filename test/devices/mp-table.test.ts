import { describe, expect, it } from "vitest";
import { buildAcpiTables } from "../../src/devices/acpi/tables.ts";
import { PM_BASE } from "../../src/devices/acpi-pm.ts";
import { buildMpTable, MP_BASE } from "../../src/devices/mp-table.ts";
import { memoryMapFor } from "../../src/vmm/e820.ts";
import { readMpConfiguration } from "./mp-configuration.ts";
import recorded from "./qemu/mp-table.json" with { type: "json" };

const SIGNATURE = 0x106ca;
const FEATURES = 0x0783fbff;
const build = (cpuCount: number): Uint8Array =>
  buildMpTable({ cpuCount, cpuSignature: SIGNATURE, cpuFeatures: FEATURES });
const mp = readMpConfiguration(build(1), MP_BASE);
const acpi = buildAcpiTables({ apic: true, cpuCount: 1, pmBase: PM_BASE, serialPorts: [] });

/** Entries of a MADT by type, behind its two header words (ACPI 6.5, 5.2.12). */
function madtEntries(type: number): DataView[] {
  const { address = 0, size = 0 } = acpi.directory.APIC ?? {};
  const at = address - acpi.base;
  const rows: DataView[] = [];
  for (let p = at + 44; p < at + size; p += acpi.image[p + 1] as number) {
    if (acpi.image[p] === type) rows.push(new DataView(acpi.image.buffer, p, acpi.image[p + 1]));
  }
  return rows;
}

describe("MultiProcessor tables (Specification 1.4)", () => {
  it("have a floating pointer and a configuration table with good checksums, sorted entries and the right count", () => {
    expect(mp).toMatchObject({ pointerAddress: MP_BASE, revision: 4, features: [0, 0, 0, 0, 0] });
    expect(() => readMpConfiguration(build(8), MP_BASE)).not.toThrow();
  });

  it("lie in the ROM area, behind the ACPI tables, where the memory map has no RAM", () => {
    expect(acpi.base + acpi.image.length).toBeLessThanOrEqual(MP_BASE);
    const end = MP_BASE + build(8).length;
    expect(end).toBeLessThanOrEqual(0x100000);
    const [row] = memoryMapFor(64 << 20, true).filter(({ base, size }) => base <= MP_BASE && end <= base + size);
    expect(row?.type).toBe(2);
  });

  it("list every processor, the first as the bootstrap one", () => {
    expect(mp.processors).toEqual([{ id: 0, version: 0x14, flags: 3, signature: SIGNATURE, features: FEATURES }]);
    const { processors, ioApics } = readMpConfiguration(build(4), MP_BASE);
    expect(processors.map(({ id, flags }) => [id, flags])).toEqual([0, 1, 2, 3].map((id) => [id, id === 0 ? 3 : 1]));
    expect(ioApics.map(({ id }) => id)).toEqual([4]);
  });

  it("name the controllers that the MADT names", () => {
    const [ioApic] = madtEntries(1);
    expect(mp.ioApics).toEqual([
      { id: ioApic?.getUint8(2), version: 0x11, flags: 1, address: ioApic?.getUint32(4, true) },
    ]);
    expect(mp.localApicAddress).toBe(0xfee00000);
    expect(madtEntries(0).map((row) => row.getUint8(3))).toEqual(mp.processors.map(({ id }) => id));
    const nmi = mp.localInterrupts.find(({ type }) => type === 1);
    const [told] = madtEntries(4);
    expect([nmi?.apic, nmi?.flags, nmi?.input]).toEqual([
      told?.getUint8(2),
      told?.getUint16(3, true),
      told?.getUint8(5),
    ]);
  });

  it("send ISA IRQs to the inputs that the MADT sends them to", () => {
    const overrides = new Map(
      madtEntries(2).map((row) => [row.getUint8(3), { input: row.getUint32(4, true), flags: row.getUint16(8, true) }]),
    );
    const isa = mp.ioInterrupts.filter(({ bus }) => bus === "ISA");
    expect(isa.map(({ source }) => source)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15]);
    for (const { source, input, flags } of isa)
      expect({ input, flags }).toEqual(overrides.get(source) ?? { input: source, flags: 0 });
    // The SCI is the power management function's, so a PCI interrupt, with the MADT's trigger.
    const sci = mp.ioInterrupts.filter(({ input }) => input === 9);
    expect(sci).toEqual([{ type: 0, flags: overrides.get(9)?.flags, bus: "PCI", source: 4, apic: 1, input: 9 }]);
  });

  it("send PCI pins to the inputs that the _PRT sends them to", () => {
    const pci = mp.ioInterrupts.filter(({ bus, input }) => bus === "PCI" && input !== 9);
    expect(pci).toHaveLength(31 * 4 - 1);
    // The DSDT's rows for I/O APICs: Package { slot << 16 | FFFF, pin, 0, GSI }, a DWord and three small integers.
    const { address = 0, size = 0 } = acpi.directory.DSDT ?? {};
    const aml = acpi.image.subarray(address - acpi.base, address - acpi.base + size);
    const small = (at: number): [value: number, next: number] =>
      (aml[at] as number) <= 1 ? [aml[at] as number, at + 1] : [aml[at + 1] as number, at + 2];
    const routes = new Map<number, number[]>();
    for (let at = 0; at + 5 < aml.length; at++) {
      if (aml[at] !== 0x0c || aml[at + 1] !== 0xff || aml[at + 2] !== 0xff) continue;
      const [pin, link] = small(at + 5);
      const [, target] = small(link);
      const source = ((aml[at + 3] as number) << 2) | pin;
      routes.set(source, [...(routes.get(source) ?? []), small(target)[0]]);
    }
    expect(routes.size).toBe(31 * 4);
    // Each pin is there twice: for the 8259s, then for the I/O APIC.
    for (const { source, input } of pci) expect(routes.get(source)?.[1], `source ${source}`).toBe(input);
  });

  it("say of every interrupt what SeaBIOS says on QEMU's PC, but the I/O APIC's ID and the SCI's trigger", () => {
    const key = ({ type, bus, source, input }: (typeof recorded.ioInterrupts)[number]) =>
      `${bus} ${source} type ${type} to ${input}`;
    const ours = new Set(mp.ioInterrupts.map(key));
    expect(recorded.ioInterrupts.map(key).filter((row) => !ours.has(row))).toEqual([]);
    expect(mp.localInterrupts.map(key)).toEqual(recorded.localInterrupts.map(key));
    expect(mp.buses).toEqual(recorded.buses);
    expect(mp.localApicAddress).toBe(recorded.localApicAddress);
    expect(mp.processors[0]).toMatchObject({
      id: 0,
      version: recorded.processors[0]?.version,
      flags: recorded.processors[0]?.flags,
    });
    expect(mp.ioApics[0]).toMatchObject({
      version: recorded.ioApics[0]?.version,
      address: recorded.ioApics[0]?.address,
    });
  });
});
