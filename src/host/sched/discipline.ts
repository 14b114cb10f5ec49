// What differs between policies: the order among vCPUs that may run. Everything else (who is here, blocked, parked at a cap,
// how much of a slice is used) is RunQueue's (run-queue.ts).
import { Heap, type HeapItem } from "./heap.ts";
import type { Ns, SchedCarry, SchedParameters, VcpuId } from "./policy.ts";

/** What every policy knows of a vCPU; a discipline extends it by its own account. */
export class Contender implements HeapItem {
  heapIndex = -1;
  /** Place among equals: who came first. */
  sequence = 0;

  constructor(
    readonly vcpu: VcpuId,
    public parameters: SchedParameters,
  ) {}
}

/** Why a vCPU takes its place: it woke, its cap was refilled, it was interrupted within its slice, it used its slice up, its parameters changed. */
export type Cause = "wake" | "refill" | "resume" | "expire" | "change";

/** Why it stops competing: it blocked, its cap is used up, or it is removed or changed and its standing goes along. */
export type Leaving = "block" | "park" | "move";

/** What of SchedCarry a discipline keeps. */
export type Standing = Pick<SchedCarry, "lagNs" | "burstNs">;

/**
 * The order of calls for one contender: insert; then hold when it is to run, charge while it runs, insert again ("resume",
 * "expire"); leave at any time, from the order or while it runs.
 */
export interface Discipline<C extends Contender> {
  readonly name: string;
  readonly migrates: boolean;
  movable(contender: C): boolean;
  /** Longest run of this vCPU before it takes its place anew. */
  sliceOf(contender: C): Ns;
  /** A vCPU joins. Throws VmError("admission"), changing nothing. */
  contender(vcpu: VcpuId, parameters: SchedParameters, now: Ns, standing?: Standing): C;
  /** Throws VmError("admission") when `contender` cannot have these parameters. */
  admit(contender: C, parameters: SchedParameters): void;
  /** It is removed, after `leave`. */
  dismiss(contender: C): void;
  /** It takes its place in the order. Every cause but "resume" and "expire" starts its competing. */
  insert(contender: C, cause: Cause, now: Ns): void;
  leave(contender: C, why: Leaving, now: Ns): void;
  /** Who should run, if anybody. */
  best(now: Ns): C | undefined;
  /** Takes it out of the order to run; it goes on competing. */
  hold(contender: C): void;
  /** The held contender ran. */
  charge(contender: C, ranNs: Ns, now: Ns): void;
  /** Whether the contender that was just inserted should run before the held one. */
  preempts(contender: C, held: C): boolean;
  /** Longest it may run for reasons of its own (a boost, a reservation that ends). */
  limitNs(contender: C): Ns;
  /** When the order changes by itself. */
  nextEventNs(): Ns;
  standing(contender: C, now: Ns): Standing;
}

const NOTHING_KEPT: Standing = { lagNs: 0, burstNs: undefined };

/** A contender whose place is a number. */
export class KeyedContender extends Contender {
  key = 0;
}

/** A discipline whose order is one number, lowest first, first come first among equals. */
export abstract class KeyedDiscipline<C extends KeyedContender> implements Discipline<C> {
  abstract readonly name: string;
  readonly migrates: boolean = true;
  readonly #sliceNs: Ns;
  readonly #heap = new Heap<C>((a, b) => (a.key === b.key ? a.sequence < b.sequence : a.key < b.key));
  #sequence = 0;

  /** `sliceNs`: of vCPUs whose parameters name none. */
  constructor(sliceNs: Ns) {
    this.#sliceNs = sliceNs;
  }

  abstract contender(vcpu: VcpuId, parameters: SchedParameters, now: Ns, standing?: Standing): C;
  /** Its number now. Not asked for "resume": who was interrupted keeps its place, unless `moves` says otherwise. */
  protected abstract keyOf(contender: C, cause: Cause, now: Ns): number;
  /** Whether running moves a contender in the order even within a slice. */
  protected readonly moves: boolean = false;

  movable(_contender: C): boolean {
    return this.migrates;
  }

  sliceOf(contender: C): Ns {
    return contender.parameters.sliceNs ?? this.#sliceNs;
  }

  admit(_contender: C, _parameters: SchedParameters): void {}
  dismiss(_contender: C): void {}

  insert(contender: C, cause: Cause, now: Ns): void {
    if (cause !== "resume") contender.sequence = ++this.#sequence;
    if (cause !== "resume" || this.moves) contender.key = this.keyOf(contender, cause, now);
    this.#heap.push(contender);
  }

  leave(contender: C, _why: Leaving, _now: Ns): void {
    if (contender.heapIndex >= 0) this.#heap.delete(contender);
  }

  best(_now: Ns): C | undefined {
    return this.#heap.top;
  }

  hold(contender: C): void {
    this.#heap.delete(contender);
  }

  charge(_contender: C, _ranNs: Ns, _now: Ns): void {}

  preempts(contender: C, held: C): boolean {
    return contender.key < held.key;
  }

  limitNs(_contender: C): Ns {
    return Infinity;
  }

  nextEventNs(): Ns {
    return Infinity;
  }

  standing(_contender: C, _now: Ns): Standing {
    return NOTHING_KEPT;
  }
}
