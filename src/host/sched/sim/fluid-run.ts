// The same scenario on the ideal fluid host: every runnable vCPU runs all the time, at its fluid share. What no scheduler can
// do, and what all are measured against. Switching costs nothing here.
import { type FluidLevel, FluidLevels, FluidShare } from "../fluid.ts";
import { Heap, type HeapItem } from "../heap.ts";
import type { Ns } from "../policy.ts";
import { Measurements, SAMPLES, type SimResult, type VcpuMeasure } from "./measure.ts";
import { Random } from "./random.ts";
import { type Scenario, toNs } from "./scenario.ts";
import { type Job, type JobSource, jobSource } from "./workload.ts";

class FluidVcpu implements HeapItem {
  heapIndex = -1;
  job: Job | undefined;
  /** Asleep: when it wakes. Runnable: service of its level, for each unit of weight, at which its job is done. */
  at = 0;
  /** Service of its level up to which it is accounted for. */
  chargedTo = 0;
  jobRanNs = 0;

  constructor(
    readonly id: number,
    readonly weight: number,
    readonly level: FluidLevel,
    readonly source: JobSource,
    readonly measure: VcpuMeasure,
  ) {}
}

const REST_NS = 1e-3;

export function fluidRun(scenario: Scenario): SimResult {
  return new FluidRun(scenario).run();
}

class FluidRun {
  readonly #levels: FluidLevels;
  readonly #fluid: FluidShare;
  readonly #measurements: Measurements;
  readonly #endNs: Ns;
  readonly #vcpus: FluidVcpu[] = [];
  readonly #asleep = FluidRun.#heap();
  /** Of each level: its runnable vCPUs, by what they need to be done. */
  readonly #runnable = new Map<FluidLevel, Heap<FluidVcpu>>();
  #now: Ns = 0;

  constructor(scenario: Scenario) {
    this.#endNs = toNs(scenario.durationMs);
    this.#levels = new FluidLevels(scenario.pcpus);
    this.#fluid = new FluidShare(scenario.pcpus, 0);
    this.#measurements = new Measurements(scenario, "ideal", this.#fluid);
    for (const [g, group] of scenario.groups.entries())
      for (let i = 0; i < group.count; i++) {
        const id = this.#vcpus.length;
        const startNs = toNs(group.startMs + i * group.staggerMs);
        const level = this.#levels.of(group.parameters);
        const source = jobSource(group.workload, startNs, new Random(scenario.seed, id));
        const measure = this.#measurements.vcpu(id, g, group.parameters, startNs);
        this.#fluid.add(id, group.parameters);
        const vcpu = new FluidVcpu(id, group.parameters.weight, level, source, measure);
        this.#vcpus.push(vcpu);
        this.#sleep(vcpu);
        if (!this.#runnable.has(level)) this.#runnable.set(level, FluidRun.#heap());
      }
  }

  static #heap(): Heap<FluidVcpu> {
    return new Heap((a, b) => (a.at === b.at ? a.id < b.id : a.at < b.at));
  }

  run(): SimResult {
    for (let sample = 1; sample <= SAMPLES; sample++) {
      this.#runUntil((this.#endNs * sample) / SAMPLES);
      for (const vcpu of this.#vcpus) if (vcpu.job) this.#charge(vcpu);
      this.#measurements.sample(this.#now);
    }
    return this.#measurements.result(this.#endNs, undefined);
  }

  #runUntil(untilNs: Ns): void {
    while (this.#now < untilNs) {
      this.#levels.pour();
      let next = Math.min(untilNs, this.#asleep.top?.at ?? Infinity);
      let done: FluidVcpu | undefined;
      for (const [level, heap] of this.#runnable) {
        if (!heap.top) continue;
        const at = this.#now + Math.max(0, heap.top.at - level.serviceNs) / level.rate;
        if (at > next) continue;
        next = at;
        done = heap.top;
      }
      this.#levels.pass(next - this.#now);
      this.#now = next;
      if (done) this.#finish(done);
      for (let vcpu = this.#asleep.top; vcpu && vcpu.at <= this.#now; vcpu = this.#asleep.top) this.#wake(vcpu);
    }
  }

  #wake(vcpu: FluidVcpu): void {
    this.#asleep.delete(vcpu);
    vcpu.job = vcpu.source.current(this.#now);
    if (!vcpu.job) {
      this.#sleep(vcpu);
      return;
    }
    vcpu.level.weight += vcpu.weight;
    vcpu.chargedTo = vcpu.level.serviceNs;
    this.#fluid.wake(vcpu.id, this.#now);
    vcpu.measure.wake(this.#now);
    vcpu.measure.dispatch(this.#now);
    this.#begin(vcpu, vcpu.job);
  }

  #begin(vcpu: FluidVcpu, job: Job): void {
    vcpu.jobRanNs = 0;
    vcpu.at = vcpu.level.serviceNs + vcpu.source.restNs(job, 0, this.#now) / vcpu.weight;
    this.#runnable.get(vcpu.level)?.push(vcpu);
  }

  #finish(vcpu: FluidVcpu): void {
    this.#runnable.get(vcpu.level)?.delete(vcpu);
    this.#charge(vcpu);
    vcpu.measure.finish(vcpu.jobRanNs, this.#now - (vcpu.job?.arrivedNs ?? 0), this.#now);
    vcpu.source.done(this.#now);
    vcpu.job = vcpu.source.current(this.#now);
    if (vcpu.job) {
      this.#begin(vcpu, vcpu.job);
      return;
    }
    vcpu.level.weight -= vcpu.weight;
    this.#fluid.block(vcpu.id, this.#now);
    vcpu.measure.block(this.#now);
    this.#sleep(vcpu);
  }

  #charge(vcpu: FluidVcpu): void {
    const ranNs = vcpu.weight * (vcpu.level.serviceNs - vcpu.chargedTo);
    vcpu.chargedTo = vcpu.level.serviceNs;
    vcpu.jobRanNs += ranNs;
    vcpu.measure.ran(ranNs, 0);
  }

  #sleep(vcpu: FluidVcpu): void {
    vcpu.at = vcpu.source.nextArrivalNs(this.#now);
    // Its own past is as soon as possible, but later, or time would stand still.
    if (vcpu.at <= this.#now && this.#now > 0) vcpu.at = this.#now + REST_NS;
    if (vcpu.at < Infinity) this.#asleep.push(vcpu);
  }
}
