// How well one clock followed another: numbers over the samples of a phase. Pure.

/** One comparison. */
export interface ClockError {
  /** When, ms since the phase began, on the reference. */
  readonly atMs: number;
  /** Reference minus clock, ns. */
  readonly errorNs: number;
}

export interface Accuracy {
  readonly samples: number;
  /** Mean of |error|, largest, and the one that 99 of 100 do not exceed; ns. */
  readonly meanNs: number;
  readonly p99Ns: number;
  readonly maxNs: number;
  /** Share of the samples with |error| at most epsilon, 0 to 1. */
  readonly withinEpsilon: number;
  /** Ms from the beginning until the clock was within epsilon for good; undefined when it was not at the end. */
  readonly latencyMs: number | undefined;
}

export function accuracy(errors: readonly ClockError[], epsilonNs: number): Accuracy {
  const sizes = errors.map(({ errorNs }) => Math.abs(errorNs)).sort((a, b) => a - b);
  const count = sizes.length;
  // Behind the last sample that was out; a clock that was never out has been there from the beginning.
  const lastOut = errors.findLastIndex(({ errorNs }) => Math.abs(errorNs) > epsilonNs);
  return {
    samples: count,
    meanNs: count === 0 ? Number.NaN : sizes.reduce((sum, size) => sum + size, 0) / count,
    p99Ns: sizes[Math.max(0, Math.ceil(count * 0.99) - 1)] ?? Number.NaN,
    maxNs: sizes.at(-1) ?? Number.NaN,
    withinEpsilon: count === 0 ? Number.NaN : sizes.filter((size) => size <= epsilonNs).length / count,
    latencyMs: lastOut < 0 ? 0 : errors[lastOut + 1]?.atMs,
  };
}
