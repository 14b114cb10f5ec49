// The linear cost model P = a + b T of one vCPU: T is the size of a job (the CPU time that it took), P what its completion
// cost (from its arrival to its end). So `a` is what every job pays whatever its size, `b` the price of a nanosecond of work:
// 1 on a pCPU of its own, about n when n vCPUs share one. Fitted by least squares over all finished jobs, in constant memory.
import type { Ns } from "../policy.ts";

export interface CostModel {
  readonly a: Ns;
  readonly b: number;
  /** Root mean square of what the line leaves unexplained. */
  readonly residual: Ns;
  readonly jobs: number;
}

export class CostFit {
  #jobs = 0;
  #meanT = 0;
  #meanP = 0;
  // Sums of products of deviations from the means (Welford), which do not cancel as sums of squares do.
  #tt = 0;
  #tp = 0;
  #pp = 0;

  add(sizeNs: Ns, costNs: Ns): void {
    this.#jobs++;
    const dt = sizeNs - this.#meanT;
    const dp = costNs - this.#meanP;
    this.#meanT += dt / this.#jobs;
    this.#meanP += dp / this.#jobs;
    this.#tt += dt * (sizeNs - this.#meanT);
    this.#tp += dt * (costNs - this.#meanP);
    this.#pp += dp * (costNs - this.#meanP);
  }

  /** Undefined without jobs. Jobs that are all of one size cannot tell a from b: then a = 0. */
  model(): CostModel | undefined {
    if (this.#jobs === 0) return undefined;
    const [meanT, meanP] = [this.#meanT, this.#meanP];
    // Sizes that differ by rounding only are one size.
    const varied = this.#tt > 1e-12 * meanT * meanT * this.#jobs;
    const b = varied ? this.#tp / this.#tt : meanP / meanT;
    const unexplained = varied ? this.#pp - b * this.#tp : this.#pp;
    return {
      a: varied ? meanP - b * meanT : 0,
      b,
      residual: Math.sqrt(Math.max(0, unexplained) / this.#jobs),
      jobs: this.#jobs,
    };
  }
}
