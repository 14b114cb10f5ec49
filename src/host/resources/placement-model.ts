// Placement as a mixed-integer program. One binary column for each VM and host (1: it is there); rows for the families of
// constraints that Family lists. Any one family can be made elastic: its rows may then be missed, and the program
// minimises by how much, which is how an impossible plan is explained (infeasible.ts).
//
// Every resource is scaled by the largest capacity, so that the coefficients are near 1 whatever the unit.
import { offeredLoad } from "./delay.ts";
import { LinearModel, type Term } from "./linear-model.ts";
import { CPU, capacityOf, claimOf, limitBudget, limitOn, resourceNames } from "./model.ts";
import { mayStayOut, mostCpu, needOf, type PlanProblem, type PlanVm } from "./problem.ts";

export type Family =
  | { readonly kind: "capacity" | "overcommit"; readonly resource: string }
  | { readonly kind: "affinity" | "anti-affinity" | "pinning" | "throughput" };

/** Sets of VMs (by index) that do not fit on a host together, found by exact arithmetic after the solver's. */
export interface Cover {
  readonly host: number;
  readonly vms: readonly number[];
}

/** A tangent of VM `vm`'s response time, at `cpu` pCPUs. */
export interface Tangent {
  readonly vm: number;
  readonly cpu: number;
}

export interface PlacementModel {
  readonly model: LinearModel;
  /** Column of VM i on host h; undefined where it may not be. */
  readonly placed: readonly (readonly (number | undefined)[])[];
}

const UNBOUNDED = Number.POSITIVE_INFINITY;

/** All families that a problem has rows of. */
export function familiesOf(problem: PlanProblem): Family[] {
  const families: Family[] = resourceNames(problem.hosts, problem.vms).map((resource) => ({
    kind: "capacity",
    resource,
  }));
  for (const resource of new Set(problem.hosts.flatMap((host) => Object.keys(host.overcommit)))) {
    families.push({ kind: "overcommit", resource });
  }
  if (problem.affinity.length > 0) families.push({ kind: "affinity" });
  if (problem.antiAffinity.length > 0) families.push({ kind: "anti-affinity" });
  if (problem.vms.some((vm) => vm.pinned !== undefined)) families.push({ kind: "pinning" });
  if (problem.vms.some((vm) => throughputPart(vm) > 0)) families.push({ kind: "throughput" });
  return families;
}

/** What of a VM's need for CPU its throughput asks for, beyond its reservation. */
function throughputPart(vm: PlanVm): number {
  return needOf(vm, CPU) - claimOf(vm, CPU).reservation;
}

/**
 * The program of `problem`. With `elastic` families it has no objective but to miss those as little as possible.
 * `covers` are added as cuts; `tangents` bound the response times from below (objective `delay`).
 */
