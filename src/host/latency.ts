// Latencies in logarithmic buckets: a bounded table whatever the number of samples, exact to 1/8 of the value.

export interface LatencySummary {
  readonly count: number;
  /** Nanoseconds; upper ends of the buckets, 0 without samples. */
  readonly p50Ns: number;
  readonly p95Ns: number;
  readonly p99Ns: number;
  readonly maxNs: number;
}

/** Buckets for each doubling. */
const STEPS = 8;
const BUCKETS = 48 * STEPS;

export class LatencyHistogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #maxNs = 0;

  add(ns: number): void {
    const bucket = ns < 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log2(ns) * STEPS));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count++;
    if (ns > this.#maxNs) this.#maxNs = ns;
  }

  /** The latency that `fraction` of the samples did not exceed. */
  percentileNs(fraction: number): number {
    let left = this.#count * fraction;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket] ?? 0;
      if (left <= 0 && this.#count > 0) return Math.min(this.#maxNs, 2 ** (bucket / STEPS));
    }
    return this.#maxNs;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50Ns: this.percentileNs(0.5),
      p95Ns: this.percentileNs(0.95),
      p99Ns: this.percentileNs(0.99),
      maxNs: this.#maxNs,
    };
  }
}
