// What there is to plan: hosts, VMs, who may be where, and what counts as best.
import { type DelayCost, type Load, leastCpu } from "./delay.ts";
import { CPU, claimOf, type HostCapacity, limitOn, type VmClaims } from "./model.ts";

export type Objective = "cost" | "work" | "delay";
export const OBJECTIVES: readonly Objective[] = ["cost", "work", "delay"];

export interface PlanHost extends HostCapacity {
  /** Of using it at all, in any currency. */
  readonly cost: number;
}

export interface PlanVm extends VmClaims {
  readonly load: Load | undefined;
  readonly delayCost: DelayCost;
  /** What it would like to compute, in seconds of one pCPU (Infinity: no end), and what one second of it is worth. */
  readonly work: { readonly cpuSeconds: number; readonly weight: number };
  /** Under the objective `work` it may be left out. */
  readonly optional: boolean;
  /** The one host that it may be on. */
  readonly pinned: string | undefined;
  /** Cost of running on a host, by the host's name; 0 elsewhere. */
  readonly placementCost: Readonly<Record<string, number>>;
}

export interface PlanProblem {
  readonly hosts: readonly PlanHost[];
  readonly vms: readonly PlanVm[];
  /** Groups of VM names that share a host. */
  readonly affinity: readonly (readonly string[])[];
  /** Groups of VM names of which no two share a host. */
  readonly antiAffinity: readonly (readonly string[])[];
  readonly objective: Objective;
  /** Time in which work is done, seconds. */
  readonly timeSeconds: number;
}

/** What a host must hold back for a VM: its reservation, and CPU for the throughput that is asked of it. */
export function needOf(vm: PlanVm, resource: string): number {
  const { reservation } = claimOf(vm, resource);
  return resource === CPU && vm.load ? Math.max(reservation, leastCpu(vm.load)) : reservation;
}

/** Most CPU that a VM can use on a host, never below what it needs. */
export function mostCpu(host: HostCapacity, vm: PlanVm): number {
  return Math.max(limitOn(host, vm, CPU), needOf(vm, CPU));
}

/** Whether a VM could be left out. */
export function mayStayOut(problem: PlanProblem, vm: PlanVm): boolean {
  return problem.objective === "work" && vm.optional;
}

/** Cost of the hosts in use and of VMs being where they are. `hostOf[i]`: index of VM i's host, undefined if left out. */
export function placementCost(problem: PlanProblem, hostOf: readonly (number | undefined)[]): number {
  const used = new Set(hostOf.filter((h) => h !== undefined));
  let cost = 0;
  for (const h of used) cost += problem.hosts[h]?.cost ?? 0;
  problem.vms.forEach((vm, i) => {
    const h = hostOf[i];
    if (h !== undefined) cost += vm.placementCost[problem.hosts[h]?.name ?? ""] ?? 0;
  });
  return cost;
}
