// The oracle of the placement tests: every placement there is, each judged by the definition, and for a given placement the
// best CPU sizes by Lagrangian duality, another way than the code under test.
import type { PlanProblem, PlanVm } from "../../../src/host/resources/problem.ts";

type HostOf = readonly (number | undefined)[];

/** All functions from VMs to hosts (or nowhere, where a VM may be left out). */
export function* placements(problem: PlanProblem, from = 0): Generator<(number | undefined)[]> {
  if (from === problem.vms.length) {
    yield [];
    return;
  }
  const out = problem.objective === "work" && problem.vms[from]!.optional;
  for (const rest of placements(problem, from + 1)) {
    if (out) yield [undefined, ...rest];
    for (let h = 0; h < problem.hosts.length; h++) yield [h, ...rest];
  }
}

/** CPU that the load needs: so that the queue is at most 99% full, and at least a thousandth is to spare. */
export function cpuNeed({ resources, load }: PlanVm): number {
  const reservation = resources.cpu?.reservation ?? 0;
  if (!load || load.cpuSecondsPerRequest === 0) return reservation;
  const offered = load.requestsPerSecond * load.cpuSecondsPerRequest;
  return Math.max(reservation, offered / 0.99, offered + 0.001);
}

/** How much of each constraint a placement misses; all 0 for a valid one. */
export function violations(problem: PlanProblem, hostOf: HostOf): Record<string, number> {
  const missed: Record<string, number> = { affinity: 0, "anti-affinity": 0, pinning: 0 };
  const on = new Map(problem.vms.map((vm, i) => [vm.name, hostOf[i]]));
  problem.hosts.forEach((host, h) => {
    const here = problem.vms.filter((_, i) => hostOf[i] === h);
    const names = new Set([...Object.keys(host.capacity), ...here.flatMap((vm) => Object.keys(vm.resources))]);
    for (const name of names) {
      const capacity = host.capacity[name] ?? 0;
      const need = here.reduce(
        (sum, vm) => sum + (name === "cpu" ? cpuNeed(vm) : (vm.resources[name]?.reservation ?? 0)),
        0,
      );
      const slack = name === "memory" ? 0 : 1e-9 * Math.max(need, capacity);
      missed[name] = (missed[name] ?? 0) + (need > capacity + slack ? need - capacity : 0);
      const factor = host.overcommit[name];
      if (factor === undefined) continue;
      const limits = here.reduce((sum, vm) => sum + Math.min(vm.resources[name]?.limit ?? 0, capacity), 0);
      const key = `overcommit ${name}`;
      missed[key] = (missed[key] ?? 0) + Math.max(0, limits - factor * capacity * (1 + 1e-12));
    }
  });
  for (const group of problem.affinity) {
    for (const name of group.slice(1)) if (on.get(name) !== on.get(group[0]!)) missed.affinity!++;
  }
  for (const group of problem.antiAffinity) {
    group.forEach((name, k) => {
      const before = group.slice(0, k);
      if (on.get(name) !== undefined && before.some((other) => on.get(other) === on.get(name)))
        missed["anti-affinity"]!++;
    });
  }
  problem.vms.forEach((vm, i) => {
    const host = hostOf[i];
    if (vm.pinned !== undefined && host !== undefined && problem.hosts[host]!.name !== vm.pinned) missed.pinning!++;
  });
  return missed;
}

export function isValid(problem: PlanProblem, hostOf: HostOf): boolean {
  return Object.values(violations(problem, hostOf)).every((amount) => amount === 0);
}

/** The objective of a valid placement. */
export function objectiveOf(problem: PlanProblem, hostOf: HostOf): number {
  if (problem.objective === "cost") {
    const hosts = new Set(hostOf);
    return (
      problem.hosts.reduce((sum, host, h) => sum + (hosts.has(h) ? host.cost : 0), 0) +
      problem.vms.reduce((sum, vm, i) => sum + (vm.placementCost[problem.hosts[hostOf[i]!]!.name] ?? 0), 0)
    );
  }
  let total = 0;
  problem.hosts.forEach((host, h) => {
    const here = problem.vms.filter((_, i) => hostOf[i] === h);
    const capacity = host.capacity.cpu ?? 0;
    total += problem.objective === "work" ? mostWork(problem, here, capacity) : leastDelay(here, capacity);
  });
  return total;
}

const most = (vm: PlanVm, capacity: number): number =>
  Math.max(cpuNeed(vm), Math.min(vm.resources.cpu?.limit ?? 0, capacity));

/** min over the price of CPU of what sellers and buyers get: equal to the most work, by linear duality. */
function mostWork({ timeSeconds }: PlanProblem, vms: readonly PlanVm[], capacity: number): number {
  const prices = [0, ...vms.map((vm) => vm.work.weight * timeSeconds)];
  const dual = (price: number): number =>
    price * capacity +
    vms.reduce((sum, vm) => {
      const points = [cpuNeed(vm), most(vm, capacity), vm.work.cpuSeconds / timeSeconds].filter(
        (cpu) => cpu >= cpuNeed(vm) && cpu <= most(vm, capacity),
      );
      const profit = (cpu: number): number =>
        vm.work.weight * Math.min(cpu * timeSeconds, vm.work.cpuSeconds) - price * cpu;
      return sum + Math.max(...points.map(profit));
    }, 0);
  return Math.min(...prices.map(dual));
}

/** max over the price of CPU of the cost that everybody chooses at it, less what the capacity is worth. */
function leastDelay(vms: readonly PlanVm[], capacity: number): number {
  const choose = (vm: PlanVm, price: number): number => {
    const { load, delayCost } = vm;
    const [low, high] = [cpuNeed(vm), most(vm, capacity)];
    const cost = (cpu: number): number => {
      if (!load || load.cpuSecondsPerRequest === 0) return delayCost.fixed;
      const { requestsPerSecond, cpuSecondsPerRequest } = load;
      return (
        delayCost.fixed +
        (delayCost.perSecond * cpuSecondsPerRequest) / (cpu - requestsPerSecond * cpuSecondsPerRequest)
      );
    };
    return thirds((cpu) => cost(cpu) + price * cpu, low, high);
  };
  const dual = (price: number): number => vms.reduce((sum, vm) => sum + choose(vm, price), 0) - price * capacity;
  let best = dual(0);
  for (let high = 1e-6; high < 1e12; high *= 100) {
    best = Math.max(best, -thirds((price) => -dual(price), 0, high));
  }
  return best;
}

/** Least value of a convex function on an interval, by thirds. */
function thirds(f: (x: number) => number, low: number, high: number): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 120 && b - a > 1e-15 * Math.max(1, b); i++) {
    const [left, right] = [a + (b - a) / 3, b - (b - a) / 3];
    if (f(left) <= f(right)) b = right;
    else a = left;
  }
  return Math.min(f(low), f(high), f((a + b) / 2));
}
