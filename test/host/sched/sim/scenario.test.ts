import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random, SPREADS } from "../../../../src/host/sched/sim/random.ts";
import { checkScenario, scenarioSchema, withVcpus } from "../../../../src/host/sched/sim/scenario.ts";

const group = { name: "g", workload: { kind: "cpu-bound" } };

describe("a scenario", () => {
  it.each<[unknown, string]>([
    [{}, "name is missing; it takes text of 1 to 60 characters"],
    [{ name: "x" }, "groups is missing; it takes a list of 1 to 100 objects"],
    [{ name: "x", groups: [] }, "groups is []; it takes a list of 1 to 100 objects"],
    [
      { name: "x", groups: [{ name: "g" }] },
      'groups[0].workload is missing; it takes an object whose "kind" is one of cpu-bound, io-bound, arrivals, tick-dodger',
    ],
    [
      { name: "x", groups: [{ ...group, workload: {} }] },
      "groups[0].workload.kind is missing; it takes one of cpu-bound, io-bound, arrivals, tick-dodger",
    ],
    [
      { name: "x", groups: [{ ...group, workload: { kind: "gpu" } }] },
      'groups[0].workload.kind is "gpu"; it takes one of cpu-bound, io-bound, arrivals, tick-dodger',
    ],
    [
      { name: "x", groups: [group, { ...group, count: 0 }] },
      "groups[1].count is 0; it takes a whole number from 1 to 10000",
    ],
    [
      { name: "x", groups: [{ ...group, parameters: { weight: -1 } }] },
      "groups[0].parameters.weight is -1; it takes a whole number from 1 to 65535",
    ],
    [
      { name: "x", groups: [{ ...group, workload: { kind: "io-bound", burstMs: "1" } }] },
      'groups[0].workload.burstMs is "1"; it takes a number from 0.001 to 1000000',
    ],
    [
      { name: "x", groups: [{ ...group, workload: { kind: "cpu-bound", spread: "normal" } }] },
      'groups[0].workload.spread is "normal"; it takes one of constant, uniform, exponential, pareto',
    ],
    [
      { name: "x", groups: [{ ...group, workload: { kind: "tick-dodger", marginMs: 9 } }] },
      "groups[0].workload.marginMs is 9; it takes less than half of tickMs, 10",
    ],
    [{ name: "x", pcpus: 257, groups: [group] }, "pcpus is 257; it takes a whole number from 1 to 256"],
    [
      { name: "x", cpus: 2, groups: [group] },
      "cpus is not a setting; there are name, description, pcpus, durationMs, seed, switchUs, migrationUs, balanceMs, groups",
    ],
    [
      {
        name: "x",
        groups: [
          { ...group, count: 9000 },
          { ...group, count: 2000 },
        ],
      },
      "groups have 11000 vCPUs together; at most 10000 are accepted",
    ],
    ["mixed", 'the settings is "mixed"; an object is expected'],
  ])("%j: %s", (input, message) => {
    let error: unknown;
    try {
      checkScenario(input);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: "bad-config", message });
  });

  it("that was checked is accepted again, unchanged", () => {
    const once = checkScenario({ name: "x", groups: [group, { ...group, parameters: { capPercent: 20 } }] });
    expect(checkScenario(JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  it("can be scaled: every group keeps its part, and nobody is lost", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 10, max: 10_000 }),
        (counts, vcpus) => {
          const scenario = checkScenario({ name: "x", groups: counts.map((count) => ({ ...group, count })) });
          const scaled = withVcpus(scenario, vcpus).groups.map(({ count }) => count);
          const total = counts.reduce((a, b) => a + b);
          expect(scaled.reduce((a, b) => a + b)).toBe(vcpus);
          scaled.forEach((count, i) => {
            expect(count).toBeGreaterThanOrEqual(1);
            const exact = ((counts[i] ?? 0) / total) * vcpus;
            expect(Math.abs(count - exact)).toBeLessThanOrEqual(counts.length);
          });
        },
      ),
    );
  });

  it("has a schema that says the same as the check", () => {
    const schema = scenarioSchema() as {
      required: string[];
      properties: { groups: { items: { required: string[]; properties: { workload: { oneOf: object[] } } } } };
    };
    expect(schema.required).toEqual(["name", "groups"]);
    expect(schema.properties.groups.items.required).toEqual(["name", "workload"]);
    expect(schema.properties.groups.items.properties.workload.oneOf).toHaveLength(4);
    expect(JSON.stringify(schema)).not.toContain("null");
  });
});

describe("random numbers", () => {
  it("are those of the published xoshiro128**", () => {
    // From state 1, 2, 3, 4: the reference implementation's first ten.
    const random = Random.fromState([1, 2, 3, 4]);
    expect(Array.from({ length: 10 }, () => random.bits())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it.each(SPREADS)("%s: have the mean that is asked for, and are positive", (spread) => {
    const random = new Random(7, 3);
    let [sum, least] = [0, Infinity];
    for (let i = 0; i < 200_000; i++) {
      const value = random.draw(5, spread);
      least = Math.min(least, value);
      sum += value;
    }
    expect(least).toBeGreaterThan(0);
    expect(Math.abs(sum / 200_000 / 5 - 1)).toBeLessThan(0.05);
  });

  it("of streams do not repeat each other", () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 20; seed++)
      for (let stream = 0; stream < 500; stream++) {
        const random = new Random(seed, stream);
        seen.add(random.bits() * 2 ** 20 + (random.bits() >>> 12));
      }
    expect(seen.size).toBe(10_000);
  });
});
