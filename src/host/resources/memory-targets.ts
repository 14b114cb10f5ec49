// Memory while VMs run: working sets become balloon targets, a step at a time. The dynamic strategy says where to go; this
// says how fast. Nothing here knows the balloon: it sees what guests hold and says what they should hold.
import { refuse } from "../../vmm/check-values.ts";
import { PAGE_BYTES, type ResourceClaim } from "./model.ts";
import { dynamicAllocation, IDLE_TAX } from "./strategies.ts";
import { toUnits, waterFill } from "./water-fill.ts";

export interface MemoryTargetOptions {
  /** 0 to below 1; see dynamicAllocation. Default 0.75. */
  readonly idleTax?: number;
  /** Most that a target moves in a second, bytes. Default 256 MiB. */
  readonly slewBytesPerSecond?: number;
  /** A target nearer to the wish than this part of it stays: guests are not bothered for noise. Default 0.02. */
  readonly hysteresis?: number;
}

export interface BalloonedVm {
  /** reservation and limit in whole pages; demand: see WorkingSet. */
  readonly claim: ResourceClaim;
  /** What the guest holds now: RAM less balloon, bytes. */
  readonly heldBytes: number;
  /** What it was told to hold. */
  readonly targetBytes: number;
}

const DEFAULT_SLEW = 256 * 2 ** 20;
const DEFAULT_HYSTERESIS = 0.02;

/**
 * The next target of each VM, bytes, whole pages, from reservation to limit (as far as the VM is there yet). Memory that
 * one guest is to get must first have been given back by another: however guests obey, what they hold or may take up
 * to their targets never exceeds `capacityBytes`, if it did not before. Throws as dynamicAllocation.
 */
export function nextMemoryTargets(
  capacityBytes: number,
  vms: readonly BalloonedVm[],
  seconds: number,
  options: MemoryTargetOptions = {},
): number[] {
  const slew = options.slewBytesPerSecond ?? DEFAULT_SLEW;
  const hysteresis = options.hysteresis ?? DEFAULT_HYSTERESIS;
  if (!(slew > 0)) refuse("slewBytesPerSecond", slew, "a number above 0");
  if (!(hysteresis >= 0 && hysteresis < 1)) refuse("hysteresis", hysteresis, "a number from 0 to below 1");
  const wishes = dynamicAllocation(
    capacityBytes,
    vms.map(({ claim }) => claim),
    PAGE_BYTES,
    options.idleTax ?? IDLE_TAX,
  );
  const step = Math.max(PAGE_BYTES, Math.floor((slew * seconds) / PAGE_BYTES) * PAGE_BYTES);
  const wanted = vms.map(({ targetBytes, claim }, i) => {
    const wish = wishes[i] ?? targetBytes;
    const inRange = targetBytes >= claim.reservation && targetBytes <= claim.limit;
    if (inRange && Math.abs(wish - targetBytes) <= hysteresis * wish) return targetBytes;
    return Math.min(Math.max(wish, targetBytes - step), targetBytes + step);
  });
  // What a guest holds, or takes at any moment because its target said so, is spoken for; a target that this step lowers
  // frees memory for others in the next one, once the guest has been told and looked at again.
  const spoken = vms.map(
    ({ heldBytes, targetBytes }) => Math.ceil(Math.max(heldBytes, targetBytes) / PAGE_BYTES) * PAGE_BYTES,
  );
  const free = Math.max(0, capacityBytes - spoken.reduce((sum, bytes) => sum + bytes, 0));
  const growth = toUnits(
    waterFill(
      free,
      vms.map(({ claim }, i) => ({
        floor: 0,
        ceiling: Math.max(0, (wanted[i] ?? 0) - (spoken[i] ?? 0)),
        weight: claim.shares,
      })),
    ),
    PAGE_BYTES,
  );
  return vms.map(({ targetBytes }, i) => {
    const aim = wanted[i] ?? targetBytes;
    if (aim <= targetBytes) return aim;
    return Math.min(aim, Math.max(targetBytes, (spoken[i] ?? 0) + (growth[i] ?? 0)));
  });
}

/**
 * A working set from samples: the largest of the sample, a fast and a slow moving average, so that it follows a
 * growing guest at once and a shrinking one slowly (Waldspurger 2002, section 5.3).
 */
export class WorkingSet {
  #fast: number | undefined;
  #slow: number | undefined;
  #latest = 0;

  constructor(
    private readonly fastSeconds = 30,
    private readonly slowSeconds = 300,
  ) {}

  /** `activeBytes`: touched in the last `seconds`. */
  sample(activeBytes: number, seconds: number): void {
    const follow = (average: number | undefined, time: number): number =>
      average === undefined ? activeBytes : average + (activeBytes - average) * (1 - Math.exp(-seconds / time));
    this.#fast = follow(this.#fast, this.fastSeconds);
    this.#slow = follow(this.#slow, this.slowSeconds);
    this.#latest = activeBytes;
  }

  /** Bytes; undefined before the first sample. */
  get bytes(): number | undefined {
    if (this.#fast === undefined || this.#slow === undefined) return undefined;
    return Math.max(this.#latest, this.#fast, this.#slow);
  }
}
