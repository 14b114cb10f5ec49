// The PCI transport, register by register (virtio 1.2, section 4.1), and MSI-X (PCI 3.0, 6.8.2).
import { describe, expect, it } from "vitest";
import { COMMAND_MEMORY, PCI_COMMAND } from "../../../src/devices/pci/function.ts";
import { F_INDIRECT_DESC, F_VERSION_1 } from "../../../src/devices/virtio/device.ts";
import { VirtioRng } from "../../../src/devices/virtio/rng.ts";
import { place, TestDriver } from "./driver.ts";

function rng(): TestDriver<VirtioRng> {
  const where = place();
  const device = new VirtioRng("rng", where.memory, (into, position) => into.fill((position & 0x7f) + 1));
  return new TestDriver(device, where);
}
const bit = (n: number): bigint => 1n << BigInt(n);

describe("virtio over PCI", () => {
  it("says what it is and where its structures are", () => {
    const driver = rng();
    const { pci } = driver.pci;
    expect(pci.readConfig(0, 4)).toBe(0x10441af4);
    expect(pci.readConfig(8, 1)).toBeGreaterThanOrEqual(1);
    const structures = driver.capabilities(9).map((at) => ({
      type: pci.readConfig(at + 3, 1),
      bar: pci.readConfig(at + 4, 1),
      at: pci.readConfig(at + 8, 4),
      length: pci.readConfig(at + 12, 4),
    }));
    expect(structures).toEqual([
      { type: 1, bar: 0, at: 0, length: 0x3c },
      { type: 3, bar: 0, at: 0x1000, length: 1 },
      { type: 2, bar: 0, at: 0x3000, length: 4 },
      { type: 5, bar: 0, at: 0, length: 0 },
    ]);
    expect(driver.capabilities(0x11).length).toBe(1);
  });

  it("offers VERSION_1, and does without it accept nothing", () => {
    const driver = rng();
    expect(driver.offered() & bit(F_VERSION_1)).not.toBe(0n);
    driver.negotiate(driver.offered() & ~bit(F_VERSION_1));
    expect(driver.status & 8).toBe(0);
    driver.negotiate(driver.offered() | bit(50));
    expect(driver.status & 8).toBe(0);
    driver.negotiate();
    expect(driver.status).toBe(11);
  });

  it("keeps features as they are once FEATURES_OK is set", () => {
    const driver = rng();
    driver.negotiate();
    driver.write(8, 4, 0);
    driver.write(0xc, 4, 0);
    expect(driver.read(0xc, 4) & (1 << F_INDIRECT_DESC)).not.toBe(0);
  });

  it("shows words beyond the features as zero, and queues beyond the last as absent", () => {
    const driver = rng();
    driver.write(0, 4, 2);
    expect(driver.read(4, 4)).toBe(0);
    expect(driver.read(0x12, 2)).toBe(1);
    driver.write(0x16, 2, 7);
    expect(driver.read(0x18, 2)).toBe(0);
    driver.write(0x20, 4, 0x1000);
    driver.write(0x1c, 2, 1);
    expect(driver.read(0x1c, 2)).toBe(0);
  });

  it("takes queue sizes that are powers of two up to the largest, and none while a queue is enabled", () => {
    const driver = rng();
    driver.negotiate();
    driver.write(0x16, 2, 0);
    for (const [written, read] of [
      [3, 64],
      [128, 64],
      [0, 64],
      [16, 16],
    ] as const) {
      driver.write(0x18, 2, written);
      expect(driver.read(0x18, 2)).toBe(read);
    }
    driver.setUpQueue(0, 32);
    driver.write(0x18, 2, 8);
    driver.write(0x20, 4, 0x9000);
    expect([driver.read(0x18, 2), driver.read(0x20, 4), driver.read(0x1c, 2)]).toEqual([32, 0x1000, 1]);
  });

  it("ignores queues before FEATURES_OK, kicks before DRIVER_OK, and both without bus mastering", () => {
    const driver = rng();
    driver.setUpQueue(0);
    expect(driver.read(0x1c, 2)).toBe(0);
    driver.negotiate();
    const queue = driver.setUpQueue(0);
    queue.add([{ room: 4 }]);
    queue.kick();
    expect(queue.take()).toEqual([]);
    driver.pci.pci.writeConfig(PCI_COMMAND, 2, COMMAND_MEMORY);
    driver.status = 15;
    queue.take();
    queue.add([{ room: 4 }]);
    queue.kick();
    expect(queue.take()).toEqual([]);
  });

  it("serves what was added before DRIVER_OK", () => {
    const driver = rng();
    driver.negotiate();
    const queue = driver.setUpQueue(0);
    queue.add([{ room: 4 }]);
    driver.status = 15;
    expect(queue.take().length).toBe(1);
  });

  it("resets by status 0: features, queues, vectors, ISR", () => {
    const driver = rng().start();
    driver.enableMsix();
    driver.status = 0;
    expect(driver.status).toBe(0);
    driver.write(0x16, 2, 0);
    expect([driver.read(0x1c, 2), driver.read(0x20, 4), driver.read(0x1a, 2), driver.read(0x10, 2)]).toEqual([
      0, 0, 0xffff, 0xffff,
    ]);
    expect(driver.start().queue(0).ask({ room: 3 }).length).toBe(3);
  });

  it("resets one queue (RING_RESET) and takes it again elsewhere", () => {
    const driver = rng().start();
    driver.queue(0).ask({ room: 3 });
    driver.write(0x16, 2, 0);
    driver.write(0x3a, 2, 1);
    expect([driver.read(0x3a, 2), driver.read(0x1c, 2), driver.status]).toEqual([0, 0, 15]);
    expect(driver.setUpQueue(0, 8).ask({ room: 5 }).length).toBe(5);
  });

  it("raises INTA with a cause in the ISR, which reading clears", () => {
    const driver = rng().start();
    driver.queue(0).ask({ room: 1 });
    expect(driver.intx).toBe(true);
    expect(driver.read(0x1000, 1)).toBe(1);
    expect(driver.intx).toBe(false);
    expect(driver.read(0x1000, 1)).toBe(0);
  });

  it("reaches the structures through configuration space alone (PCI_CFG)", () => {
    const driver = rng();
    const { pci } = driver.pci;
    const window = driver.capabilities(9).at(-1) ?? 0;
    const access = (offset: number, size: number): void => {
      pci.writeConfig(window + 8, 4, offset);
      pci.writeConfig(window + 12, 4, size);
    };
    access(0x14, 1);
    pci.writeConfig(window + 16, 4, 3);
    expect(driver.status).toBe(3);
    expect(pci.readConfig(window + 16, 1)).toBe(3);
    access(0x12, 2);
    expect(pci.readConfig(window + 16, 2)).toBe(1);
    for (const [offset, size] of [
      [0x3ffe, 4],
      [0xfffffffc, 4],
      [0x14, 3],
      [0x15, 2],
      [0, 0],
    ] as const) {
      access(offset, size);
      pci.writeConfig(window + 16, 4, 0);
      expect(pci.readConfig(window + 16, 4)).toBe(0);
    }
    expect(driver.status).toBe(3);
  });

  it("answers accesses of any width anywhere with a value that fits", () => {
    const driver = rng().start();
    for (let offset = 0; offset < 0x4000; offset += offset % 0x1000 < 0x60 ? 1 : 0x101) {
      for (const size of [1, 2, 4]) {
        const value = driver.read(offset, size);
        if (value < 0 || value >= 2 ** (8 * size)) throw new Error(`${offset}+${size}: ${value}`);
        driver.write(offset, size, 0xa5a5a5a5 % 2 ** (8 * size));
      }
    }
  });

  it("saves and loads everything it shows", () => {
    const a = rng().start();
    a.enableMsix();
    a.msixTable(1, 12, 1);
    a.queue(0).ask({ room: 1 });
    const state = structuredClone(a.pci.save());
    const b = rng();
    b.pci.pci.loadConfig(a.pci.pci.saveConfig());
    b.pci.load(state, 1);
    expect(b.pci.save()).toEqual(state);
    expect(b.msixPending()).toBe(2);
    b.msixTable(1, 12, 0);
    expect(b.messages).toEqual([1]);
    expect(() => b.pci.load({ ...state, isr: 9 }, 1)).toThrow(/isr/);
    expect(() => b.pci.load(state, 2)).toThrow(/version 2/);
  });
});