export function placementModel(
  problem: PlanProblem,
  covers: readonly Cover[],
  tangents: readonly Tangent[],
  elastic: readonly Family[] = [],
): PlacementModel {
  const { hosts, vms } = problem;
  const model = new LinearModel();
  const real = elastic.length === 0;
  const isElastic = (kind: Family["kind"], resource?: string): boolean =>
    elastic.some((family) => family.kind === kind && (!("resource" in family) || family.resource === resource));
  const objective = real ? problem.objective : undefined;
  const scale = (resource: string): number =>
    Math.max(...hosts.map((host) => capacityOf(host, resource)), ...vms.map((vm) => needOf(vm, resource))) || 1;

  const placed = vms.map((vm) =>
    hosts.map((host) => {
      const elsewhere = vm.pinned !== undefined && vm.pinned !== host.name;
      if (elsewhere && !isElastic("pinning")) return undefined;
      if (!real) return model.binary(elsewhere ? 1 : 0);
      return model.binary(objective === "cost" ? (vm.placementCost[host.name] ?? 0) : 0);
    }),
  );
  /** coefficient(i) times "VM i is on host h", for all that may be. */
  const on = (h: number, coefficient: (vm: PlanVm, i: number) => number): Term[] =>
    vms.flatMap((vm, i): Term[] => {
      const column = placed[i]?.[h];
      const value = coefficient(vm, i);
      return column === undefined || value === 0 ? [] : [[column, value]];
    });

  vms.forEach((vm, i) => {
    const terms = (placed[i] ?? []).flatMap((column): Term[] => (column === undefined ? [] : [[column, 1]]));
    model.row(terms, mayStayOut(problem, vm) ? 0 : 1, 1);
  });

  // A host that costs something is paid for as soon as one VM is on it.
  const open = hosts.map((host) => (objective === "cost" && host.cost > 0 ? model.binary(host.cost) : undefined));
  hosts.forEach((_, h) => {
    const column = open[h];
    if (column === undefined) return;
    vms.forEach((_vm, i) => {
      const here = placed[i]?.[h];
      if (here !== undefined)
        model.row(
          [
            [here, 1],
            [column, -1],
          ],
          -UNBOUNDED,
          0,
        );
    });
  });

  const cpuScale = scale(CPU);
  const cpu = objective === "work" || objective === "delay" ? sizeCpu() : undefined;
  const shortfall = isElastic("throughput") ? missThroughput() : undefined;
  for (const resource of resourceNames(hosts, vms)) {
    const unit = scale(resource);
    hosts.forEach((host, h) => {
      const used: Term[] = resource === CPU && cpu ? (cpu[h] ?? []) : on(h, (vm) => needOf(vm, resource) / unit);
      if (resource === CPU && shortfall) used.push(...(shortfall[h] ?? []));
      bound(used, capacityOf(host, resource) / unit, isElastic("capacity", resource), open[h]);
      const budget = limitBudget(host, resource);
      if (budget < UNBOUNDED) {
        const limits = on(h, (vm) => limitOn(host, vm, resource) / unit);
        bound(limits, budget / unit, isElastic("overcommit", resource));
      }
    });
  }

  const indexOf = new Map(vms.map((vm, i) => [vm.name, i]));
  const column = (name: string, h: number): number | undefined => placed[indexOf.get(name) ?? -1]?.[h];
  for (const group of problem.affinity) {
    group.slice(1).forEach((name, k) => {
      const apart: Term[] = isElastic("affinity") ? [[model.binary(1), 1]] : [];
      hosts.forEach((_, h) => {
        const [a, b] = [column(group[k] ?? "", h), column(name, h)];
        const difference: Term[] = [
          ...(a === undefined ? [] : [[a, 1] as const]),
          ...(b === undefined ? [] : [[b, -1] as const]),
        ];
        if (difference.length === 0) return;
        model.row([...difference, ...apart], 0, UNBOUNDED);
        model.row([...difference, ...apart.map(([s]) => [s, -1] as const)], -UNBOUNDED, 0);
      });
    });
  }
  for (const group of problem.antiAffinity) {
    hosts.forEach((_, h) => {
      const here = group.flatMap((name): Term[] => {
        const x = column(name, h);
        return x === undefined ? [] : [[x, 1]];
      });
      if (here.length > 1) bound(here, 1, isElastic("anti-affinity"));
    });
  }
  for (const { host, vms: together } of covers) {
    const terms = together.flatMap((i): Term[] => {
      const x = placed[i]?.[host];
      return x === undefined ? [] : [[x, 1]];
    });
    if (terms.length === together.length) model.row(terms, -UNBOUNDED, together.length - 1);
  }
  return { model, placed };

  /** terms <= most, or, elastic, terms - missing <= most at a price of 1 for each unit missing. */
  function bound(terms: readonly Term[], most: number, soft: boolean, opened?: number): void {
    if (soft) model.row([...terms, [model.column(1, 0, UNBOUNDED), -1]], -UNBOUNDED, most);
    else if (opened !== undefined) model.row([...terms, [opened, -most]], -UNBOUNDED, 0);
    else model.row(terms, -UNBOUNDED, most);
  }

  /** Columns for how much CPU each VM gets on each host, and the objective over them. Returns the CPU used by host. */
  function sizeCpu(): Term[][] {
    const used: Term[][] = hosts.map(() => []);
    vms.forEach((vm, i) => {
      const sized: Term[] = [];
      hosts.forEach((host, h) => {
        const here = placed[i]?.[h];
        if (here === undefined) return;
        const most = mostCpu(host, vm) / cpuScale;
        const size = model.column(0, 0, most);
        model.row(
          [
            [size, 1],
            [here, -most],
          ],
          -UNBOUNDED,
          0,
        );
        model.row(
          [
            [size, 1],
            [here, -needOf(vm, CPU) / cpuScale],
          ],
          0,
          UNBOUNDED,
        );
        sized.push([size, cpuScale]);
        used[h]?.push([size, 1]);
      });
      if (objective === "work") rewardWork(vm, sized);
      else if (delayMatters(vm)) boundDelay(vm, i, sized);
    });
    return used;
  }

  /** done <= CPU, done <= what there is to do, both in pCPUs over the time. */
  function rewardWork(vm: PlanVm, sized: readonly Term[]): void {
    const most = Math.min(vm.work.cpuSeconds / problem.timeSeconds, cpuScale);
    const done = model.column(-vm.work.weight * problem.timeSeconds, 0, most);
    model.row([...sized, [done, -1]], 0, UNBOUNDED);
  }

  /**
   * With z = CPU beyond the offered load, T = s / z. Its tangent at z0, times z0^2, is c + z0^2 / z_least * v >= r s + 2 z0
   * for v = T z_least / s, which is at most 1: no coefficient is tiny or huge.
   */
  function boundDelay(vm: PlanVm, i: number, sized: readonly Term[]): void {
    const { load, delayCost } = vm;
    if (!load) return;
    const offered = offeredLoad(load);
    const least = needOf(vm, CPU) - offered;
    const v = model.column((delayCost.perSecond * load.cpuSecondsPerRequest) / least, 0, 1);
    for (const tangent of tangents) {
      if (tangent.vm !== i) continue;
      const z = tangent.cpu - offered;
      model.row([...sized, [v, (z * z) / least]], offered + 2 * z, UNBOUNDED);
    }
  }

  /** Columns for the CPU that throughput asks for and does not get, priced; as negative use by host. */
  function missThroughput(): Term[][] {
    const part: Term[][] = hosts.map(() => []);
    vms.forEach((vm, i) => {
      const most = throughputPart(vm) / cpuScale;
      if (most <= 0) return;
      hosts.forEach((_, h) => {
        const here = placed[i]?.[h];
        if (here === undefined) return;
        const missing = model.column(1, 0, most);
        model.row(
          [
            [missing, 1],
            [here, -most],
          ],
          -UNBOUNDED,
          0,
        );
        part[h]?.push([missing, -1]);
      });
    });
    return part;
  }
}

/** Whether a VM's response time is part of the objective `delay`. */
export function delayMatters(vm: PlanVm): boolean {
  return vm.load !== undefined && vm.load.cpuSecondsPerRequest > 0 && vm.delayCost.perSecond > 0;
}
