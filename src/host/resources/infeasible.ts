// Why there is no plan: each family of constraints is made elastic by itself, and the least by which it must be missed is
// what would have to be changed there, everything else as it is. Where no family alone helps, all are elastic at once.
import { type SolveOptions, withDeadline } from "./linear-model.ts";
import { CPU, capacityOf, claimOf, formatAmount, limitBudget, limitOn } from "./model.ts";
import { solveExactly } from "./placement.ts";
import { type Family, familiesOf } from "./placement-model.ts";
import { needOf, type PlanProblem } from "./problem.ts";

export interface Remedy {
  /** "capacity of memory", "anti-affinity"... */
  readonly family: string;
  /** One sentence: the least that must change. */
  readonly sentence: string;
  /** In the resource's unit for capacity, overcommit and throughput; a count of VMs or pairs otherwise. */
  readonly missing: number;
}

export interface Explanation {
  /** Changing any one of these is enough. Empty when no single family is at fault. */
  readonly anyOf: readonly Remedy[];
  /** Where `anyOf` is empty: these together. */
  readonly together: readonly Remedy[];
}

/** For a problem without a placement. Throws as solve. */
export async function explainInfeasible(problem: PlanProblem, options: SolveOptions = {}): Promise<Explanation> {
  const families = familiesOf(problem);
  const limited = withDeadline(options);
  const anyOf: Remedy[] = [];
  for (const family of families) {
    const found = await solveExactly(problem, [], [], [family], limited);
    if (found) anyOf.push(...missed(problem, found.hostOf, [family]));
  }
  if (anyOf.length > 0) return { anyOf, together: [] };
  const found = await solveExactly(problem, [], [], families, limited);
  return { anyOf, together: found ? missed(problem, found.hostOf, families) : [] };
}

/** The explanation as one sentence. */
export function describeExplanation({ anyOf, together }: Explanation): string {
  const list = (remedies: readonly Remedy[], word: string): string =>
    remedies.map(({ family, sentence }) => `${family} (${sentence})`).join(` ${word} `);
  if (anyOf.length > 0) return `what stands in the way is ${list(anyOf, "or")}`;
  if (together.length > 0) return `what stands in the way is, together, ${list(together, "and")}`;
  return "no single constraint can be blamed";
}

/** What a placement misses of `families`, by exact arithmetic. */
function missed(problem: PlanProblem, hostOf: readonly (number | undefined)[], families: readonly Family[]): Remedy[] {
  return families.flatMap((family): Remedy[] => {
    switch (family.kind) {
      case "capacity":
        return amounts(problem, hostOf, family.resource, `capacity of ${family.resource}`, "is missing", (h) =>
          over(
            problem,
            hostOf,
            h,
            (i) => needOf(problem.vms[i]!, family.resource),
            (host) => capacityOf(host, family.resource),
          ),
        );
      case "overcommit":
        return amounts(
          problem,
          hostOf,
          family.resource,
          `overcommitment of ${family.resource}`,
          "of limits is too much",
          (h) =>
            over(
              problem,
              hostOf,
              h,
              (i) => limitOn(problem.hosts[h]!, problem.vms[i]!, family.resource),
              (host) => limitBudget(host, family.resource),
            ),
        );
      case "throughput":
        return amounts(problem, hostOf, CPU, "throughput", "of CPU for the requests is missing", (h) => {
          const reserved = over(
            problem,
            hostOf,
            h,
            (i) => claimOf(problem.vms[i]!, CPU).reservation,
            (host) => capacityOf(host, CPU),
          );
          const needed = over(
            problem,
            hostOf,
            h,
            (i) => needOf(problem.vms[i]!, CPU),
            (host) => capacityOf(host, CPU),
          );
          return needed - reserved;
        });
      case "affinity":
        return count("affinity", apart(problem, hostOf), "must be apart");
      case "anti-affinity":
        return count("anti-affinity", crowded(problem, hostOf), "must share a host");
      case "pinning":
        return count("pinning", strayed(problem, hostOf), "must leave its host");
    }
  });
}

function amounts(
  problem: PlanProblem,
  hostOf: readonly (number | undefined)[],
  resource: string,
  family: string,
  what: string,
  missingOn: (host: number) => number,
): Remedy[] {
  if (hostOf.length === 0) return [];
  const byHost = problem.hosts.map((host, h) => ({ name: host.name, missing: missingOn(h) }));
  const short = byHost.filter(({ missing }) => missing > 0);
  if (short.length === 0) return [];
  const missing = short.reduce((sum, one) => sum + one.missing, 0);
  const where = short.map((one) => `${formatAmount(resource, one.missing)} on ${one.name}`).join(", ");
  return [{ family, sentence: `at least ${formatAmount(resource, missing)} ${what}: ${where}`, missing }];
}

function over(
  problem: PlanProblem,
  hostOf: readonly (number | undefined)[],
  h: number,
  amount: (vm: number) => number,
  capacity: (host: PlanProblem["hosts"][number]) => number,
): number {
  const used = problem.vms.reduce((sum, _, i) => sum + (hostOf[i] === h ? amount(i) : 0), 0);
  const missing = used - capacity(problem.hosts[h]!);
  // What the solver's tolerance lets through is not missing.
  return missing > 1e-9 * Math.max(1e-3, used) ? missing : 0;
}

function count(family: string, who: readonly string[], what: string): Remedy[] {
  return who.length === 0 ? [] : [{ family, sentence: `${who.join(", ")} ${what}`, missing: who.length }];
}

function apart(problem: PlanProblem, hostOf: readonly (number | undefined)[]): string[] {
  const host = new Map(problem.vms.map((vm, i) => [vm.name, hostOf[i]]));
  return problem.affinity.flatMap((group) =>
    group.slice(1).flatMap((name, k) => (host.get(name) === host.get(group[k]!) ? [] : [`${group[k]} and ${name}`])),
  );
}

function crowded(problem: PlanProblem, hostOf: readonly (number | undefined)[]): string[] {
  const host = new Map(problem.vms.map((vm, i) => [vm.name, hostOf[i]]));
  return problem.antiAffinity.flatMap((group) =>
    group.flatMap((name, k) => {
      const other = group.slice(0, k).find((before) => host.get(before) === host.get(name));
      return other === undefined || host.get(name) === undefined ? [] : [`${other} and ${name}`];
    }),
  );
}

function strayed(problem: PlanProblem, hostOf: readonly (number | undefined)[]): string[] {
  return problem.vms.flatMap((vm, i) => {
    const on = problem.hosts[hostOf[i] ?? -1]?.name;
    return vm.pinned === undefined || on === undefined || on === vm.pinned ? [] : [vm.name];
  });
}
