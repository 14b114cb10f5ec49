// A plan: who is on which host with how much of what, what that costs, and how well hosts and VMs fare.
import { VmError } from "../../vmm/error.ts";
import { responseSeconds } from "./delay.ts";
import { describeExplanation, explainInfeasible } from "./infeasible.ts";
import { type SolveOptions, withDeadline } from "./linear-model.ts";
import { CPU, capacityOf, limitOn, resourceNames } from "./model.ts";
import { place } from "./placement.ts";
import { needOf, type PlanProblem, placementCost } from "./problem.ts";
import { sizesOn } from "./sizing.ts";
import type { StrategyName } from "./strategies.ts";

export interface PlanOptions extends SolveOptions {
  readonly strategy: StrategyName;
  /** For the dynamic strategy; see dynamicAllocation. */
  readonly idleTax?: number;
}

export interface PlannedVm {
  readonly name: string;
  /** Undefined for a VM that is left out (objective `work`). */
  readonly host: string | undefined;
  /** By resource, in its unit; memory in whole pages: the balloon's target. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Mean response time by the delay model, for VMs with a load; Infinity where its queue would grow without bound. */
  readonly latencySeconds: number | undefined;
}

export interface ResourceUse {
  readonly resource: string;
  readonly capacity: number;
  /** Held back for needs. */
  readonly reserved: number;
  readonly allocated: number;
  /** Sum of the VMs' limits, each as far as the host goes. */
  readonly limits: number;
  /** allocated / capacity, 0 to 1. */
  readonly utilisation: number;
}

export interface Plan {
  readonly objective: PlanProblem["objective"];
  readonly strategy: StrategyName;
  /** What the objective came to. */
  readonly value: number;
  /** See Placement. */
  readonly gap: number;
  /** Cost of hosts and placements, whatever the objective. */
  readonly cost: number;
  readonly hosts: readonly {
    readonly name: string;
    readonly vms: readonly string[];
    readonly use: readonly ResourceUse[];
  }[];
  readonly vms: readonly PlannedVm[];
  /** Largest over smallest allocation among the placed VMs that have any, by resource. */
  readonly scalability: Readonly<Record<string, number>>;
  /** Mean over the requests of all VMs with a load, seconds; undefined without such VMs. */
  readonly meanLatencySeconds: number | undefined;
}

/**
 * The optimal plan. Throws VmError("admission") when there is none, saying which family of constraints is in the way and
 * what is missing at least (`details.explanation`); else as solve.
 */
export async function plan(problem: PlanProblem, options: PlanOptions): Promise<Plan> {
  const limited = withDeadline(options);
  const placement = await place(problem, limited);
  if (placement === undefined) {
    const explanation = await explainInfeasible(problem, limited);
    throw new VmError("admission", `This fleet has no placement: ${describeExplanation(explanation)}.`, {
      explanation,
    });
  }
  const { hostOf } = placement;
  const names = resourceNames(problem.hosts, problem.vms);
  const sizes = problem.vms.map((): Record<string, number> => ({}));
  const hosts = problem.hosts.map((host, h) => {
    const here = problem.vms.flatMap((_, i) => (hostOf[i] === h ? [i] : []));
    const vms = here.map((i) => problem.vms[i]!);
    sizesOn(host, vms, names, { ...options, ...problem }).forEach((size, k) => {
      sizes[here[k]!] = size;
    });
    const total = (amount: (i: number) => number): number => here.reduce((sum, i) => sum + amount(i), 0);
    const use = Object.keys(host.capacity)
      .sort((a, b) => names.indexOf(a) - names.indexOf(b))
      .map((resource): ResourceUse => {
        const capacity = capacityOf(host, resource);
        const allocated = total((i) => sizes[i]![resource] ?? 0);
        return {
          resource,
          capacity,
          reserved: total((i) => needOf(problem.vms[i]!, resource)),
          allocated,
          limits: total((i) => limitOn(host, problem.vms[i]!, resource)),
          utilisation: capacity > 0 ? allocated / capacity : 0,
        };
      });
    return { name: host.name, vms: vms.map((vm) => vm.name), use };
  });
  const vms = problem.vms.map((vm, i): PlannedVm => {
    const h = hostOf[i];
    const placed = h !== undefined;
    return {
      name: vm.name,
      host: placed ? problem.hosts[h]?.name : undefined,
      sizes: Object.fromEntries(names.filter((name) => vm.resources[name]).map((name) => [name, sizes[i]![name] ?? 0])),
      latencySeconds: placed && vm.load ? responseSeconds(vm.load, sizes[i]![CPU] ?? 0) : undefined,
    };
  });
  return {
    objective: problem.objective,
    strategy: options.strategy,
    value: placement.objective,
    gap: placement.gap,
    cost: placementCost(problem, hostOf),
    hosts,
    vms,
    scalability: scalability(names, vms),
    meanLatencySeconds: meanLatency(problem, vms),
  };
}

function scalability(names: readonly string[], vms: readonly PlannedVm[]): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const name of names) {
    const amounts = vms.map((vm) => (vm.host === undefined ? 0 : (vm.sizes[name] ?? 0))).filter((amount) => amount > 0);
    if (amounts.length > 0) ratios[name] = Math.max(...amounts) / Math.min(...amounts);
  }
  return ratios;
}

function meanLatency(problem: PlanProblem, vms: readonly PlannedVm[]): number | undefined {
  let requests = 0;
  let seconds = 0;
  problem.vms.forEach((vm, i) => {
    const latency = vms[i]?.latencySeconds;
    if (latency === undefined || !vm.load || vm.load.requestsPerSecond === 0) return;
    requests += vm.load.requestsPerSecond;
    seconds += vm.load.requestsPerSecond * latency;
  });
  return requests > 0 ? seconds / requests : undefined;
}
