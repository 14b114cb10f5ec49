// Which vCPUs change pCPU, so that shares of the whole host come near the ideal fluid share although each run queue knows
// only its own. A load is the fluid share of a vCPU, not its weight: a heavy vCPU that would get more than one pCPU counts
// as one and ends up alone. Where shares cannot be divided evenly (three equal vCPUs on two pCPUs) those that fall behind
// change places with those ahead, at a limited rate.
import { type Checked, checkFields, type FieldTable } from "../fields.ts";
import { fluidRates, limitOf } from "./fluid.ts";
import type { Ns, VcpuId } from "./policy.ts";

/** What the balancer is told of a vCPU. */
export interface BalancedVcpu {
  readonly vcpu: VcpuId;
  readonly weight: number;
  readonly capPercent: number;
  /** Since it exists, on any pCPU: ran; runnable without running. */
  readonly ranNs: Ns;
  readonly waitedNs: Ns;
  /** Runnable, not running and not parked at its cap. */
  readonly waiting: boolean;
  /** False: it has a reservation here, or its policy keeps it here. */
  readonly movable: boolean;
}

export interface BalancedQueue {
  /** How many of them are waiting. */
  readonly waiting: number;
  readonly vcpus: Iterable<BalancedVcpu>;
}

export interface Move {
  readonly vcpu: VcpuId;
  /** Indices of queues. */
  readonly from: number;
  readonly to: number;
}

export const BALANCE_OPTIONS = {
  horizonNs: { kind: "number", title: "how far ahead shares are to be right, ns", min: 1e6, max: 1e10, default: 100e6 },
  hysteresis: {
    kind: "number",
    title: "least error in share, as part of it, that is worth a move",
    min: 0,
    max: 1,
    default: 0.1,
  },
  movesPerSecond: { kind: "number", title: "most moves a second for each pCPU", min: 0, max: 1e6, default: 20 },
} as const satisfies FieldTable;

export type BalanceOptions = Checked<typeof BALANCE_OPTIONS>;

/** Runs as good as always: what it gets is all that it could not get more of. */
const HUNGRY = 0.95;
/** Demand is an average over about this time. */
const DEMAND_NS = 200e6;
/** Older lag is forgotten: it was another load's. In horizons. */
const LAG_HORIZONS = 5;
/** Nobody is said to be served more than this much beyond its share: a pCPU that would idle otherwise harms nobody. */
const EXCESS = -0.5;
/** Swaps are tried among so many of each queue. */
const SWAP_CANDIDATES = 6;

interface Record {
  seen: number;
  ranNs: Ns;
  waitedNs: Ns;
  /** Part of a pCPU that it would use alone, and for how long that was seen. */
  demand: number;
  observedNs: Ns;
  lagNs: Ns;
}

interface Load extends BalancedVcpu {
  /** Fluid share, pCPUs. */
  rate: number;
  lagNs: Ns;
  /** It would use more than its share. */
  elastic: boolean;
}

/** Sums over a queue that say how far its vCPUs will be from their shares. */
interface Sums {
  elastic: number;
  inelastic: number;
  lagNs: Ns;
}

export class Balancer {
  readonly #options: BalanceOptions;
  readonly #records = new Map<VcpuId, Record>();
  #lastNs: Ns | undefined;
  #calls = 0;
  #moves = 0;

  /** Throws VmError("bad-config") naming the option and what is accepted. */
  constructor(options: unknown = {}) {
    this.#options = checkFields(BALANCE_OPTIONS, options);
  }

