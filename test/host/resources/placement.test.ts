import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explainInfeasible } from "../../../src/host/resources/infeasible.ts";
import { place } from "../../../src/host/resources/placement.ts";
import type { Objective, PlanProblem } from "../../../src/host/resources/problem.ts";
import { isValid, objectiveOf, placements, violations } from "./brute-force.ts";
import { fleets, host, problem, vm } from "./problem.ts";

const PAGE = 4096;

/** Best value over all valid placements; undefined when there is none. */
function bestOf(one: PlanProblem): number | undefined {
  const values = [...placements(one)]
    .filter((hostOf) => isValid(one, hostOf))
    .map((hostOf) => objectiveOf(one, hostOf));
  if (values.length === 0) return undefined;
  return one.objective === "work" ? Math.max(...values) : Math.min(...values);
}

describe("placement against every placement there is", () => {
  it.each<[Objective, number, number, number]>([
    ["cost", 5, 150, 0],
    ["work", 4, 100, 1e-9],
    ["delay", 4, 100, 1e-6],
  ])(
    "%s: as good as the best, valid, and none only where there is none",
    async (objective, size, numRuns, within) => {
      let placed = 0;
      await fc.assert(
        fc.asyncProperty(fleets(objective, size), async (one) => {
          const best = bestOf(one);
          const found = await place(one);
          expect(found === undefined).toBe(best === undefined);
          if (found === undefined || best === undefined) return;
          placed++;
          expect(violations(one, found.hostOf)).toEqual(
            Object.fromEntries(Object.keys(violations(one, found.hostOf)).map((name) => [name, 0])),
          );
          expect(Math.abs(found.objective - best)).toBeLessThanOrEqual(within * Math.max(1, Math.abs(best)));
          expect(found.gap).toBeLessThanOrEqual(1e-6);
        }),
        { numRuns },
      );
      expect(placed).toBeGreaterThan(numRuns / 5);
    },
    240_000,
  );
});

describe("placement", () => {
  it("uses one host where two would do, and the cheaper one", async () => {
    const hosts = [
      host("big", { cpu: 4, memory: 64 * PAGE }, { cost: 9 }),
      host("small", { cpu: 4, memory: 16 * PAGE }, { cost: 5 }),
    ];
    const vms = [vm("a", 1, 8 * PAGE), vm("b", 1, 8 * PAGE)];
    expect(await place(problem(hosts, vms))).toMatchObject({ hostOf: [1, 1], objective: 5 });
    expect(await place(problem(hosts, [...vms, vm("c", 1, PAGE)]))).toMatchObject({ hostOf: [0, 0, 0], objective: 9 });
  });

  it("holds memory to the byte where the solver's tolerance is larger than a page", async () => {
    const whole = 2 ** 49;
    const hosts = [host("h0", { cpu: 9, memory: whole }), host("h1", { cpu: 9, memory: whole })];
    const fitting = [vm("a", 0, whole / 2), vm("b", 0, whole / 2)];
    expect((await place(problem(hosts, fitting)))?.objective).toBe(1);
    const page = [vm("a", 0, whole / 2), vm("b", 0, whole / 2 + PAGE)];
    const found = await place(problem(hosts, page));
    expect(found?.objective).toBe(2);
    expect(found?.programs).toBeGreaterThan(1);
    expect(await place(problem(hosts.slice(0, 1), page))).toBeUndefined();
  });

  it("plans an empty fleet, and VMs that need nothing", async () => {
    const hosts = [host("h0", { cpu: 1, memory: PAGE }, { cost: 3 })];
    expect(await place(problem(hosts, []))).toMatchObject({ hostOf: [], objective: 0 });
    expect(await place(problem(hosts, [vm("a", 0, 0)]))).toMatchObject({ hostOf: [0], objective: 3 });
  });

  it("is the same every time", async () => {
    const hosts = [0, 1, 2].map((i) => host(`h${i}`, { cpu: 4, memory: 16 * PAGE }));
    const vms = Array.from({ length: 9 }, (_, i) => vm(`v${i}`, 1, (2 + (i % 3)) * PAGE));
    const [first, second] = [await place(problem(hosts, vms)), await place(problem(hosts, vms))];
    expect(first).toEqual(second);
  });

  it("solves forty VMs on eight hosts", async () => {
    const hosts = Array.from({ length: 8 }, (_, i) =>
      host(`h${i}`, { cpu: 8 + (i % 3), memory: (40 + 7 * (i % 4)) * PAGE }, { cost: 5 + ((i * 7) % 11) }),
    );
    const vms = Array.from({ length: 40 }, (_, i) => vm(`v${i}`, 0.25 + (i % 5) / 4, (1 + ((i * 5) % 8)) * PAGE));
    const one = problem(hosts, vms, { antiAffinity: [vms.slice(0, 5).map(({ name }) => name)] });
    const found = await place(one, { timeLimitSeconds: 100 });
    expect(isValid(one, found!.hostOf)).toBe(true);
    expect(objectiveOf(one, found!.hostOf)).toBe(found!.objective);
  }, 120_000);

  it("gives up in time, saying so", async () => {
    const hosts = Array.from({ length: 12 }, (_, i) =>
      host(`h${i}`, { cpu: 8, memory: (50 + i) * PAGE }, { cost: 5 + (i % 5) }),
    );
    const vms = Array.from({ length: 80 }, (_, i) =>
      vm(`v${i}`, 0.5, (3 + ((i * 7) % 11)) * PAGE, { placementCost: { [`h${i % 12}`]: i % 9 } }),
    );
    await expect(place(problem(hosts, vms), { timeLimitSeconds: 0.05 })).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringMatching(/^No proven optimum within 0\.05 s/),
    });
  });
});

describe("a fleet without a placement", () => {
  it("is explained by the family that is missed least, as trying everything finds it", async () => {
    let explained = 0;
    await fc.assert(
      fc.asyncProperty(fleets("cost", 4), async (one) => {
        if (bestOf(one) !== undefined) return;
        explained++;
        const { anyOf, together } = await explainInfeasible(one);
        const every = [...placements(one)].map((hostOf) => violations(one, hostOf));
        /** What only this constraint misses, at least. */
        const least = (key: string): number =>
          Math.min(
            ...every
              .filter((missed) => Object.entries(missed).every(([name, amount]) => name === key || amount === 0))
              .map((missed) => missed[key] ?? 0),
          );
        const expected = new Map<string, number>();
        for (const key of Object.keys(every[0] ?? {})) {
          const family = key.startsWith("overcommit ")
            ? `overcommitment of ${key.slice(11)}`
            : ["affinity", "anti-affinity", "pinning"].includes(key)
              ? key
              : `capacity of ${key}`;
          if (Number.isFinite(least(key))) expected.set(family, least(key));
        }
        const named = new Map(anyOf.map(({ family, missing }) => [family, missing]));
        for (const [family, missing] of expected) {
          // Pairs may be counted along other pairs of a group: the number of VMs is the same only for two.
          if (family === "affinity" || family === "anti-affinity") expect(named.has(family)).toBe(true);
          else expect(named.get(family)).toBeCloseTo(missing, 6);
        }
        for (const family of named.keys()) if (family !== "throughput") expect([...expected.keys()]).toContain(family);
        if (named.size === 0) expect(together.length).toBeGreaterThan(1);
      }),
      { numRuns: 60 },
    );
    expect(explained).toBeGreaterThan(5);
  }, 240_000);
});
