// Weighted max-min fairness by water-filling, the kernel under every allocation strategy: a common level rises, each
// claimant's amount follows it, and it stops when the capacity is used up.
import { VmError } from "../../vmm/error.ts";

/**
 * How one claimant's amount follows the level L: weight * L up to `knee`, from there on `weight / tax` a unit of level,
 * and never below `floor` or above `ceiling`. Without a knee: clamp(weight * L, floor, ceiling).
 */
export interface Claimant {
  readonly floor: number;
  readonly ceiling: number;
  /** Above 0. */
  readonly weight: number;
  readonly knee?: number;
  /** At least 1. */
  readonly tax?: number;
}

/**
 * Divides `capacity`: the amounts sum up to it, or to all ceilings where these are less. No claimant below its ceiling
 * could get more without another one at or below its level getting less. Throws VmError("admission") when the floors
 * alone exceed the capacity.
 */
export function waterFill(capacity: number, claimants: readonly Claimant[]): number[] {
  const floors = sum(claimants.map(({ floor }) => floor));
  if (floors > capacity * (1 + 1e-8)) {
    throw new VmError("admission", `Reservations of ${floors} exceed the capacity of ${capacity}; admit fewer VMs.`, {
      capacity,
      reserved: floors,
      missing: floors - capacity,
    });
  }
  // Where a slope changes. The sum of the amounts grows linearly between neighbours.
  const levels = claimants
    .flatMap((claimant) => [claimant.floor, claimant.ceiling, claimant.knee ?? claimant.floor].map(levelIn(claimant)))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const total = (level: number): number => sum(claimants.map((claimant) => amountAt(claimant, level)));

  let [low, high] = [-1, levels.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (total(levels[middle] ?? 0) <= capacity) low = middle;
    else high = middle;
  }
  const base = low < 0 ? 0 : (levels[low] ?? 0);
  const slope = sum(claimants.map((claimant) => slopeAbove(claimant, base)));
  const level = slope > 0 ? base + Math.max(0, capacity - total(base)) / slope : base;
  return claimants.map((claimant) => amountAt(claimant, level));
}

function amountAt({ floor, ceiling, weight, knee = Infinity, tax = 1 }: Claimant, level: number): number {
  const untaxed = weight * level;
  const amount = untaxed <= knee ? untaxed : knee + (untaxed - knee) / tax;
  return Math.min(Math.max(amount, floor), ceiling);
}

/** The level at which the claimant's amount, without floor and ceiling, is `amount`. */
const levelIn =
  ({ weight, knee = Infinity, tax = 1 }: Claimant) =>
  (amount: number): number =>
    (amount <= knee ? amount : knee + (amount - knee) * tax) / weight;

function slopeAbove(claimant: Claimant, level: number): number {
  const { floor, ceiling, weight, knee = Infinity, tax = 1 } = claimant;
  const toLevel = levelIn(claimant);
  if (level < toLevel(floor) || level >= toLevel(ceiling)) return 0;
  return level < toLevel(knee) ? weight : weight / tax;
}

/**
 * Makes amounts whole multiples of `unit` without giving out more than before: all are rounded down, and the units that
 * this sets free go to the largest remainders, the first of equals first. Multiples stay as they are.
 */
export function toUnits(amounts: readonly number[], unit: number): number[] {
  if (unit === 0) return [...amounts];
  const whole = amounts.map((amount) => Math.floor(amount / unit) * unit);
  // A thousandth: sums of fractions may come out a little below the whole number that they are.
  const free = Math.floor((sum(amounts) - sum(whole)) / unit + 1e-3);
  amounts
    .map((amount, i) => ({ i, remainder: amount - (whole[i] ?? 0) }))
    .filter(({ remainder }) => remainder > 0)
    .sort((a, b) => b.remainder - a.remainder || a.i - b.i)
    .slice(0, free)
    .forEach(({ i }) => {
      whole[i] = (whole[i] ?? 0) + unit;
    });
  return whole;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
