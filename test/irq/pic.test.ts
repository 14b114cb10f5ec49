import { beforeEach, describe, expect, test } from "vitest";
import { Chipset } from "./machine.ts";
import { DIRECTED, picScripts } from "./pic-scripts.ts";
import { recorded, runScript } from "./script.ts";

describe("8259A against QEMU", () => {
  for (const [name, script] of picScripts()) {
    test(name, () => {
      expect(runScript(new Chipset(), script)).toEqual(recorded(name, script));
    });
  }
  test("the directed scripts serve, refuse and end interrupts", () => {
    // A guard against scripts that ask nothing: each must see a successful poll or a register that is not 0.
    for (const [name, script] of Object.entries(DIRECTED)) {
      if (name.startsWith("a poll with nothing")) continue;
      expect(
        recorded(name, script).some((a) => a !== 0),
        name,
      ).toBe(true);
    }
  });
});

describe("8259A where QEMU leaves the datasheet, and the INTA cycle", () => {
  let c: Chipset;
  const isr = (port: number) => {
    c.out(port, 0x0b);
    return c.in(port);
  };
  const irr = (port: number) => {
    c.out(port, 0x0a);
    return c.in(port);
  };
  const intr = () => c.core.picOutput!() !== 0;
  const inta = () => c.core.picAcknowledge!(c.vcpu(0));

  beforeEach(() => {
    c = new Chipset();
    c.initPics();
  });

  test("an edge-triggered request is withdrawn when its line falls before the acknowledge", () => {
    c.irq(5, 1);
    expect(intr()).toBe(true);
    c.irq(5, 0);
    expect(intr()).toBe(false);
    expect(irr(0x20)).toBe(0);
  });

  test("a withdrawn request of the slave leaves nothing at the master", () => {
    c.irq(11, 1);
    expect(irr(0x20)).toBe(0x04);
    c.out(0xa1, 0x08);
    expect(irr(0x20)).toBe(0);
    expect(intr()).toBe(false);
    c.out(0xa1, 0);
    expect(inta()).toBe(0x2b);
  });

  test("an acknowledge with nothing requested gives the spurious vector and no in-service bit", () => {
    expect(inta()).toBe(0x27);
    expect(isr(0x20)).toBe(0);
  });

  test("polling the slave takes its request away from the master", () => {
    c.irq(9, 1);
    c.out(0x21, 0x04);
    c.out(0xa0, 0x0c);
    c.in(0xa0);
    c.out(0xa0, 0x20);
    c.out(0x21, 0);
    expect(intr()).toBe(false);
    expect(inta()).toBe(0x27);
  });

  test("vectors are ICW2's upper five bits and the input", () => {
    c.irq(1, 1);
    c.irq(14, 1);
    expect(inta()).toBe(0x21);
    c.out(0x20, 0x20);
    expect(inta()).toBe(0x2e);
    expect(isr(0x20)).toBe(0x04);
    expect(isr(0xa0)).toBe(0x40);
  });

  test("the slave interrupts again for a higher input only after the master's EOI, in fully nested mode", () => {
    c.irq(12, 1);
    expect(inta()).toBe(0x2c);
    c.irq(8, 1);
    expect(irr(0x20)).toBe(0x04);
    expect(intr()).toBe(false);
    c.out(0x20, 0x20);
    expect(inta()).toBe(0x28);
  });

  test("special fully nested mode lets the slave interrupt its own service, and still holds back lower inputs", () => {
    c.initPics(0x11);
    c.irq(12, 1);
    expect(inta()).toBe(0x2c);
    c.irq(3, 1);
    expect(intr()).toBe(false);
    c.irq(13, 1);
    expect(intr()).toBe(false);
    c.irq(8, 1);
    expect(inta()).toBe(0x28);
    c.irq(1, 1);
    expect(inta()).toBe(0x21);
    for (const port of [0xa0, 0xa0, 0x20, 0x20]) c.out(port, 0x20);
    // OUT0 of the idle 8254 is high.
    c.irq(0, 0);
    c.irq(0, 1);
    expect(inta()).toBe(0x20);
    // The slave, whose IR5 still asks, waits for the higher input of the master.
    expect(intr()).toBe(false);
  });

  test("a non-specific EOI in special mask mode leaves masked levels in service", () => {
    c.irq(3, 1);
    expect(inta()).toBe(0x23);
    c.out(0x21, 0x08);
    c.out(0x20, 0x68);
    c.irq(5, 1);
    expect(inta()).toBe(0x25);
    c.out(0x20, 0x20);
    expect(isr(0x20)).toBe(0x08);
    c.out(0x20, 0x20);
    expect(isr(0x20)).toBe(0x08);
    c.out(0x20, 0x63);
    expect(isr(0x20)).toBe(0);
  });

  test("automatic EOI on both chips: every request of the slave makes a new edge", () => {
    c.initPics(3, 3);
    c.irq(8, 1);
    c.irq(9, 1);
    c.irq(10, 1);
    expect([inta(), inta(), inta()]).toEqual([0x28, 0x29, 0x2a]);
    expect(intr()).toBe(false);
    expect([isr(0x20), isr(0xa0)]).toEqual([0, 0]);
  });

  test("after ICW1 an edge-triggered line that is high must fall and rise", () => {
    c.irq(4, 1);
    c.initPics();
    expect(intr()).toBe(false);
    c.irq(4, 1);
    expect(intr()).toBe(false);
    c.irq(4, 0);
    c.irq(4, 1);
    expect(inta()).toBe(0x24);
  });

  test("a level-triggered line interrupts again after EOI while it stays high", () => {
    c.out(0x4d1, 0x08);
    c.irq(11, 1);
    expect(inta()).toBe(0x2b);
    c.out(0xa0, 0x20);
    c.out(0x20, 0x20);
    expect(inta()).toBe(0x2b);
    c.irq(11, 0);
    c.out(0xa0, 0x20);
    c.out(0x20, 0x20);
    expect(intr()).toBe(false);
  });

  test("a master initialized as single serves IR2 itself; ICW3 is skipped", () => {
    for (const [port, value] of [
      [0x20, 0x13],
      [0x21, 0x40],
      [0x21, 0x01],
      [0x21, 0x00],
    ] as const)
      c.out(port, value);
    c.irq(10, 1);
    expect(inta()).toBe(0x42);
  });

  test("without IC4 the chip is ready after ICW3 and automatic EOI is off", () => {
    c.initPics(3);
    for (const [port, value] of [
      [0x20, 0x10],
      [0x21, 0x20],
      [0x21, 0x04],
      [0x21, 0xa5],
    ] as const)
      c.out(port, value);
    expect(c.in(0x21)).toBe(0xa5);
    c.out(0x21, 0);
    c.irq(3, 1);
    inta();
    expect(isr(0x20)).toBe(0x08);
  });

  test("wide accesses reach consecutive ports", () => {
    c.out(0x20, 0x5a0b, 2);
    expect(c.in(0x21)).toBe(0x5a);
    expect(c.in(0x20, 4)).toBe(0xffff5a00);
  });

  test("ports are the host's when the 8259s do not live in Wasm", () => {
    const host = new Chipset({ devices: 0 });
    expect(host.in(0x20)).toBe(-1);
    expect(() => host.out(0x20, 0x11)).toThrow();
  });
});
