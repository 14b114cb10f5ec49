// The expansion ROM of a PCI function (PCI Local Bus 3.0, 6.2.5.2).
import { describe, expect, it } from "vitest";
import { COMMAND_MEMORY, PCI_COMMAND, PCI_ROM, PciFunction, type PciSlot } from "../../src/devices/pci/function.ts";
import type { IoRange } from "../../src/vmm/device.ts";

const ENABLE = 1;

function withRom(image: Uint8Array) {
  const mapped = new Map<string, IoRange>();
  const slot: PciSlot = {
    map: (_space, range) => {
      mapped.set(range.name, range);
      return { unmap: () => mapped.delete(range.name) };
    },
    setIntx: () => {},
  };
  const func = new PciFunction("card", { vendor: 0x1af4, device: 0x1041, classCode: 0x020000 });
  func.setRom(image);
  func.attach(slot);
  return { func, range: () => mapped.get("card.rom") };
}

describe("an expansion ROM", () => {
  it.each([
    [512, 2048],
    [2048, 2048],
    [75_264, 131_072],
  ])("of %i bytes takes %i of the address space", (bytes, size) => {
    const { func } = withRom(new Uint8Array(bytes));
    func.writeConfig(PCI_ROM, 4, 0xffff_fffe);
    expect(func.readConfig(PCI_ROM, 4)).toBe(2 ** 32 - size);
  });

  it("is seen while memory decodes and its own bit is set, and nowhere else", () => {
    const image = new Uint8Array(600).map((_, i) => (i === 0 ? 0x55 : i === 1 ? 0xaa : i));
    const { func, range } = withRom(image);
    func.writeConfig(PCI_ROM, 4, 0xfeb0_0000 | ENABLE);
    expect(range()).toBeUndefined();
    func.writeConfig(PCI_COMMAND, 2, COMMAND_MEMORY);
    expect(range()).toMatchObject({ first: 0xfeb0_0000, count: 2048 });
    expect(range()?.handler.read(0, 4)).toBe(0x0302_aa55);
    expect(range()?.handler.read(600, 2)).toBe(0xffff);
    range()?.handler.write(0, 4, 0);
    expect(range()?.handler.read(0, 2)).toBe(0xaa55);
    func.writeConfig(PCI_ROM, 4, 0xfeb0_0000);
    expect(range()).toBeUndefined();
    func.writeConfig(PCI_ROM, 4, 0xfec0_0000 | ENABLE);
    expect(range()).toMatchObject({ first: 0xfec0_0000 });
    func.reset();
    expect(range()).toBeUndefined();
    expect(func.readConfig(PCI_ROM, 4)).toBe(0);
  });

  it("is not there on a function that has none", () => {
    const func = new PciFunction("card", { vendor: 0x1af4, device: 0x1041, classCode: 0x020000 });
    func.writeConfig(PCI_ROM, 4, 0xffff_ffff);
    expect(func.readConfig(PCI_ROM, 4)).toBe(0);
  });
});
