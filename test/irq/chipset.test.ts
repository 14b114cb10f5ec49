import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CHIPSET_PRIVATE_SIZE } from "../../spec/chipset.ts";
import * as L from "../../spec/layout.ts";
import { Chipset } from "./machine.ts";

const VCPUS = 2;
const PORTS = [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61];
const byte = fc.integer({ min: 0, max: 255 });
const word = fc.oneof(
  byte,
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0xffffffff, 0x1ff, 0x8000, 0x10000),
);
const size = fc.constantFrom(1, 2, 4);
const vcpu = fc.integer({ min: 0, max: VCPUS - 1 });
/** Anything that a guest or a device can do to the chipset. */
const action = fc.oneof(
  fc.tuple(fc.constant("out"), fc.constantFrom(...PORTS), size, word),
  fc.tuple(fc.constant("in"), fc.constantFrom(...PORTS), size, fc.constant(0)),
  fc.tuple(
    fc.constant("apic write"),
    vcpu,
    fc.oneof(
      fc.integer({ min: 0, max: 63 }).map((n) => n * 16),
      fc.integer({ min: 0, max: 4095 }),
    ),
    word,
  ),
  fc.tuple(
    fc.constant("apic read"),
    vcpu,
    fc.integer({ min: 0, max: 63 }).map((n) => n * 16),
    fc.constant(0),
  ),
  fc.tuple(fc.constant("ioapic"), byte, fc.constantFrom(1, 4, 8), word),
  fc.tuple(fc.constant("irq"), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 1 }), fc.constant(0)),
  fc.tuple(fc.constant("msi"), fc.integer({ min: 0xfee00000, max: 0xfeefffff }), fc.constant(0), word),
  fc.tuple(fc.constant("ack"), vcpu, fc.constant(0), fc.constant(0)),
  fc.tuple(
    fc.constant("time"),
    fc.constant(0),
    fc.constant(0),
    fc.oneof(byte, fc.integer({ min: 0, max: 0x7fffffff })),
  ),
);
type Action = [string, number, number, number];

function perform(c: Chipset, [what, a, b, value]: Action): string {
  const at = c.vcpu(a & 1);
  if (what === "out") c.out(a, value, b);
  else if (what === "in") return String(c.in(a, b));
  else if (what === "apic write") c.core.chipsetMmioWrite!(at, 0xfee00000 + b, 4, BigInt(value));
  else if (what === "apic read") return String(c.core.chipsetMmioRead(at, 0xfee00000 + b, 4));
  else if (what === "ioapic") {
    c.core.chipsetMmioWrite!(at, 0xfec00000, 4, BigInt(a));
    c.core.chipsetMmioWrite!(at, 0xfec00010, b, BigInt(value));
    return String(c.core.chipsetMmioRead(at, 0xfec00010, 4));
  } else if (what === "irq") c.irq(a, b);
  else if (what === "msi") c.core.deliverMsi!(a | 0, value | 0);
  else if (what === "ack") return String(c.ack(a));
  else {
    const now = c.view.getBigUint64(L.VCPU_BASE + L.RETIRED, true) + BigInt(value);
    for (let i = 0; i < VCPUS; i++) {
      c.view.setBigUint64(c.vcpu(i) + L.RETIRED, now, true);
      c.core.advanceTimers!(c.vcpu(i), c.core.nowNs(c.vcpu(i)));
    }
  }
  return "";
}

/** What the chipset may write: its block, and in each vCPU the APIC areas, EVENT, NMI_PENDING, the TSC deadline (RETIRED is the test's). */
function withoutChipset(c: Chipset): Uint8Array {
  const rest = new Uint8Array(c.memory.buffer.slice(0));
  rest.fill(0, L.CHIPSET_BASE, L.CHIPSET_BASE + L.CHIPSET_SIZE);
  for (let i = 0; i < VCPUS; i++) {
    const v = c.vcpu(i);
    for (const [from, bytes] of [
      [L.LAPIC, 0x400],
      [L.LAPIC_PRIVATE, CHIPSET_PRIVATE_SIZE],
      [L.EVENT, 4],
      [L.NMI_PENDING, 4],
      [L.TSC_DEADLINE, 8],
      [L.RETIRED, 8],
    ] as const)
      rest.fill(0, v + from, v + from + bytes);
  }
  return rest;
}

describe("chipset: anything a guest does", () => {
  test("ends, writes nothing but the chipset's own state, and keeps the summary word true", () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 200 }), (actions) => {
        const c = new Chipset({ virtual: true, vcpus: VCPUS });
        const before = withoutChipset(c);
        for (const step of actions) {
          perform(c, step as Action);
          for (let i = 0; i < VCPUS; i++) if (c.pending(i)) expect(c.get(i, L.EVENT) & L.EVENT_IRQ).toBe(L.EVENT_IRQ);
        }
        expect(Buffer.compare(withoutChipset(c), before)).toBe(0);
        for (let i = 0; i < VCPUS; i++) {
          // Every pending interrupt can be taken, and then none is pending.
          for (let n = 0; n < 600 && c.pending(i); n++) expect(c.ack(i)).toBeGreaterThanOrEqual(0);
          expect(c.ack(i) === -1).toBe(!c.pending(i));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("continues from a copy of the memory as if nothing had happened", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), fc.array(action, { maxLength: 80 }), (first, second) => {
        const c = new Chipset({ virtual: true, vcpus: VCPUS });
        for (const step of first) perform(c, step as Action);
        const copy = new Chipset({ virtual: true, vcpus: VCPUS });
        new Uint8Array(copy.memory.buffer).set(new Uint8Array(c.memory.buffer));
        expect(second.map((step) => perform(copy, step as Action))).toEqual(
          second.map((step) => perform(c, step as Action)),
        );
      }),
      { numRuns: 60 },
    );
  });
});

describe("chipset: power-on state", () => {
  test("the rise of OUT0 at reset goes nowhere", () => {
    const c = new Chipset();
    c.out(0x43, 0x30);
    c.redirect(2, 0x400);
    c.core.chipsetReset!(c.vcpu(0));
    expect(c.get(0, L.NMI_PENDING)).toBe(0);
    expect(c.pending()).toBe(false);
  });
  test("a reset leaves nothing pending, whatever was going on", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const c = new Chipset({ virtual: true, vcpus: VCPUS });
        for (const step of actions) perform(c, step as Action);
        for (let line = 0; line < 24; line++) c.irq(line, 0);
        for (let i = 0; i < VCPUS; i++) c.core.lapicReset!(c.vcpu(i));
        c.core.chipsetReset!(c.vcpu(0));
        const fresh = new Chipset({ virtual: true, vcpus: VCPUS });
        for (const at of [c, fresh]) perform(at, ["time", 0, 0, 1000]);
        for (let i = 0; i < VCPUS; i++) {
          expect(c.pending(i)).toBe(false);
          for (let offset = 0; offset < 0x400; offset += 16) expect(c.apic(offset, i)).toBe(fresh.apic(offset, i));
        }
        for (const port of [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1]) expect(c.in(port)).toBe(fresh.in(port));
        for (let index = 0; index < 0x40; index++) expect(c.ioapic(index)).toBe(fresh.ioapic(index));
        expect(c.core.nextDeadlineNs(c.vcpu(0))).toBe(2n ** 63n - 1n);
      }),
      { numRuns: 60 },
    );
  });
});
