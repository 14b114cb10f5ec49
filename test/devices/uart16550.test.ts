// Against the National PC16550D datasheet.
import { describe, expect, it } from "vitest";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { plug, TestClock, TestLine } from "./bench-machine.ts";

const BASE = 0x3f8;
const CHARACTER_NS = 1e9 / 11520; // 8N1 at 115,200 bit/s

function uart() {
  const clock = new TestClock();
  const irq = new TestLine();
  const sent: number[] = [];
  const device = new Uart16550({ name: "uart0", base: BASE, irq, clock, transmit: (byte) => sent.push(byte) });
  const { ports } = plug(device);
  const read = (offset: number): number => ports.read(BASE + offset, 1);
  const write = (offset: number, value: number): void => ports.write(BASE + offset, 1, value);
  return { clock, irq, sent, device, read, write, ports };
}

/** 115,200 8N1, FIFO on with the trigger at `fcr`, OUT2 on. */
function programmed(fcr = 0x01) {
  const u = uart();
  u.write(3, 0x83);
  u.write(0, 1);
  u.write(1, 0);
  u.write(3, 0x03);
  u.write(2, fcr);
  u.write(4, 0x0b);
  return u;
}

describe("16550 registers", () => {
  it("has the datasheet's reset values (table III)", () => {
    const { read } = uart();
    expect(read(1)).toBe(0x00);
    expect(read(2)).toBe(0x01);
    expect(read(3)).toBe(0x00);
    expect(read(4)).toBe(0x00);
    expect(read(5)).toBe(0x60);
    expect(read(6) & 0x0f).toBe(0x00);
  });

  it("keeps the divisor behind DLAB and the scratch register anywhere", () => {
    const { read, write } = uart();
    write(3, 0x80);
    write(0, 0x34);
    write(1, 0x12);
    expect([read(0), read(1)]).toEqual([0x34, 0x12]);
    write(3, 0x03);
    expect(read(1)).toBe(0);
    write(7, 0xa5);
    expect(read(7)).toBe(0xa5);
  });

  it("has no upper nibble in IER and three reserved zero bits in MCR", () => {
    const { read, write } = uart();
    write(1, 0xff);
    write(4, 0xff);
    expect(read(1)).toBe(0x0f);
    expect(read(4)).toBe(0x1f);
  });

  it("shows enabled FIFOs in IIR bits 7..6 and clears them when toggled", () => {
    const { read, write, device } = programmed(0x01);
    expect(read(2)).toBe(0xc1);
    device.receive(Uint8Array.of(1, 2, 3));
    write(2, 0x00);
    expect(read(2)).toBe(0x01);
    expect(read(5) & 1).toBe(0);
  });
});

describe("16550 transmitter", () => {
  it("passes every byte and is ready again at once", () => {
    const { read, write, sent } = programmed();
    for (const byte of [0x48, 0x69, 0xff]) write(0, byte);
    expect(sent).toEqual([0x48, 0x69, 0xff]);
    expect(read(5)).toBe(0x60);
  });

  it("reports an empty THR when its interrupt is enabled, until IIR is read", () => {
    const { read, write, irq } = programmed();
    write(1, 0x02);
    expect(irq.level).toBe(true);
    expect(read(2) & 0x0f).toBe(0x02);
    expect(irq.level).toBe(false);
    expect(read(2) & 0x0f).toBe(0x01);
    write(0, 0x41);
    expect(irq.level).toBe(true);
  });

  it("gives the 8259 a new edge for each character", () => {
    const { write, irq } = programmed();
    write(1, 0x02);
    const before = irq.edges;
    write(0, 1);
    write(0, 2);
    expect(irq.edges - before).toBe(2);
  });

  it("interrupts only through OUT2", () => {
    const { write, irq } = programmed();
    write(4, 0x03);
    write(1, 0x02);
    expect(irq.level).toBe(false);
    write(4, 0x0b);
    expect(irq.level).toBe(true);
  });
});

