import { describe, expect, it } from "vitest";
import { configurePci, LINK_IRQS } from "../../src/devices/pci/firmware-setup.ts";
import {
  COMMAND_INTX_OFF,
  COMMAND_IO,
  COMMAND_MEMORY,
  PCI_BAR0,
  PCI_COMMAND,
  PciFunction,
} from "../../src/devices/pci/function.ts";
import { PciHost } from "../../src/devices/pci/host.ts";
import { linkOf, Piix3 } from "../../src/devices/pci/piix3.ts";
import { ResetControl } from "../../src/devices/reset-control.ts";
import { MmioBus, PortBus } from "../../src/vmm/bus.ts";
import { TestLine } from "./bench-machine.ts";

class Register {
  value = 0;
  read(): number {
    return this.value;
  }
  write(_offset: number, _size: number, value: number): void {
    this.value = value;
  }
}

/** A board with one device of two BARs in slot 3. */
function board() {
  const ports = new PortBus();
  const mmio = new MmioBus();
  const isa = Array.from({ length: 16 }, () => new TestLine());
  const gsi = Array.from({ length: 4 }, () => new TestLine());
  const bridge = new Piix3(isa, gsi);
  let resets = 0;
  const host = new PciHost({
    map: (space, range) => (space === "io" ? ports.addMovable(range) : mmio.add(range)),
    setIntx: (slot, pin, level) => bridge.setSlotIntx(slot, pin, level),
    resetControl: new ResetControl(() => resets++),
  });
  for (const range of host.ports) ports.add(range);
  host.add(1, 0, bridge);
  const io = new Register();
  const memory = new Register();
  const device = new PciFunction("test", { vendor: 0x1234, device: 0x5678, classCode: 0xff0000, interruptPin: 1 });
  device.addBar(0, { space: "io", sizeBytes: 32, handler: io });
  device.addBar(1, { space: "memory", sizeBytes: 4096, handler: memory });
  host.add(3, 0, device);
  const select = (device: number, register: number): void =>
    ports.write(0xcf8, 4, 0x80000000 + device * 0x800 + (register & 0xfc));
  const read = (device: number, register: number, size = 4): number => {
    select(device, register);
    return ports.read(0xcfc + (register & 3), size);
  };
  const write = (device: number, register: number, value: number, size = 4): void => {
    select(device, register);
    ports.write(0xcfc + (register & 3), size, value);
  };
  return { ports, mmio, isa, gsi, bridge, host, io, memory, device, read, write, resets: () => resets };
}

describe("PCI base address registers", () => {
  it("size by writing ones (PCI 3.0, 6.2.5.1)", () => {
    const { read, write } = board();
    write(3, PCI_BAR0, 0xffffffff);
    write(3, PCI_BAR0 + 4, 0xffffffff);
    expect(read(3, PCI_BAR0)).toBe(0xffffffe1);
    expect(read(3, PCI_BAR0 + 4)).toBe(0xfffff000);
    expect(read(3, PCI_BAR0 + 8)).toBe(0);
  });

  it("decode where they are put, only while the command register allows it", () => {
    const { ports, mmio, io, memory, write } = board();
    io.value = 0x5a;
    memory.value = 0xa5;
    write(3, PCI_BAR0, 0xc000);
    write(3, PCI_BAR0 + 4, 0xe0000000);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    write(3, PCI_COMMAND, COMMAND_IO, 2);
    expect(ports.read(0xc004, 1)).toBe(0x5a);
    expect(mmio.read(0xe0000000, 4)).toBe(0xffffffff);
    write(3, PCI_COMMAND, COMMAND_IO | COMMAND_MEMORY, 2);
    expect(mmio.read(0xe0000ffc, 4)).toBe(0xa5);
    write(3, PCI_BAR0, 0xd000);
    expect(ports.read(0xc004, 1)).toBe(0xff);
    expect(ports.read(0xd01f, 1)).toBe(0x5a);
    write(3, PCI_COMMAND, 0, 2);
    expect(ports.read(0xd000, 1)).toBe(0xff);
  });

  it("never take a port from a fixed device, whatever the guest writes", () => {
    const { ports, io, write, read } = board();
    io.value = 0x77;
    write(3, PCI_COMMAND, COMMAND_IO, 2);
    write(3, PCI_BAR0, 0xce0);
    write(3, PCI_BAR0, 0xcf0 & ~31);
    expect(read(0, 0)).toBe(0x12378086);
    expect(ports.read(0xce0, 1)).toBe(0x77);
    write(3, PCI_BAR0, 0x2000);
    expect(ports.read(0xce0, 1)).toBe(0xff);
    expect(read(0, 0)).toBe(0x12378086);
  });

  it("are assigned without overlap, decoding on, by the firmware's stand-in", () => {
    const { host, bridge, device, read } = board();
    configurePci(host, bridge);
    const io = device.barAddress(0) ?? -1;
    const memory = device.barAddress(1) ?? -1;
    expect(io % 32).toBe(0);
    expect(memory % 4096).toBe(0);
    expect(io).toBeGreaterThan(0xcff);
    expect(memory).toBeGreaterThanOrEqual(0xe0000000);
    expect(read(3, 0x3c, 1)).toBe(LINK_IRQS[linkOf(3, 0)]);
  });
});

