// Latencies in logarithmic buckets: a bounded table whatever the number of samples, exact to a part of the value.

export interface LatencySummary {
  readonly count: number;
  readonly sumNs: number;
  /** Nanoseconds; upper ends of the buckets, 0 without samples. */
  readonly p50Ns: number;
  readonly p95Ns: number;
  readonly p99Ns: number;
  readonly maxNs: number;
}

/** Buckets for each doubling: values are exact to 9%. */
const STEPS = 8;
/** Up to three days. */
const DOUBLINGS = 48;

export class LatencyHistogram {
  readonly #steps: number;
  readonly #buckets: Float64Array;
  #count = 0;
  #sumNs = 0;
  #maxNs = 0;

  constructor(steps = STEPS) {
    this.#steps = steps;
    this.#buckets = new Float64Array(DOUBLINGS * steps);
  }

  add(ns: number): void {
    const bucket = ns < 1 ? 0 : Math.min(this.#buckets.length - 1, Math.ceil(Math.log2(ns) * this.#steps));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count++;
    this.#sumNs += ns;
    if (ns > this.#maxNs) this.#maxNs = ns;
  }

  /** The latency that `fraction` of the samples did not exceed. */
  percentileNs(fraction: number): number {
    let left = this.#count * fraction;
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket] ?? 0;
      if (left <= 0 && this.#count > 0) return this.#endNs(bucket);
    }
    return this.#maxNs;
  }

  /** The part of the samples that took at most `ns`, wherever it rises. */
  distribution(): { readonly ns: number; readonly part: number }[] {
    let sum = 0;
    const points: { ns: number; part: number }[] = [];
    this.#buckets.forEach((samples, bucket) => {
      sum += samples;
      if (samples > 0) points.push({ ns: this.#endNs(bucket), part: sum / this.#count });
    });
    return points;
  }

  /** The bucket of everything below 1 ns counts as 0. */
  #endNs(bucket: number): number {
    return bucket === 0 ? 0 : Math.min(this.#maxNs, 2 ** (bucket / this.#steps));
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      sumNs: this.#sumNs,
      p50Ns: this.percentileNs(0.5),
      p95Ns: this.percentileNs(0.95),
      p99Ns: this.percentileNs(0.99),
      maxNs: this.#maxNs,
    };
  }
}
