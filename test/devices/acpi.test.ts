import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assemble, eisaId, pack, string } from "../../src/devices/acpi/aml.ts";
import { buildAcpiTables } from "../../src/devices/acpi/tables.ts";
import { ACPI_ENABLE, AcpiPm, PM_BASE, PM_TIMER_HZ } from "../../src/devices/acpi-pm.ts";
import { PortBus } from "../../src/vmm/bus.ts";
import { TestClock, TestLine } from "./bench-machine.ts";

const tables = buildAcpiTables({ apic: true, cpuCount: 1, pmBase: PM_BASE, serialPorts: [{ base: 0x3f8, irq: 4 }] });
const view = new DataView(tables.image.buffer);
const at = (address: number): number => address - tables.base;
const sum = (address: number, size: number): number =>
  tables.image.subarray(at(address), at(address) + size).reduce((a, b) => (a + b) & 0xff, 0);
const signature = (address: number, length = 4): string =>
  String.fromCharCode(...tables.image.subarray(at(address), at(address) + length));

describe("ACPI tables", () => {
  it("have an RSDP with two good checksums on a 16-byte boundary (ACPI 6.5, 5.2.5)", () => {
    expect(tables.rsdp % 16).toBe(0);
    expect(signature(tables.rsdp, 8)).toBe("RSD PTR ");
    expect(sum(tables.rsdp, 20)).toBe(0);
    expect(sum(tables.rsdp, 36)).toBe(0);
  });

  it("lead from RSDT and XSDT to the same tables, each with length and checksum right", () => {
    const rsdt = view.getUint32(at(tables.rsdp) + 16, true);
    const xsdt = view.getUint32(at(tables.rsdp) + 24, true);
    const entries = (address: number, size: number): number[] => {
      const count = (view.getUint32(at(address) + 4, true) - 36) / size;
      return Array.from({ length: count }, (_, i) => view.getUint32(at(address) + 36 + i * size, true));
    };
    expect(entries(rsdt, 4)).toEqual(entries(xsdt, 8));
    const fadt = entries(rsdt, 4)[0] ?? 0;
    expect(entries(rsdt, 4).map((address) => signature(address))).toEqual(["FACP", "APIC"]);
    const dsdt = view.getUint32(at(fadt) + 40, true);
    expect(signature(dsdt)).toBe("DSDT");
    for (const address of [rsdt, xsdt, dsdt, ...entries(rsdt, 4)]) {
      expect(sum(address, view.getUint32(at(address) + 4, true)), signature(address)).toBe(0);
    }
    expect(view.getUint32(at(fadt) + 4, true)).toBe(244);
    expect(view.getUint32(at(fadt) + 36, true) % 64).toBe(0); // FACS
  });

  it("stay below 1 MiB", () => {
    expect(tables.base + tables.image.length).toBeLessThanOrEqual(0x100000);
  });

  it("encode AML as the specification's examples do", () => {
    expect(eisaId("PNP0A03")).toEqual([0x0c, 0x41, 0xd0, 0x0a, 0x03]);
    expect(string("AB")).toEqual([0x0d, 0x41, 0x42, 0x00]);
    // A package longer than 63 bytes has a two-byte length: low nibble first.
    const packed = assemble(pack(...Array.from({ length: 70 }, () => [0x01])));
    expect([...packed.subarray(0, 4)]).toEqual([0x12, 0x49, 0x04, 70]);
    expect(packed).toHaveLength(74);
    // And of three bytes from 4096 on.
    const long = assemble(pack(Array.from({ length: 5000 }, () => 0x01)));
    expect([...long.subarray(0, 5)]).toEqual([0x12, 0x8c, 0x38, 0x01, 1]);
  });
});

/** Intel's compiler (package acpica-tools). */
const iasl = spawnSync("iasl", ["-v"]).error === undefined;

