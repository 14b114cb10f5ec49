import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type DelayClaimant,
  leastCpu,
  leastDelayCost,
  offeredLoad,
  responseSeconds,
} from "../../../src/host/resources/delay.ts";

/** Small generator with a seed, so that the simulation is the same every time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

/** Mean response time of a simulated processor-sharing queue: each of n requests in it is served at cpu / n. */
function simulate(rate: number, cpu: number, work: () => number, requests: number, uniform: () => number): number {
  let now = 0;
  let arrival = 0;
  let arrived = 0;
  let total = 0;
  let done = 0;
  let inside: { since: number; left: number }[] = [];
  while (done < requests) {
    const shortest = Math.min(...inside.map(({ left }) => left));
    const departure = inside.length > 0 ? now + (shortest * inside.length) / cpu : Infinity;
    const next = arrived < requests ? Math.min(arrival, departure) : departure;
    for (const one of inside) one.left -= ((next - now) * cpu) / inside.length;
    now = next;
    if (next === departure) {
      for (const one of inside.filter(({ left }) => left <= 1e-12)) {
        total += now - one.since;
        done++;
      }
      inside = inside.filter(({ left }) => left > 1e-12);
    } else {
      inside.push({ since: now, left: work() });
      arrived++;
      arrival = now - Math.log(uniform()) / rate;
    }
  }
  return total / requests;
}

describe("response time", () => {
  it.each(["constant", "exponential", "two kinds"])(
    "is that of a simulated processor-sharing queue, work %s",
    (kind) => {
      const uniform = random(7);
      const mean = 0.01;
      const work = (): number => {
        if (kind === "constant") return mean;
        if (kind === "exponential") return -Math.log(uniform()) * mean;
        return uniform() < 0.9 ? mean / 2 : mean * 5.5;
      };
      const load = { requestsPerSecond: 50, cpuSecondsPerRequest: mean };
      const simulated = simulate(50, 0.8, work, 60_000, uniform);
      expect(responseSeconds(load, 0.8)).toBeCloseTo(0.01 / 0.3, 12);
      expect(Math.abs(simulated / responseSeconds(load, 0.8) - 1)).toBeLessThan(0.05);
    },
  );

  it("has no bound without CPU to spare", () => {
    const load = { requestsPerSecond: 50, cpuSecondsPerRequest: 0.01 };
    expect(offeredLoad(load)).toBe(0.5);
    expect(responseSeconds(load, 0.5)).toBe(Infinity);
    expect(responseSeconds(load, leastCpu(load))).toBeLessThan(2);
    expect(responseSeconds({ requestsPerSecond: 1e6, cpuSecondsPerRequest: 0 }, 0)).toBe(0);
    expect(leastCpu({ requestsPerSecond: 1, cpuSecondsPerRequest: 0 })).toBe(0);
  });
});

const claimant = fc
  .record({
    rate: fc.double({ min: 0, max: 40, noNaN: true }),
    work: fc.double({ min: 0.001, max: 0.02, noNaN: true }),
    perSecond: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 1000, noNaN: true })),
    more: fc.double({ min: 0, max: 1, noNaN: true }),
    room: fc.double({ min: 0, max: 2, noNaN: true }),
  })
  .map(({ rate, work, perSecond, more, room }): DelayClaimant => {
    const load = { requestsPerSecond: rate, cpuSecondsPerRequest: work };
    const least = leastCpu(load) + more;
    return { load, cost: { fixed: 0, perSecond }, least, most: least + room };
  });

describe("least delay cost", () => {
  it("stays within bounds and capacity, and no move of CPU from one to another makes it cheaper", () => {
    fc.assert(
      fc.property(
        fc.array(claimant, { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 4, noNaN: true }),
        (list, extra) => {
          const capacity = list.reduce((sum, { least }) => sum + least, 0) + extra;
          const cpu = leastDelayCost(capacity, list);
          const cost = (i: number, amount: number): number =>
            list[i]!.cost.perSecond * responseSeconds(list[i]!.load, amount);
          cpu.forEach((amount, i) => {
            expect(amount).toBeGreaterThanOrEqual(list[i]!.least);
            expect(amount).toBeLessThanOrEqual(list[i]!.most);
          });
          const used = cpu.reduce((sum, amount) => sum + amount, 0);
          expect(used).toBeLessThanOrEqual(capacity * (1 + 1e-12));
          const free = capacity - used;
          for (const move of [1e-3, 1e-2, 0.1]) {
            cpu.forEach((to, i) => {
              if (to + move > list[i]!.most) return;
              const gain = cost(i, to) - cost(i, to + move);
              // From the unused, if there is so much of it.
              if (free >= move) expect(gain).toBeLessThanOrEqual(1e-9 * Math.max(1, cost(i, to)));
              cpu.forEach((from, j) => {
                if (j === i || from - move < list[j]!.least) return;
                const loss = cost(j, from - move) - cost(j, from);
                expect(gain - loss).toBeLessThanOrEqual(1e-9 * Math.max(1, cost(i, to), cost(j, from)));
              });
            });
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("is the square-root rule between the bounds: four times the cost, twice the spare CPU", () => {
    const load = { requestsPerSecond: 10, cpuSecondsPerRequest: 0.01 };
    const cpu = leastDelayCost(
      3.2,
      [1, 4].map((perSecond) => ({ load, cost: { fixed: 0, perSecond }, least: 0.2, most: 9 })),
    );
    expect(cpu[0]).toBeCloseTo(1.1, 9);
    expect(cpu[1]).toBeCloseTo(2.1, 9);
  });
});
