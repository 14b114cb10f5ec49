import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { responseSeconds } from "../../../src/host/resources/delay.ts";
import { type Plan, plan } from "../../../src/host/resources/plan.ts";
import { comparePlans } from "../../../src/host/resources/plan-changes.ts";
import { OBJECTIVES, type PlanProblem } from "../../../src/host/resources/problem.ts";
import { STRATEGIES } from "../../../src/host/resources/strategies.ts";
import { VmError } from "../../../src/vmm/error.ts";
import { cpuNeed } from "./brute-force.ts";
import { fleets, host, problem, vm } from "./problem.ts";

const PAGE = 4096;

/** The objective as the sizes of a plan make it. */
function achieved(one: PlanProblem, made: Plan): number {
  return one.vms.reduce((sum, { work, load, delayCost }, i) => {
    const { host: on, sizes } = made.vms[i]!;
    if (on === undefined) return sum;
    const cpu = sizes.cpu ?? 0;
    if (one.objective === "work") return sum + work.weight * Math.min(work.cpuSeconds, cpu * one.timeSeconds);
    const seconds = load ? responseSeconds(load, cpu) : 0;
    return sum + delayCost.fixed + (delayCost.perSecond === 0 ? 0 : delayCost.perSecond * seconds);
  }, 0);
}

