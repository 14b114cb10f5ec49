// Hosts, VMs and problems of which a test names only what matters to it.
import type { PlanHost, PlanProblem, PlanVm } from "../../../src/host/resources/problem.ts";

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