describe.skipIf(!iasl)("iasl", () => {
  it.each(["DSDT", "FACP", "APIC", "FACS"])(
    "takes %s apart, and the DSDT compiles again without a complaint",
    (name) => {
      const folder = mkdtempSync(join(tmpdir(), "paravane-acpi-"));
      const { address = 0, size = 0 } = tables.directory[name] ?? {};
      writeFileSync(join(folder, `${name}.dat`), tables.image.subarray(at(address), at(address) + size));
      const run = (...args: string[]): string => {
        const { stdout, stderr } = spawnSync("iasl", args, { cwd: folder, encoding: "utf8" });
        return stdout + stderr;
      };
      expect(run("-d", `${name}.dat`)).not.toMatch(/error|warning|invalid|checksum/i);
      if (name === "DSDT") expect(run(`${name}.dsl`)).toMatch(/0 Errors, 0 Warnings/);
      rmSync(folder, { recursive: true });
    },
  );
});

describe("ACPI power management", () => {
  function machine() {
    const clock = new TestClock();
    const sci = new TestLine();
    const ports = new PortBus();
    let powerOffs = 0;
    const pm = new AcpiPm({ sci, clock, powerOff: () => powerOffs++, mapPorts: (range) => ports.addMovable(range) });
    for (const range of pm.ports) ports.add(range);
    return { clock, sci, ports, pm, powerOffs: () => powerOffs };
  }

  it("counts 3,579,545 times a second in 24 bits", () => {
    const { clock, ports } = machine();
    expect(ports.read(PM_BASE + 8, 4)).toBe(0);
    clock.advance(1e9);
    expect(ports.read(PM_BASE + 8, 4)).toBe(PM_TIMER_HZ);
    clock.advance(4e9);
    expect(ports.read(PM_BASE + 8, 4)).toBe((5 * PM_TIMER_HZ) % 2 ** 24);
  });

  it("interrupts when the timer's top bit changes, until the status bit is cleared", () => {
    const { clock, ports, sci } = machine();
    ports.write(0xb2, 1, ACPI_ENABLE);
    expect(ports.read(PM_BASE + 4, 2) & 1).toBe(1);
    ports.write(PM_BASE + 2, 2, 0x0001);
    clock.advance(2.3e9);
    expect(sci.level).toBe(false);
    clock.advance(0.1e9); // 2^23 ticks are 2.343 s
    expect(sci.level).toBe(true);
    expect(ports.read(PM_BASE, 2) & 1).toBe(1);
    ports.write(PM_BASE, 2, 1);
    expect(sci.level).toBe(false);
    clock.advance(2.4e9);
    expect(sci.edges).toBe(2);
  });

  it("reports the power button only when it is enabled", () => {
    const { ports, sci, pm } = machine();
    ports.write(0xb2, 1, ACPI_ENABLE);
    pm.pressPowerButton();
    expect(sci.level).toBe(false);
    ports.write(PM_BASE + 2, 2, 0x0100);
    expect(sci.level).toBe(true);
    ports.write(PM_BASE, 2, 0x0100);
    expect(sci.level).toBe(false);
  });

  it("switches off when SLP_EN is written with the S5 type, not before", () => {
    const { ports, powerOffs } = machine();
    ports.write(PM_BASE + 4, 2, 0x0001);
    ports.write(PM_BASE + 4, 2, 0x2400); // S1: not there
    expect(powerOffs()).toBe(0);
    expect(ports.read(PM_BASE, 2) & 0x8000).toBe(0x8000);
    ports.write(PM_BASE + 4, 2, 0x2000);
    expect(powerOffs()).toBe(1);
  });

  it("moves with the base address of its PCI function", () => {
    const { clock, ports, pm } = machine();
    clock.advance(1e9);
    pm.pci.writeConfig(0x40, 4, 0xb001);
    expect(ports.read(PM_BASE + 8, 4)).toBe(0xffffffff);
    expect(ports.read(0xb008, 4)).toBe(PM_TIMER_HZ);
    pm.pci.writeConfig(0x80, 1, 0);
    expect(ports.read(0xb008, 4)).toBe(0xffffffff);
  });
});
