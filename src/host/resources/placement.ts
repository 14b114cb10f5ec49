// Solves a placement: the program of placement-model.ts, made exact where floating point and straight lines are not.
//
// - The solver holds capacities to a part in 10^9, which of many gigabytes is more than a page. So every solution is added
//   up exactly; VMs that do not fit together become a cut (not all of them on that host), and the program is solved again.
// - Response times are convex, not linear. They start as a few tangents, which bound them from below; each placement found
//   is then sized exactly (leastDelayCost), which bounds the optimum from above, and its tangents are added, until the
//   bounds meet: outer approximation (Duran, Grossmann, Mathematical Programming 36, 1986). No placement comes up twice, so it ends.
import { offeredLoad, responseSeconds } from "./delay.ts";
import { type SolveOptions, solve, withDeadline } from "./linear-model.ts";
import { CPU, capacityOf, fits, limitBudget, limitOn, resourceNames } from "./model.ts";
import { type Cover, delayMatters, type Family, placementModel, type Tangent } from "./placement-model.ts";
import { needOf, type PlanProblem, placementCost } from "./problem.ts";
import { cpuForDelay, cpuForWork } from "./sizing.ts";

export interface Placement {
  /** Index of each VM's host; undefined for a VM that is left out. */
  readonly hostOf: readonly (number | undefined)[];
  /** In the objective's own sense: cost and delay are least, work is most. */
  readonly objective: number;
  /** How far from the true optimum it may be, relative; 0 but for the objective `delay`. */
  readonly gap: number;
  /** Programs solved. */
  readonly programs: number;
}

/** Bounds that are this near count as met: what is left is the solver's own tolerance. */
const GAP = 1e-7;
/** First tangents of a response time, spread evenly over the logarithm of its range. */
const FIRST_TANGENTS = 6;

/** The best placement, or undefined when there is none (explainInfeasible says why). Throws as solve. */
export async function place(problem: PlanProblem, options: SolveOptions = {}): Promise<Placement | undefined> {
  const limited = withDeadline(options);
  const covers: Cover[] = [];
  const tangents = problem.objective === "delay" ? firstTangents(problem) : [];
  const seen = new Set<string>();
  let best: Placement | undefined;
  for (let programs = 1; ; programs++) {
    const found = await solveExactly(problem, covers, tangents, [], limited);
    if (found === undefined) return undefined;
    programs += found.programs - 1;
    const { hostOf } = found;
    if (problem.objective === "cost") {
      return { hostOf, objective: placementCost(problem, hostOf), gap: 0, programs };
    }
    if (problem.objective === "work") return { hostOf, objective: workOf(problem, hostOf), gap: 0, programs };
    // P's fixed parts are paid in any case; the program leaves them out.
    const fixed = problem.vms.reduce((sum, vm) => sum + vm.delayCost.fixed, 0);
    const { objective, cpu } = delayOf(problem, hostOf);
    const lowest = found.objective + fixed;
    if (best === undefined || objective < best.objective) best = { hostOf, objective, gap: 0, programs };
    const gap = Math.max(0, best.objective - lowest) / Math.max(Math.abs(best.objective), Number.MIN_VALUE);
    const key = hostOf.join();
    // A placement that comes again has its tangents already: the bounds are as near as the solver's tolerances let them be.
    if (gap <= GAP || seen.has(key)) return { ...best, gap, programs };
    seen.add(key);
    tangents.push(...cpu);
  }
}

/**
 * Solves, adds up exactly, cuts, until the solution holds to the byte. `elastic` families may be missed; `objective` is then
 * by how much, as the program scales it.
 */
