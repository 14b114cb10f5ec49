import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as L from "../../spec/layout.ts";
import { Chipset } from "../irq/machine.ts";

const NEVER = 2n ** 63n - 1n;
const V = L.VCPU_BASE;
const setRetired = (c: Chipset, n: bigint) => c.view.setBigUint64(V + L.RETIRED, n, true);

describe("virtual clock", () => {
  test("is instructions retired times picoseconds, rounded down, exactly", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 14n), fc.integer({ min: 1, max: 20000 }), (retired, ps) => {
        const c = new Chipset({ virtual: true, psPerInstruction: ps });
        setRetired(c, retired);
        expect(c.core.nowNs(V)).toBe((retired * BigInt(ps)) / 1000n);
      }),
      { numRuns: 60 },
    );
  });
  test("counts the instructions of the current block", () => {
    const c = new Chipset({ virtual: true });
    setRetired(c, 1000n);
    c.set(0, L.CUR_BLOCK, 0x200000);
    c.set(0, L.CUR_REC, 0x200000 + L.BLOCK_RECORDS + 7 * L.REC_STRIDE);
    expect(c.core.nowNs(V)).toBe(1007n);
  });
  test("instructionsUntil is the smallest number that reaches the deadline", () => {
    const max = 10n ** 15n;
    fc.assert(
      fc.property(
        fc.bigInt(0n, max),
        fc.bigInt(0n, max),
        fc.integer({ min: 1, max: 20000 }),
        (retired, deadline, ps) => {
          const c = new Chipset({ virtual: true, psPerInstruction: ps });
          setRetired(c, retired);
          const n = c.core.instructionsUntil(V, deadline) & (2n ** 64n - 1n);
          setRetired(c, retired + n);
          expect(c.core.nowNs(V)).toBeGreaterThanOrEqual(deadline);
          if (n > 0n) {
            setRetired(c, retired + n - 1n);
            expect(c.core.nowNs(V)).toBeLessThan(deadline);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
  test("no deadline, and a clock that stands still, are never reached", () => {
    const c = new Chipset({ virtual: true });
    expect(BigInt.asUintN(64, c.core.instructionsUntil(V, NEVER))).toBe(2n ** 64n - 1n);
    c.setVm(L.VM_PS_PER_INSTRUCTION, 0);
    expect(BigInt.asUintN(64, c.core.instructionsUntil(V, 5n))).toBe(2n ** 64n - 1n);
  });
  test("advanceClock skips time for everyone, advanceVcpuClock for one", () => {
    const c = new Chipset({ virtual: true, vcpus: 2 });
    c.core.advanceClock!(V, 500n);
    c.core.advanceVcpuClock!(c.vcpu(1), 20n);
    expect([c.core.nowNs(V), c.core.nowNs(c.vcpu(1))]).toEqual([500n, 520n]);
    c.core.advanceClock!(V, -10n);
    expect(c.core.nowNs(V)).toBe(500n);
  });
});

describe("real clock", () => {
  test("follows the host with its offset and never goes back", () => {
    const c = new Chipset();
    c.hostNs = 1000.75;
    c.view.setBigInt64(L.VM_BASE + L.VM_CLOCK_OFFSET_NS, 50n, true);
    expect(c.core.nowNs(V)).toBe(1050n);
    c.view.setBigInt64(L.VM_BASE + L.VM_CLOCK_OFFSET_NS, -500n, true);
    expect(c.core.nowNs(V)).toBe(1050n);
    c.hostNs = 2000;
    expect(c.core.nowNs(V)).toBe(1500n);
    c.core.advanceClock!(V, 100n);
    expect(c.core.nowNs(V)).toBe(1500n);
  });
});

describe("time-stamp counter", () => {
  test("is kHz times time, also after centuries, and tscToNs is its inverse", () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 62n),
        fc.integer({ min: 1, max: 5_000_000 }),
        fc.bigInt(-(2n ** 40n), 2n ** 40n),
        (ns, khz, offset) => {
          const c = new Chipset({ virtual: true, psPerInstruction: 1000 });
          c.setVm(L.VM_TSC_KHZ, khz);
          c.view.setBigInt64(V + L.TSC_OFFSET, offset, true);
          setRetired(c, ns);
          const tsc = BigInt.asUintN(64, c.core.readTsc(V));
          const ticks = (ns * BigInt(khz)) / 1_000_000n;
          expect(tsc).toBe(BigInt.asUintN(64, ticks + offset));
          if (ticks + offset < 0n || ticks + offset >= 2n ** 64n) return;
          const first = c.core.tscToNs(V, tsc);
          if (first === NEVER) return;
          expect(first).toBeLessThanOrEqual(ns);
          setRetired(c, first);
          expect(BigInt.asUintN(64, c.core.readTsc(V))).toBeGreaterThanOrEqual(tsc);
          if (first > 0n) {
            setRetired(c, first - 1n);
            expect(BigInt.asUintN(64, c.core.readTsc(V) - offset)).toBeLessThan(ticks);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("deadlines", () => {
  test("the nearest of 8254, local APIC timer and host wins", () => {
    const c = new Chipset({ virtual: true });
    expect(c.core.nextDeadlineNs(V)).toBe(NEVER);
    c.view.setBigInt64(L.VM_BASE + L.VM_HOST_DEADLINE_NS, 9_000_000n, true);
    expect(c.core.nextDeadlineNs(V)).toBe(9_000_000n);
    c.out(0x43, 0x34);
    c.out(0x40, 0);
    c.out(0x40, 4);
    const pit = c.core.nextDeadlineNs(V);
    expect(pit).toBe((1025n * 10n ** 9n + 1193181n) / 1193182n);
    c.setApic(0x3e0, 0xb);
    c.setApic(0x380, 1000);
    expect(c.core.nextDeadlineNs(V)).toBe(1000n);
  });
  test("moving a deadline makes the block loop come back", () => {
    const c = new Chipset({ virtual: true });
    c.takeEvent();
    c.setApic(0x380, 1000);
    expect(c.takeEvent() & L.EVENT_RECHECK).toBe(L.EVENT_RECHECK);
    c.out(0x43, 0x34);
    expect(c.takeEvent() & L.EVENT_RECHECK).toBe(L.EVENT_RECHECK);
    c.setApic(0x320, 0x40040);
    c.takeEvent();
    c.core.lapicSetTscDeadline!(V, 5000n);
    expect(c.takeEvent() & L.EVENT_RECHECK).toBe(L.EVENT_RECHECK);
  });
  test("after advanceTimers the next deadline is in the future, whatever the guest programs", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.bigInt(1n, 10n ** 9n),
        (control, count, lvt, initial, skip) => {
          const c = new Chipset({ virtual: true });
          c.setApic(0xf0, 0x1ff);
          c.setApic(0x3e0, 0xb);
          c.setApic(0x320, (lvt << 17) | 0x40);
          c.setApic(0x380, initial);
          c.core.lapicSetTscDeadline!(V, BigInt(initial));
          c.out(0x43, 0x10 | control);
          c.out(0x40, count);
          for (let i = 0n; i < 20n; i++) {
            setRetired(c, i * skip);
            const now = c.core.nowNs(V);
            c.core.advanceTimers!(V, now);
            expect(c.core.nextDeadlineNs(V)).toBeGreaterThan(now);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
