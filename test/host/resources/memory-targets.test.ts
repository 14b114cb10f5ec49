import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BalloonedVm, nextMemoryTargets, WorkingSet } from "../../../src/host/resources/memory-targets.ts";
import { dynamicAllocation } from "../../../src/host/resources/strategies.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
interface Guest {
  reservation: number;
  limit: number;
  shares: number;
  demand: number;
  held: number;
  target: number;
}
const view = (guests: readonly Guest[]): BalloonedVm[] =>
  guests.map(({ reservation, limit, shares, demand, held, target }) => ({
    claim: { reservation, limit, shares, demand },
    heldBytes: held,
    targetBytes: target,
  }));
const guest = (reservation: number, limit: number, demand: number, held: number, shares = 256): Guest => ({
  reservation: reservation * MIB,
  limit: limit * MIB,
  demand: demand * MIB,
  held: held * MIB,
  target: held * MIB,
  shares,
});

describe("memory targets", () => {
  it("reach the dynamic allocation when guests obey, and stay there", () => {
    const guests = [guest(64, 1024, 100, 512), guest(64, 1024, 900, 512), guest(64, 1024, 500, 0, 512)];
    for (let second = 0; second < 30; second++) {
      nextMemoryTargets(1024 * MIB, view(guests), 1, { hysteresis: 0 }).forEach((target, i) => {
        guests[i]!.target = target;
        guests[i]!.held = target;
      });
    }
    const wish = dynamicAllocation(
      1024 * MIB,
      view(guests).map(({ claim }) => claim),
      PAGE,
    );
    guests.forEach(({ target }, i) => expect(Math.abs(target - wish[i]!)).toBeLessThanOrEqual(3 * PAGE));
    expect(guests.reduce((sum, { held }) => sum + held, 0)).toBeLessThanOrEqual(1024 * MIB);
  });

  it("move no faster than the slew", () => {
    const [target = 0] = nextMemoryTargets(1024 * MIB, view([guest(0, 1024, 1000, 100)]), 0.5, {
      slewBytesPerSecond: 64 * MIB,
    });
    expect(target).toBe(132 * MIB);
  });

  it("do not bother a guest for noise", () => {
    const guests = [guest(0, 1024, 500, 510), guest(0, 1024, 500, 514)];
    expect(nextMemoryTargets(1024 * MIB, view(guests), 1)).toEqual([510 * MIB, 514 * MIB]);
    expect(nextMemoryTargets(1024 * MIB, view(guests), 1, { hysteresis: 0 })).not.toEqual([510 * MIB, 514 * MIB]);
  });

  it("let nobody grow before another has given back", () => {
    const guests = [guest(0, 1024, 0, 1024), guest(0, 1024, 1024, 0)];
    const [first = 0, second = 0] = nextMemoryTargets(1024 * MIB, view(guests), 1);
    expect(first).toBe(768 * MIB);
    expect(second).toBe(0);
    guests[0]!.target = first;
    // The guest does not obey: still nothing for the other.
    expect(nextMemoryTargets(1024 * MIB, view(guests), 1)[1]).toBe(0);
    guests[0]!.held = first;
    expect(nextMemoryTargets(1024 * MIB, view(guests), 1)[1]).toBe(256 * MIB);
  });

  it("never promise more than there is, however guests obey and whatever they need, in whole pages within the claims", () => {
    const start = fc.record({
      reservation: fc.nat(50),
      more: fc.nat(200),
      shares: fc.integer({ min: 1, max: 1000 }),
      demand: fc.nat(300),
      obeys: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const steps = fc.array(fc.tuple(fc.nat(300), fc.double({ min: 0.1, max: 5, noNaN: true })), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(start, { minLength: 1, maxLength: 5 }), steps, fc.nat(300), (starts, changes, extra) => {
        const capacity = (starts.reduce((sum, { reservation }) => sum + reservation, 0) + extra) * PAGE;
        const guests = starts.map(({ reservation, more, shares, demand }) => ({
          reservation: reservation * PAGE,
          limit: (reservation + more) * PAGE,
          shares,
          demand: demand * PAGE,
          held: reservation * PAGE,
          target: reservation * PAGE,
        }));
        for (const [demand, seconds] of changes) {
          guests[demand % guests.length]!.demand = demand * PAGE;
          const targets = nextMemoryTargets(capacity, view(guests), seconds, { slewBytesPerSecond: 100 * PAGE });
          guests.forEach((one, i) => {
            const target = targets[i]!;
            expect(target % PAGE).toBe(0);
            expect(target).toBeGreaterThanOrEqual(one.reservation);
            expect(target).toBeLessThanOrEqual(one.limit);
            expect(Math.abs(target - one.target)).toBeLessThanOrEqual(Math.max(PAGE, 100 * PAGE * seconds));
            one.target = target;
          });
          // At worst each guest takes all that it was told at once, and gives back nothing.
          const worst = guests.reduce((sum, one) => sum + Math.max(one.held, one.target), 0);
          expect(worst).toBeLessThanOrEqual(capacity);
          guests.forEach((one, i) => {
            one.held += Math.round(((one.target - one.held) * starts[i]!.obeys) / PAGE) * PAGE;
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    [{ slewBytesPerSecond: 0 }, /^slewBytesPerSecond is 0/],
    [{ hysteresis: 1 }, /^hysteresis is 1/],
    [{ idleTax: 1 }, /^idleTax is 1/],
  ])("refuse %j", (options, message) => {
    expect(() => nextMemoryTargets(MIB, [], 1, options)).toThrowError(message);
  });
});

describe("working set", () => {
  it("follows growth at once and shrinking slowly", () => {
    const set = new WorkingSet();
    expect(set.bytes).toBeUndefined();
    for (let i = 0; i < 100; i++) set.sample(100 * MIB, 10);
    expect(set.bytes).toBeCloseTo(100 * MIB, 0);
    set.sample(500 * MIB, 10);
    expect(set.bytes).toBe(500 * MIB);
    for (let i = 0; i < 100; i++) set.sample(500 * MIB, 10);
    set.sample(0, 30);
    // The slow average has forgotten a tenth of it after a tenth of its time.
    expect(set.bytes).toBeGreaterThan(430 * MIB);
    for (let i = 0; i < 200; i++) set.sample(0, 30);
    expect(set.bytes).toBeLessThan(MIB);
  });
});
