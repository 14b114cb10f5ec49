// How one resource of one host is divided among its VMs: pure functions of the capacity and the VMs' claims. Each gives
// at least the reservation and at most the limit, and never more than the capacity in all.
import { refuse } from "../../vmm/check-values.ts";
import type { ResourceClaim } from "./model.ts";
import { toUnits, waterFill } from "./water-fill.ts";

export type StrategyName = "minimum" | "maximum" | "dynamic" | "drf";
export const STRATEGIES: readonly StrategyName[] = ["minimum", "maximum", "dynamic", "drf"];

/**
 * What an idle page costs more than a used one under the dynamic strategy, as ESX Server's default: an idle page is
 * charged as 1 / (1 - 0.75) = 4 used ones (Waldspurger, Memory Resource Management in VMware ESX Server, OSDI 2002,
 * section 5.2).
 */
export const IDLE_TAX = 0.75;

/** Each VM gets its reservation. Throws VmError("admission") when these exceed the capacity. */
export function minimumAllocation(capacity: number, claims: readonly ResourceClaim[]): number[] {
  return waterFill(
    capacity,
    claims.map(({ reservation, shares }) => ({ floor: reservation, ceiling: reservation, weight: shares })),
  );
}

/**
 * Everything is given out, as far as limits allow: amounts are proportional to shares where neither reservation nor
 * limit is in the way. Whole multiples of `unit`, if that is not 0. Throws VmError("admission") as minimumAllocation.
 */
export function maximumAllocation(capacity: number, claims: readonly ResourceClaim[], unit = 0): number[] {
  const amounts = waterFill(
    capacity,
    claims.map(({ reservation, limit, shares }) => ({ floor: reservation, ceiling: limit, weight: shares })),
  );
  return toUnits(amounts, unit);
}

/**
 * As maximum, but what a VM holds beyond its demand is charged 1 / (1 - tax) times: under pressure idle VMs give way to
 * busy ones, whose cost per share comes out equal, while shares still count among equally busy ones. Tax 0 is the maximum
 * strategy; the nearer to 1, the more is taken from the idle. A VM without a measured demand counts as busy.
 * Throws VmError("bad-config") for a tax outside 0 <= tax < 1, VmError("admission") as minimumAllocation.
 */
export function dynamicAllocation(
  capacity: number,
  claims: readonly ResourceClaim[],
  unit = 0,
  idleTax = IDLE_TAX,
): number[] {
  if (!(idleTax >= 0 && idleTax < 1)) refuse("idleTax", idleTax, "a number from 0 to below 1");
  const amounts = waterFill(
    capacity,
    claims.map(({ reservation, limit, shares, demand }) => ({
      floor: reservation,
      ceiling: limit,
      weight: shares,
      // ESX compares shares / (pages * (active + k * idle)), k = 1 / (1 - tax). Equal ratios are one common level L:
      // pages = shares * L up to the demand, and k times slower beyond it.
      ...(demand === undefined ? {} : { knee: demand, tax: 1 / (1 - idleTax) }),
    })),
  );
  return toUnits(amounts, unit);
}