  /** Moves to make now; to be called every 10 to 100 ms or so. `queues`: all vCPUs of all run queues, in the same order each time. */
  balance(now: Ns, queues: readonly BalancedQueue[]): Move[] {
    const elapsed = this.#lastNs === undefined ? 0 : now - this.#lastNs;
    this.#lastNs = now;
    const loads = this.#observe(elapsed, queues);
    const allowed = (this.#options.movesPerSecond * queues.length * elapsed) / 1e9;
    // Saved-up moves are those of one horizon at most.
    const saved = Math.max(1, (this.#options.movesPerSecond * queues.length * this.#options.horizonNs) / 1e9);
    this.#moves = Math.min(saved, this.#moves + allowed);

    const sums = loads.map(sumsOf);
    const moves: Move[] = [];
    while (this.#moves >= 1) {
      const step = this.#bestStep(loads, sums);
      if (!step || this.#moves < step.length) break;
      this.#moves -= step.length;
      for (const { load, from, to } of step) {
        loads[from]?.splice(loads[from].indexOf(load), 1);
        loads[to]?.push(load);
        moves.push({ vcpu: load.vcpu, from, to });
      }
      for (const { from, to } of step.slice(0, 1)) for (const q of [from, to]) sums[q] = sumsOf(loads[q] ?? []);
    }
    return moves;
  }

  /** What an idle queue takes from the others at once: one that waits in the queue where most wait. */
  steal(to: number, queues: readonly BalancedQueue[]): Move | undefined {
    let from = -1;
    let most = 0;
    queues.forEach(({ waiting }, q) => {
      if (q === to || waiting <= most) return;
      most = waiting;
      from = q;
    });
    for (const { vcpu, waiting, movable } of queues[from]?.vcpus ?? [])
      if (waiting && movable) return { vcpu, from, to };
    return undefined;
  }

  /** Demand, share and lag of everybody. */
  #observe(elapsed: Ns, queues: readonly BalancedQueue[]): Load[][] {
    const everybody: BalancedVcpu[] = [];
    const queueOf: number[] = [];
    queues.forEach((queue, q) => {
      for (const vcpu of queue.vcpus) {
        everybody.push(vcpu);
        queueOf.push(q);
      }
    });
    this.#calls++;
    const demands = everybody.map((vcpu) => {
      const record = this.#record(vcpu, elapsed);
      return { weight: vcpu.weight, limit: Math.min(limitOf(vcpu), record.demand >= HUNGRY ? 1 : record.demand) };
    });
    for (const [vcpu, { seen }] of this.#records) if (seen !== this.#calls) this.#records.delete(vcpu);

    const rates = fluidRates(demands, queues.length);
    const loads: Load[][] = queues.map(() => []);
    const bound = LAG_HORIZONS * this.#options.horizonNs;
    everybody.forEach((vcpu, i) => {
      const record = this.#records.get(vcpu.vcpu) as Record;
      const rate = rates[i] ?? 0;
      const hungry = record.demand >= HUNGRY;
      const lagNs = record.lagNs + rate * elapsed - (vcpu.ranNs - record.ranNs);
      record.lagNs = hungry ? Math.max(-bound, Math.min(bound, lagNs)) : 0;
      record.ranNs = vcpu.ranNs;
      record.waitedNs = vcpu.waitedNs;
      const elastic = hungry && rate < limitOf(vcpu) + (vcpu.capPercent > 0 ? -1e-9 : 1e-9);
      loads[queueOf[i] ?? 0]?.push({ ...view(vcpu), rate, lagNs: record.lagNs, elastic });
    });
    return loads;
  }

  #record(vcpu: BalancedVcpu, elapsed: Ns): Record {
    let record = this.#records.get(vcpu.vcpu);
    if (!record) {
      record = { seen: 0, ranNs: vcpu.ranNs, waitedNs: vcpu.waitedNs, demand: 0.5, observedNs: 0, lagNs: 0 };
      this.#records.set(vcpu.vcpu, record);
    }
    record.seen = this.#calls;
    const ran = vcpu.ranNs - record.ranNs;
    const slept = Math.max(0, elapsed - ran - (vcpu.waitedNs - record.waitedNs));
    // Waiting says nothing about what it would do with the pCPU.
    if (ran + slept > 0) {
      record.observedNs += ran + slept;
      const part = (ran + slept) / Math.min(record.observedNs, ran + slept + DEMAND_NS);
      record.demand += part * (ran / (ran + slept) - record.demand);
    }
    return record;
  }

  /** The one move or swap between the queue that is furthest behind and the one furthest ahead that helps most. */
  #bestStep(loads: readonly Load[][], sums: readonly Sums[]): { load: Load; from: number; to: number }[] | undefined {
    const { horizonNs, hysteresis } = this.#options;
    let [from, to] = [-1, -1];
    let [most, least] = [-Infinity, Infinity];
    sums.forEach((sum, q) => {
      const pressure = pressureOf(sum, horizonNs);
      if (pressure > most) [most, from] = [pressure, q];
      if (pressure < least) [least, to] = [pressure, q];
    });
    const [a, b] = [sums[from], sums[to]];
    if (!a || !b || from === to || most - least < hysteresis * horizonNs) return undefined;

    const before = errorOf(a, horizonNs) + errorOf(b, horizonNs);
    let gain = (hysteresis * horizonNs) ** 2;
    let best: { load: Load; from: number; to: number }[] | undefined;
    const consider = (out: Load | undefined, back: Load | undefined): void => {
      const after = errorOf(changed(a, back, out), horizonNs) + errorOf(changed(b, out, back), horizonNs);
      if (before - after <= gain) return;
      gain = before - after;
      best = [];
      if (out) best.push({ load: out, from, to });
      if (back) best.push({ load: back, from: to, to: from });
    };
    const outs = (loads[from] ?? []).filter((load) => load.movable);
    const backs = (loads[to] ?? []).filter((load) => load.movable);
    for (const out of outs) consider(out, undefined);
    for (const out of furthest(outs)) for (const back of furthest(backs)) consider(out, back);
    return best;
  }
}

function view({ vcpu, weight, capPercent, ranNs, waitedNs, waiting, movable }: BalancedVcpu): BalancedVcpu {
  return { vcpu, weight, capPercent, ranNs, waitedNs, waiting, movable };
}

/** Those most behind and most ahead for their share. */
function furthest(loads: readonly Load[]): Load[] {
  if (loads.length <= SWAP_CANDIDATES) return [...loads];
  const sorted = [...loads].sort((a, b) => b.lagNs / b.rate - a.lagNs / a.rate || a.vcpu - b.vcpu);
  return [...sorted.slice(0, SWAP_CANDIDATES / 2), ...sorted.slice(-SWAP_CANDIDATES / 2)];
}

function sumsOf(loads: readonly Load[]): Sums {
  return loads.reduce<Sums>((sums, load) => changed(sums, load, undefined), { elastic: 0, inelastic: 0, lagNs: 0 });
}

function changed(sums: Sums, joins: Load | undefined, leaves: Load | undefined): Sums {
  let { elastic, inelastic, lagNs } = sums;
  for (const [load, sign] of [
    [joins, 1],
    [leaves, -1],
  ] as const) {
    if (!load) continue;
    if (load.elastic) elastic += sign * load.rate;
    else inelastic += sign * load.rate;
    lagNs += sign * load.lagNs;
  }
  return { elastic, inelastic, lagNs };
}

/** By which part of their share this queue's vCPUs will be served less (negative: more) than it. */
function shortfall({ elastic, inelastic }: Sums): number {
  if (elastic > 1e-9) return Math.max(EXCESS, 1 - Math.max(0, 1 - inelastic) / elastic);
  return inelastic > 1 ? 1 - 1 / inelastic : 0;
}

/** Lag for its share, as it will be at the horizon. */
function pressureOf(sums: Sums, horizonNs: Ns): number {
  const load = sums.elastic + sums.inelastic;
  if (load < 1e-9) return -Infinity;
  return sums.lagNs / load + horizonNs * shortfall(sums);
}

/** Sum over its vCPUs of share * (lag/share at the horizon)^2, less the part that no move changes. */
function errorOf(sums: Sums, horizonNs: Ns): number {
  const short = horizonNs * shortfall(sums);
  return 2 * short * sums.lagNs + short * short * (sums.elastic > 1e-9 ? sums.elastic : sums.inelastic);
}
