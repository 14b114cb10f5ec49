import { beforeEach, describe, expect, test } from "vitest";
import * as C from "../../spec/chipset.ts";
import { APIC_BASE, EVENT_IRQ, FEATURES, LAPIC_PRIVATE, NMI_PENDING } from "../../spec/layout.ts";
import { Chipset } from "./machine.ts";

let c: Chipset;
const enable = (i = 0) => c.setApic(C.APIC_SVR, 0x1ff, i);
/** Sends an IPI from vCPU `from`. */
const ipi = (low: number, destination = 0, from = 0) => {
  c.setApic(C.APIC_ICR_HIGH, destination << 24, from);
  c.setApic(C.APIC_ICR_LOW, low, from);
};
const SELF = 0x40000;
const highest = (set: number, i = 0) => {
  for (let v = 255; v >= 0; v--) if ((c.apic(set + ((v >> 5) << 4), i) >>> (v & 31)) & 1) return v;
  return -1;
};
const eoi = (i = 0) => c.setApic(C.APIC_EOI, 0, i);

beforeEach(() => {
  c = new Chipset();
  enable();
  c.takeEvent();
});

describe("local APIC: registers", () => {
  test("power-on values", () => {
    c = new Chipset({ vcpus: 2 });
    const at = (offset: number) => c.apic(offset, 1);
    expect(at(C.APIC_ID)).toBe(0x01000000);
    expect(at(C.APIC_VERSION)).toBe(0x50014);
    expect(at(C.APIC_DFR)).toBe(0xffffffff);
    expect(at(C.APIC_SVR)).toBe(0xff);
    for (const offset of [C.APIC_TPR, C.APIC_LDR, C.APIC_ESR, C.APIC_ICR_LOW, C.APIC_TIMER_INITIAL])
      expect(at(offset)).toBe(0);
    for (let lvt = C.APIC_LVT_TIMER; lvt <= C.APIC_LVT_ERROR; lvt += 0x10) expect(at(lvt)).toBe(0x10000);
  });
  test("reserved bits are not kept, read-only registers do not change", () => {
    for (const [offset, kept] of [
      [C.APIC_ID, 0xff000000],
      [C.APIC_TPR, 0xff],
      [C.APIC_LDR, 0xff000000],
      [C.APIC_DFR, 0xffffffff],
      [C.APIC_SVR, 0x3ff],
      [C.APIC_ICR_HIGH, 0xff000000],
      [C.APIC_LVT_TIMER, 0x700ff],
      [C.APIC_LVT_THERMAL, 0x107ff],
      [C.APIC_LVT_PERF, 0x107ff],
      [C.APIC_LVT_LINT0, 0x1a7ff],
      [C.APIC_LVT_LINT1, 0x1a7ff],
      [C.APIC_LVT_ERROR, 0x100ff],
      [C.APIC_TIMER_DIVIDE, 0xb],
      [C.APIC_VERSION, 0x50014],
      [C.APIC_PPR, 0xff],
      [C.APIC_TIMER_CURRENT, 0],
    ] as const) {
      c.setApic(offset, 0xffffffff);
      expect(c.apic(offset), offset.toString(16)).toBe(kept);
    }
    c.setApic(C.APIC_DFR, 0);
    expect(c.apic(C.APIC_DFR)).toBe(0x0fffffff);
  });
  test("the TSC-deadline bit exists only with the feature", () => {
    c.set(0, FEATURES, 0);
    c.setApic(C.APIC_LVT_TIMER, 0xffffffff);
    expect(c.apic(C.APIC_LVT_TIMER)).toBe(0x300ff);
  });
  test("accesses that are not aligned 32-bit ones are ignored", () => {
    for (const [offset, size] of [
      [0x80, 1],
      [0x80, 2],
      [0x84, 4],
      [0x81, 4],
      [0x80, 8],
    ] as const) {
      c.core.chipsetMmioWrite!(c.vcpu(0), 0xfee00000 + offset, size, 0x55n);
      expect(Number(c.core.chipsetMmioRead(c.vcpu(0), 0xfee00000 + offset, size))).toBe(0);
    }
    expect(c.apic(C.APIC_TPR)).toBe(0);
  });
  test("the page follows IA32_APIC_BASE and is gone when the APIC is off; off and on loses the state", () => {
    const page = (gpa: number) => c.core.isChipsetMmio!(c.vcpu(0), gpa | 0) !== 0;
    expect(page(0xfee00fff)).toBe(true);
    c.set(0, APIC_BASE, 0xfed00900);
    c.core.lapicBaseChanged!(c.vcpu(0));
    expect([page(0xfee00000), page(0xfed00000)]).toEqual([false, true]);
    expect(Number(c.core.chipsetMmioRead(c.vcpu(0), 0xfed000f0, 4))).toBe(0x1ff);
    c.set(0, APIC_BASE, 0xfed00100);
    c.core.lapicBaseChanged!(c.vcpu(0));
    expect(page(0xfed00000)).toBe(false);
    c.set(0, APIC_BASE, 0xfee00900);
    c.core.lapicBaseChanged!(c.vcpu(0));
    expect(c.apic(C.APIC_SVR)).toBe(0xff);
  });
});