describe("a plan", () => {
  it.each(OBJECTIVES)(
    "for %s: sizes are within needs, limits and capacities, and reach the objective",
    async (objective) => {
      let made = 0;
      await fc.assert(
        fc.asyncProperty(fleets(objective, 5), fc.constantFrom(...STRATEGIES), async (one, strategy) => {
          let result: Plan;
          try {
            result = await plan(one, { strategy });
          } catch (error) {
            expect(error).toMatchObject({ code: "admission", details: { explanation: expect.anything() } });
            return;
          }
          made++;
          for (const { name, vms, use } of result.hosts) {
            for (const { resource, capacity, allocated, reserved, utilisation } of use) {
              const slack = resource === "memory" ? 0 : 1e-8 * capacity;
              expect(allocated, `${resource} of ${name}`).toBeLessThanOrEqual(capacity + slack);
              expect(allocated).toBeGreaterThanOrEqual(reserved - slack);
              if (capacity > 0) expect(utilisation).toBe(allocated / capacity);
            }
            expect(vms).toEqual(result.vms.filter((vm) => vm.host === name).map((vm) => vm.name));
          }
          one.vms.forEach((vm, i) => {
            const { host: on, sizes, latencySeconds } = result.vms[i]!;
            if (on === undefined) return expect(one.objective === "work" && vm.optional).toBe(true);
            expect(sizes.memory! % PAGE).toBe(0);
            for (const [name, claim] of Object.entries(vm.resources)) {
              const need = name === "cpu" ? cpuNeed(vm) : claim.reservation;
              expect(sizes[name]).toBeGreaterThanOrEqual(need * (1 - 1e-9));
              expect(sizes[name]).toBeLessThanOrEqual(Math.max(need, claim.limit) * (1 + 1e-9));
              if (strategy === "minimum" && !(name === "cpu" && objective !== "cost")) expect(sizes[name]).toBe(need);
            }
            expect(latencySeconds).toBe(vm.load ? responseSeconds(vm.load, sizes.cpu!) : undefined);
          });
          if (objective !== "cost") {
            const value = achieved(one, result);
            expect(Math.abs(value - result.value)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
          }
        }),
        { numRuns: 80 },
      );
      expect(made).toBeGreaterThan(15);
    },
    240_000,
  );

  it("says utilisation, mean latency by requests, and the largest over the smallest allocation", async () => {
    const load = (requestsPerSecond: number) => ({ requestsPerSecond, cpuSecondsPerRequest: 0.01 });
    const one = problem(
      [host("h", { cpu: 2, memory: 100 * PAGE })],
      [vm("a", 0.5, 10 * PAGE, { load: load(10) }), vm("b", 1, 40 * PAGE, { load: load(30) }), vm("c", 0, 0)],
    );
    const made = await plan(one, { strategy: "minimum" });
    expect(made.hosts[0]?.use.map(({ utilisation }) => utilisation)).toEqual([0.75, 0.5]);
    expect(made.scalability).toEqual({ cpu: 2, memory: 4 });
    const [a, b] = [0.01 / (0.5 - 0.1), 0.01 / (1 - 0.3)];
    expect(made.meanLatencySeconds).toBeCloseTo((10 * a + 30 * b) / 40, 12);
    expect(made.value).toBe(1);
  });

  it("divides what is left by demand and dominant resources where asked to", async () => {
    const claim = (limit: number, demand: number, shares = 256) => ({ reservation: 0, limit, shares, demand });
    const one = problem(
      [host("h", { cpu: 9, memory: 18 * PAGE })],
      [
        vm("a", 0, 0, { resources: { cpu: claim(9, 9), memory: claim(36 * PAGE, 36 * PAGE) } }),
        vm("b", 0, 0, { resources: { cpu: claim(27, 27), memory: claim(9 * PAGE, 9 * PAGE) } }),
      ],
    );
    // The paper's example: 1 CPU and 4 pages a task against 3 and 1, of 9 CPUs and 18 pages: 3 tasks and 2.
    const made = await plan(one, { strategy: "drf" });
    const [a, b] = made.vms.map(({ sizes }) => sizes);
    expect([a?.cpu, b?.cpu]).toEqual([expect.closeTo(3, 9), expect.closeTo(6, 9)]);
    expect([a?.memory, b?.memory].map((bytes) => bytes! / PAGE)).toEqual([12, 2]);
  });

  it("that does not exist is refused with what is in the way, in one sentence", async () => {
    const hosts = [host("h0", { cpu: 2, memory: 10 * PAGE }), host("h1", { cpu: 2, memory: 10 * PAGE })];
    const refused = async (one: PlanProblem): Promise<string> => {
      const error = await plan(one, { strategy: "maximum" }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(VmError);
      return (error as VmError).message;
    };
    const vms = [vm("a", 0, 8 * PAGE), vm("b", 0, 8 * PAGE), vm("c", 0, 4 * PAGE)];
    expect(await refused(problem(hosts, vms))).toMatch(
      /^This fleet has no placement: what stands in the way is capacity of memory \(at least 8 KiB is missing: 8 KiB on h[01]\)\.$/,
    );
    const small = [vm("a", 0, PAGE), vm("b", 0, PAGE), vm("c", 0, PAGE)];
    expect(await refused(problem(hosts, small, { antiAffinity: [["a", "b", "c"]] }))).toMatch(
      /is anti-affinity \([abc] and [abc] must share a host\)\.$/,
    );
    const pinned = [vm("a", 0, 6 * PAGE, { pinned: "h0" }), vm("b", 0, 6 * PAGE, { pinned: "h0" })];
    expect(await refused(problem(hosts, pinned))).toMatch(
      /capacity of memory \(at least 8 KiB is missing: 8 KiB on h0\) or pinning \([ab] must leave its host\)\.$/,
    );
    const both = { affinity: [["a", "b"]], antiAffinity: [["a", "b"]] };
    expect(await refused(problem(hosts, small, both))).toMatch(
      /affinity \(a and b must be apart\) or anti-affinity \(a and b must share a host\)\.$/,
    );
    const busy = vm("a", 0, PAGE, { load: { requestsPerSecond: 100, cpuSecondsPerRequest: 0.02 } });
    expect(await refused(problem(hosts, [busy]))).toMatch(/capacity of cpu .* or throughput \(at least 0\.02 of CPU/);
    const apart = [vm("a", 3, 12 * PAGE)];
    expect(await refused(problem(hosts, apart))).toMatch(
      /is, together, capacity of cpu \(at least 1 is missing: 1 on h[01]\) and capacity of memory \(at least 8 KiB/,
    );
  });
});

describe("the difference between two plans", () => {
  it("names what moved, grew, came and went", async () => {
    const hosts = [host("h0", { cpu: 2, memory: 20 * PAGE }), host("h1", { cpu: 2, memory: 20 * PAGE }, { cost: 5 })];
    const before = await plan(problem(hosts, [vm("a", 0, 10 * PAGE), vm("gone", 0, 10 * PAGE)]), {
      strategy: "minimum",
    });
    const after = await plan(
      problem(hosts, [vm("a", 0, 11 * PAGE, { pinned: "h1" }), vm("new", 0, 10 * PAGE, { pinned: "h0" })]),
      { strategy: "minimum" },
    );
    expect(comparePlans(before, after)).toMatchObject({
      value: { before: 1, after: 6 },
      hostsUsed: { before: 1, after: 2 },
      vms: [
        {
          name: "a",
          kind: "changed",
          host: { before: "h0", after: "h1" },
          sizes: { memory: { before: 10 * PAGE, after: 11 * PAGE } },
        },
        { name: "new", kind: "added", host: { after: "h0" } },
        { name: "gone", kind: "removed", host: { before: "h0" } },
      ],
    });
    expect(comparePlans(before, before).vms).toEqual([]);
  });
});