describe("16550 receiver", () => {
  it("interrupts at the trigger level and stops below it", () => {
    const { read, write, irq, device } = programmed(0x81); // 8 characters
    write(1, 0x01);
    device.receive(Uint8Array.from([1, 2, 3, 4, 5, 6, 7]));
    expect(irq.level).toBe(false);
    device.receive(Uint8Array.of(8));
    expect(read(2)).toBe(0xc4);
    expect(read(0)).toBe(1);
    expect(irq.level).toBe(false);
  });

  it("times out after four character times of silence and clears on a read", () => {
    const { read, write, irq, device, clock } = programmed(0xc1); // 14 characters
    write(1, 0x01);
    device.receive(Uint8Array.of(0x55, 0x66));
    clock.advance(3.9 * CHARACTER_NS);
    expect(irq.level).toBe(false);
    clock.advance(0.2 * CHARACTER_NS);
    expect(read(2)).toBe(0xcc);
    expect(read(0)).toBe(0x55);
    expect(irq.level).toBe(false);
    clock.advance(4.1 * CHARACTER_NS);
    expect(read(2)).toBe(0xcc);
  });

  it("delivers more than a FIFO of input at the line's speed, in order, losing nothing", () => {
    const { read, device, clock } = programmed();
    const input = Uint8Array.from({ length: 100 }, (_, i) => i);
    device.receive(input);
    const got: number[] = [];
    let waited = 0;
    while (got.length < 100 && waited++ < 1000) {
      while (read(5) & 1) got.push(read(0));
      clock.advance(CHARACTER_NS);
    }
    expect(got).toEqual([...input]);
    expect(waited).toBeGreaterThan(80);
    expect(device.metrics().overruns).toBe(0);
  });

  it("keeps what comes before the driver's set-up, whose last step is RTS", () => {
    const { read, write, device } = uart();
    device.receive(Uint8Array.of(0x68, 0x69));
    write(2, 0x07);
    read(0);
    write(1, 0x05);
    write(2, 0xc1);
    expect(read(5) & 1).toBe(0);
    write(4, 0x1a); // RTS in loopback reaches nobody
    write(4, 0x0b);
    expect([read(0), read(0)]).toEqual([0x68, 0x69]);
  });

  it("gives input without RTS to a guest that polls, and to one that waits for the interrupt", () => {
    const polling = uart();
    polling.device.receive(Uint8Array.of(0x70));
    let reads = 1;
    while (!(polling.read(5) & 1)) expect(reads++).toBeLessThan(10);
    expect(polling.read(0)).toBe(0x70);

    const waiting = uart();
    waiting.device.receive(Uint8Array.of(0x71));
    waiting.write(4, 0x08);
    waiting.write(1, 0x01);
    expect(waiting.irq.level).toBe(false);
    waiting.clock.advance(10e6);
    expect(waiting.irq.level).toBe(true);
    expect(waiting.read(0)).toBe(0x71);
  });

  it("waits again after a reset", () => {
    const { read, write, device } = programmed();
    device.reset();
    device.receive(Uint8Array.of(0x72));
    expect(read(5) & 1).toBe(0);
    write(4, 0x02);
    expect(read(0)).toBe(0x72);
  });

  it("reports and clears a break with its zero character", () => {
    const { read, write, device } = programmed();
    write(1, 0x05);
    device.receiveBreak();
    expect(read(2)).toBe(0xc6);
    expect(read(5)).toBe(0xf1); // DR, BI, THRE, TEMT, error in FIFO
    expect(read(5)).toBe(0x61);
    expect(read(0)).toBe(0);
  });
});

describe("16550 loopback (MCR bit 4)", () => {
  it("feeds the outputs back as modem inputs with their deltas", () => {
    const { read, write } = programmed();
    write(4, 0x10);
    read(6);
    write(4, 0x1f);
    expect(read(6)).toBe(0xfb); // CTS DSR RI DCD; RI reports only its trailing edge
    write(4, 0x10);
    expect(read(6)).toBe(0x0f);
    expect(read(6)).toBe(0x00);
  });

  it("receives what it sends and nothing else gets out", () => {
    const { read, write, sent } = programmed();
    write(4, 0x10);
    write(0, 0xa5);
    expect(read(0)).toBe(0xa5);
    expect(sent).toEqual([]);
  });

  it("overruns: the FIFO keeps the first sixteen, LSR reports it once", () => {
    const { read, write } = programmed();
    write(4, 0x10);
    for (let i = 0; i < 18; i++) write(0, i);
    expect(read(5) & 0x02).toBe(0x02);
    expect(read(5) & 0x02).toBe(0);
    for (let i = 0; i < 16; i++) expect(read(0)).toBe(i);
    expect(read(5) & 1).toBe(0);
  });

  it("without FIFO the newcomer replaces the unread character", () => {
    const { read, write } = programmed(0);
    write(4, 0x10);
    write(0, 1);
    write(0, 2);
    expect(read(5) & 0x03).toBe(0x03);
    expect(read(0)).toBe(2);
  });
});

describe("16550 interrupt priority (table IV)", () => {
  it("line status, data, transmitter, modem status", () => {
    const { read, write, device } = programmed();
    write(1, 0x0f);
    device.setModemLines({ cts: false });
    device.receive(Uint8Array.of(7));
    device.receiveBreak();
    read(0); // the break is now the oldest character
    expect(read(2) & 0x0f).toBe(0x06);
    read(5);
    expect(read(2) & 0x0f).toBe(0x04);
    read(0);
    expect(read(2) & 0x0f).toBe(0x02);
    expect(read(2) & 0x0f).toBe(0x00);
    expect(read(6) & 0x01).toBe(1);
    expect(read(2) & 0x0f).toBe(0x01);
  });
});

describe("16550 state", () => {
  it("goes on after save and load as if nothing had happened", () => {
    const a = programmed(0xc1);
    a.write(1, 0x01);
    a.device.receive(Uint8Array.from({ length: 20 }, (_, i) => i + 1));
    const saved = a.device.save();
    const b = uart();
    b.device.load(saved, 1);
    expect(b.device.save()).toEqual(saved);
    expect(b.irq.level).toBe(a.irq.level);
    expect(b.read(0)).toBe(1);
  });

  it("refuses a field that does not fit, by name", () => {
    const { device } = uart();
    expect(() => device.load({ ...device.save(), lcr: 256 }, 1)).toThrow(/uart0: field "lcr"/);
    expect(() => device.load(device.save(), 2)).toThrow(/version 2/);
  });
});