describe("local APIC: priorities", () => {
  test("a request above the processor priority is taken, highest first; EOI ends the highest in service", () => {
    ipi(SELF | 0x41);
    ipi(SELF | 0x62);
    ipi(SELF | 0x61);
    expect(c.takeEvent() & EVENT_IRQ).toBe(EVENT_IRQ);
    expect(c.ack()).toBe(0x62);
    expect(c.apic(C.APIC_PPR)).toBe(0x60);
    expect(c.pending()).toBe(false);
    expect(c.ack()).toBe(-1);
    ipi(SELF | 0x70);
    expect(c.ack()).toBe(0x70);
    expect(highest(C.APIC_ISR)).toBe(0x70);
    eoi();
    expect(highest(C.APIC_ISR)).toBe(0x62);
    eoi();
    expect(c.ack()).toBe(0x61);
    eoi();
    expect(c.ack()).toBe(0x41);
    eoi();
    eoi();
    expect([highest(C.APIC_ISR), highest(C.APIC_IRR), c.apic(C.APIC_PPR)]).toEqual([-1, -1, 0]);
  });
  test("the task priority holds back its class and lower ones", () => {
    c.setApic(C.APIC_TPR, 0x50);
    ipi(SELF | 0x5f);
    expect(c.pending()).toBe(false);
    expect(c.apic(C.APIC_PPR)).toBe(0x50);
    c.setApic(C.APIC_TPR, 0x4f);
    expect(c.takeEvent() & EVENT_IRQ).toBe(EVENT_IRQ);
    expect(c.ack()).toBe(0x5f);
    expect(c.apic(C.APIC_PPR)).toBe(0x50);
    c.setApic(C.APIC_TPR, 0x55);
    expect(c.apic(C.APIC_PPR)).toBe(0x55);
  });
  test("arbitration priority", () => {
    c.setApic(C.APIC_TPR, 0x35);
    expect(c.apic(C.APIC_APR)).toBe(0x35);
    ipi(SELF | 0x81);
    expect(c.apic(C.APIC_APR)).toBe(0x80);
  });
  test("software disable: nothing new is accepted, what was requested is still delivered, LVT entries are masked", () => {
    c.setApic(C.APIC_LVT_ERROR, 0x40);
    ipi(SELF | 0x51);
    c.setApic(C.APIC_SVR, 0xff);
    expect(c.apic(C.APIC_LVT_ERROR)).toBe(0x10040);
    c.setApic(C.APIC_LVT_ERROR, 0x40);
    expect(c.apic(C.APIC_LVT_ERROR)).toBe(0x10040);
    ipi(SELF | 0x61);
    expect(c.ack()).toBe(0x51);
    eoi();
    expect(c.pending()).toBe(false);
  });
});

