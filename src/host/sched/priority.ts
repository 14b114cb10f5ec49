// Priorities, lowest number first, turns among equals. With aging, a waiting vCPU gains one level every `agingNs`, so every
// vCPU runs after at most (its level - the most urgent level) * agingNs and a round of its equals. Without (strict), the
// lower levels starve while a higher one is runnable.
import { KeyedContender, KeyedDiscipline } from "./discipline.ts";
import { sliceField } from "./parameters.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

const slice = sliceField("turn among equals, ns", 10_000_000);
export const STRICT_PRIORITY_OPTIONS = { sliceNs: slice } as const;
export const PRIORITY_OPTIONS = {
  sliceNs: slice,
  agingNs: { kind: "number", title: "wait that counts as one level, ns", min: 1000, max: 1e12, default: 10_000_000 },
} as const;

export class Priority extends KeyedDiscipline<KeyedContender> {
  readonly name: string;
  readonly #agingNs: Ns;

  /** `agingNs` Infinity: strict. */
  constructor(options: { readonly sliceNs: number; readonly agingNs: number }) {
    super(options.sliceNs);
    this.#agingNs = options.agingNs;
    this.name = options.agingNs === Infinity ? "priority-strict" : "priority";
  }

  contender(vcpu: VcpuId, parameters: SchedParameters): KeyedContender {
    return new KeyedContender(vcpu, parameters);
  }

  /**
   * The level at time t is priority - (t - now) / agingNs: all levels fall together, so what they are at t = 0 gives the
   * same order at any time and needs no updates. Until its slice is used up a vCPU keeps the age it was picked with, or a
   * stream of urgent wake-ups would take the turn from who waited for it.
   */
  protected keyOf(contender: KeyedContender, _cause: unknown, now: Ns): number {
    const { priority } = contender.parameters;
    return this.#agingNs === Infinity ? priority : priority * this.#agingNs + now;
  }
}
