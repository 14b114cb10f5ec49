// Deterministic pseudo-random numbers and the edge values that instructions break on.

/** sfc32: small, fast, and good enough to drive tests. All results are unsigned. */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9 | 0;
  #d = 1;

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** Uniform in 0..n-1. */
  below(n: number): number {
    return Math.floor((this.u32() / 4294967296) * n);
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.u32() < percent * 42949672.96;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** An operand of 8, 16 or 32 bits: an edge value, a small number, a single bit, or anything. */
  value(bits: number): number {
    const mask = bits === 32 ? 0xffffffff : (1 << bits) - 1;
    const kind = this.below(16);
    let v: number;
    if (kind < 5) v = this.pick(EDGES);
    else if (kind < 7) v = this.below(40);
    else if (kind === 7) v = 1 << this.below(bits);
    else if (kind === 8) v = (this.pick(EDGES) + this.below(3) - 1) | 0;
    else v = this.u32();
    return (v & mask) >>> 0;
  }
}

const EDGES: readonly number[] = [
  0, 0, 1, 0xffffffff, 0xffffffff, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0x80000001, 0xfffffffe, 0xffffff80, 0xffff8000, 0x55555555, 0xaaaaaaaa, 0x0f, 0x10, 0x99, 0x9a, 0x7f7f7f7f,
  0x80808080,
];

/** A 32-bit hash of a text (FNV-1a), for seeds that do not depend on the order of forms. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
