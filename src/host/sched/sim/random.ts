// Pseudo-random numbers of the simulation: xoshiro128** (Blackman and Vigna 2018), seeded through splitmix32. Every vCPU has
// a stream of its own, so that what it does next does not depend on the order in which a policy runs others.

export const SPREADS = ["constant", "uniform", "exponential", "pareto"] as const;
export type Spread = (typeof SPREADS)[number];

/** Bounded Pareto: shape, and the largest value for the smallest. */
const PARETO_SHAPE = 1.5;
const PARETO_RANGE = 1000;

export class Random {
  readonly #state = new Uint32Array(4);

  /** `stream`: which of many independent sequences of this seed. */
  constructor(seed: number, stream = 0) {
    let x = (Math.imul(seed >>> 0, 0x9e3779b9) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.#state[i] = (z ^ (z >>> 15)) >>> 0;
    }
    // All zeros is the one state that never leaves itself.
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** Continues from four words of state, not all of them 0. */
  static fromState(state: readonly [number, number, number, number]): Random {
    const random = new Random(0);
    random.#state.set(state);
    return random;
  }

  /** 32 random bits. */
  bits(): number {
    const s = this.#state as unknown as [number, number, number, number];
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** In (0, 1), never an end. */
  uniform(): number {
    return (this.bits() + 0.5) / 2 ** 32;
  }

  /** A positive number of this mean; "constant" takes none from the stream. */
  draw(mean: number, spread: Spread): number {
    switch (spread) {
      case "constant":
        return mean;
      case "uniform":
        return 2 * mean * this.uniform();
      case "exponential":
        return -mean * Math.log(this.uniform());
      case "pareto": {
        const cut = PARETO_RANGE ** -PARETO_SHAPE;
        const value = (1 - this.uniform() * (1 - cut)) ** (-1 / PARETO_SHAPE);
        return (mean / PARETO_MEAN) * value;
      }
    }
  }
}

/** Mean of the bounded Pareto distribution whose smallest value is 1. */
const PARETO_MEAN =
  (PARETO_SHAPE / (PARETO_SHAPE - 1)) *
  ((1 - PARETO_RANGE ** (1 - PARETO_SHAPE)) / (1 - PARETO_RANGE ** -PARETO_SHAPE));