describe("local APIC: errors", () => {
  test("an illegal vector sent is logged, shown by a write to ESR, and interrupts once", () => {
    c.setApic(C.APIC_LVT_ERROR, 0xe1);
    ipi(SELF | 0x0f);
    expect(c.apic(C.APIC_ESR)).toBe(0);
    expect(c.ack()).toBe(0xe1);
    eoi();
    ipi(0x03);
    expect(c.pending()).toBe(false);
    c.setApic(C.APIC_ESR, 0);
    expect(c.apic(C.APIC_ESR)).toBe(0x20);
    c.setApic(C.APIC_ESR, 0);
    expect(c.apic(C.APIC_ESR)).toBe(0);
    ipi(SELF | 0x02);
    expect(c.ack()).toBe(0xe1);
  });
  test("an illegal vector received and an illegal register are logged", () => {
    c.core.deliverMsi!(0xfee00000 | 0, 0x05);
    c.apic(0x40);
    c.setApic(C.APIC_ESR, 0);
    expect(c.apic(C.APIC_ESR)).toBe(0xc0);
    expect(highest(C.APIC_IRR)).toBe(-1);
  });
  test("an error interrupt with an illegal vector of its own ends there", () => {
    c.setApic(C.APIC_LVT_ERROR, 0x05);
    ipi(SELF | 0x01);
    c.setApic(C.APIC_ESR, 0);
    expect(c.apic(C.APIC_ESR)).toBe(0x60);
  });
});

describe("local APIC: interprocessor interrupts", () => {
  const requests = () => [0, 1, 2, 3].map((i) => highest(C.APIC_IRR, i));
  beforeEach(() => {
    c = new Chipset({ vcpus: 4 });
    for (let i = 0; i < 4; i++) enable(i);
  });
  test("physical destinations, broadcast and shorthands", () => {
    ipi(0x40, 2);
    expect(requests()).toEqual([-1, -1, 0x40, -1]);
    ipi(0x50, 0xff);
    expect(requests()).toEqual([0x50, 0x50, 0x50, 0x50]);
    ipi(0xc0060, 0, 1);
    expect(requests()).toEqual([0x60, 0x50, 0x60, 0x60]);
    ipi(0x80070, 0, 1);
    expect(requests()).toEqual([0x70, 0x70, 0x70, 0x70]);
    ipi(SELF | 0x80, 0, 3);
    expect(requests()).toEqual([0x70, 0x70, 0x70, 0x80]);
  });
  test("flat logical destinations are a bit each", () => {
    for (let i = 0; i < 4; i++) c.setApic(C.APIC_LDR, (1 << i) << 24, i);
    ipi(0x840, 0x0a);
    expect(requests()).toEqual([-1, 0x40, -1, 0x40]);
    ipi(0x850, 0xff);
    expect(requests()).toEqual([0x50, 0x50, 0x50, 0x50]);
  });
  test("cluster logical destinations are a cluster and a bit each", () => {
    for (let i = 0; i < 4; i++) {
      c.setApic(C.APIC_DFR, 0x0fffffff, i);
      c.setApic(C.APIC_LDR, (((i >> 1) << 4) | (1 << (i & 1))) << 24, i);
    }
    ipi(0x840, 0x12);
    expect(requests()).toEqual([-1, -1, -1, 0x40]);
    ipi(0x850, 0x03);
    expect(requests()).toEqual([0x50, 0x50, -1, 0x40]);
    ipi(0x860, 0xf1);
    expect(requests()).toEqual([0x60, 0x50, 0x60, 0x40]);
  });
  test("lowest priority goes to the least busy, in turn among equals, and not to disabled ones", () => {
    for (let i = 0; i < 4; i++) c.setApic(C.APIC_LDR, (1 << i) << 24, i);
    c.setApic(C.APIC_TPR, 0x40, 0);
    c.setApic(C.APIC_TPR, 0x40, 2);
    c.setApic(C.APIC_SVR, 0xff, 3);
    ipi(0x991, 0x0d);
    expect(requests().filter((v) => v === 0x91).length).toBe(1);
    ipi(0x992, 0x0d);
    expect([highest(C.APIC_IRR, 0), highest(C.APIC_IRR, 2)].sort()).toEqual([0x91, 0x92]);
    ipi(0x993, 0x0f);
    expect(highest(C.APIC_IRR, 1)).toBe(0x93);
  });
  test("NMI, INIT and start-up reach their vCPU; INIT de-assert does nothing", () => {
    ipi(0x400, 1);
    expect(c.get(1, NMI_PENDING)).toBe(1);
    ipi(0x8500, 2);
    expect(c.get(2, LAPIC_PRIVATE + C.INIT_PENDING)).toBe(0);
    ipi(0xc500, 2);
    expect(c.get(2, LAPIC_PRIVATE + C.INIT_PENDING)).toBe(1);
    ipi(0x4608 + 0x91, 2);
    expect(c.get(2, LAPIC_PRIVATE + C.SIPI_PENDING)).toBe(0x199);
    expect(c.takeEvent(2) & EVENT_IRQ).toBe(EVENT_IRQ);
    ipi(0xc4500);
    expect([1, 2, 3].map((i) => c.get(i, LAPIC_PRIVATE + C.INIT_PENDING))).toEqual([1, 1, 1]);
    expect(c.get(0, LAPIC_PRIVATE + C.INIT_PENDING)).toBe(0);
  });
  test("INIT keeps the ID", () => {
    c.setApic(C.APIC_ID, 0x0b000000, 1);
    c.core.lapicInit!(c.vcpu(1));
    expect([c.apic(C.APIC_ID, 1), c.apic(C.APIC_SVR, 1)]).toEqual([0x0b000000, 0xff]);
  });
});

