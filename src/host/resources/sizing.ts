// How much each VM of a host gets, once it is known who is there. What the objective sizes (CPU for work and delay) comes
// first; the strategy divides everything else, and what the objective leaves over.
import { leastDelayCost, offeredLoad } from "./delay.ts";
import { dominantResourceFairness } from "./drf.ts";
import { CPU, capacityOf, claimOf, type HostCapacity, limitOn, type ResourceClaim, unitOf } from "./model.ts";
import { mostCpu, needOf, type Objective, type PlanVm } from "./problem.ts";
import { dynamicAllocation, maximumAllocation, minimumAllocation, type StrategyName } from "./strategies.ts";

export interface SizingOptions {
  readonly strategy: StrategyName;
  readonly objective: Objective;
  readonly timeSeconds: number;
  /** For the dynamic strategy; see dynamicAllocation. */
  readonly idleTax?: number;
}

/** CPU on `host` that makes the delay cost of `vms` least, pCPUs. Their needs must fit. */
export function cpuForDelay(host: HostCapacity, vms: readonly PlanVm[]): number[] {
  return leastDelayCost(
    capacityOf(host, CPU),
    vms.map((vm) => ({
      load: vm.load ?? { requestsPerSecond: 0, cpuSecondsPerRequest: 0 },
      cost: vm.delayCost,
      least: needOf(vm, CPU),
      most: mostCpu(host, vm),
    })),
  );
}

/** CPU on `host` with which `vms` do most weighted work in the time, pCPUs: what is worth most comes first. */
export function cpuForWork(host: HostCapacity, vms: readonly PlanVm[], timeSeconds: number): number[] {
  const sizes = vms.map((vm) => needOf(vm, CPU));
  let left = capacityOf(host, CPU) - sizes.reduce((sum, size) => sum + size, 0);
  const order = vms.map((vm, i) => ({ vm, i })).sort((a, b) => b.vm.work.weight - a.vm.work.weight || a.i - b.i);
  for (const { vm, i } of order) {
    const size = sizes[i] ?? 0;
    const useful = Math.min(mostCpu(host, vm), Math.max(size, vm.work.cpuSeconds / timeSeconds));
    const more = Math.max(0, Math.min(useful - size, left));
    sizes[i] = size + more;
    left -= more;
  }
  return sizes;
}

/** What each of `vms` gets of each resource in `resources` on `host`, in their order. Their needs must fit. */
export function sizesOn(
  host: HostCapacity,
  vms: readonly PlanVm[],
  resources: readonly string[],
  options: SizingOptions,
): Record<string, number>[] {
  const sizes: Record<string, number>[] = vms.map(() => ({}));
  const claims = (resource: string): ResourceClaim[] => {
    const claimed = vms.map((vm) => claimOn(host, vm, resource));
    if (resource !== CPU || options.objective === "cost") return claimed;
    const chosen = options.objective === "delay" ? cpuForDelay(host, vms) : cpuForWork(host, vms, options.timeSeconds);
    return claimed.map((claim, i) => ({ ...claim, reservation: chosen[i] ?? claim.reservation }));
  };
  const claimed = new Map(resources.map((resource) => [resource, claims(resource)]));
  if (options.strategy === "drf") return fairSizes(host, vms, claimed);
  for (const [resource, list] of claimed) {
    const amounts = divide(host, resource, list, options);
    amounts.forEach((amount, i) => {
      sizes[i]![resource] = amount;
    });
  }
  return sizes;
}

function divide(
  host: HostCapacity,
  resource: string,
  claims: readonly ResourceClaim[],
  { strategy, idleTax }: SizingOptions,
): number[] {
  const capacity = capacityOf(host, resource);
  if (strategy === "minimum") return minimumAllocation(capacity, claims);
  if (strategy === "maximum") return maximumAllocation(capacity, claims, unitOf(resource));
  return dynamicAllocation(capacity, claims, unitOf(resource), idleTax);
}

/** The claim with the VM's need as reservation, its limit as far as the host goes, and its load as demand for CPU. */
function claimOn(host: HostCapacity, vm: PlanVm, resource: string): ResourceClaim {
  const claim = claimOf(vm, resource);
  const reservation = needOf(vm, resource);
  const demand = claim.demand ?? (resource === CPU && vm.load ? offeredLoad(vm.load) : undefined);
  return { ...claim, reservation, limit: Math.max(reservation, limitOn(host, vm, resource)), demand };
}

/**
 * What is left after needs, by dominant resource fairness: each VM wants all its resources up to its demand (its limit where
 * it has none) in one proportion, weighted by its CPU shares.
 */
function fairSizes(
  host: HostCapacity,
  vms: readonly PlanVm[],
  claims: ReadonlyMap<string, readonly ResourceClaim[]>,
): Record<string, number>[] {
  const free: Record<string, number> = {};
  for (const [resource, list] of claims) {
    const needed = list.reduce((sum, { reservation }) => sum + reservation, 0);
    free[resource] = Math.max(0, capacityOf(host, resource) - needed);
  }
  const wanted = vms.map((_, i) =>
    Object.fromEntries(
      [...claims].map(([resource, list]) => {
        const { reservation, limit } = list[i]!;
        // What a load offers to the CPU is no bound to what it can use: only a demand that the user stated is. It is not
        // cut at what the host has: that would change the proportions, by which shares are judged.
        const claim = claimOf(vms[i]!, resource);
        return [resource, Math.max(0, Math.min(claim.limit, claim.demand ?? limit) - reservation)];
      }),
    ),
  );
  // A VM whose demands are met takes no part, nor does what a used-up resource would keep from growing in others.
  const taking = vms.flatMap((_, i) => (Object.values(wanted[i]!).some((want) => want > 0) ? [i] : []));
  const shares = dominantResourceFairness(
    free,
    taking.map((i) => ({ demand: wanted[i]!, weight: claimOf(vms[i]!, CPU).shares, maxTasks: 1 })),
  );
  return vms.map((_, i) => {
    const extra = shares[taking.indexOf(i)]?.amounts ?? {};
    return Object.fromEntries(
      [...claims].map(([resource, list]) => {
        const unit = unitOf(resource);
        const more = extra[resource] ?? 0;
        return [resource, list[i]!.reservation + (unit > 0 ? Math.floor(more / unit) * unit : more)];
      }),
    );
  });
}
