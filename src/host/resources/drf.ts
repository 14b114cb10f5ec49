// Dominant resource fairness (Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica: Dominant Resource Fairness, NSDI 2011),
// weighted and divisible: everybody's dominant share, the largest share it has of any resource, rises at the same pace
// until something that it needs is used up. Nobody is better off with 1/n of everything, with another's allocation,
// or by asking for other proportions than it needs, and nothing that anybody could use is left.
import { refuse } from "../../vmm/check-values.ts";

export interface DrfUser {
  /** What one task needs, by resource. At least one above 0. */
  readonly demand: Readonly<Record<string, number>>;
  /** Dominant shares are divided by this before they are compared. Default 1. */
  readonly weight?: number;
  /** More tasks are of no use. Default: no bound. */
  readonly maxTasks?: number;
}

export interface DrfAllocation {
  /** Tasks, fractions allowed. */
  readonly tasks: number;
  /** tasks * demand. */
  readonly amounts: Readonly<Record<string, number>>;
  /** Part of the capacity that it has of its dominant resource; 0 where a needed resource is not there. */
  readonly dominantShare: number;
}

/** Throws VmError("bad-config") for a negative capacity or demand, no demand at all, or a weight that is not above 0. */
export function dominantResourceFairness(
  capacity: Readonly<Record<string, number>>,
  users: readonly DrfUser[],
): DrfAllocation[] {
  check(capacity, users);
  const left = new Map(Object.entries(capacity));
  const dominant = users.map(({ demand }) =>
    Math.max(0, ...Object.entries(demand).map(([resource, need]) => (need > 0 ? need / (capacity[resource] ?? 0) : 0))),
  );
  // Tasks a unit of level: level is the weighted dominant share.
  const pace = users.map(({ weight = 1 }, i) => weight / (dominant[i] ?? 1));
  const tasks = users.map(() => 0);
  const rising = new Set(users.keys());
  const blocked = (i: number): boolean =>
    Object.entries(users[i]?.demand ?? {}).some(([resource, need]) => need > 0 && (left.get(resource) ?? 0) <= 0);
  for (const i of rising) if (blocked(i)) rising.delete(i);

  while (rising.size > 0) {
    const use = new Map<string, number>();
    for (const i of rising) {
      for (const [resource, need] of Object.entries(users[i]?.demand ?? {})) {
        if (need > 0) use.set(resource, (use.get(resource) ?? 0) + need * (pace[i] ?? 0));
      }
    }
    // How far the level may rise until a resource is used up, or a user has all its tasks.
    const runsOut = [...use].map(([resource, rate]) => ({ resource, rate, at: (left.get(resource) ?? 0) / rate }));
    const isDone = [...rising].map((i) => ({
      i,
      at: ((users[i]?.maxTasks ?? Infinity) - (tasks[i] ?? 0)) / (pace[i] ?? 0),
    }));
    const step = Math.min(...runsOut.map(({ at }) => at), ...isDone.map(({ at }) => at));
    // What ends this round ends exactly: a crumb left by rounding would be followed by a round of its own, for ever.
    const ends = (at: number): boolean => at <= step * (1 + 1e-12);
    for (const { resource, rate, at } of runsOut) {
      left.set(resource, ends(at) ? 0 : (left.get(resource) ?? 0) - step * rate);
    }
    for (const { i, at } of isDone) {
      tasks[i] = ends(at) ? (users[i]?.maxTasks ?? 0) : (tasks[i] ?? 0) + step * (pace[i] ?? 0);
      if (ends(at) || blocked(i)) rising.delete(i);
    }
  }
  return users.map(({ demand }, i) => {
    const count = tasks[i] ?? 0;
    return {
      tasks: count,
      amounts: Object.fromEntries(Object.entries(demand).map(([resource, need]) => [resource, need * count])),
      dominantShare: count === 0 ? 0 : count * (dominant[i] ?? 0),
    };
  });
}

function check(capacity: Readonly<Record<string, number>>, users: readonly DrfUser[]): void {
  for (const [resource, amount] of Object.entries(capacity)) {
    if (!(amount >= 0 && Number.isFinite(amount))) refuse(`capacity.${resource}`, amount, "a number from 0");
  }
  users.forEach(({ demand, weight = 1, maxTasks = 1 }, i) => {
    for (const [resource, need] of Object.entries(demand)) {
      if (!(need >= 0 && Number.isFinite(need))) refuse(`users[${i}].demand.${resource}`, need, "a number from 0");
    }
    if (!Object.values(demand).some((need) => need > 0)) refuse(`users[${i}].demand`, 0, "a need above 0");
    if (!(weight > 0 && Number.isFinite(weight))) refuse(`users[${i}].weight`, weight, "a number above 0");
    if (!(maxTasks >= 0)) refuse(`users[${i}].maxTasks`, maxTasks, "a number from 0");
  });
}