describe("local APIC: LINT0 and LINT1", () => {
  const pending = () => [c.pending(), c.get(0, NMI_PENDING)];
  test("ExtINT on LINT0 takes the vector from the 8259s, behind the APIC's own", () => {
    c.initPics();
    c.setApic(C.APIC_LVT_LINT0, 0x700);
    c.irq(4, 1);
    ipi(SELF | 0x31);
    expect([c.ack(), c.ack(), c.ack()]).toEqual([0x31, 0x24, -1]);
    expect(highest(C.APIC_ISR)).toBe(0x31);
  });
  test("the 8259s are cut off while LINT0 is masked", () => {
    c.initPics();
    c.setApic(C.APIC_LVT_LINT0, 0x10700);
    c.irq(4, 1);
    expect(c.pending()).toBe(false);
    c.setApic(C.APIC_LVT_LINT0, 0x700);
    expect(c.takeEvent() & EVENT_IRQ).toBe(EVENT_IRQ);
    expect(c.ack()).toBe(0x24);
  });
  test("from power-on the first vCPU hears the 8259s, also with the APIC switched off; others do not", () => {
    c = new Chipset({ vcpus: 2 });
    c.initPics();
    c.irq(4, 1);
    expect([c.pending(0), c.pending(1)]).toEqual([true, false]);
    for (let i = 0; i < 2; i++) {
      c.set(i, APIC_BASE, 0xfee00000);
      c.core.lapicBaseChanged!(c.vcpu(i));
    }
    expect([c.pending(0), c.pending(1)]).toEqual([true, false]);
    expect(c.ack()).toBe(0x24);
  });
  test("LINT0 as NMI: one for each rising edge of INTR", () => {
    c.initPics(3);
    c.setApic(C.APIC_LVT_LINT0, 0x400);
    expect(pending()).toEqual([false, 0]);
    c.irq(1, 1);
    expect(pending()).toEqual([false, 1]);
  });
  test("LINT1 as level-triggered fixed interrupt has a remote IRR", () => {
    c.setApic(C.APIC_LVT_LINT1, 0x8055);
    c.core.lapicSetLint!(c.vcpu(0), 1, 1);
    expect(c.apic(C.APIC_LVT_LINT1)).toBe(0xc055);
    expect(c.ack()).toBe(0x55);
    eoi();
    expect(c.ack()).toBe(0x55);
    c.core.lapicSetLint!(c.vcpu(0), 1, 0);
    eoi();
    expect(c.apic(C.APIC_LVT_LINT1)).toBe(0x8055);
    expect(c.pending()).toBe(false);
  });
});

