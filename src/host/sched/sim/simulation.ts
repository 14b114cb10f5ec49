// A discrete-event simulation of a host: pCPUs with a run queue each, vCPUs with workloads, the balancer between them. The
// policies are those that run real guests. The same scenario, seed and policy give the same result, to the last bit.

import { VmError } from "../../../vmm/error.ts";
import { type BalancedQueue, type BalancedVcpu, Balancer, type Move } from "../balance.ts";
import { FluidShare } from "../fluid.ts";
import { Heap, type HeapItem } from "../heap.ts";
import type { Ns, SchedParameters, SchedPolicy, VcpuId } from "../policy.ts";
import { createPolicy } from "../registry.ts";
import { fluidRun } from "./fluid-run.ts";
import { Measurements, SAMPLES, type SimResult, type VcpuMeasure } from "./measure.ts";
import { Random } from "./random.ts";
import { type Scenario, toNs } from "./scenario.ts";
import { type Job, type JobSource, jobSource } from "./workload.ts";

export interface SimOptions {
  readonly policy: string;
  readonly policyOptions?: unknown;
  /** The same scenario on the ideal fluid host, where it is known already; else it is run too. */
  readonly ideal?: SimResult;
  /** Called a hundred times, with the part that is done. */
  readonly onProgress?: (done: number) => void;
}

/** What is less is nothing: rounding leaves such rests. */
const REST_NS = 1;
/** However short a slice, so much work is done in it after the cost of switching, or nothing might ever be. */
const PROGRESS_NS = 1000;
class Timer implements HeapItem {
  heapIndex = -1;
  atNs = 0;
  sequence = 0;
  constructor(readonly fire: (now: Ns) => void) {}
}

class SimPcpu implements BalancedQueue {
  readonly vcpus = new Set<SimVcpu>();
  running: SimVcpu | undefined;
  /** Who ran last: to go on costs nothing. */
  last: SimVcpu | undefined;
  /** The running one is charged up to here. */
  chargedNs = 0;
  overheadNs = 0;
  readonly timer: Timer;

  constructor(
    readonly index: number,
    readonly policy: SchedPolicy,
    onTimer: (pcpu: SimPcpu, now: Ns) => void,
  ) {
    this.timer = new Timer((now) => onTimer(this, now));
  }

  get waiting(): number {
    return this.policy.waiting;
  }
}

class SimVcpu implements BalancedVcpu {
  runnable = false;
  job: Job | undefined;
  jobRanNs = 0;
  /** CPU time until the job is done or, for one that looks at the clock, stops. */
  restNs = 0;
  lastPcpu: SimPcpu | undefined;
  readonly timer: Timer;

  constructor(
    readonly vcpu: VcpuId,
    readonly parameters: SchedParameters,
    readonly source: JobSource,
    readonly measure: VcpuMeasure,
    public pcpu: SimPcpu,
    onTimer: (vcpu: SimVcpu, now: Ns) => void,
  ) {
    this.timer = new Timer((now) => onTimer(this, now));
  }

  get weight(): number {
    return this.parameters.weight;
  }
  get capPercent(): number {
    return this.parameters.capPercent;
  }
  get ranNs(): Ns {
    return this.measure.ranNs;
  }
  get waitedNs(): Ns {
    return this.measure.waitedNs;
  }
  get waiting(): boolean {
    return this.pcpu.policy.waits(this.vcpu);
  }
  get movable(): boolean {
    return this.pcpu.policy.movable(this.vcpu);
  }
}

