// Reservations of CPU on one pCPU, as weights: whoever shares by weight then gives everybody at least what is held for it.
import { waterFill } from "../resources/water-fill.ts";
import { MAX_WEIGHT } from "./parameters.ts";
import type { SchedParameters } from "./policy.ts";

/**
 * The weight with which each is to be scheduled. Without reservations the ones given. With them, the pCPU is divided by
 * weight as far as reservations and caps leave it, and the parts are the weights; reservations that together are more than
 * the pCPU are kept in proportion.
 */
export function reservedWeights(all: readonly SchedParameters[]): number[] {
  const held = all.map(({ reservation = 0 }) => Math.min(1, Math.max(0, reservation)));
  const sum = held.reduce((total, part) => total + part, 0);
  if (sum === 0) return all.map(({ weight }) => weight);
  const scale = Math.min(1, 1 / sum);
  const parts = waterFill(
    1,
    all.map(({ weight, capPercent }, i) => {
      const floor = (held[i] ?? 0) * scale;
      return { floor, ceiling: Math.max(floor, capPercent > 0 ? capPercent / 100 : 1), weight };
    }),
  );
  // Rounded up, so that nobody falls below what is held for it by more than one in MAX_WEIGHT.
  return parts.map((part) => Math.min(MAX_WEIGHT, Math.max(1, Math.ceil(part * (MAX_WEIGHT - all.length)))));
}
