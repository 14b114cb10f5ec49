// A run queue: the states of its vCPUs, their slices and caps. A discipline (fcfs.ts, credit.ts...) gives the order; with it
// this is a SchedPolicy.
import { VmError } from "../../vmm/error.ts";
import { CapBudget, REST_NS } from "./cap.ts";
import type { Contender, Discipline, Leaving } from "./discipline.ts";
import { Heap, type HeapItem } from "./heap.ts";
import type { Ns, Pick, SchedCarry, SchedMember, SchedParameters, SchedPolicy, VcpuId } from "./policy.ts";

/** Parked: runnable, but its cap is used up. */
type State = "blocked" | "ready" | "running" | "parked";

class Member<C extends Contender> implements HeapItem {
  heapIndex = -1;
  state: State = "blocked";
  /** Of its slice. */
  usedNs = 0;
  cap: CapBudget | undefined;
  /** While parked. */
  refillsAtNs = 0;
  constructor(readonly contender: C) {}
}

export class RunQueue<C extends Contender> implements SchedPolicy {
  readonly #discipline: Discipline<C>;
  readonly #capPeriodNs: Ns;
  readonly #members = new Map<VcpuId, Member<C>>();
  readonly #parked = new Heap<Member<C>>((a, b) =>
    a.refillsAtNs === b.refillsAtNs ? a.contender.vcpu < b.contender.vcpu : a.refillsAtNs < b.refillsAtNs,
  );
  #current: Member<C> | undefined;
  #runnable = 0;

  /** `capPeriodNs`: caps hold over periods of this length, which begin at its multiples on the clock. */
  constructor(discipline: Discipline<C>, capPeriodNs: Ns) {
    this.#discipline = discipline;
    this.#capPeriodNs = capPeriodNs;
  }

  get name(): string {
    return this.#discipline.name;
  }

  get migrates(): boolean {
    return this.#discipline.migrates;
  }

  get runnable(): number {
    return this.#runnable;
  }

  get waiting(): number {
    return this.#runnable - this.#parked.size - (this.#current ? 1 : 0);
  }

  waits(vcpu: VcpuId): boolean {
    return this.#member(vcpu).state === "ready";
  }

  movable(vcpu: VcpuId): boolean {
    return this.#discipline.movable(this.#member(vcpu).contender);
  }

  *members(): Iterable<SchedMember> {
    for (const { contender, state } of this.#members.values())
      yield { vcpu: contender.vcpu, parameters: contender.parameters, runnable: state !== "blocked" };
  }

  add(vcpu: VcpuId, parameters: SchedParameters, now: Ns, carry?: SchedCarry): void {
    if (this.#members.has(vcpu)) throw new VmError("internal", `vCPU ${vcpu} is in this run queue already`);
    const member = new Member(this.#discipline.contender(vcpu, parameters, now, carry));
    member.cap = this.#capOf(parameters, now, carry?.capLeftNs);
    this.#members.set(vcpu, member);
  }

  carry(vcpu: VcpuId, now: Ns): SchedCarry {
    const { contender, cap } = this.#member(vcpu);
    const { lagNs, burstNs } = this.#discipline.standing(contender, now);
    return { capLeftNs: cap?.leftNs(now), lagNs, burstNs };
  }

  remove(vcpu: VcpuId, now: Ns): SchedCarry {
    const member = this.#member(vcpu);
    this.#withdraw(member, "move", now);
    const carry = this.carry(vcpu, now);
    this.#discipline.dismiss(member.contender);
    this.#members.delete(vcpu);
    return carry;
  }

  set(vcpu: VcpuId, parameters: SchedParameters, now: Ns): void {
    const member = this.#member(vcpu);
    const { contender } = member;
    this.#discipline.admit(contender, parameters);
    const competes = member.state === "ready" || member.state === "running";
    if (competes) this.#discipline.leave(contender, "move", now);
    if (parameters.capPercent !== contender.parameters.capPercent)
      member.cap = this.#capOf(parameters, now, member.cap?.leftNs(now));
    contender.parameters = parameters;
    if (competes) this.#discipline.insert(contender, "change", now);
    // What runs goes on; the next pick sees whether it may.
    if (member.state === "running") this.#discipline.hold(contender);
    if (member.state === "parked") {
      this.#parked.delete(member);
      this.#park(member, now);
    }
  }

  wake(vcpu: VcpuId, now: Ns): boolean {
    const member = this.#member(vcpu);
    if (member.state !== "blocked") return false;
    this.#runnable++;
    if (member.cap?.exhausted(now)) {
      this.#park(member, now);
      return false;
    }
    member.state = "ready";
    this.#discipline.insert(member.contender, "wake", now);
    return this.#current === undefined || this.#discipline.preempts(member.contender, this.#current.contender);
  }

  block(vcpu: VcpuId, now: Ns): void {
    this.#withdraw(this.#member(vcpu), "block", now);
  }

  pick(now: Ns): Pick | undefined {
    this.#putBack(now);
    this.#refillParked(now);
    const contender = this.#discipline.best(now);
    if (!contender) return undefined;
    const member = this.#member(contender.vcpu);
    this.#discipline.hold(contender);
    member.state = "running";
    this.#current = member;
    // A slice that became shorter while it was used counts as a new one.
    if (this.#discipline.sliceOf(contender) - member.usedNs < REST_NS) member.usedNs = 0;
    const sliceNs = Math.min(
      this.#discipline.sliceOf(contender) - member.usedNs,
      this.#discipline.limitNs(contender),
      member.cap?.leftNs(now) ?? Infinity,
      this.nextEventNs(now) - now,
    );
    return { vcpu: contender.vcpu, sliceNs };
  }

  account(vcpu: VcpuId, ranNs: Ns, now: Ns): void {
    const member = this.#member(vcpu);
    if (member !== this.#current) throw new VmError("internal", `vCPU ${vcpu} is accounted for but was not picked`);
    if (!(ranNs >= 0)) throw new VmError("internal", `vCPU ${vcpu} ran for ${ranNs} ns`);
    member.usedNs += ranNs;
    member.cap?.use(ranNs, now);
    this.#discipline.charge(member.contender, ranNs, now);
  }

  nextEventNs(_now: Ns): Ns {
    return Math.min(this.#parked.top?.refillsAtNs ?? Infinity, this.#discipline.nextEventNs());
  }

  /** The current one takes its place in the order again, or is parked. */
  #putBack(now: Ns): void {
    const member = this.#current;
    if (!member) return;
    this.#current = undefined;
    const { contender } = member;
    const expired = this.#discipline.sliceOf(contender) - member.usedNs < REST_NS;
    if (expired) member.usedNs = 0;
    if (member.cap?.exhausted(now)) {
      this.#discipline.leave(contender, "park", now);
      this.#park(member, now);
      return;
    }
    member.state = "ready";
    this.#discipline.insert(contender, expired ? "expire" : "resume", now);
  }

  #refillParked(now: Ns): void {
    for (let member = this.#parked.top; member && member.refillsAtNs <= now; member = this.#parked.top) {
      this.#parked.delete(member);
      this.#park(member, now);
    }
  }

  /** Parked for as long as its cap is used up; ready when it is not. */
  #park(member: Member<C>, now: Ns): void {
    if (member.cap?.exhausted(now)) {
      member.state = "parked";
      member.refillsAtNs = member.cap.refillsAtNs();
      this.#parked.push(member);
    } else {
      member.state = "ready";
      this.#discipline.insert(member.contender, "refill", now);
    }
  }

  /** To blocked. */
  #withdraw(member: Member<C>, why: Leaving, now: Ns): void {
    if (member.state === "blocked") return;
    if (member.state === "parked") this.#parked.delete(member);
    else this.#discipline.leave(member.contender, why, now);
    if (member === this.#current) this.#current = undefined;
    member.state = "blocked";
    member.usedNs = 0;
    this.#runnable--;
  }

  #capOf({ capPercent }: SchedParameters, now: Ns, leftNs: Ns | undefined): CapBudget | undefined {
    // A whole pCPU is what one vCPU can use at most.
    return capPercent > 0 && capPercent < 100 ? new CapBudget(capPercent, this.#capPeriodNs, now, leftNs) : undefined;
  }

  #member(vcpu: VcpuId): Member<C> {
    const member = this.#members.get(vcpu);
    if (!member) throw new VmError("internal", `vCPU ${vcpu} is not in this run queue`);
    return member;
  }
}
