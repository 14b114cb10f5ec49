// One pCPU driven by a policy, exactly: no cost of switching, no late timers. Independent of the simulation under
// src/host/sched/sim, so that the two check each other.
import { FluidShare } from "../../../src/host/sched/fluid.ts";
import { checkSchedParameters } from "../../../src/host/sched/parameters.ts";
import type { SchedPolicy, VcpuId } from "../../../src/host/sched/policy.ts";

export const MS = 1e6;

/** What a vCPU does: alternately computes and sleeps. Each is asked when the last one has ended. */
export interface Behaviour {
  /** CPU time until it sleeps; Infinity for a vCPU that never does. `now`: it may look at the clock. */
  burstNs(now: number): number;
  sleepNs(now: number): number;
}

export const hog: Behaviour = { burstNs: () => Infinity, sleepNs: () => 0 };

export function repeating(burstNs: number, sleepNs: number): Behaviour {
  return { burstNs: () => burstNs, sleepNs: () => sleepNs };
}

interface Actor {
  readonly behaviour: Behaviour;
  ranNs: number;
  /** CPU time left of the burst. */
  leftNs: number;
  wakesNs: number;
  runnable: boolean;
  waitingSinceNs: number;
  longestWaitNs: number;
}

const REST_NS = 1e-3;

export class OnePcpu {
  now = 0;
  readonly fluid = new FluidShare(1, 0);
  idleNs = 0;
  switches = 0;
  /** Called after everything that happens. */
  observe: (() => void) | undefined;
  readonly #actors = new Map<VcpuId, Actor>();
  #running: VcpuId | undefined;

  constructor(public policy: SchedPolicy) {}

  add(vcpu: VcpuId, behaviour: Behaviour, parameters: unknown = {}, startNs = this.now): this {
    const checked = checkSchedParameters(parameters);
    this.policy.add(vcpu, checked, this.now);
    this.fluid.add(vcpu, checked);
    this.#actors.set(vcpu, {
      behaviour,
      ranNs: 0,
      leftNs: 0,
      wakesNs: startNs,
      runnable: false,
      waitingSinceNs: 0,
      longestWaitNs: 0,
    });
    return this;
  }

  set(vcpu: VcpuId, parameters: unknown): void {
    const checked = checkSchedParameters(parameters);
    this.policy.set(vcpu, checked, this.now);
    this.fluid.set(vcpu, checked, this.now);
  }

  ran(vcpu: VcpuId): number {
    return this.#actor(vcpu).ranNs;
  }

  /** Fluid service minus service. */
  lag(vcpu: VcpuId): number {
    return this.fluid.serviceNs(vcpu, this.now) - this.ran(vcpu);
  }

  /** The wait that goes on included. */
  longestWait(vcpu: VcpuId): number {
    const actor = this.#actor(vcpu);
    const going = actor.runnable && vcpu !== this.#running ? this.now - actor.waitingSinceNs : 0;
    return Math.max(actor.longestWaitNs, going);
  }

  /** Goes on until `untilNs`. */
  run(untilNs: number): this {
    while (this.now < untilNs) {
      this.#wakeDue();
      const pick = this.policy.pick(this.now);
      this.#dispatch(pick?.vcpu);
      this.observe?.();
      let next = Math.min(untilNs, this.#nextWake());
      if (pick === undefined) next = Math.min(next, this.policy.nextEventNs(this.now));
      else {
        if (!(pick.sliceNs > 0)) throw new Error(`slice of ${pick.sliceNs} ns`);
        next = Math.min(next, this.now + pick.sliceNs, this.now + this.#actor(pick.vcpu).leftNs);
      }
      if (!(next > this.now)) throw new Error(`time stands still at ${this.now}`);
      this.#advance(next);
    }
    return this;
  }

  /** It runs until `next` unless a wake-up preempts it, which the policy is asked about. */
  #advance(next: number): void {
    const running = this.#running;
    const elapsed = next - this.now;
    this.now = next;
    if (running === undefined) this.idleNs += elapsed;
    else {
      const actor = this.#actor(running);
      actor.ranNs += elapsed;
      actor.leftNs -= elapsed;
      this.policy.account(running, elapsed, next);
      if (actor.leftNs < REST_NS) {
        this.policy.block(running, next);
        this.fluid.block(running, next);
        actor.runnable = false;
        actor.wakesNs = next + actor.behaviour.sleepNs(next);
        this.#running = undefined;
      }
    }
    this.observe?.();
  }

  #wakeDue(): void {
    for (const [vcpu, actor] of this.#actors) {
      if (actor.runnable || actor.wakesNs > this.now) continue;
      actor.runnable = true;
      actor.leftNs = actor.behaviour.burstNs(this.now);
      actor.waitingSinceNs = this.now;
      this.fluid.wake(vcpu, this.now);
      this.policy.wake(vcpu, this.now);
    }
  }

  #nextWake(): number {
    let next = Infinity;
    for (const actor of this.#actors.values()) if (!actor.runnable) next = Math.min(next, actor.wakesNs);
    return next;
  }

  #dispatch(vcpu: VcpuId | undefined): void {
    if (vcpu === this.#running) return;
    const before = this.#running === undefined ? undefined : this.#actor(this.#running);
    if (before?.runnable) before.waitingSinceNs = this.now;
    this.#running = vcpu;
    if (vcpu === undefined) return;
    this.switches++;
    const actor = this.#actor(vcpu);
    actor.longestWaitNs = Math.max(actor.longestWaitNs, this.now - actor.waitingSinceNs);
  }

  #actor(vcpu: VcpuId): Actor {
    const actor = this.#actors.get(vcpu);
    if (!actor) throw new Error(`no vCPU ${vcpu}`);
    return actor;
  }
}