describe("PCI interrupts", () => {
  it("go to the routed ISA IRQ and the link's I/O APIC input", () => {
    const { host, bridge, device, isa, gsi } = board();
    configurePci(host, bridge);
    device.setIntx(true);
    const link = linkOf(3, 0);
    expect(isa[LINK_IRQS[link] ?? 0]?.level).toBe(true);
    expect(gsi[link]?.level).toBe(true);
    device.setIntx(false);
    expect(isa.some((line) => line.level)).toBe(false);
    expect(gsi.some((line) => line.level)).toBe(false);
  });

  it("follow the router while asserted, and are gated by command bit 10 but not in the status register", () => {
    const { bridge, device, isa, read, write } = board();
    bridge.route(linkOf(3, 0), 5);
    device.setIntx(true);
    expect(isa[5]?.level).toBe(true);
    bridge.route(linkOf(3, 0), 11);
    expect([isa[5]?.level, isa[11]?.level]).toEqual([false, true]);
    write(3, PCI_COMMAND, COMMAND_INTX_OFF, 2);
    expect(isa[11]?.level).toBe(false);
    expect(read(3, 0x06, 2) & 8).toBe(8);
  });

  it("cannot be routed to IRQs that a PC does not offer", () => {
    const { bridge, device, isa } = board();
    device.setIntx(true);
    for (const irq of [0, 1, 2, 8, 13]) bridge.route(linkOf(3, 0), irq);
    expect(isa.some((line) => line.level)).toBe(false);
  });
});

describe("PCI capabilities and reset", () => {
  it("chain in the order they were added and keep read-only bits", () => {
    const { read, write } = board();
    const fn = new PciFunction("caps", { vendor: 1, device: 2, classCode: 0 });
    const first = fn.addCapability(0x09, Uint8Array.of(8, 1, 2, 3, 4, 5));
    const second = fn.addCapability(0x11, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), Uint8Array.of(0, 0xc0));
    expect(fn.get(0x34, 1)).toBe(first);
    expect(fn.get(first + 1, 1)).toBe(second);
    expect(fn.get(second + 1, 1)).toBe(0);
    expect(fn.get(0x06, 2) & 0x10).toBe(0x10);
    fn.writeConfig(second + 2, 2, 0xffff);
    expect(fn.get(second + 2, 2)).toBe(0xc000);
    expect([read(0, 0, 2), write(0, 0, 0, 2)]).toEqual([0x8086, undefined]);
  });

  it("forget BARs and routing at a reset", () => {
    const { host, bridge, device } = board();
    configurePci(host, bridge);
    host.reset();
    expect(device.barAddress(0)).toBeUndefined();
    expect(bridge.routedIrq(0)).toBeUndefined();
  });

  it("save and load to the same mappings", () => {
    const a = board();
    configurePci(a.host, a.bridge);
    const saved = a.host.save();
    const b = board();
    b.host.load(saved, 1);
    expect(b.device.barAddress(1)).toBe(a.device.barAddress(1));
    expect(b.host.save()).toEqual(saved);
  });
});

describe("the reset register inside CONFIG_ADDRESS", () => {
  it("is reached by bytes only, and resets on the rising edge of bit 2", () => {
    const { ports, resets } = board();
    ports.write(0xcf8, 4, 0x80000600);
    expect(resets()).toBe(0);
    ports.write(0xcf9, 1, 0x02);
    ports.write(0xcf9, 1, 0x06);
    ports.write(0xcf9, 1, 0x06);
    expect(resets()).toBe(1);
    expect(ports.read(0xcf8, 4)).toBe(0x80000600);
  });
});
