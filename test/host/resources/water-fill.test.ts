import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Claimant, toUnits, waterFill } from "../../../src/host/resources/water-fill.ts";
import { VmError } from "../../../src/vmm/error.ts";

const claimant = fc
  .record({
    floor: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 50, noNaN: true })),
    more: fc.oneof(fc.constant(0), fc.constant(Infinity), fc.double({ min: 0, max: 100, noNaN: true })),
    weight: fc.double({ min: 0.01, max: 1000, noNaN: true }),
    knee: fc.option(fc.double({ min: 0, max: 120, noNaN: true }), { nil: undefined }),
    tax: fc.double({ min: 1, max: 20, noNaN: true }),
  })
  .map(({ floor, more, weight, knee, tax }): Claimant => {
    const base = { floor, ceiling: floor + more, weight };
    return knee === undefined ? base : { ...base, knee, tax };
  });
const claimants = fc.array(claimant, { minLength: 1, maxLength: 8 });
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** The claimant's price of its next bit: what the level is when it has this much. Written from the definition. */
function price({ weight, knee, tax = 1 }: Claimant, amount: number): number {
  const busy = knee === undefined ? amount : Math.min(amount, knee);
  return (busy + tax * (amount - busy)) / weight;
}

describe("water-filling", () => {
  it("gives by weight where nothing is in the way", () => {
    const at = { floor: 0, ceiling: Infinity };
    expect(
      waterFill(
        12,
        [1, 2, 3].map((weight) => ({ ...at, weight })),
      ),
    ).toEqual([2, 4, 6]);
  });

  it("keeps floors, stops at ceilings, and gives the rest to the others", () => {
    expect(
      waterFill(100, [
        { floor: 40, ceiling: 80, weight: 1 },
        { floor: 0, ceiling: 10, weight: 10 },
        { floor: 0, ceiling: Infinity, weight: 1 },
      ]),
    ).toEqual([45, 10, 45]);
  });

  it("charges what lies beyond the knee", () => {
    // One is idle beyond 10 and pays four times for it: 10 + 4 (x - 10) = y, x + y = 100.
    const [idle = 0, busy = 0] = waterFill(100, [
      { floor: 0, ceiling: 100, weight: 1, knee: 10, tax: 4 },
      { floor: 0, ceiling: 100, weight: 1 },
    ]);
    expect(idle).toBeCloseTo(26, 9);
    expect(busy).toBeCloseTo(74, 9);
  });

  it("uses all there is, within bounds, and nobody pays more for what it has than another would for more", () => {
    fc.assert(
      fc.property(claimants, fc.double({ min: 0, max: 600, noNaN: true }), (list, extra) => {
        const capacity = sum(list.map(({ floor }) => floor)) + extra;
        const amounts = waterFill(capacity, list);
        const most = Math.min(capacity, sum(list.map(({ ceiling }) => ceiling)));
        expect(sum(amounts)).toBeCloseTo(most, 6);
        list.forEach((one, i) => {
          const mine = amounts[i] ?? 0;
          expect(mine).toBeGreaterThanOrEqual(one.floor);
          expect(mine).toBeLessThanOrEqual(one.ceiling);
          if (mine <= one.floor + 1e-6) return;
          list.forEach((other, j) => {
            const theirs = amounts[j] ?? 0;
            if (theirs >= other.ceiling - 1e-6) return;
            expect(price(one, mine)).toBeLessThanOrEqual(price(other, theirs) * (1 + 1e-6) + 1e-6);
          });
        });
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses floors that do not fit, with the numbers", () => {
    const floors = [3, 4].map((floor) => ({ floor, ceiling: 9, weight: 1 }));
    expect(waterFill(7, floors)).toEqual([3, 4]);
    try {
      waterFill(6, floors);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(VmError);
      expect(error).toMatchObject({ code: "admission", details: { capacity: 6, reserved: 7, missing: 1 } });
    }
  });

  it("with nobody or nothing gives nothing", () => {
    expect(waterFill(5, [])).toEqual([]);
    expect(waterFill(0, [{ floor: 0, ceiling: 5, weight: 1 }])).toEqual([0]);
  });
});

describe("whole units", () => {
  it("are within one unit of the amount, lose less than one unit in all, and stay below a whole ceiling", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 2 ** 36, noNaN: true }), { maxLength: 9 }), (amounts) => {
        const units = toUnits(amounts, 4096);
        units.forEach((whole, i) => {
          const amount = amounts[i] ?? 0;
          expect(whole % 4096).toBe(0);
          expect(whole).toBeGreaterThan(amount - 4096);
          expect(whole).toBeLessThanOrEqual(Math.ceil(amount / 4096) * 4096);
        });
        expect(sum(units)).toBeLessThanOrEqual(sum(amounts) + 8);
        expect(sum(units)).toBeGreaterThan(sum(amounts) - 4096 - 8);
      }),
      { numRuns: 1000 },
    );
  });

  it("go to the largest remainders first", () => {
    expect(toUnits([1.5, 2.9, 3.6], 1)).toEqual([1, 3, 4]);
    expect(toUnits([1.5, 1.5], 1)).toEqual([2, 1]);
    expect(toUnits([1.25, 2.5], 0)).toEqual([1.25, 2.5]);
  });
});