describe("local APIC: timer", () => {
  const arm = (lvt: number, initial: number, divide = 0xb) => {
    c.setApic(C.APIC_TIMER_DIVIDE, divide);
    c.setApic(C.APIC_LVT_TIMER, lvt);
    c.setApic(C.APIC_TIMER_INITIAL, initial);
  };
  const current = () => c.apic(C.APIC_TIMER_CURRENT);
  test("one-shot counts down once", () => {
    arm(0x40, 1000);
    c.wait(999);
    expect([current(), c.pending()]).toEqual([1, false]);
    c.wait(1);
    expect([current(), c.ack()]).toEqual([0, 0x40]);
    eoi();
    c.wait(100000);
    expect([current(), c.pending()]).toEqual([0, false]);
  });
  test("periodic reloads and keeps its phase when periods are missed", () => {
    arm(0x20040, 1000);
    c.wait(1000);
    expect([current(), c.ack()]).toEqual([1000, 0x40]);
    eoi();
    c.wait(5300);
    expect([current(), c.ack()]).toEqual([700, 0x40]);
    eoi();
    expect(c.pending()).toBe(false);
    expect(c.core.lapicNextDeadline(c.vcpu(0))).toBe(7000n);
  });
  test("every divisor", () => {
    for (const [divide, by] of [
      [0, 2],
      [1, 4],
      [2, 8],
      [3, 16],
      [8, 32],
      [9, 64],
      [10, 128],
      [11, 1],
    ] as const) {
      arm(0x10040, 1000, divide);
      c.wait(by * 10);
      expect(current(), `divide by ${by}`).toBe(990);
    }
  });
  test("masked, it still counts; the divisor can change on the way", () => {
    arm(0x10040, 1000);
    c.wait(500);
    c.setApic(C.APIC_TIMER_DIVIDE, 0);
    expect(current()).toBe(500);
    c.wait(600);
    expect(current()).toBe(200);
    c.setApic(C.APIC_LVT_TIMER, 0x41);
    c.wait(400);
    expect(c.ack()).toBe(0x41);
  });
  test("initial count 0 stops it; expiry while masked is lost", () => {
    arm(0x40, 1000);
    c.setApic(C.APIC_TIMER_INITIAL, 0);
    c.wait(5000);
    expect([current(), c.pending()]).toEqual([0, false]);
    arm(0x10040, 10);
    c.wait(20);
    c.setApic(C.APIC_LVT_TIMER, 0x40);
    expect(c.pending()).toBe(false);
  });
  test("TSC deadline: fires once, reads 0 then, and ignores the initial count", () => {
    const read = () => c.core.lapicGetTscDeadline(c.vcpu(0));
    const write = (tsc: bigint) => c.core.lapicSetTscDeadline!(c.vcpu(0), tsc);
    write(500n);
    expect(read()).toBe(0n);
    c.setApic(C.APIC_LVT_TIMER, 0x40040);
    c.setApic(C.APIC_TIMER_INITIAL, 77);
    expect([c.apic(C.APIC_TIMER_INITIAL), current()]).toEqual([0, 0]);
    write(500n);
    c.wait(499);
    expect([read(), c.pending()]).toEqual([500n, false]);
    c.wait(1);
    expect([read(), c.ack()]).toEqual([0n, 0x40]);
    eoi();
    write(400n);
    c.wait(0);
    expect(c.ack()).toBe(0x40);
    eoi();
    write(100000n);
    c.setApic(C.APIC_LVT_TIMER, 0x40);
    c.setApic(C.APIC_LVT_TIMER, 0x40040);
    expect(read()).toBe(0n);
  });
});
