// The cap of one vCPU as a budget of CPU time that refills at the start of every period. The only place that knows what
// a cap is; every policy parks a vCPU whose budget is used up (run-queue.ts).
import type { Ns } from "./policy.ts";

/** Less than this is nothing: a timer cannot be set for it, and rounding leaves such rests. */
export const REST_NS = 1;

/**
 * What is not used is saved, within bounds: a vCPU that had to wait for its turn catches up, one that slept cannot save for
 * long. What a run takes beyond the budget is owed by the next periods. Over any time the service is at most the cap plus
 * one period, plus the overrun of the last run: the most saved and the budget of the next period make one period of CPU time.
 */
export class CapBudget {
  #leftNs: Ns;
  /** Number of the period that #leftNs belongs to: they begin at multiples of the period on the host's clock. */
  #period: number;
  readonly #budgetNs: Ns;
  readonly #mostNs: Ns;
  readonly #periodNs: Ns;

  /** `capPercent` above 0. `leftNs`: what is left of this period's budget; default its budget. */
  constructor(capPercent: number, periodNs: Ns, now: Ns, leftNs?: Ns) {
    this.#budgetNs = (capPercent / 100) * periodNs;
    this.#mostNs = Math.max(this.#budgetNs, periodNs - this.#budgetNs);
    this.#periodNs = periodNs;
    this.#period = Math.floor(now / periodNs);
    this.#leftNs = leftNs === undefined ? this.#budgetNs : Math.min(leftNs, this.#mostNs);
  }

  /** What may still be used in this period; negative after an overrun. */
  leftNs(now: Ns): Ns {
    this.#refill(now);
    return this.#leftNs;
  }

  exhausted(now: Ns): boolean {
    return this.leftNs(now) < REST_NS;
  }

  /** It ran for `ranNs`, ending now. What ran before a boundary is paid from the budget before it. */
  use(ranNs: Ns, now: Ns): void {
    const started = now - ranNs;
    this.#refill(started);
    const boundary = (this.#period + 1) * this.#periodNs;
    if (now < boundary) {
      this.#leftNs -= ranNs;
      return;
    }
    this.#leftNs -= Math.max(0, boundary - started);
    this.#refill(boundary);
    // Whole periods in between saved nothing, as all of each was used.
    const periods = Math.floor(now / this.#periodNs) - this.#period;
    this.#leftNs += periods * this.#budgetNs - (now - Math.max(boundary, started));
    this.#period += periods;
  }

  /** When an exhausted budget is above zero again. */
  refillsAtNs(): Ns {
    const periods = Math.max(1, Math.floor((REST_NS - this.#leftNs) / this.#budgetNs) + 1);
    return (this.#period + periods) * this.#periodNs;
  }

  #refill(now: Ns): void {
    const period = Math.floor(now / this.#periodNs);
    if (period <= this.#period) return;
    this.#leftNs = Math.min(this.#mostNs, this.#leftNs + this.#budgetNs * (period - this.#period));
    this.#period = period;
  }
}
