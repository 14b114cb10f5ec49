// Axes: where a value lies, and which round values to name.

/** Below this the smallest doubles have no tenth. */
const TINY = 1e-300;

export interface Scale {
  /** Position of a value, in pixels. */
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** From `min` at pixel `start` to `max` at pixel `end`; either may be the larger pixel. */
export function linearScale(min: number, max: number, start: number, end: number, tickCount = 5): Scale {
  const span = max - min > TINY ? max - min : 1;
  const rough = span / tickCount;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.99) ?? rough;
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) ticks.push(i * step + 0);
  return { at: (value) => start + ((value - min) / span) * (end - start), ticks };
}

/** Powers of ten; `min` above 0. What is below lies at the start. */
export function logScale(min: number, max: number, start: number, end: number): Scale {
  const low = Math.log10(Math.max(min, TINY));
  const span = Math.max(1e-9, Math.log10(max) - low);
  const ticks: number[] = [];
  const step = Math.max(1, Math.ceil(span / 8));
  for (let power = Math.ceil(low - 1e-9); power <= low + span + 1e-9; power += step) ticks.push(10 ** power);
  return {
    at: (value) => start + (Math.max(0, Math.log10(Math.max(value, min)) - low) / span) * (end - start),
    ticks,
  };
}

/** Three significant digits, large numbers in thousands. */
export function shortNumber(value: number): string {
  if (Math.abs(value) >= 999_500) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (Math.abs(value) >= 9995) return `${Number((value / 1000).toPrecision(3))}k`;
  return Number(value.toPrecision(3)).toString();
}
