// What a guest's own requests for the time say about its clock: an NTP client writes what its clock shows into each.
import { ntpRequestTime } from "./ntp.ts";

/** Requests that mean, maximum and drift are taken of. */
const WINDOW = 64;
/** A clock that is further off, ns, is none: a client that sends random bits in place of its time (busybox, chrony). */
const PLAUSIBLE_NS = 3_600e9;
const EPSILON_NS = 1e6;
/** Least time that a drift is measured over, ns. */
const DRIFT_SPAN_NS = 10e9;

interface Sample {
  /** Host's date, ns since 1970 less that of the first sample. */
  readonly atNs: number;
  readonly offsetNs: number;
}

export class TimeClient {
  #samples: Sample[] = [];
  #firstNs: bigint | undefined;
  #lastTimeNs: bigint | undefined;
  #requests = 0;
  #measured = 0;
  #hidden = 0;
  #backwardSteps = 0;

  /** A request that came when the host's date was `hostNs`, ns since 1970. What is no client's request is passed over. */
  observe(request: Uint8Array, hostNs: bigint): void {
    const timeNs = ntpRequestTime(request, hostNs);
    if (timeNs === undefined) return;
    this.#requests++;
    const offsetNs = Number(timeNs - hostNs);
    if (Math.abs(offsetNs) > PLAUSIBLE_NS) {
      this.#hidden++;
      return;
    }
    this.#measured++;
    if (this.#lastTimeNs !== undefined && timeNs < this.#lastTimeNs) this.#backwardSteps++;
    this.#lastTimeNs = timeNs;
    this.#firstNs ??= hostNs;
    this.#samples = [...this.#samples.slice(1 - WINDOW), { atNs: Number(hostNs - this.#firstNs), offsetNs }];
  }

  /**
   * Undefined before the first request. Offsets are of the guest's clock against the host's, with the way of the request in
   * them; those of the last 64 requests. `ntpHidden`: requests that do not tell the time.
   */
  metrics(): Readonly<Record<string, number>> | undefined {
    if (this.#requests === 0) return undefined;
    const counts = {
      ntpRequests: this.#requests,
      ntpMeasured: this.#measured,
      ntpHidden: this.#hidden,
      ntpBackwardSteps: this.#backwardSteps,
    };
    const last = this.#samples.at(-1);
    if (last === undefined) return counts;
    const errors = this.#samples.map(({ offsetNs }) => Math.abs(offsetNs));
    const drift = driftPpm(this.#samples);
    return {
      ...counts,
      ntpOffsetNs: last.offsetNs,
      ntpMeanErrorNs: errors.reduce((sum, error) => sum + error, 0) / errors.length,
      ntpMaxErrorNs: Math.max(...errors),
      ntpWithinOneMs: errors.filter((error) => error <= EPSILON_NS).length / errors.length,
      ...(drift === undefined ? {} : { ntpDriftPpm: drift }),
    };
  }
}

/** Slope of the offsets over time by least squares; undefined where they span too little. */
function driftPpm(samples: readonly Sample[]): number | undefined {
  const span = (samples.at(-1)?.atNs ?? 0) - (samples[0]?.atNs ?? 0);
  if (span < DRIFT_SPAN_NS) return undefined;
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, s) => sum + of(s), 0) / samples.length;
  const at = mean(({ atNs }) => atNs);
  const offset = mean(({ offsetNs }) => offsetNs);
  const above = samples.reduce((sum, s) => sum + (s.atNs - at) * (s.offsetNs - offset), 0);
  const below = samples.reduce((sum, s) => sum + (s.atNs - at) ** 2, 0);
  return (above / below) * 1e6;
}
