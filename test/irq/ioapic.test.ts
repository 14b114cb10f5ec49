import { beforeEach, describe, expect, test } from "vitest";
import * as C from "../../spec/chipset.ts";
import { KDEV_PIC, LAPIC_PRIVATE, NMI_PENDING } from "../../spec/layout.ts";
import { IOAPIC_SCRIPTS } from "./ioapic-scripts.ts";
import { Chipset } from "./machine.ts";
import { recorded, runScript } from "./script.ts";

const MASKED = 0x10000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;

let c: Chipset;
const entry = (pin: number) => c.ioapic(0x10 + 2 * pin);
const eoi = (i = 0) => c.setApic(C.APIC_EOI, 0, i);

beforeEach(() => {
  c = new Chipset({ vcpus: 2 });
  for (let i = 0; i < 2; i++) {
    c.setApic(C.APIC_SVR, 0x1ff, i);
    c.setApic(C.APIC_LDR, (1 << i) << 24, i);
  }
  c.setApic(C.APIC_LVT_LINT0, MASKED);
});

describe("I/O APIC against QEMU", () => {
  for (const [name, script] of Object.entries(IOAPIC_SCRIPTS)) {
    test(name, () => expect(runScript(new Chipset(), script)).toEqual(recorded(name, script)));
  }
});

describe("I/O APIC", () => {
  test("version 11h with 24 entries", () => {
    expect(c.ioapic(1)).toBe(0x170011);
    expect(c.ioapic(0x40)).toBe(0);
  });
  test("only 32-bit accesses reach the window", () => {
    c.setIoapic(0x11, 0x01000000);
    c.core.chipsetMmioWrite!(c.vcpu(0), 0xfec00010, 1, 0xffn);
    expect(c.ioapic(0x11)).toBe(0x01000000);
    expect(Number(c.core.chipsetMmioRead(c.vcpu(0), 0xfec00010, 2))).toBe(0);
  });
  test("an edge is one interrupt; while masked it is lost", () => {
    c.redirect(20, 0x50);
    c.irq(20, 1);
    c.irq(20, 1);
    expect([c.ack(), c.ack()]).toEqual([0x50, -1]);
    eoi();
    c.irq(20, 0);
    c.redirect(20, MASKED | 0x50);
    c.irq(20, 1);
    c.redirect(20, 0x50);
    expect(c.pending()).toBe(false);
  });
  test("a level interrupt sets remote IRR until EOI and comes again while asserted", () => {
    c.redirect(20, LEVEL | 0x50);
    c.irq(20, 1);
    expect(entry(20)).toBe(LEVEL | REMOTE_IRR | 0x50);
    expect(c.apic(C.APIC_TMR + 0x20)).toBe(1 << 16);
    expect(c.ack()).toBe(0x50);
    expect(c.pending()).toBe(false);
    eoi();
    expect(c.ack()).toBe(0x50);
    c.irq(20, 0);
    expect(entry(20) & REMOTE_IRR).toBe(REMOTE_IRR);
    eoi();
    expect([entry(20), c.pending()]).toEqual([LEVEL | 0x50, false]);
  });
  test("a level that falls and rises in service is not sent again before EOI", () => {
    c.redirect(20, LEVEL | 0x50);
    c.irq(20, 1);
    expect(c.ack()).toBe(0x50);
    c.irq(20, 0);
    c.irq(20, 1);
    expect(c.apic(C.APIC_IRR + 0x20)).toBe(0);
    eoi();
    expect(c.ack()).toBe(0x50);
  });
  test("a vector that was level-triggered is edge-triggered again when an edge brings it", () => {
    c.redirect(20, LEVEL | 0x50);
    c.irq(20, 1);
    c.ack();
    c.irq(20, 0);
    eoi();
    expect(c.apic(C.APIC_TMR + 0x20)).toBe(1 << 16);
    c.setApic(C.APIC_ICR_LOW, 0x40000 | 0x50);
    expect(c.apic(C.APIC_TMR + 0x20)).toBe(0);
  });
  test("a masked level is not lost; masking in service and switching to edge clears remote IRR", () => {
    c.redirect(20, MASKED | LEVEL | 0x50);
    c.irq(20, 1);
    expect(c.pending()).toBe(false);
    c.redirect(20, LEVEL | 0x50);
    expect(c.ack()).toBe(0x50);
    c.redirect(20, MASKED | LEVEL | 0x50);
    expect(entry(20) & REMOTE_IRR).toBe(REMOTE_IRR);
    c.redirect(20, MASKED | 0x50);
    c.redirect(20, MASKED | LEVEL | 0x50);
    expect(entry(20) & REMOTE_IRR).toBe(0);
  });
  test("a level that no local APIC accepted is delivered once one is enabled", () => {
    c.setApic(C.APIC_SVR, 0xff);
    c.redirect(20, LEVEL | 0x50);
    c.irq(20, 1);
    expect(entry(20) & REMOTE_IRR).toBe(0);
    c.setApic(C.APIC_SVR, 0x1ff);
    expect(c.ack()).toBe(0x50);
  });
  test("EOI is for the vector: pins that share it are all served again", () => {
    c.redirect(20, LEVEL | 0x50);
    c.redirect(21, LEVEL | 0x50);
    c.irq(20, 1);
    c.irq(21, 1);
    expect(c.ack()).toBe(0x50);
    c.irq(20, 0);
    eoi();
    expect([entry(20) & REMOTE_IRR, entry(21) & REMOTE_IRR]).toEqual([0, REMOTE_IRR]);
    expect(c.ack()).toBe(0x50);
  });
  test("the local APIC's EOI of an edge interrupt is not broadcast", () => {
    c.redirect(20, LEVEL | 0x50);
    c.irq(20, 1);
    expect(c.ack()).toBe(0x50);
    c.setApic(C.APIC_ICR_LOW, 0x40000 | 0x60);
    expect(c.ack()).toBe(0x60);
    eoi();
    expect(entry(20) & REMOTE_IRR).toBe(REMOTE_IRR);
  });
  test("destinations: physical, logical, lowest priority", () => {
    c.redirect(20, 0x50, 1);
    c.irq(20, 1);
    expect([c.ack(0), c.ack(1)]).toEqual([-1, 0x50]);
    c.redirect(21, 0x851, 3);
    c.irq(21, 1);
    eoi(1);
    expect([c.ack(0), c.ack(1)]).toEqual([0x51, 0x51]);
    eoi(0);
    eoi(1);
    c.setApic(C.APIC_TPR, 0x20, 0);
    c.redirect(22, 0x952, 3);
    c.irq(22, 1);
    expect([c.ack(0), c.ack(1)]).toEqual([-1, 0x52]);
  });
  test("NMI and INIT are edges whatever the trigger bit says", () => {
    c.redirect(20, LEVEL | 0x400, 1);
    c.irq(20, 1);
    expect(c.get(1, NMI_PENDING)).toBe(1);
    expect(entry(20) & REMOTE_IRR).toBe(0);
    c.redirect(21, LEVEL | 0x500, 1);
    c.irq(21, 1);
    expect(c.get(1, LAPIC_PRIVATE + C.INIT_PENDING)).toBe(1);
  });
  test("the 8259s come through pin 0 as ExtINT", () => {
    c.initPics();
    c.redirect(0, 0x700, 1);
    c.irq(6, 1);
    expect([c.pending(0), c.pending(1)]).toEqual([false, true]);
    expect(c.ack(1)).toBe(0x26);
    expect(c.pending(1)).toBe(false);
    c.irq(1, 1);
    expect(c.ack(1)).toBe(0x21);
  });
  test("an ExtINT whose request went away gets the spurious vector of the 8259", () => {
    c.initPics();
    c.redirect(0, 0x700, 0);
    c.irq(6, 1);
    c.irq(6, 0);
    expect(c.ack(0)).toBe(0x27);
    expect(c.pending(0)).toBe(false);
  });
});

