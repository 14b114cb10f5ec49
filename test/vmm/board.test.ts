// Whatever a guest does to the ports and registers of the whole board, the host stays whole.
import { describe, expect, it } from "vitest";
import { type BoardEvents, buildBoard } from "../../src/vmm/board.ts";
import { MmioBus, PortBus } from "../../src/vmm/bus.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import { IrqWiring } from "../../src/vmm/irq.ts";
import { TestClock, TestMemory } from "../devices/bench-machine.ts";

const nothing = (): void => {};

function board() {
  const events: BoardEvents = {
    serial: nothing,
    debugcon: nothing,
    firmwareLog: nothing,
    parallel: nothing,
    post: nothing,
    reset: nothing,
    powerOff: nothing,
    debugExit: nothing,
    a20: nothing,
    ejected: nothing,
    ignne: nothing,
    ioDelay: nothing,
    replacePit: nothing,
  };
  const boot = { kind: "flat", image: Uint8Array.of(0xf4), address: 0 } as const;
  const config = checkConfig({ boot, serialPorts: 4, testDevice: true });
  const levels = new Array<number>(24).fill(0);
  const irqs = new IrqWiring((gsi, level) => {
    expect(level).not.toBe(levels[gsi]);
    levels[gsi] = level;
  });
  const parts = {
    ports: new PortBus(),
    mmio: new MmioBus(),
    irqs,
    clock: new TestClock(),
    memory: new TestMemory(),
    msi: { deliver: nothing },
    entropy: nothing,
    families: {},
    drives: [],
    nics: [],
    generationId: new Uint8Array(16),
  };
  return { ...parts, levels, board: buildBoard(config, parts, events) };
}

/** Repeatable random 32-bit numbers (xorshift). */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

describe("the board under random accesses", () => {
  it.each([1, 2, 3, 4])("answers every one with a value that fits (seed %i)", (seed) => {
    const { ports, mmio, clock, board: machine } = board();
    const next = random(seed * 0x9e3779b1);
    const claimed = machine.devices.flatMap((device) => [...(device.ports ?? [])]);
    for (let i = 0; i < 60_000; i++) {
      const range = claimed[next() % claimed.length];
      const size = 1 << (next() % 3);
      const anywhere = next() % 8 === 0;
      const port = anywhere || range === undefined ? next() & 0xffff : (range.first + (next() % range.count)) & 0xffff;
      const value = next() % 4 === 0 ? next() & 0xff : next();
      const most = size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
      if (next() & 1) ports.write(port, size, (value & most) >>> 0);
      else {
        const read = ports.read(port, size);
        expect(Number.isInteger(read) && read >= 0 && read <= most, `port ${port.toString(16)}`).toBe(true);
      }
      if (i % 16 === 0) {
        mmio.write((0xff000000 + (next() & 0x1ffff)) >>> 0, size, (value & most) >>> 0);
        expect(mmio.read((0xff000000 + (next() & 0x1ffff)) >>> 0, size)).toBeLessThanOrEqual(most);
      }
      if (i % 64 === 0) clock.advance(next() % 1_000_000);
    }
    for (const device of machine.devices) {
      const saved = device.save();
      device.load(saved, device.stateVersion);
      expect(device.save(), device.name).toEqual(saved);
    }
  });

  it("has every line low after all devices were reset", () => {
    const { ports, irqs, levels, board: machine, clock } = board();
    const next = random(7);
    for (let i = 0; i < 20_000; i++) ports.write(next() & 0x3ff, 1, next() & 0xff);
    clock.advance(1e9);
    for (const device of machine.devices) device.reset();
    irqs.reset();
    expect(levels.some((level) => level !== 0)).toBe(false);
  });
});
