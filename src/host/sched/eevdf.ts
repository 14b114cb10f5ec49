// Earliest eligible virtual deadline first (Stoica and Abdel-Wahab 1995; Linux since 6.6). Each vCPU has its virtual time,
// nanoseconds run over weight; the queue's is their mean by weight. A vCPU that is not ahead of the mean is eligible, and
// of the eligible ones that runs whose slice would end first in virtual time. Lag, what the ideal fluid share gave minus
// what it got, stays within one slice either way; a vCPU that asks for short slices is served sooner, not more.
//
// Sleeping: who blocks while ahead keeps its virtual time and waits until the others have caught up; who blocks while
// behind has no use for the rest and joins at the mean. So nothing is gained by blocking and waking.
import { type Cause, Contender, type Discipline, type Leaving, type Standing } from "./discipline.ts";
import { Heap } from "./heap.ts";
import { sliceField } from "./parameters.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export const EEVDF_OPTIONS = { sliceNs: sliceField("slice, ns", 3_000_000) } as const;

export class VirtualContender extends Contender {
  /** Its virtual time: ns run for each unit of weight. */
  virtualNs = 0;
  virtualDeadlineNs = 0;
  /** Lag it brings along, until it competes. */
  carriedLagNs: Ns | undefined;
  competes = false;
  /** Interrupted within a slice, which it may finish although it is ahead by now. */
  resumes = false;
}

/** Virtual times are kept relative to a base near the mean; beyond this it is moved, long before doubles lose a nanosecond. */
const REBASE_NS = 1e12;

export class Eevdf<C extends VirtualContender = VirtualContender> implements Discipline<C> {
  readonly name: string = "eevdf";
  readonly migrates = true;
  readonly #sliceNs: Ns;
  readonly #eligible = new Heap<C>((a, b) =>
    a.virtualDeadlineNs === b.virtualDeadlineNs ? a.sequence < b.sequence : a.virtualDeadlineNs < b.virtualDeadlineNs,
  );
  readonly #ahead = new Heap<C>((a, b) =>
    a.virtualNs === b.virtualNs ? a.sequence < b.sequence : a.virtualNs < b.virtualNs,
  );
  /** The mean is #baseNs + #weighted / #weight, over all that compete. */
  #baseNs = 0;
  #weighted = 0;
  #weight = 0;
  /** The mean that lags refer to while a queue fills and nobody has run: those who move in together keep theirs. */
  #origin: number | undefined = 0;
  #sequence = 0;

  constructor(options: { readonly sliceNs: number }) {
    this.#sliceNs = options.sliceNs;
  }

  contender(vcpu: VcpuId, parameters: SchedParameters, _now: Ns, standing?: Standing): C {
    const contender = new VirtualContender(vcpu, parameters);
    this.join(contender, standing);
    return contender as C;
  }

  /** For disciplines that are made of this one and have contenders of their own. */
  join(contender: VirtualContender, standing?: Standing): void {
    contender.virtualNs = this.#mean();
    contender.carriedLagNs = standing?.lagNs;
  }

  admit(_contender: C, _parameters: SchedParameters): void {}
  dismiss(_contender: C): void {}

  insert(contender: C, cause: Cause, _now: Ns): void {
    const { weight } = contender.parameters;
    const joins = !contender.competes;
    if (joins) {
      this.#place(contender);
      contender.competes = true;
      this.#weighted += weight * (contender.virtualNs - this.#baseNs);
      this.#weight += weight;
    }
    contender.resumes = cause === "resume" && !joins;
    if (!contender.resumes) {
      contender.sequence = ++this.#sequence;
      contender.virtualDeadlineNs = contender.virtualNs + this.sliceOf(contender) / weight;
    }
    this.#queue(contender);
  }

  leave(contender: C, why: Leaving, _now: Ns): void {
    if (contender.heapIndex >= 0) this.hold(contender);
    // Who moves or gets another weight keeps its lag; who blocks keeps its virtual time.
    contender.carriedLagNs = why === "move" ? this.#lagNs(contender) : undefined;
    contender.competes = false;
    const mean = this.#mean();
    this.#weighted -= contender.parameters.weight * (contender.virtualNs - this.#baseNs);
    this.#weight -= contender.parameters.weight;
    if (this.#weight > 0) return;
    this.#weighted = 0;
    this.#baseNs = mean;
    this.#origin = mean;
  }

  best(_now: Ns): C | undefined {
    const mean = this.#mean();
    for (let next = this.#ahead.top; next && next.virtualNs <= mean; next = this.#ahead.top) {
      this.#ahead.delete(next);
      this.#eligible.push(next);
    }
    // The mean steps back when one that was ahead leaves.
    for (let next = this.#eligible.top; next && !this.#mayRun(next, mean); next = this.#eligible.top) {
      this.#eligible.delete(next);
      this.#ahead.push(next);
    }
    // Somebody is at the mean or behind it; rounding may say otherwise.
    return this.#eligible.top ?? this.#ahead.top;
  }

  hold(contender: C): void {
    const heap = this.#eligible.has(contender) ? this.#eligible : this.#ahead;
    heap.delete(contender);
  }

  charge(contender: C, ranNs: Ns): void {
    this.#origin = undefined;
    contender.virtualNs += ranNs / contender.parameters.weight;
    this.#weighted += ranNs;
    if (this.#weighted < REBASE_NS * this.#weight) return;
    const step = this.#weighted / this.#weight;
    this.#baseNs += step;
    this.#weighted = 0;
  }

  preempts(contender: C, held: C): boolean {
    return contender.virtualNs <= this.#mean() && contender.virtualDeadlineNs < held.virtualDeadlineNs;
  }

  movable(_contender: C): boolean {
    return true;
  }

  sliceOf(contender: C): Ns {
    return contender.parameters.sliceNs ?? this.#sliceNs;
  }

  limitNs(_contender: C): Ns {
    return Infinity;
  }

  nextEventNs(): Ns {
    return Infinity;
  }

  standing(contender: C): Standing {
    return { lagNs: contender.competes ? this.#lagNs(contender) : (contender.carriedLagNs ?? 0), burstNs: undefined };
  }

  #queue(contender: C): void {
    if (this.#mayRun(contender, this.#mean())) this.#eligible.push(contender);
    else this.#ahead.push(contender);
  }

  #mayRun(contender: C, mean: number): boolean {
    return contender.resumes || contender.virtualNs <= mean;
  }

  /** Its virtual time as it begins to compete. */
  #place(contender: C): void {
    const mean = this.#mean();
    if (contender.carriedLagNs === undefined) {
      contender.virtualNs = Math.max(contender.virtualNs, mean);
      return;
    }
    // Joining moves the mean towards the newcomer, by its part of all weight: lag has to be stretched to be what it was.
    const { weight } = contender.parameters;
    const stretch = this.#origin === undefined ? (this.#weight + weight) / this.#weight : 1;
    const slice = this.sliceOf(contender);
    const lagNs = Math.max(-slice, Math.min(slice, contender.carriedLagNs));
    contender.virtualNs = (this.#origin ?? mean) - (lagNs * stretch) / weight;
    contender.carriedLagNs = undefined;
  }

  #lagNs(contender: C): Ns {
    return contender.parameters.weight * (this.#mean() - contender.virtualNs);
  }

  #mean(): number {
    return this.#weight > 0 ? this.#baseNs + this.#weighted / this.#weight : this.#baseNs;
  }
}
