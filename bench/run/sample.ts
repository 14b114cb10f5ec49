// Repeated measurements and what is said of them.

export interface Sample {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly count: number;
}

/** Undefined for no values. */
export function summarize(values: readonly number[]): Sample | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle)] as number)) / 2;
  return { min: sorted[0] as number, median, max: sorted.at(-1) as number, count: sorted.length };
}

/** Undefined for no values. All must be above 0. */
export function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
