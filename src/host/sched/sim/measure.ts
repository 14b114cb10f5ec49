// What is measured in a simulation, for each vCPU, each group and the host.
import { LatencyHistogram } from "../../latency.ts";
import { type FluidShare, jainIndex } from "../fluid.ts";
import type { Ns, SchedParameters, VcpuId } from "../policy.ts";
import { CostFit, type CostModel } from "./cost-model.ts";
import type { Scenario } from "./scenario.ts";

/** Times in ms, rates for each second of simulated time. */
export interface Figures {
  readonly vcpus: number;
  /** Jobs finished a second; CPU time of work a second, in pCPUs, and as part of all pCPUs. */
  readonly jobsPerSecond: number;
  readonly workPcpus: number;
  readonly utilization: number;
  /** Time of a finished job in the system beyond its CPU time, mean. Undefined: no job was finished. */
  readonly meanDelayMs: number | undefined;
  /** Waits from runnable to running, each counted once; those that never ended included. */
  readonly waitMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** Jain's index of service over that of the ideal fluid host, over vCPUs that always had work. Undefined: fewer than two. */
  readonly jain: number | undefined;
  /** Furthest that a vCPU fell behind the fluid share among those that were runnable with it. */
  readonly maxLagMs: number;
  /** Mean of the cost models of its vCPUs, each counted by its jobs: a and residual in ms. Undefined: no job was finished. */
  readonly cost: { readonly aMs: number; readonly b: number; readonly residualMs: number } | undefined;
  /** When the last job was finished, of groups that do a fixed number of them. Undefined: not all were. */
  readonly finishedMs: number | undefined;
}

export interface SimResult {
  readonly scenario: string;
  readonly policy: string;
  readonly seed: number;
  readonly pcpus: number;
  readonly durationMs: number;
  readonly host: Figures & {
    readonly switchesPerSecond: number;
    readonly migrationsPerSecond: number;
    /** Part of all pCPU time that went into switching and migrating. */
    readonly overhead: number;
  };
  readonly groups: readonly (Figures & {
    readonly name: string;
    /** Of its waits: part that took at most `ms`. */
    readonly waits: readonly { readonly ms: number; readonly part: number }[];
  })[];
  readonly vcpus: readonly {
    readonly group: string;
    readonly weight: number;
    readonly ranMs: number;
    /** On the ideal fluid host. */
    readonly idealMs: number;
    readonly waitedMs: number;
    readonly jobs: number;
    readonly cost: CostModel | undefined;
  }[];
  /** For each group: pCPUs that it had on average over the interval that ends at `ms`, and jobs finished until then. */
  readonly series: readonly {
    readonly ms: number;
    readonly pcpus: readonly number[];
    readonly jobs: readonly number[];
  }[];
}

/** A vCPU that is runnable so much of its time always has work. */
const HUNGRY = 0.95;
/** Buckets for each doubling: percentiles within 2.2%. */
const WAIT_STEPS = 32;
const MS = 1e6;
/** Points of a series. */
export const SAMPLES = 100;

export class VcpuMeasure {
  ranNs = 0;
  overheadNs = 0;
  waitedNs = 0;
  runnableNs = 0;
  maxLagNs = 0;
  /** Service on the ideal fluid host. */
  idealNs = 0;
  jobs = 0;
  delayNs = 0;
  lastFinishNs = 0;
  readonly fit = new CostFit();
  #waitingSince: Ns | undefined;
  #settledNs = 0;
  #wokeNs: Ns | undefined;
  /** Service and fluid service when it woke. */
  #ranThen = 0;
  #fluidThen = 0;

  constructor(
    readonly vcpu: VcpuId,
    readonly group: number,
    readonly parameters: SchedParameters,
    readonly startNs: Ns,
    private readonly waits: readonly LatencyHistogram[],
    private readonly fluid: FluidShare,
  ) {}

