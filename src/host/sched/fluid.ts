// The ideal fluid share: what every vCPU would get if pCPUs could be divided infinitely finely (generalised processor
// sharing). Capacity is poured out by weight over those that are runnable; nobody takes more than its cap, nor more than one
// pCPU, and what it leaves is poured out over the others. Schedulers are measured against it.
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export interface FluidDemand {
  readonly weight: number;
  /** Most that it can use, in pCPUs. */
  readonly limit: number;
}

/** The most of a pCPU that one vCPU can use, in pCPUs. */
export function limitOf({ capPercent }: Pick<SchedParameters, "capPercent">): number {
  return capPercent > 0 ? Math.min(1, capPercent / 100) : 1;
}

/** How many pCPUs each demand gets of `capacity`: min(limit, weight * level), the level being what uses all of it. */
export function fluidRates(demands: readonly FluidDemand[], capacity: number): Float64Array {
  const rates = new Float64Array(demands.length);
  const order = demands.map((_, i) => i).sort((a, b) => saturation(demands[a]) - saturation(demands[b]) || a - b);
  let left = capacity;
  let weight = demands.reduce((sum, demand) => sum + demand.weight, 0);
  for (const i of order) {
    const demand = demands[i] as FluidDemand;
    const rate = Math.max(0, Math.min(demand.limit, (left * demand.weight) / weight));
    rates[i] = rate;
    left -= rate;
    weight -= demand.weight;
  }
  return rates;
}

/** The level at which a demand reaches its limit. */
function saturation(demand: FluidDemand | undefined): number {
  return demand === undefined ? 0 : demand.limit / demand.weight;
}

/** All vCPUs that reach their limits at the same level: they get the same service for their weight while runnable. */
export interface FluidLevel {
  readonly saturation: number;
  /** Of its runnable vCPUs. */
  weight: number;
  /** pCPUs for each unit of weight, as `pour` left it. */
  rate: number;
  /** Service given so far for each unit of weight. */
  serviceNs: Ns;
}

/** Capacity poured over levels: costs as much as there are different limit/weight, however many vCPUs have them. */
export class FluidLevels {
  readonly levels: FluidLevel[] = [];

  constructor(private readonly pcpus: number) {}

  of(parameters: Pick<SchedParameters, "weight" | "capPercent">): FluidLevel {
    const saturation = limitOf(parameters) / parameters.weight;
    let index = this.levels.findIndex((level) => level.saturation >= saturation);
    if (index < 0) index = this.levels.length;
    const found = this.levels[index];
    if (found?.saturation === saturation) return found;
    const level = { saturation, weight: 0, rate: 0, serviceNs: 0 };
    this.levels.splice(index, 0, level);
    return level;
  }

  /** Rates for the weights as they are. */
  pour(): void {
    let left = this.pcpus;
    let weight = 0;
    for (const level of this.levels) weight += level.weight;
    for (const level of this.levels) {
      level.rate = level.weight === 0 ? 0 : Math.max(0, Math.min(level.saturation, left / weight));
      left -= level.rate * level.weight;
      weight -= level.weight;
    }
  }

  /** Time passes at the rates of the last `pour`. */
  pass(elapsedNs: Ns): void {
    for (const level of this.levels) level.serviceNs += level.rate * elapsedNs;
  }
}

interface FluidVcpu {
  level: FluidLevel;
  weight: number;
  runnable: boolean;
  /** Service before `since`, and its level's service at that time. */
  serviceNs: Ns;
  since: Ns;
}

/** The fluid share over time, as vCPUs come, go, sleep and wake. An event costs as much as there are different limit/weight. */
export class FluidShare {
  readonly #vcpus = new Map<VcpuId, FluidVcpu>();
  readonly #levels: FluidLevels;
  #now: Ns;

  constructor(pcpus: number, now: Ns) {
    this.#levels = new FluidLevels(pcpus);
    this.#now = now;
  }

  /** Joins, blocked. */
  add(vcpu: VcpuId, parameters: Pick<SchedParameters, "weight" | "capPercent">): void {
    const level = this.#levels.of(parameters);
    this.#vcpus.set(vcpu, { level, weight: parameters.weight, runnable: false, serviceNs: 0, since: 0 });
  }

  remove(vcpu: VcpuId, now: Ns): void {
    this.block(vcpu, now);
    this.#vcpus.delete(vcpu);
  }

  set(vcpu: VcpuId, parameters: Pick<SchedParameters, "weight" | "capPercent">, now: Ns): void {
    const entry = this.#vcpu(vcpu);
    const { runnable } = entry;
    this.block(vcpu, now);
    entry.weight = parameters.weight;
    entry.level = this.#levels.of(parameters);
    if (runnable) this.wake(vcpu, now);
  }

  wake(vcpu: VcpuId, now: Ns): void {
    const entry = this.#vcpu(vcpu);
    if (entry.runnable) return;
    this.#advance(now);
    entry.runnable = true;
    entry.since = entry.level.serviceNs;
    entry.level.weight += entry.weight;
  }

  block(vcpu: VcpuId, now: Ns): void {
    const entry = this.#vcpu(vcpu);
    if (!entry.runnable) return;
    entry.serviceNs = this.serviceNs(vcpu, now);
    entry.runnable = false;
    entry.level.weight -= entry.weight;
  }

  /** What it would have been given until `now`, since it joined. */
  serviceNs(vcpu: VcpuId, now: Ns): Ns {
    this.#advance(now);
    const entry = this.#vcpu(vcpu);
    return entry.serviceNs + (entry.runnable ? entry.weight * (entry.level.serviceNs - entry.since) : 0);
  }

  #advance(now: Ns): void {
    const elapsed = now - this.#now;
    if (!(elapsed > 0)) return;
    this.#now = now;
    this.#levels.pour();
    this.#levels.pass(elapsed);
  }

  #vcpu(vcpu: VcpuId): FluidVcpu {
    const entry = this.#vcpus.get(vcpu);
    if (!entry) throw new RangeError(`vCPU ${vcpu} is not here`);
    return entry;
  }
}

/** Jain's index of fairness: (sum x)^2 / (n * sum x^2), 1 when all are equal, 1/n when one has all. Undefined without any. */
export function jainIndex(values: readonly number[]): number | undefined {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares > 0 ? (sum * sum) / (values.length * squares) : undefined;
}