describe("MSI-X", () => {
  it("sends what the table says, and nothing for a vector that is none", () => {
    const driver = rng().start();
    driver.enableMsix();
    driver.queue(0).ask({ room: 1 });
    expect(driver.messages).toEqual([1]);
    driver.write(0x16, 2, 0);
    driver.write(0x1a, 2, 77);
    expect(driver.read(0x1a, 2)).toBe(0xffff);
    driver.queue(0).ask({ room: 1 });
    expect(driver.messages).toEqual([1]);
    expect(driver.intx).toBe(false);
  });

  it("keeps a masked message pending until the vector or the function is unmasked", () => {
    for (const whole of [false, true]) {
      const driver = rng().start();
      driver.enableMsix();
      const [at = 0] = driver.capabilities(0x11);
      const mask = (on: boolean): void =>
        whole ? driver.pci.pci.writeConfig(at + 2, 2, on ? 0xc000 : 0x8000) : driver.msixTable(1, 12, on ? 1 : 0);
      mask(true);
      driver.queue(0).ask({ room: 1 });
      driver.queue(0).ask({ room: 1 });
      expect([driver.messages, driver.msixPending()]).toEqual([[], 2]);
      mask(false);
      expect([driver.messages, driver.msixPending()]).toEqual([[1], 0]);
    }
  });

  it("sends no message above 4 GiB, where no local APIC is", () => {
    const driver = rng().start();
    driver.enableMsix();
    driver.msixTable(1, 4, 1);
    driver.queue(0).ask({ room: 1 });
    expect(driver.messages).toEqual([]);
  });
});

describe("virtio-rng", () => {
  it("fills buffers, each with other bytes, at most 64 KiB at a time", () => {
    const driver = rng().start();
    expect(driver.queue(0).ask({ room: 3 }).bytes).toEqual(Uint8Array.of(1, 1, 1));
    expect(driver.queue(0).ask({ room: 2 }).bytes).toEqual(Uint8Array.of(4, 4));
    expect(driver.queue(0).ask({ room: 100_000 }).length).toBe(65_536);
  });

  it("needs a reset for a buffer that cannot be written", () => {
    const driver = rng().start();
    driver.queue(0).add([{ bytes: Uint8Array.of(1) }]);
    driver.queue(0).kick();
    expect(driver.needsReset).toBe(true);
  });
});
