// Hosts, VMs and problems of which a test names only what matters to it.
import fc from "fast-check";
import type { Objective, PlanHost, PlanProblem, PlanVm } from "../../../src/host/resources/problem.ts";

export const host = (name: string, capacity: Record<string, number>, more: Partial<PlanHost> = {}): PlanHost => ({
  name,
  capacity,
  overcommit: {},
  cost: 1,
  ...more,
});

export const vm = (name: string, cpu: number, memory: number, more: Partial<PlanVm> = {}): PlanVm => ({
  name,
  resources: {
    cpu: { reservation: cpu, limit: Math.max(1, cpu), shares: 256, demand: undefined },
    memory: { reservation: memory, limit: Infinity, shares: 256, demand: undefined },
  },
  load: undefined,
  delayCost: { fixed: 0, perSecond: 1 },
  work: { cpuSeconds: Infinity, weight: 1 },
  optional: false,
  pinned: undefined,
  placementCost: {},
  ...more,
});

export const problem = (hosts: PlanHost[], vms: PlanVm[], more: Partial<PlanProblem> = {}): PlanProblem => ({
  hosts,
  vms,
  affinity: [],
  antiAffinity: [],
  objective: "cost",
  timeSeconds: 100,
  ...more,
});

const PAGE = 4096;

/** Small fleets with everything in them, tight enough that about half have no placement. */
export function fleets(objective: Objective, vmsMax: number): fc.Arbitrary<PlanProblem> {
  const hosts = fc.array(
    fc.record({
      cpu: fc.integer({ min: 2, max: 12 }),
      memory: fc.integer({ min: 4, max: 16 }),
      net: fc.integer({ min: 0, max: 8 }),
      overcommit: fc.option(fc.integer({ min: 2, max: 4 }), { nil: undefined, freq: 2 }),
      cost: fc.nat(20),
    }),
    { minLength: 1, maxLength: 3 },
  );
  const vms = fc.array(
    fc.record({
      cpu: fc.nat(6),
      extra: fc.nat(6),
      memory: fc.nat(8),
      limit: fc.nat(8),
      net: fc.nat(3),
      rate: fc.nat(30),
      loaded: fc.boolean(),
      perSecond: fc.nat(500),
      fixed: fc.nat(3),
      work: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
      weight: fc.integer({ min: 0, max: 9 }),
      optional: fc.boolean(),
      pinned: fc.option(fc.nat(2), { nil: undefined, freq: 6 }),
      costs: fc.array(fc.nat(15), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: vmsMax },
  );
  const group = fc.uniqueArray(fc.nat(vmsMax - 1), { minLength: 2, maxLength: 3 });
  const groups = fc.array(group, { maxLength: 1 });
  return fc.tuple(hosts, vms, groups, groups).map(([hs, vs, together, apart]) => {
    const name = (i: number): string => `v${i % vs.length}`;
    const names = (list: number[][]): string[][] =>
      list.map((members) => [...new Set(members.map(name))]).filter((members) => members.length > 1);
    const planHosts = hs.map((h, i) =>
      host(
        `h${i}`,
        { cpu: h.cpu / 4, memory: h.memory * PAGE, ...(h.net > 0 ? { net: h.net } : {}) },
        { cost: h.cost, overcommit: h.overcommit === undefined ? {} : { memory: h.overcommit / 2 } },
      ),
    );
    const planVms = vs.map((v, i) =>
      vm(`v${i}`, 0, 0, {
        resources: {
          cpu: { reservation: v.cpu / 10, limit: (v.cpu + v.extra) / 10, shares: 1 + v.weight, demand: undefined },
          memory: { reservation: v.memory * PAGE, limit: (v.memory + v.limit) * PAGE, shares: 256, demand: undefined },
          ...(v.net > 1 ? { net: { reservation: v.net - 1, limit: v.net, shares: 1, demand: undefined } } : {}),
        },
        // Within the limit, as the check of fleets has it.
        load:
          v.loaded && v.cpu + v.extra > 0
            ? { requestsPerSecond: (v.rate * (v.cpu + v.extra)) / 32, cpuSecondsPerRequest: 0.1 }
            : undefined,
        delayCost: { fixed: v.fixed, perSecond: v.perSecond },
        work: { cpuSeconds: v.work ?? Infinity, weight: v.weight },
        optional: v.optional,
        pinned: v.pinned === undefined || v.pinned >= hs.length ? undefined : `h${v.pinned}`,
        placementCost: Object.fromEntries(v.costs.slice(0, hs.length).map((cost, h) => [`h${h}`, cost])),
      }),
    );
    return problem(planHosts, planVms, { objective, affinity: names(together), antiAffinity: names(apart) });
  });
}
