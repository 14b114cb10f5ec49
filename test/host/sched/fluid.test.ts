import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FluidShare, fluidRates, jainIndex } from "../../../src/host/sched/fluid.ts";

const demand = fc.record({
  weight: fc.integer({ min: 1, max: 65_535 }),
  limit: fc.integer({ min: 0, max: 1000 }).map((part) => part / 1000),
});
const demands = fc.array(demand, { maxLength: 40 });

/** The level by bisection: another way to the same water. */
function byBisection(of: readonly { weight: number; limit: number }[], capacity: number): number[] {
  const at = (level: number): number[] => of.map(({ weight, limit }) => Math.min(limit, weight * level));
  let [low, high] = [0, 1];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (at(middle).reduce((a, b) => a + b, 0) > capacity) high = middle;
    else low = middle;
  }
  return at(low);
}

describe("fluid rates", () => {
  it("are those that bisection finds", () => {
    fc.assert(
      fc.property(demands, fc.integer({ min: 1, max: 16 }), (of, capacity) => {
        const expected = byBisection(of, capacity);
        fluidRates(of, capacity).forEach((rate, i) => expect(rate).toBeCloseTo(expected[i] ?? 0, 6));
      }),
    );
  });

  it("use all capacity that anybody can use", () => {
    fc.assert(
      fc.property(demands, fc.integer({ min: 1, max: 16 }), (of, capacity) => {
        const used = fluidRates(of, capacity).reduce((a, b) => a + b, 0);
        expect(used).toBeCloseTo(
          Math.min(
            capacity,
            of.reduce((sum, { limit }) => sum + limit, 0),
          ),
          9,
        );
      }),
    );
  });

  it.each([
    [[1, 2, 4], 1, [1 / 7, 2 / 7, 4 / 7]],
    [[1, 1, 1], 2, [2 / 3, 2 / 3, 2 / 3]],
    // A heavy one can use one pCPU; the others share the second.
    [[1000, 1, 1], 2, [1, 1 / 2, 1 / 2]],
    [[1, 1], 4, [1, 1]],
  ])("weights %j on %d pCPUs: %j", (weights, capacity, expected) => {
    const of = weights.map((weight) => ({ weight, limit: 1 }));
    expect([...fluidRates(of, capacity)].map((rate) => rate.toFixed(9))).toEqual(
      expected.map((rate) => rate.toFixed(9)),
    );
  });
});

it("the share over time is the integral of the rates, whatever wakes, sleeps and changes", () => {
  const event = fc.record({
    vcpu: fc.nat(5),
    kind: fc.constantFrom("wake", "wake", "block", "set"),
    weight: fc.integer({ min: 1, max: 8 }),
    capPercent: fc.constantFrom(0, 20, 50, 100),
    after: fc.integer({ min: 0, max: 1000 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (events, pcpus) => {
      const fluid = new FluidShare(pcpus, 0);
      const model = Array.from({ length: 6 }, () => ({ weight: 4, limit: 1, runnable: false, service: 0 }));
      model.forEach((_, vcpu) => fluid.add(vcpu, { weight: 4, capPercent: 0 }));
      let now = 0;
      for (const { vcpu, kind, weight, capPercent, after } of events) {
        const runnable = model.filter((entry) => entry.runnable);
        fluidRates(runnable, pcpus).forEach((rate, i) => (runnable[i]!.service += rate * after));
        now += after;
        const entry = model[vcpu]!;
        if (kind === "set") {
          fluid.set(vcpu, { weight, capPercent }, now);
          Object.assign(entry, { weight, limit: capPercent === 0 ? 1 : capPercent / 100 });
        } else {
          if (kind === "wake") fluid.wake(vcpu, now);
          else fluid.block(vcpu, now);
          entry.runnable = kind === "wake";
        }
        model.forEach(({ service }, id) => expect(fluid.serviceNs(id, now)).toBeCloseTo(service, 6));
      }
    }),
  );
});

it("Jain's index is 1 for equals, 1/n for one that has all, and nothing without service", () => {
  expect(jainIndex([3, 3, 3])).toBeCloseTo(1, 12);
  expect(jainIndex([5, 0, 0, 0])).toBeCloseTo(0.25, 12);
  expect(jainIndex([])).toBeUndefined();
});