  /** Runnable. */
  wake(now: Ns): void {
    this.#wokeNs = now;
    this.#ranThen = this.ranNs;
    this.#fluidThen = this.fluid.serviceNs(this.vcpu, now);
    this.wait(now);
  }

  block(now: Ns): void {
    this.runnableNs += now - (this.#wokeNs ?? now);
    this.#wokeNs = undefined;
  }

  /** Runnable and not running. */
  wait(now: Ns): void {
    this.#waitingSince = now;
    this.#settledNs = now;
  }

  dispatch(now: Ns): void {
    if (this.#waitingSince === undefined) return;
    this.settle(now);
    for (const histogram of this.waits) histogram.add(now - this.#waitingSince);
    this.#waitingSince = undefined;
    this.#measureLag(now);
  }

  /** waitedNs is right until now. */
  settle(now: Ns): void {
    if (this.#waitingSince === undefined) return;
    this.waitedNs += now - this.#settledNs;
    this.#settledNs = now;
  }

  ran(ranNs: Ns, overheadNs: Ns): void {
    this.ranNs += ranNs;
    this.overheadNs += overheadNs;
  }

  finish(sizeNs: Ns, costNs: Ns, now: Ns): void {
    this.jobs++;
    this.delayNs += costNs - sizeNs;
    this.lastFinishNs = now;
    this.fit.add(sizeNs, costNs);
  }

  /** The simulation ends: waits that go on are counted as they are. */
  close(now: Ns): void {
    this.#measureLag(now);
    if (this.#waitingSince !== undefined) this.dispatch(now);
    this.block(now);
  }

  #measureLag(now: Ns): void {
    if (this.#wokeNs === undefined) return;
    const lagNs = this.fluid.serviceNs(this.vcpu, now) - this.#fluidThen - (this.ranNs - this.#ranThen);
    if (lagNs > this.maxLagNs) this.maxLagNs = lagNs;
  }
}

export class Measurements {
  switches = 0;
  migrations = 0;
  readonly #vcpus: VcpuMeasure[] = [];
  readonly #waits: LatencyHistogram;
  readonly #groupWaits: LatencyHistogram[];
  readonly #series: { ms: number; pcpus: number[]; jobs: number[] }[] = [];
  #sampledNs = 0;
  #ranThen: number[];

  constructor(
    private readonly scenario: Scenario,
    private readonly policy: string,
    private readonly fluid: FluidShare,
  ) {
    this.#waits = new LatencyHistogram(WAIT_STEPS);
    this.#groupWaits = scenario.groups.map(() => new LatencyHistogram(WAIT_STEPS));
    this.#ranThen = scenario.groups.map(() => 0);
  }

  vcpu(vcpu: VcpuId, group: number, parameters: SchedParameters, startNs: Ns): VcpuMeasure {
    const waits = [this.#waits, this.#groupWaits[group] as LatencyHistogram];
    const measure = new VcpuMeasure(vcpu, group, parameters, startNs, waits, this.fluid);
    this.#vcpus.push(measure);
    return measure;
  }

  /** A point of the series; every vCPU is accounted for until now. */
  sample(now: Ns): void {
    const elapsed = now - this.#sampledNs;
    if (elapsed <= 0) return;
    const ran = this.#groupWaits.map(() => 0);
    const jobs = this.#groupWaits.map(() => 0);
    for (const vcpu of this.#vcpus) {
      ran[vcpu.group]! += vcpu.ranNs;
      jobs[vcpu.group]! += vcpu.jobs;
    }
    this.#series.push({ ms: now / MS, pcpus: ran.map((ns, g) => (ns - (this.#ranThen[g] ?? 0)) / elapsed), jobs });
    this.#sampledNs = now;
    this.#ranThen = ran;
  }

  /** `ideal`: the same scenario on the ideal fluid host; undefined when this is it. */
  result(now: Ns, ideal: SimResult | undefined): SimResult {
    for (const vcpu of this.#vcpus) {
      vcpu.close(now);
      vcpu.idealNs = ideal ? (ideal.vcpus[vcpu.vcpu]?.ranMs ?? 0) * MS : vcpu.ranNs;
    }
    const { scenario } = this;
    const seconds = now / 1e9;
    const capacityNs = scenario.pcpus * now;
    const sum = (of: (vcpu: VcpuMeasure) => number): number => this.#vcpus.reduce((total, vcpu) => total + of(vcpu), 0);
    return {
      scenario: scenario.name,
      policy: this.policy,
      seed: scenario.seed,
      pcpus: scenario.pcpus,
      durationMs: scenario.durationMs,
      host: {
        ...this.#figures(this.#vcpus, this.#waits, now),
        switchesPerSecond: this.switches / seconds,
        migrationsPerSecond: this.migrations / seconds,
        overhead: sum((vcpu) => vcpu.overheadNs) / capacityNs,
      },
      groups: scenario.groups.map((group, g) => ({
        name: group.name,
        waits: distribution(this.#groupWaits[g] as LatencyHistogram),
        ...this.#figures(
          this.#vcpus.filter((vcpu) => vcpu.group === g),
          this.#groupWaits[g] as LatencyHistogram,
          now,
          "jobs" in group.workload ? group.workload.jobs : 0,
        ),
      })),
      vcpus: this.#vcpus.map((vcpu) => ({
        group: scenario.groups[vcpu.group]?.name ?? "",
        weight: vcpu.parameters.weight,
        ranMs: vcpu.ranNs / MS,
        idealMs: vcpu.idealNs / MS,
        waitedMs: vcpu.waitedNs / MS,
        jobs: vcpu.jobs,
        cost: vcpu.fit.model(),
      })),
      series: this.#series,
    };
  }

  #figures(vcpus: readonly VcpuMeasure[], waits: LatencyHistogram, now: Ns, fixedJobs = 0): Figures {
    const total = (of: (vcpu: VcpuMeasure) => number): number => vcpus.reduce((sum, vcpu) => sum + of(vcpu), 0);
    const jobs = total((vcpu) => vcpu.jobs);
    const workNs = total((vcpu) => vcpu.ranNs - vcpu.overheadNs);
    const hungry = vcpus.filter((vcpu) => vcpu.runnableNs > HUNGRY * (now - vcpu.startNs));
    const models = vcpus.flatMap((vcpu) => vcpu.fit.model() ?? []);
    const mean = (of: (model: CostModel) => number): number =>
      models.reduce((sum, model) => sum + of(model) * model.jobs, 0) / jobs;
    const { p50Ns, p95Ns, p99Ns, maxNs } = waits.summary();
    return {
      vcpus: vcpus.length,
      jobsPerSecond: jobs / (now / 1e9),
      workPcpus: workNs / now,
      utilization: workNs / (now * this.scenario.pcpus),
      meanDelayMs: jobs > 0 ? total((vcpu) => vcpu.delayNs) / jobs / MS : undefined,
      waitMs: { p50: p50Ns / MS, p95: p95Ns / MS, p99: p99Ns / MS, max: maxNs / MS },
      jain: hungry.length > 1 ? jainIndex(hungry.map((vcpu) => vcpu.ranNs / Math.max(1, vcpu.idealNs))) : undefined,
      maxLagMs: vcpus.reduce((most, vcpu) => Math.max(most, vcpu.maxLagNs), 0) / MS,
      cost:
        models.length > 0
          ? { aMs: mean((m) => m.a) / MS, b: mean((m) => m.b), residualMs: mean((m) => m.residual) / MS }
          : undefined,
      finishedMs:
        fixedJobs > 0 && vcpus.every((vcpu) => vcpu.jobs === fixedJobs)
          ? vcpus.reduce((last, vcpu) => Math.max(last, vcpu.lastFinishNs), 0) / MS
          : undefined,
    };
  }
}

function distribution(histogram: LatencyHistogram): { ms: number; part: number }[] {
  return histogram.distribution().map(({ ns, part }) => ({ ms: ns / MS, part }));
}
