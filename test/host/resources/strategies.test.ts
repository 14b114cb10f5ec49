import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ResourceClaim } from "../../../src/host/resources/model.ts";
import { dynamicAllocation, maximumAllocation, minimumAllocation } from "../../../src/host/resources/strategies.ts";
import { VmError } from "../../../src/vmm/error.ts";

const PAGE = 4096;
const claim = (reservation: number, limit: number, shares: number, demand?: number): ResourceClaim => ({
  reservation,
  limit,
  shares,
  demand,
});
const claims = fc.array(
  fc
    .record({
      reservation: fc.nat(40),
      more: fc.nat(80),
      shares: fc.integer({ min: 1, max: 1000 }),
      demand: fc.option(fc.nat(120), { nil: undefined }),
    })
    .map(({ reservation, more, shares, demand }) =>
      claim(reservation * PAGE, (reservation + more) * PAGE, shares, demand === undefined ? undefined : demand * PAGE),
    ),
  { minLength: 1, maxLength: 6 },
);

/**
 * Min-funding revocation as ESX does it, page after page: everybody begins at the limit, and the VM with the fewest
 * shares a (taxed) page gives one up, until the rest fits.
 */
function revoke(capacity: number, list: readonly ResourceClaim[], tax: number): number[] {
  const pages = list.map(({ limit }) => limit / PAGE);
  const ratio = (i: number): number => {
    const { shares, demand } = list[i]!;
    const active = Math.min(pages[i]!, demand === undefined ? Infinity : demand / PAGE);
    return shares / (active + (pages[i]! - active) / (1 - tax));
  };
  while (pages.reduce((a, b) => a + b, 0) * PAGE > capacity) {
    const able = pages.flatMap((count, i) => (count * PAGE > list[i]!.reservation ? [i] : []));
    const victim = able.reduce((a, b) => (ratio(b) < ratio(a) ? b : a));
    pages[victim]!--;
  }
  return pages.map((count) => count * PAGE);
}

describe("allocation strategies", () => {
  it("minimum is the reservations, and they must fit", () => {
    const list = [claim(10, 50, 1), claim(0, 50, 1000), claim(7, 7, 3)];
    expect(minimumAllocation(17, list)).toEqual([10, 0, 7]);
    expect(() => minimumAllocation(16, list)).toThrowError(VmError);
  });

  it("maximum divides by shares up to the limits", () => {
    expect(maximumAllocation(90, [claim(0, 100, 1), claim(0, 100, 2)])).toEqual([30, 60]);
    expect(maximumAllocation(90, [claim(50, 100, 1), claim(0, 100, 2)])).toEqual([50, 40]);
    expect(maximumAllocation(90, [claim(0, 10, 1), claim(0, 20, 2)])).toEqual([10, 20]);
  });

  it("dynamic takes from the idle: two equal VMs of which one uses 10 of 100 end at 26 and 74, as the tax of 75% says", () => {
    const [idle, busy] = dynamicAllocation(100, [claim(0, 100, 1, 10), claim(0, 100, 1, 100)]);
    expect(idle).toBeCloseTo(26, 9);
    expect(busy).toBeCloseTo(74, 9);
  });

  it("without tax dynamic is maximum", () => {
    fc.assert(
      fc.property(claims, fc.nat(400), (list, extra) => {
        const capacity = (list.reduce((sum, { reservation }) => sum + reservation / PAGE, 0) + extra) * PAGE;
        expect(dynamicAllocation(capacity, list, PAGE, 0)).toEqual(maximumAllocation(capacity, list, PAGE));
      }),
    );
  });

  it("dynamic ends where revoking page after page from the fewest shares a taxed page ends", () => {
    fc.assert(
      fc.property(claims, fc.nat(300), fc.double({ min: 0, max: 0.95, noNaN: true }), (list, extra, tax) => {
        const capacity = (list.reduce((sum, { reservation }) => sum + reservation / PAGE, 0) + extra) * PAGE;
        const expected = revoke(capacity, list, tax);
        dynamicAllocation(capacity, list, PAGE, tax).forEach((bytes, i) => {
          expect(bytes % PAGE).toBe(0);
          // Revocation stops within a page of equal ratios; a page of one VM may be several of another.
          expect(Math.abs(bytes - expected[i]!)).toBeLessThanOrEqual(2 * list.length * PAGE);
          expect(bytes).toBeGreaterThanOrEqual(list[i]!.reservation);
          expect(bytes).toBeLessThanOrEqual(list[i]!.limit);
        });
      }),
      { numRuns: 500 },
    );
  });

  it("a VM gains from using more of its memory, never loses", () => {
    fc.assert(
      fc.property(claims, fc.nat(300), fc.nat(120), (list, extra, more) => {
        const capacity = (list.reduce((sum, { reservation }) => sum + reservation / PAGE, 0) + extra) * PAGE;
        const demand = list[0]!.demand ?? 0;
        const quiet = [{ ...list[0]!, demand }, ...list.slice(1)];
        const busy = [{ ...list[0]!, demand: demand + more * PAGE }, ...list.slice(1)];
        const [before = 0] = dynamicAllocation(capacity, quiet);
        const [after = 0] = dynamicAllocation(capacity, busy);
        expect(after).toBeGreaterThanOrEqual(before - 1e-3);
      }),
    );
  });

  it.each([1, -0.1, Number.NaN])("refuses a tax of %s", (tax) => {
    expect(() => dynamicAllocation(10, [claim(0, 10, 1)], 0, tax)).toThrowError(
      /^idleTax is .*accepted: a number from 0/,
    );
  });
});