export async function solveExactly(
  problem: PlanProblem,
  covers: Cover[],
  tangents: readonly Tangent[],
  elastic: readonly Family[],
  options: SolveOptions,
): Promise<{ hostOf: (number | undefined)[]; objective: number; programs: number } | undefined> {
  const limited = withDeadline(options);
  for (let programs = 1; ; programs++) {
    const { model, placed } = placementModel(problem, covers, tangents, elastic);
    const solution = await solve(model, limited);
    if (solution === undefined) return undefined;
    const hostOf = placed.map((columns) => {
      const h = columns.findIndex((column) => column !== undefined && solution.values[column] === 1);
      return h < 0 ? undefined : h;
    });
    const more = overfull(problem, hostOf, elastic);
    if (more.length === 0) return { hostOf, objective: solution.objective, programs };
    covers.push(...more);
  }
}

/** Hosts whose VMs do not fit, by exact arithmetic. */
function overfull(problem: PlanProblem, hostOf: readonly (number | undefined)[], elastic: readonly Family[]): Cover[] {
  const covers: Cover[] = [];
  const soft = (kind: Family["kind"], resource: string): boolean =>
    elastic.some((family) => family.kind === kind && (!("resource" in family) || family.resource === resource)) ||
    (resource === CPU && elastic.some(({ kind: k }) => k === "throughput"));
  problem.hosts.forEach((host, h) => {
    const here = problem.vms.flatMap((_, i) => (hostOf[i] === h ? [i] : []));
    const tooMuch = resourceNames([host], problem.vms).some((resource) => {
      const total = (amount: (i: number) => number): number => here.reduce((sum, i) => sum + amount(i), 0);
      const needs = total((i) => needOf(problem.vms[i]!, resource));
      const limits = total((i) => limitOn(host, problem.vms[i]!, resource));
      return (
        (!soft("capacity", resource) && !fits(resource, needs, capacityOf(host, resource))) ||
        (!soft("overcommit", resource) && !fits(resource, limits, limitBudget(host, resource)))
      );
    });
    if (tooMuch) covers.push({ host: h, vms: here });
  });
  return covers;
}

/** Weighted work of a placement, sized to do most. */
function workOf(problem: PlanProblem, hostOf: readonly (number | undefined)[]): number {
  let total = 0;
  problem.hosts.forEach((host, h) => {
    const vms = problem.vms.filter((_, i) => hostOf[i] === h);
    cpuForWork(host, vms, problem.timeSeconds).forEach((cpu, i) => {
      const { cpuSeconds, weight } = vms[i]!.work;
      total += weight * Math.min(cpuSeconds, cpu * problem.timeSeconds);
    });
  });
  return total;
}

/** Delay cost of a placement, sized to cost least, and the sizes as points for tangents. */
function delayOf(problem: PlanProblem, hostOf: readonly (number | undefined)[]): { objective: number; cpu: Tangent[] } {
  let objective = 0;
  const points: Tangent[] = [];
  problem.hosts.forEach((host, h) => {
    const here = problem.vms.flatMap((vm, i) => (hostOf[i] === h ? [{ vm, i }] : []));
    const sizes = cpuForDelay(
      host,
      here.map(({ vm }) => vm),
    );
    here.forEach(({ vm, i }, k) => {
      const cpu = sizes[k] ?? 0;
      objective += vm.delayCost.fixed;
      if (!vm.load || !delayMatters(vm)) return;
      objective += vm.delayCost.perSecond * responseSeconds(vm.load, cpu);
      points.push({ vm: i, cpu });
    });
  });
  return { objective, cpu: points };
}

function firstTangents(problem: PlanProblem): Tangent[] {
  const most = Math.max(...problem.hosts.map((host) => capacityOf(host, CPU)));
  return problem.vms.flatMap((vm, i): Tangent[] => {
    if (!vm.load || !delayMatters(vm)) return [];
    const offered = offeredLoad(vm.load);
    const least = needOf(vm, CPU) - offered;
    const reach = Math.max(1, (Math.min(most, vm.resources[CPU]?.limit ?? most) - offered) / least);
    return Array.from({ length: FIRST_TANGENTS }, (_, k) => ({
      vm: i,
      cpu: offered + least * reach ** (k / (FIRST_TANGENTS - 1)),
    }));
  });
}
