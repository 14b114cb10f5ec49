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
/** Only so many of a queue, the furthest behind and ahead, are thought of for a move, and fewer for swaps. */
const MOVE_CANDIDATES = 32;
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

/** A move, or two that change places. */
type Step = readonly { readonly load: Load; readonly from: number; readonly to: number }[];

/** Pairs of queues that are tried for a step: those furthest behind with those furthest ahead. */
const FROM_CANDIDATES = 4;
const TO_CANDIDATES = 2;

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

    const moves: Move[] = [];
    while (this.#moves >= 1) {
      const step = this.#bestStep(loads);
      if (!step || this.#moves < step.length) break;
      this.#moves -= step.length;
      for (const { load, from, to } of step) {
        loads[from]?.splice(loads[from].indexOf(load), 1);
        loads[to]?.push(load);
        moves.push({ vcpu: load.vcpu, from, to });
      }
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

  /** The move or swap that helps most between the queues furthest behind and those furthest ahead; undefined: none is worth it. */
  #bestStep(loads: readonly Load[][]): Step | undefined {
    const { horizonNs, hysteresis } = this.#options;
    const pressures = loads.map((queue) => pressureOf(queue, horizonNs));
    const order = loads.map((_, q) => q).sort((a, b) => (pressures[b] ?? 0) - (pressures[a] ?? 0) || a - b);
    for (const from of order.slice(0, FROM_CANDIDATES))
      for (const to of order.slice(-TO_CANDIDATES).reverse()) {
        // What is behind although it has a pCPU to itself cannot be helped; the next queue may be.
        if ((pressures[from] ?? 0) - (pressures[to] ?? 0) < hysteresis * horizonNs) continue;
        const step = bestBetween(loads, from, to, horizonNs, (hysteresis * horizonNs) ** 2);
        if (step) return step;
      }
    return undefined;
  }
}

function bestBetween(
  loads: readonly Load[][],
  from: number,
  to: number,
  horizonNs: Ns,
  worthwhile: number,
): Step | undefined {
  const [a, b] = [loads[from] ?? [], loads[to] ?? []];
  const before = errorOf(a, horizonNs) + errorOf(b, horizonNs);
  let gain = worthwhile;
  let best: Step | undefined;
  const consider = (out: Load, back: Load | undefined): void => {
    const after = errorOf(a, horizonNs, back, out) + errorOf(b, horizonNs, out, back);
    // A swap is two moves, so it has to help twice as much as one.
    const each = (before - after) / (back ? 2 : 1);
    if (each <= gain) return;
    gain = each;
    best = back
      ? [
          { load: out, from, to },
          { load: back, from: to, to: from },
        ]
      : [{ load: out, from, to }];
  };
  const outs = a.filter((load) => load.movable);
  const backs = b.filter((load) => load.movable);
  for (const out of furthest(outs, MOVE_CANDIDATES)) consider(out, undefined);
  for (const out of furthest(outs, SWAP_CANDIDATES))
    for (const back of furthest(backs, SWAP_CANDIDATES)) consider(out, back);
  return best;
}

function view({ vcpu, weight, capPercent, ranNs, waitedNs, waiting, movable }: BalancedVcpu): BalancedVcpu {
  return { vcpu, weight, capPercent, ranNs, waitedNs, waiting, movable };
}

/** Those most behind and most ahead for their share. */
function furthest(loads: readonly Load[], count: number): readonly Load[] {
  if (loads.length <= count) return loads;
  const sorted = [...loads].sort((a, b) => b.lagNs / b.rate - a.lagNs / a.rate || a.vcpu - b.vcpu);
  return [...sorted.slice(0, count / 2), ...sorted.slice(-count / 2)];
}

/** By which part of their share those who would use more, and those who would not, will be served less (negative: more) than it. */
function shortfalls(elastic: number, inelastic: number): [elastic: number, inelastic: number] {
  return [elastic > 1e-9 ? 1 - Math.max(0, 1 - inelastic) / elastic : 0, inelastic > 1 ? 1 - 1 / inelastic : 0];
}

/** Mean lag for the share, as it will be at the horizon. */
function pressureOf(queue: readonly Load[], horizonNs: Ns): number {
  let [elastic, inelastic, lagNs] = [0, 0, 0];
  for (const load of queue) {
    if (load.elastic) elastic += load.rate;
    else inelastic += load.rate;
    lagNs += load.lagNs;
  }
  const total = elastic + inelastic;
  if (total < 1e-9) return -Infinity;
  const [e, i] = shortfalls(elastic, inelastic);
  return (lagNs + horizonNs * (e * elastic + i * inelastic)) / total;
}

/**
 * Sum over a queue's vCPUs, with one more and one less, of share * (lag/share at the horizon)^2. Only those behind count:
 * to be served more than the share harms nobody by itself.
 */
function errorOf(queue: readonly Load[], horizonNs: Ns, joins?: Load, leaves?: Load): number {
  let [elastic, inelastic] = [0, 0];
  for (const load of queue) {
    if (load === leaves) continue;
    if (load.elastic) elastic += load.rate;
    else inelastic += load.rate;
  }
  if (joins?.elastic) elastic += joins.rate;
  else if (joins) inelastic += joins.rate;
  const [e, i] = shortfalls(elastic, inelastic);
  let error = 0;
  const add = (load: Load): void => {
    const behind = load.lagNs / Math.max(load.rate, 1e-9) + horizonNs * (load.elastic ? e : i);
    if (behind > 0) error += load.rate * behind * behind;
  };
  for (const load of queue) if (load !== leaves) add(load);
  if (joins) add(joins);
  return error;
}