/** Runs a scenario under a policy. Throws VmError("bad-config") for a wrong policy, "admission" for reservations that do not fit. */
export function simulate(scenario: Scenario, options: SimOptions): SimResult {
  return new Simulation(scenario, options).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #options: SimOptions;
  readonly #timers = new Heap<Timer>((a, b) => (a.atNs === b.atNs ? a.sequence < b.sequence : a.atNs < b.atNs));
  readonly #pcpus: SimPcpu[];
  readonly #vcpus: SimVcpu[] = [];
  readonly #idle = new Set<SimPcpu>();
  readonly #fluid: FluidShare;
  readonly #balancer: Balancer | undefined;
  readonly #measurements: Measurements;
  readonly #endNs: Ns;
  #sequence = 0;

  constructor(scenario: Scenario, options: SimOptions) {
    this.#scenario = scenario;
    this.#options = options;
    this.#endNs = toNs(scenario.durationMs);
    this.#pcpus = Array.from(
      { length: scenario.pcpus },
      (_, i) =>
        new SimPcpu(i, createPolicy(options.policy, options.policyOptions), (pcpu, now) => this.#due(pcpu, now)),
    );
    for (const pcpu of this.#pcpus) this.#idle.add(pcpu);
    this.#fluid = new FluidShare(scenario.pcpus, 0);
    this.#measurements = new Measurements(scenario, options.policy, this.#fluid);
    this.#balancer = scenario.balanceMs > 0 ? new Balancer() : undefined;
    this.#populate();
  }

  run(): SimResult {
    this.#every(toNs(this.#scenario.balanceMs), (now) => this.#balance(now));
    this.#every(this.#endNs / SAMPLES, (now) => {
      for (const pcpu of this.#pcpus) this.#charge(pcpu, now);
      this.#measurements.sample(now);
      this.#options.onProgress?.(now / this.#endNs);
    });
    for (let timer = this.#timers.top; timer && timer.atNs < this.#endNs; timer = this.#timers.top) {
      this.#timers.delete(timer);
      timer.fire(timer.atNs);
    }
    for (const pcpu of this.#pcpus) this.#charge(pcpu, this.#endNs);
    this.#measurements.sample(this.#endNs);
    return this.#measurements.result(this.#endNs, this.#options.ideal ?? fluidRun(this.#scenario));
  }

  /** Everybody on a pCPU, in turn; reservations where they are admitted. */
  #populate(): void {
    for (const [g, group] of this.#scenario.groups.entries()) {
      for (let i = 0; i < group.count; i++) {
        const id = this.#vcpus.length;
        const startNs = toNs(group.startMs + i * group.staggerMs);
        const source = jobSource(group.workload, startNs, new Random(this.#scenario.seed, id));
        const pcpu = this.#home(id, group.parameters);
        const measure = this.#measurements.vcpu(id, g, group.parameters, startNs);
        const vcpu = new SimVcpu(id, group.parameters, source, measure, pcpu, (v, now) => this.#arrive(v, now));
        this.#fluid.add(id, group.parameters);
        this.#vcpus.push(vcpu);
        pcpu.vcpus.add(vcpu);
        this.#at(vcpu.timer, source.nextArrivalNs(0));
      }
    }
  }

  #home(id: VcpuId, parameters: SchedParameters): SimPcpu {
    let refused: unknown;
    for (let i = 0; i < this.#pcpus.length; i++) {
      const pcpu = this.#pcpus[(id + i) % this.#pcpus.length] as SimPcpu;
      try {
        pcpu.policy.add(id, parameters, 0);
        return pcpu;
      } catch (error) {
        if (!(error instanceof VmError && error.code === "admission")) throw error;
        refused ??= error;
      }
    }
    throw refused;
  }

  #at(timer: Timer, atNs: Ns): void {
    if (timer.heapIndex >= 0) this.#timers.delete(timer);
    if (atNs === Infinity) return;
    timer.atNs = atNs;
    timer.sequence = ++this.#sequence;
    this.#timers.push(timer);
  }

  #every(periodNs: Ns, what: (now: Ns) => void): void {
    if (periodNs === 0) return;
    let count = 1;
    const timer = new Timer((now) => {
      what(now);
      this.#at(timer, ++count * periodNs);
    });
    this.#at(timer, periodNs);
  }

  /** A job arrived at a sleeping vCPU. */
  #arrive(vcpu: SimVcpu, now: Ns): void {
    vcpu.job = vcpu.source.current(now);
    if (!vcpu.job) {
      this.#at(vcpu.timer, vcpu.source.nextArrivalNs(now));
      return;
    }
    vcpu.jobRanNs = 0;
    vcpu.runnable = true;
    this.#fluid.wake(vcpu.vcpu, now);
    vcpu.measure.wake(now);
    // An idle pCPU takes it at once.
    const [idle] = this.#idle.has(vcpu.pcpu) || !this.#balancer ? [] : this.#idle;
    if (idle && vcpu.movable) this.#move(vcpu, idle, now);
    if (vcpu.pcpu.policy.wake(vcpu.vcpu, now)) this.#reschedule(vcpu.pcpu, now);
    else if (!vcpu.pcpu.running) this.#at(vcpu.pcpu.timer, vcpu.pcpu.policy.nextEventNs(now));
  }

  /** A slice or a job has ended, or a parked vCPU may run again. */
  #due(pcpu: SimPcpu, now: Ns): void {
    this.#charge(pcpu, now);
    const vcpu = pcpu.running;
    if (vcpu?.job && vcpu.restNs < REST_NS) {
      vcpu.measure.finish(vcpu.jobRanNs, now - vcpu.job.arrivedNs, now);
      vcpu.source.done(now);
      vcpu.job = vcpu.source.current(now);
      vcpu.jobRanNs = 0;
      if (!vcpu.job) this.#block(vcpu, now);
    }
    this.#reschedule(pcpu, now);
  }

  #block(vcpu: SimVcpu, now: Ns): void {
    vcpu.runnable = false;
    vcpu.pcpu.policy.block(vcpu.vcpu, now);
    vcpu.pcpu.running = undefined;
    this.#fluid.block(vcpu.vcpu, now);
    vcpu.measure.block(now);
    this.#at(vcpu.timer, vcpu.source.nextArrivalNs(now));
  }

  /** What ran until now is accounted for. */
  #charge(pcpu: SimPcpu, now: Ns): void {
    const vcpu = pcpu.running;
    const ranNs = now - pcpu.chargedNs;
    if (!vcpu || ranNs <= 0) return;
    pcpu.chargedNs = now;
    pcpu.policy.account(vcpu.vcpu, ranNs, now);
    // A switch is paid by who comes.
    const overheadNs = Math.min(ranNs, pcpu.overheadNs);
    pcpu.overheadNs -= overheadNs;
    vcpu.jobRanNs += ranNs - overheadNs;
    vcpu.restNs -= ranNs - overheadNs;
    vcpu.measure.ran(ranNs, overheadNs);
  }

  /** Asks the policy who runs from now. */
  #reschedule(pcpu: SimPcpu, now: Ns): void {
    this.#charge(pcpu, now);
    let pick = pcpu.policy.pick(now);
    if (!pick && this.#balancer) {
      const move = this.#balancer.steal(pcpu.index, this.#pcpus);
      if (move) {
        this.#apply(move, now);
        pick = pcpu.policy.pick(now);
      }
    }
    const before = pcpu.running;
    const vcpu = pick && this.#vcpus[pick.vcpu];
    if (before && before !== vcpu && before.runnable && before.pcpu === pcpu) before.measure.wait(now);
    pcpu.running = vcpu;
    if (!vcpu || !pick) {
      this.#idle.add(pcpu);
      this.#at(pcpu.timer, pcpu.policy.nextEventNs(now));
      return;
    }
    this.#idle.delete(pcpu);
    pcpu.chargedNs = now;
    if (before !== vcpu) this.#dispatch(pcpu, vcpu, now);
    if (vcpu.job) vcpu.restNs = vcpu.source.restNs(vcpu.job, vcpu.jobRanNs, now);
    const untilNs = Math.min(Math.max(pick.sliceNs, pcpu.overheadNs + PROGRESS_NS), pcpu.overheadNs + vcpu.restNs);
    this.#at(pcpu.timer, now + untilNs);
  }

  #dispatch(pcpu: SimPcpu, vcpu: SimVcpu, now: Ns): void {
    vcpu.measure.dispatch(now);
    pcpu.overheadNs = 0;
    if (pcpu.last !== vcpu) {
      this.#measurements.switches++;
      pcpu.overheadNs += this.#scenario.switchUs * 1000;
    }
    if (vcpu.lastPcpu !== pcpu && vcpu.lastPcpu) {
      this.#measurements.migrations++;
      pcpu.overheadNs += this.#scenario.migrationUs * 1000;
    }
    pcpu.last = vcpu;
    vcpu.lastPcpu = pcpu;
  }

  #balance(now: Ns): void {
    if (!this.#balancer || this.#pcpus.length === 1) return;
    for (const pcpu of this.#pcpus) this.#charge(pcpu, now);
    for (const vcpu of this.#vcpus) vcpu.measure.settle(now);
    const touched = new Set<SimPcpu>();
    for (const move of this.#balancer.balance(now, this.#pcpus)) {
      this.#apply(move, now);
      touched.add(this.#pcpus[move.from] as SimPcpu);
      touched.add(this.#pcpus[move.to] as SimPcpu);
    }
    for (const pcpu of touched) this.#reschedule(pcpu, now);
  }

  #apply(move: Move, now: Ns): void {
    const vcpu = this.#vcpus[move.vcpu] as SimVcpu;
    this.#move(vcpu, this.#pcpus[move.to] as SimPcpu, now);
    if (vcpu.runnable) vcpu.pcpu.policy.wake(vcpu.vcpu, now);
  }

  /** It arrives blocked. */
  #move(vcpu: SimVcpu, to: SimPcpu, now: Ns): void {
    const from = vcpu.pcpu;
    if (from.running === vcpu) {
      this.#charge(from, now);
      from.running = undefined;
      vcpu.measure.wait(now);
    }
    to.policy.add(vcpu.vcpu, vcpu.parameters, now, from.policy.remove(vcpu.vcpu, now));
    from.vcpus.delete(vcpu);
    to.vcpus.add(vcpu);
    vcpu.pcpu = to;
  }
}