describe("lines and messages", () => {
  test("IRQ 0 is pin 2, the other ISA lines are on both controllers, 16 to 23 on the I/O APIC alone", () => {
    c.initPics();
    for (let pin = 0; pin < 24; pin++) c.redirect(pin, 0x40 + pin);
    c.redirect(0, MASKED);
    // OUT0 of the idle 8254 is high.
    c.irq(0, 0);
    for (const [line, vector] of [
      [0, 0x42],
      [1, 0x41],
      [15, 0x4f],
      [16, 0x50],
      [23, 0x57],
    ] as const) {
      c.irq(line, 1);
      expect(c.ack(), `line ${line}`).toBe(vector);
      eoi();
    }
    c.out(0x20, 0x0a);
    c.out(0xa0, 0x0a);
    expect([c.in(0x20), c.in(0xa0)]).toEqual([0x07, 0x80]);
    c.irq(2, 1);
    c.irq(24, 1);
    c.irq(31, 1);
    c.irq(0xffffffff, 1);
    expect(c.pending()).toBe(false);
  });
  test("MSI: destination, mode, trigger; other addresses and level de-asserts do nothing", () => {
    c.core.deliverMsi!(0xfee01000 | 0, 0x61);
    expect([c.ack(0), c.ack(1)]).toEqual([-1, 0x61]);
    c.core.deliverMsi!(0xfee03004 | 0, 0x62);
    eoi(1);
    expect([c.ack(0), c.ack(1)]).toEqual([0x62, 0x62]);
    eoi(0);
    eoi(1);
    c.setApic(C.APIC_TPR, 0x20, 1);
    c.core.deliverMsi!(0xfee0300c | 0, 0x63);
    expect([c.ack(0), c.ack(1)]).toEqual([0x63, -1]);
    eoi(0);
    c.core.deliverMsi!(0xfec00000 | 0, 0x64);
    c.core.deliverMsi!(0xfee00000 | 0, 0x8064);
    expect(c.pending()).toBe(false);
    c.core.deliverMsi!(0xfee00000 | 0, 0xc064);
    expect(c.ack()).toBe(0x64);
    expect(c.apic(C.APIC_TMR + 0x30)).toBe(1 << 4);
  });
  test("a machine without APICs has the 8259s' INTR on its first vCPU and no pages", () => {
    c = new Chipset({ devices: KDEV_PIC, vcpus: 2 });
    c.initPics();
    c.irq(3, 1);
    c.irq(20, 1);
    expect([c.ack(0), c.ack(0)]).toEqual([0x23, -1]);
    expect(c.core.isChipsetMmio!(c.vcpu(0), 0xfee00000 | 0)).toBe(0);
    expect(c.core.isChipsetMmio!(c.vcpu(0), 0xfec00000 | 0)).toBe(0);
  });
});
