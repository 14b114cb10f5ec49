// How a clock is made to follow a reference: from offsets between the two comes a rate to run at, seldom a step forward,
// never a step back. A pure object: it reads no clock, so the same code runs in simulations and under VMs.
//
// Two numbers are estimated. The offset is what the last sample says, as far as it exceeds the sample's own error. The
// drift, by how much the clock is slower than the reference when left alone, is averaged over intervals long enough that
// the errors of their ends do not matter.

/** What an offset was measured to be. */
export interface OffsetSample {
  /** Now, ns of the uncorrected clock (the host's monotonic time). */
  readonly atNs: number;
  /** Reference minus clock: positive when the clock is behind. */
  readonly offsetNs: number;
  /** The offset may be wrong by so much either way. Default 0. */
  readonly errorNs?: number;
}

/** What to do now. */
export interface Correction {
  /** Forward at once; 0 for no step. */
  readonly stepNs: number;
  /** Then run by so much faster (negative: slower) than the uncorrected clock, ... */
  readonly ratePpm: number;
  /** ... for so long, ns of the uncorrected clock; after that by driftPpm. */
  readonly forNs: number;
}

export interface DisciplineOptions {
  /** Largest change of rate either way, in millionths: 1 to 900,000. Default 500,000: between half and one and a half times. */
  readonly maxSlewPpm?: number;
  /** A clock that is further behind is stepped forward. Default 128 ms, NTP's (RFC 5905, STEPT). */
  readonly stepThresholdNs?: number;
  /** Largest drift that is believed, in millionths. Default 500, NTP's (RFC 5905, MAXFREQ). */
  readonly maxDriftPpm?: number;
}

export const DEFAULT_MAX_SLEW_PPM = 500_000;
export const DEFAULT_STEP_THRESHOLD_NS = 128e6;
export const MAX_SLEW_PPM_LIMIT = 900_000;
const DEFAULT_MAX_DRIFT_PPM = 500;
/** Offsets closer together than this say nothing about the drift. */
const DRIFT_INTERVAL_NS = 1e9;
/** How many intervals the average of the drift looks back, about. */
const DRIFT_MEMORY = 8;
const MILLION = 1e6;

const clamp = (value: number, limit: number): number => Math.max(-limit, Math.min(limit, value));

export class ClockDiscipline {
  readonly maxSlewPpm: number;
  readonly stepThresholdNs: number;
  readonly #maxDriftPpm: number;
  #driftPpm = 0;
  #driftSamples = 0;
  /** Start of the interval over which the drift is being measured, and the correction applied since. */
  #base: OffsetSample | undefined;
  #appliedNs = 0;
  /** What the last update ordered, and when. */
  #order: { readonly atNs: number; readonly correction: Correction } | undefined;

  constructor(options: DisciplineOptions = {}) {
    this.maxSlewPpm = options.maxSlewPpm ?? DEFAULT_MAX_SLEW_PPM;
    this.stepThresholdNs = options.stepThresholdNs ?? DEFAULT_STEP_THRESHOLD_NS;
    this.#maxDriftPpm = Math.min(options.maxDriftPpm ?? DEFAULT_MAX_DRIFT_PPM, this.maxSlewPpm);
  }

  /** Estimate of by how much the uncorrected clock is slower than the reference, in millionths. */
  get driftPpm(): number {
    return this.#driftPpm;
  }

  /** The clock stood still, or was set, for a reason that is no drift: its offset grew by `ns` (negative: fell). */
  moved(ns: number): void {
    this.#appliedNs -= ns;
  }

  /** A sample came: what to do until the next one. Samples are in order of time. */
  update(sample: OffsetSample): Correction {
    this.#account(sample.atNs);
    this.#measureDrift(sample);
    const correction = this.#decide(sample);
    this.#order = { atNs: sample.atNs, correction };
    this.#appliedNs += correction.stepNs;
    return correction;
  }

  /** Adds up what the clock was corrected by since the last update. */
  #account(nowNs: number): void {
    if (this.#order === undefined) return;
    const { atNs, correction } = this.#order;
    const passed = nowNs - atNs;
    const slewing = Math.min(passed, correction.forNs);
    this.#appliedNs += (slewing * correction.ratePpm + (passed - slewing) * this.#driftPpm) / MILLION;
  }

  #measureDrift(sample: OffsetSample): void {
    const base = this.#base;
    if (base === undefined) {
      this.#base = sample;
      this.#appliedNs = 0;
      return;
    }
    const interval = sample.atNs - base.atNs;
    // The ends may be wrong by their errors: so long that this is below the largest drift.
    const errors = (sample.errorNs ?? 0) + (base.errorNs ?? 0);
    if (interval < DRIFT_INTERVAL_NS || errors * MILLION > interval * this.#maxDriftPpm) return;
    const seen = ((sample.offsetNs - base.offsetNs + this.#appliedNs) / interval) * MILLION;
    this.#driftSamples = Math.min(this.#driftSamples + 1, DRIFT_MEMORY);
    this.#driftPpm = clamp(this.#driftPpm + (seen - this.#driftPpm) / this.#driftSamples, this.#maxDriftPpm);
    this.#base = sample;
    this.#appliedNs = 0;
  }

  #decide({ offsetNs, errorNs = 0 }: OffsetSample): Correction {
    const steady = { stepNs: 0, ratePpm: this.#driftPpm, forNs: 0 };
    if (offsetNs > this.stepThresholdNs) return { ...steady, stepNs: offsetNs };
    // What the sample cannot tell from nothing is left alone.
    const known = Math.max(0, Math.abs(offsetNs) - errorNs) * Math.sign(offsetNs);
    if (known === 0) return steady;
    const ratePpm = Math.sign(known) * this.maxSlewPpm;
    // Over `forNs` the clock gains rate - drift on the reference.
    const gain = Math.abs(ratePpm - this.#driftPpm);
    return { stepNs: 0, ratePpm, forNs: gain > 0 ? (Math.abs(known) * MILLION) / gain : 0 };
  }
}
