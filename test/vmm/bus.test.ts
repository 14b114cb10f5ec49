import { describe, expect, it } from "vitest";
import { MmioBus, PortBus } from "../../src/vmm/bus.ts";
import type { IoRange } from "../../src/vmm/device.ts";
import { VmError } from "../../src/vmm/error.ts";

/** Answers a read with its name's letter and the offset, and logs everything. */
function spy(name: string, first: number, count: number, width?: 1 | 2 | 4) {
  const log: string[] = [];
  const range: IoRange = {
    name,
    first,
    count,
    ...(width === undefined ? {} : { width }),
    handler: {
      read: (offset, size) => {
        log.push(`r${size}+${offset}`);
        return 0x10 * (1 + offset);
      },
      write: (offset, size, value) => log.push(`w${size}+${offset}=${value.toString(16)}`),
    },
  };
  return { range, log };
}

describe("port bus", () => {
  it("splits wide accesses to byte-wide devices, lowest port first, across devices", () => {
    const bus = new PortBus();
    const a = spy("a", 0x100, 2);
    const b = spy("b", 0x102, 1);
    bus.add(a.range);
    bus.add(b.range);
    expect(bus.read(0x100, 4)).toBe(0xff102010);
    bus.write(0x101, 2, 0xbeef);
    expect(a.log).toEqual(["r1+0", "r1+1", "w1+1=ef"]);
    expect(b.log).toEqual(["r1+0", "w1+0=be"]);
    expect(bus.unknown.size).toBe(0);
  });

  it("hands an access over whole when the device is wide enough and it fits", () => {
    const bus = new PortBus();
    const { range, log } = spy("a", 0x100, 4, 4);
    bus.add(range);
    bus.read(0x100, 4);
    bus.write(0x102, 2, 0x1234);
    bus.write(0x102, 4, 0x12345678); // half of it lies outside
    expect(log).toEqual(["r4+0", "w2+2=1234", "w2+2=5678"]);
  });

  it("splits a 32-bit access to a 16-bit device in two", () => {
    const bus = new PortBus();
    const { range, log } = spy("a", 0x1f0, 4, 2);
    bus.add(range);
    bus.write(0x1f0, 4, 0xdeadbeef);
    expect(log).toEqual(["w2+0=beef", "w2+2=dead"]);
  });

  it("reads all ones where nobody is, ignores writes, and counts one access once", () => {
    const bus = new PortBus();
    expect([bus.read(0x300, 1), bus.read(0x300, 2), bus.read(0x300, 4)]).toEqual([0xff, 0xffff, 0xffffffff]);
    bus.write(0x300, 4, 1);
    expect([...bus.unknown]).toEqual([[0x300, 4]]);
  });

  it("wraps at the end of the port space", () => {
    const bus = new PortBus();
    const { range, log } = spy("a", 0, 1);
    bus.add(range);
    expect(bus.read(0xffff, 2)).toBe(0x10ff);
    expect(log).toEqual(["r1+0"]);
  });

  it("refuses overlapping fixed devices", () => {
    const bus = new PortBus();
    bus.add(spy("a", 0x100, 4).range);
    expect(() => bus.add(spy("b", 0x103, 4).range)).toThrow(/b overlaps a/);
    expect(() => bus.add(spy("c", 0xfffe, 4).range)).toThrow(VmError);
  });

  it("gives movable ranges only what is free and takes it all back", () => {
    const bus = new PortBus();
    const fixed = spy("fixed", 0x100, 2);
    bus.add(fixed.range);
    const moving = spy("moving", 0xfe, 8);
    const mapping = bus.addMovable(moving.range);
    bus.read(0x100, 1);
    bus.read(0x102, 1);
    expect([fixed.log, moving.log]).toEqual([["r1+0"], ["r1+4"]]);
    mapping.unmap();
    expect(bus.read(0x102, 1)).toBe(0xff);
    bus.read(0x100, 1);
    expect(fixed.log).toHaveLength(2);
  });

  it("shows every access to an observer", () => {
    const bus = new PortBus();
    bus.add(spy("a", 0x100, 1).range);
    const seen: unknown[] = [];
    bus.observer = (...event) => seen.push(event);
    bus.read(0x100, 1);
    bus.write(0x200, 2, 0xabcd);
    expect(seen).toEqual([
      [false, 0x100, 1, 0x10, true],
      [true, 0x200, 2, 0xabcd, false],
    ]);
  });
});

describe("MMIO bus", () => {
  it("dispatches by address, splits at a range's end, and the range mapped first wins", () => {
    const bus = new MmioBus();
    const a = spy("a", 0xf0000000, 0x1002);
    const b = spy("b", 0xf0001000, 0x1000);
    bus.add(a.range);
    const mapping = bus.add(b.range);
    expect(bus.read(0xf0001000, 4)).toBe(((0x10 * 0x1001) | ((0x10 * 3) << 16)) >>> 0);
    expect(a.log).toEqual(["r2+4096"]);
    expect(b.log).toEqual(["r2+2"]);
    mapping.unmap();
    expect(bus.read(0xf0001004, 4)).toBe(0xffffffff);
    expect(bus.unknownCount).toBe(1);
  });
});
