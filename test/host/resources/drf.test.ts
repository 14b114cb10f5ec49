import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DrfUser, dominantResourceFairness } from "../../../src/host/resources/drf.ts";
import { VmError } from "../../../src/vmm/error.ts";

const RESOURCES = ["cpu", "memory", "net"];
type Vector = Record<string, number>;
const vector = (least: number): fc.Arbitrary<Vector> =>
  fc
    .tuple(...RESOURCES.map(() => fc.oneof(fc.constant(least), fc.double({ min: 0.05, max: 5, noNaN: true }))))
    .map((values) => Object.fromEntries(RESOURCES.map((name, i) => [name, values[i] ?? 0])))
    .filter((amounts) => Object.values(amounts).some((amount) => amount > 0));
const capacities = fc
  .tuple(...RESOURCES.map(() => fc.double({ min: 1, max: 100, noNaN: true })))
  .map((values): Vector => Object.fromEntries(RESOURCES.map((name, i) => [name, values[i] ?? 1])));
const demands = fc.array(vector(0), { minLength: 1, maxLength: 6 });
const users = fc.array(
  fc.record({
    demand: vector(0),
    weight: fc.double({ min: 0.1, max: 10, noNaN: true }),
    maxTasks: fc.oneof(fc.constant(Infinity), fc.double({ min: 0, max: 20, noNaN: true })),
  }),
  { minLength: 1, maxLength: 6 },
);

/** Tasks that a user can run with these amounts. */
const tasksWith = (amounts: Vector, demand: Vector): number =>
  Math.min(...Object.entries(demand).flatMap(([name, need]) => (need > 0 ? [(amounts[name] ?? 0) / need] : [])));
const scaled = (amounts: Vector, factor: number): Vector =>
  Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount * factor]));
const used = (allocations: readonly { amounts: Vector }[], name: string): number =>
  allocations.reduce((sum, { amounts }) => sum + (amounts[name] ?? 0), 0);

describe("dominant resource fairness", () => {
  it("is the example of the paper: 9 CPUs, 18 GB; A needs 1 and 4, B 3 and 1: 3 and 2 tasks", () => {
    const [a, b] = dominantResourceFairness({ cpu: 9, memory: 18 }, [
      { demand: { cpu: 1, memory: 4 } },
      { demand: { cpu: 3, memory: 1 } },
    ]);
    expect(a?.tasks).toBeCloseTo(3, 9);
    expect(b?.tasks).toBeCloseTo(2, 9);
    expect(a?.dominantShare).toBeCloseTo(2 / 3, 9);
  });

  it("with one resource is weighted max-min fairness", () => {
    const shares = dominantResourceFairness({ cpu: 12 }, [
      { demand: { cpu: 1 }, weight: 1 },
      { demand: { cpu: 2 }, weight: 2, maxTasks: 1 },
      { demand: { cpu: 0.5 }, weight: 3 },
    ]);
    expect(shares.map(({ amounts }) => amounts.cpu)).toEqual([2.5, 2, 7.5].map((x) => expect.closeTo(x, 9)));
  });

  it("gives no more than there is, and nobody more than it asks for", () => {
    fc.assert(
      fc.property(capacities, users, (capacity, list) => {
        const got = dominantResourceFairness(capacity, list);
        for (const name of RESOURCES) expect(used(got, name)).toBeLessThanOrEqual((capacity[name] ?? 0) * (1 + 1e-9));
        got.forEach(({ tasks }, i) => {
          expect(tasks).toBeGreaterThanOrEqual(0);
          expect(tasks).toBeLessThanOrEqual(list[i]!.maxTasks);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("is Pareto efficient: who wants more lacks a resource that is used up", () => {
    fc.assert(
      fc.property(capacities, users, (capacity, list) => {
        const got = dominantResourceFairness(capacity, list);
        list.forEach(({ demand, maxTasks }, i) => {
          if (got[i]!.tasks >= maxTasks * (1 - 1e-9)) return;
          const lacks = RESOURCES.some(
            (name) => (demand[name] ?? 0) > 0 && used(got, name) >= (capacity[name] ?? 0) * (1 - 1e-9),
          );
          expect(lacks).toBe(true);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("guarantees the share: nobody does better alone with its part of every resource", () => {
    fc.assert(
      fc.property(capacities, users, (capacity, list) => {
        const got = dominantResourceFairness(capacity, list);
        const weights = list.reduce((sum, { weight }) => sum + weight, 0);
        list.forEach(({ demand, weight, maxTasks }, i) => {
          const alone = Math.min(maxTasks, tasksWith(scaled(capacity, weight / weights), demand));
          expect(got[i]!.tasks).toBeGreaterThanOrEqual(alone * (1 - 1e-9));
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("is free of envy: nobody does better with another's allocation, scaled by their weights", () => {
    fc.assert(
      fc.property(capacities, users, (capacity, list) => {
        const got = dominantResourceFairness(capacity, list);
        list.forEach(({ demand, weight, maxTasks }, i) => {
          list.forEach((other, j) => {
            const theirs = scaled(got[j]!.amounts, weight / other.weight);
            expect(Math.min(maxTasks, tasksWith(theirs, demand))).toBeLessThanOrEqual(
              got[i]!.tasks * (1 + 1e-9) + 1e-9,
            );
          });
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("is strategy-proof: nobody does better by asking for other amounts than it needs", () => {
    fc.assert(
      fc.property(capacities, demands, vector(0), (capacity, list, lie) => {
        const truth: DrfUser[] = list.map((demand) => ({ demand }));
        const honest = dominantResourceFairness(capacity, truth)[0]!.tasks;
        const lying = dominantResourceFairness(capacity, [{ demand: lie }, ...truth.slice(1)])[0]!;
        expect(tasksWith(lying.amounts, list[0]!)).toBeLessThanOrEqual(honest * (1 + 1e-9));
      }),
      { numRuns: 2000 },
    );
  });

  it("gives nothing to who needs what is not there, and does not let others suffer for it", () => {
    const got = dominantResourceFairness({ cpu: 4, gpu: 0 }, [{ demand: { cpu: 1, gpu: 1 } }, { demand: { cpu: 1 } }]);
    expect(got.map(({ tasks }) => tasks)).toEqual([0, 4]);
    expect(dominantResourceFairness({ cpu: 4 }, [{ demand: { cpu: 1, tape: 1 } }])[0]?.tasks).toBe(0);
    // A need of nothing of what there is nothing of stands in nobody's way.
    expect(dominantResourceFairness({ cpu: 4, gpu: 0 }, [{ demand: { cpu: 1, gpu: 0 } }])[0]?.tasks).toBe(4);
  });

  it.each<[Vector, DrfUser[], RegExp]>([
    [{ cpu: -1 }, [], /^capacity\.cpu is -1/],
    [{ cpu: 1 }, [{ demand: {} }], /^users\[0\]\.demand .*a need above 0/],
    [{ cpu: 1 }, [{ demand: { cpu: -1 } }], /^users\[0\]\.demand\.cpu is -1/],
    [{ cpu: 1 }, [{ demand: { cpu: 1 }, weight: 0 }], /^users\[0\]\.weight is 0/],
    [{ cpu: 1 }, [{ demand: { cpu: 1 }, maxTasks: Number.NaN }], /^users\[0\]\.maxTasks is NaN/],
  ])("refuses %j", (capacity, list, message) => {
    expect(() => dominantResourceFairness(capacity, list)).toThrowError(message);
    expect(() => dominantResourceFairness(capacity, list)).toThrowError(VmError);
  });
});
