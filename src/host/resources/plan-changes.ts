// What a what-if changes: one plan beside another.
import type { Plan } from "./plan.ts";

export interface Change<T> {
  readonly before: T;
  readonly after: T;
}

export interface VmChange {
  readonly name: string;
  readonly kind: "added" | "removed" | "changed";
  /** Where it is moved; undefined in it for a VM that is left out. */
  readonly host?: Change<string | undefined>;
  /** Amounts that differ, by resource. */
  readonly sizes: Readonly<Record<string, Change<number>>>;
  readonly latencySeconds?: Change<number | undefined>;
}

export interface PlanChanges {
  /** Comparable only if both plans have the same objective. */
  readonly value: Change<number>;
  readonly cost: Change<number>;
  readonly meanLatencySeconds: Change<number | undefined>;
  readonly hostsUsed: Change<number>;
  /** VMs that differ, in the order of the new plan, then those that are gone. */
  readonly vms: readonly VmChange[];
}

/** Amounts that differ by less are the same: two optima add up their fractions in different orders. */
const SAME = 1e-6;

export function comparePlans(before: Plan, after: Plan): PlanChanges {
  const old = new Map(before.vms.map((vm) => [vm.name, vm]));
  const vms = after.vms.flatMap((vm): VmChange[] => {
    const was = old.get(vm.name);
    if (!was) return [{ name: vm.name, kind: "added", host: { before: undefined, after: vm.host }, sizes: {} }];
    const sizes = Object.fromEntries(
      Object.keys({ ...was.sizes, ...vm.sizes })
        .map((resource) => [resource, { before: was.sizes[resource] ?? 0, after: vm.sizes[resource] ?? 0 }] as const)
        .filter(([, size]) => !same(size.before, size.after)),
    );
    const moved = was.host !== vm.host;
    const slower = !same(was.latencySeconds ?? 0, vm.latencySeconds ?? 0);
    if (!moved && !slower && Object.keys(sizes).length === 0) return [];
    return [
      {
        name: vm.name,
        kind: "changed",
        ...(moved ? { host: { before: was.host, after: vm.host } } : {}),
        sizes,
        ...(slower ? { latencySeconds: { before: was.latencySeconds, after: vm.latencySeconds } } : {}),
      },
    ];
  });
  const here = new Set(after.vms.map((vm) => vm.name));
  const gone = before.vms
    .filter((vm) => !here.has(vm.name))
    .map(
      (vm): VmChange => ({ name: vm.name, kind: "removed", host: { before: vm.host, after: undefined }, sizes: {} }),
    );
  return {
    value: { before: before.value, after: after.value },
    cost: { before: before.cost, after: after.cost },
    meanLatencySeconds: { before: before.meanLatencySeconds, after: after.meanLatencySeconds },
    hostsUsed: { before: hostsUsed(before), after: hostsUsed(after) },
    vms: [...vms, ...gone],
  };
}

function same(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b));
}

function hostsUsed(plan: Plan): number {
  return plan.hosts.filter((host) => host.vms.length > 0).length;
}
