// Admission: a host takes a VM only if it can keep its promises. Reservations are promises, so they are never
// overcommitted; limits are not, so they may add up to more than there is, as far as the host's `overcommit` allows.
import { VmError } from "../../vmm/error.ts";
import { claimOf, fits, formatAmount, type HostCapacity, limitBudget, limitOn, type VmClaims } from "./model.ts";

/** Why a VM does not fit. Amounts in the resource's unit. */
export interface Shortage {
  readonly resource: string;
  /** Reservations exceed the capacity, or limits exceed the overcommitted capacity. */
  readonly of: "reservation" | "limit";
  /** What may be given away in all. */
  readonly capacity: number;
  /** What the VMs that are there have. */
  readonly committed: number;
  readonly wanted: number;
  /** committed + wanted - capacity, above 0. */
  readonly missing: number;
}

/** What is missing for `candidate` beside `existing` on `host`; empty when it fits. */
export function shortages(host: HostCapacity, existing: readonly VmClaims[], candidate: VmClaims): Shortage[] {
  const others = existing.filter((vm) => vm.name !== candidate.name);
  const found: Shortage[] = [];
  const test = (resource: string, of: Shortage["of"], capacity: number, claimed: (vm: VmClaims) => number): void => {
    const wanted = claimed(candidate);
    if (wanted === 0) return;
    const committed = others.reduce((sum, vm) => sum + claimed(vm), 0);
    if (fits(resource, committed + wanted, capacity)) return;
    found.push({ resource, of, capacity, committed, wanted, missing: committed + wanted - capacity });
  };
  for (const resource of Object.keys(candidate.resources)) {
    test(resource, "reservation", host.capacity[resource] ?? 0, (vm) => claimOf(vm, resource).reservation);
    test(resource, "limit", limitBudget(host, resource), (vm) => limitOn(host, vm, resource));
  }
  return found;
}

/**
 * Throws VmError("admission") when `host` cannot hold what `candidate` reserves beside `existing`, with every shortage in
 * `details.shortages`. A VM of the candidate's name among `existing` is taken to be the candidate with its old claims,
 * so that a change of claims is admitted by the same call.
 */
export function admit(host: HostCapacity, existing: readonly VmClaims[], candidate: VmClaims): void {
  const found = shortages(host, existing, candidate);
  if (found.length === 0) return;
  const reasons = found.map((shortage) => {
    const show = (amount: number): string => formatAmount(shortage.resource, amount);
    const what = shortage.of === "reservation" ? "reserved" : "allowed by limits, with overcommitment";
    const free = show(Math.max(0, shortage.capacity - shortage.committed));
    return `${shortage.resource} lacks ${show(shortage.missing)} (${show(shortage.wanted)} wanted, ${free} of ${show(shortage.capacity)} can still be ${what})`;
  });
  throw new VmError("admission", `VM ${candidate.name} does not fit on host ${host.name}: ${reasons.join("; ")}.`, {
    host: host.name,
    vm: candidate.name,
    shortages: found,
  });
}
