import { describe, expect, it } from "vitest";
import { HPET_BASE, Hpet } from "../../src/devices/hpet.ts";
import { plug, TestClock, TestLine } from "./bench-machine.ts";

const [ENABLE, LEGACY] = [1, 2];
const [LEVEL, INTERRUPT, PERIODIC, SET_VALUE, BITS_32, MESSAGES] = [0x2, 0x4, 0x8, 0x40, 0x100, 0x4000];
const route = (gsi: number): number => gsi << 9;

function make(clock = new TestClock()) {
  const lines = new Map<number, TestLine>();
  const messages: [number, number][] = [];
  const replaced = { pit: false, rtc: false };
  const hpet = new Hpet({
    clock,
    msi: { deliver: (address, data) => void messages.push([address, data]) },
    line: (gsi) => {
      const line = new TestLine();
      lines.set(gsi, line);
      return line;
    },
    replacePit: (on) => (replaced.pit = on),
    replaceRtc: (on) => (replaced.rtc = on),
  });
  hpet.reset();
  const { mmio } = plug(hpet);
  const read = (offset: number): number => mmio.read(HPET_BASE + offset, 4);
  const write = (offset: number, value: number): void => mmio.write(HPET_BASE + offset, 4, value >>> 0);
  const line = (gsi: number): TestLine => lines.get(gsi) as TestLine;
  return { hpet, clock, read, write, line, messages, replaced };
}

describe("the counter", () => {
  it("says what it is: 10 ns, 64 bits, three comparators", () => {
    const { read } = make();
    expect(read(0)).toBe(0x8086a201);
    expect(read(4)).toBe(10_000_000);
    expect(read(0x100) & 0x8030).toBe(0x8030);
    expect(read(0x104)).toBe(0x00f0_0000);
  });

  it("runs while enabled, and goes on from what is written", () => {
    const { clock, read, write } = make();
    clock.advance(1000);
    expect(read(0xf0)).toBe(0);
    write(0x10, ENABLE);
    clock.advance(1005);
    expect(read(0xf0)).toBe(100);
    write(0x10, 0);
    clock.advance(1000);
    expect(read(0xf0)).toBe(100);
    write(0xf0, 0xffff_fffe);
    write(0xf4, 7);
    write(0x10, ENABLE);
    clock.advance(30);
    expect([read(0xf0), read(0xf4)]).toEqual([1, 8]);
  });
});

describe("comparators", () => {
  it("one-shot: one edge when the counter comes there", () => {
    const { clock, write, line } = make();
    write(0x100, INTERRUPT | route(20));
    write(0x108, 1000);
    write(0x10c, 0);
    write(0x10, ENABLE);
    clock.advance(9_990);
    expect(line(20).edges).toBe(0);
    clock.advance(10);
    expect(line(20).edges).toBe(1);
    clock.advance(1e9);
    expect(line(20).edges).toBe(1);
  });

  it("of 32 bits: again when the counter has gone round", () => {
    const { clock, write, line } = make();
    write(0x120, INTERRUPT | BITS_32 | route(21));
    write(0x128, 5);
    write(0x10, ENABLE);
    clock.advance(50 + 2 ** 32 * 10);
    expect(line(21).edges).toBe(2);
  });

  it("periodic: a steady beat, first tick and period apart", () => {
    const { clock, write, read, line } = make();
    write(0x10, ENABLE);
    write(0x100, INTERRUPT | PERIODIC | SET_VALUE | BITS_32 | route(22));
    write(0x108, 500_000);
    write(0x108, 100_000);
    const at: number[] = [];
    for (let us = 0; us < 12_000; us += 100) {
      const before = line(22).edges;
      clock.advance(1e5);
      if (line(22).edges > before) at.push(us + 100);
    }
    expect(at).toEqual([5000, 6000, 7000, 8000, 9000, 10_000, 11_000, 12_000]);
    expect(read(0x108)).toBe(1_300_000);
    // A stop and a new start keep what was set.
    write(0x10, 0);
    clock.advance(1e9);
    expect(line(22).edges).toBe(8);
  });

  it("ticks that nobody saw are one, and a period of nothing does not stop the host", () => {
    class Late extends TestClock {
      late = 0;
      override nowNs(): number {
        return super.nowNs() + this.late;
      }
    }
    const clock = new Late();
    const { write, line, hpet } = make(clock);
    write(0x10, ENABLE);
    write(0x100, INTERRUPT | PERIODIC | SET_VALUE | BITS_32 | route(20));
    write(0x108, 1);
    write(0x108, 1);
    clock.advance(1e6);
    expect(line(20).edges).toBeLessThan(120);
    expect(hpet.metrics().interrupts).toBe(line(20).edges);
  });

  it("level: the line is high until the guest says so", () => {
    const { clock, write, read, line } = make();
    write(0x10, ENABLE);
    write(0x100, LEVEL | INTERRUPT | route(23));
    write(0x108, 10);
    write(0x10c, 0);
    clock.advance(1000);
    expect([line(23).level, read(0x20)]).toEqual([true, 1]);
    write(0x20, 1);
    expect([line(23).level, read(0x20)]).toEqual([false, 0]);
  });

  it("send messages where they are told to", () => {
    const { clock, write, messages } = make();
    write(0x140, INTERRUPT | MESSAGES);
    write(0x150, 0x0031);
    write(0x154, 0xfee0_1000);
    write(0x148, 10);
    write(0x14c, 0);
    write(0x10, ENABLE);
    clock.advance(1000);
    expect(messages).toEqual([[0xfee0_1000, 0x31]]);
  });

  it("take the places of the 8254 and the RTC, and give them back", () => {
    const { clock, write, line, replaced, hpet } = make();
    write(0x100, INTERRUPT);
    write(0x120, INTERRUPT);
    for (const at of [0x108, 0x128]) write(at, 10);
    for (const at of [0x10c, 0x12c]) write(at, 0);
    write(0x10, ENABLE | LEGACY);
    expect(replaced).toEqual({ pit: true, rtc: true });
    clock.advance(1000);
    expect([line(0).edges, line(8).edges]).toEqual([1, 1]);
    write(0x10, ENABLE);
    expect(replaced).toEqual({ pit: false, rtc: false });
    expect([line(0).level, line(8).level]).toEqual([false, false]);
    write(0x10, ENABLE | LEGACY);
    hpet.reset();
    expect(replaced).toEqual({ pit: false, rtc: false });
  });
});

it("goes on from a saved state", () => {
  const a = make();
  a.write(0x10, ENABLE | LEGACY);
  a.write(0x100, INTERRUPT | PERIODIC | SET_VALUE | BITS_32);
  a.write(0x108, 100);
  a.write(0x108, 100);
  a.clock.advance(1500);
  const b = make(a.clock);
  b.hpet.load(a.hpet.save(), a.hpet.stateVersion);
  for (const at of [0x10, 0x20, 0xf0, 0xf4, 0x100, 0x104, 0x108, 0x10c]) expect(b.read(at), `${at}`).toBe(a.read(at));
  expect([b.line(0).level, b.replaced.rtc]).toEqual([true, true]);
});
