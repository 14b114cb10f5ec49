// The short paths of assembly/isa/x87/quick-functions.ts are taken when rounding to nearest only: what they leave behind
// must fit what the general paths compute from the same operands when rounding down, up and towards zero.
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import * as L from "../../../spec/layout.ts";
import { compileX87 } from "./compile.ts";
import { rowNamed, X87Machine } from "./machine.ts";

const RUNS = Number(process.env.X87_RUNS ?? 10_000);
const NEAREST = 0x000;
const DOWN = 0x400;
const UP = 0x800;
const ZERO = 0xc00;
const C1 = 0x200;
const PE = 0x20;

let machine: X87Machine;
beforeAll(async () => {
  machine = new X87Machine(await compileX87());
});

interface Number80 {
  readonly sig: bigint;
  readonly exp: number;
  readonly negative: boolean;
}
function bytes({ sig, exp, negative }: Number80): Uint8Array {
  const b = new Uint8Array(10);
  const view = new DataView(b.buffer);
  view.setBigUint64(0, sig, true);
  view.setUint16(8, (exp + 0x3fff) | (negative ? 0x8000 : 0), true);
  return b;
}

/** Significands of every kind: any bits, few bits, those of a double, next to a power of two. */
const significand = fc.oneof(
  fc.bigInt(1n << 63n, (1n << 64n) - 1n),
  fc.bigInt(1n << 63n, (1n << 64n) - 1n).map((s) => (s >> 11n) << 11n),
  fc.bigInt(1n << 7n, (1n << 8n) - 1n).map((s) => s << 56n),
  fc.bigInt(0n, 1000n).map((s) => (1n << 63n) + s),
  fc.bigInt(1n, 1000n).map((s) => (1n << 64n) - s),
);
const number = (low: number, high: number): fc.Arbitrary<Number80> =>
  fc.record({ sig: significand, exp: fc.integer({ min: low, max: high }), negative: fc.boolean() });

interface Outcome {
  readonly fsw: number;
  readonly tags: number;
  /** Registers as signed integers, of which neighbours differ by one. */
  readonly results: readonly bigint[];
}
function run(op: string, control: number, operands: readonly Number80[], results: number): Outcome {
  // Codes of an earlier instruction: C0, C1, C2 and C3
  machine.reset(control, operands.map(bytes), operands.length, 3, 0x4700);
  machine.run(rowNamed(op), 0xc0);
  return {
    fsw: machine.get16(L.FPU_FSW),
    tags: machine.get8(L.FPU_TAG),
    results: Array.from({ length: results }, (_, i) => {
      const at = machine.st(i);
      const view = new DataView(at.buffer, at.byteOffset, 10);
      const se = view.getUint16(8, true);
      const magnitude = (BigInt(se & 0x7fff) << 63n) | (view.getBigUint64(0, true) & ((1n << 63n) - 1n));
      return se & 0x8000 ? -magnitude : magnitude;
    }),
  };
}
const text = ({ fsw, results }: Outcome): string =>
  `${results.map((n) => n.toString(16)).join(" ")}, status ${fsw.toString(16)}`;
const size = (n: bigint): bigint => (n < 0n ? -n : n);

/** `reported`: the result that C1 tells about; `ulp`: the distance of neighbours. */
function expectRounded(op: string, fcw: number, operands: readonly Number80[], results = 1, reported = 0, ulp = 1n) {
  const [nearest, down, up, zero] = [NEAREST, DOWN, UP, ZERO].map((rc) => run(op, fcw | rc, operands, results));
  if (!nearest || !down || !up || !zero) throw new Error("unreachable");
  // No expect() here: this runs some hundred thousand times.
  const must = (ok: boolean, what: string): void => {
    if (!ok) throw new Error(`${what}: ${[nearest, down, up, zero].map(text).join("; ")}`);
  };
  for (let i = 0; i < results; i++) {
    const [n, d, u] = [nearest.results[i] as bigint, down.results[i] as bigint, up.results[i] as bigint];
    must(n === d || n === u, `ST(${i}) is neither neighbour`);
    must(u - d === ulp || (u === d && op === "FSQRT"), `rounding down and up is not one unit apart in ST(${i})`);
  }
  const away = size(nearest.results[reported] as bigint) > size(zero.results[reported] as bigint);
  must(((nearest.fsw & C1) !== 0) === away, "C1");
  must((nearest.fsw & ~C1) === (down.fsw & ~C1), "status word");
  must(nearest.tags === down.tags, "tags");
  return nearest;
}

describe("common cases of x87 functions round as the general ones", () => {
  const holds = (name: string, numbers: fc.Arbitrary<Number80[]>, check: (n: readonly Number80[]) => unknown): void => {
    const property = fc.property(numbers, (n) => {
      check(n);
    });
    it(name, () => fc.assert(property, { numRuns: RUNS }), 600_000);
  };
  const angles = fc.tuple(number(-8, 32));
  holds("FSIN", angles, (x) => expectRounded("FSIN", 0x37f, x));
  holds("FCOS", angles, (x) => expectRounded("FCOS", 0x37f, x));
  holds("FSINCOS", angles, (x) => expectRounded("FSINCOS", 0x37f, x, 2, 1));
  holds("FPATAN", fc.tuple(number(-9, 9), number(0, 0)), (n) => expectRounded("FPATAN", 0x37f, n));
  // Close to one, where the last place is worth least
  const logarithms = fc.tuple(fc.oneof(number(-1, 0), number(-1, 0), number(-70, 70)), number(-3, 3));
  holds("FYL2X", logarithms, ([x, y]) => {
    const positive = { ...(x as Number80), negative: false };
    if (positive.sig !== 1n << 63n) expectRounded("FYL2X", 0x37f, [positive, y as Number80]);
  });
  it("FYL2X of which the paths find the same neighbour from different sides", () => {
    const x = { sig: 9337433339517946212n, exp: 0, negative: false };
    expectRounded("FYL2X", 0x37f, [x, { sig: 9223372036854776378n, exp: 0, negative: false }]);
  });
  for (const [precision, fcw, ulp] of [
    [64, 0x37f, 1n],
    [53, 0x27f, 1n << 11n],
  ] as const)
    holds(`FSQRT to ${precision} bits`, fc.tuple(number(-40, 40)), ([x]) => {
      const positive = { ...(x as Number80), negative: false };
      const { results, fsw } = expectRounded("FSQRT", fcw, [positive], 1, 0, ulp);
      // The root in units of its last place, which the smallest root with the operand's exponent has
      const magnitude = results[0] as bigint;
      const exp = Number(magnitude >> 63n) - 0x3fff - (positive.exp >> 1);
      const root = ((magnitude & ((1n << 63n) - 1n)) | (1n << 63n)) << BigInt(exp);
      const square = positive.sig << (positive.exp & 1 ? 64n : 63n);
      const exact = root * root === square;
      if (((fsw & PE) !== 0) === exact) throw new Error("PE");
      // (2 root -+ ulp)^2 lie around 4 n
      if ((2n * root - ulp) ** 2n > 4n * square || 4n * square > (2n * root + ulp) ** 2n)
        throw new Error(`the nearest root is not ${root.toString(16)}`);
    });
  it("results beyond the exponent's range leave the common case", () => {
    const huge = { sig: 0xc000000000000000n, exp: 0x3ffe, negative: false };
    const [y, x] = [huge, { sig: 0xc000000000000000n, exp: 0x3000, negative: false }];
    machine.reset(0x37f, [bytes(x), bytes(y)], 2);
    machine.run(rowNamed("FYL2X"), 0xc0);
    // Overflow: infinity, with OE and PE
    expect([machine.get16(L.FPU_FSW) & 0x3f, [...machine.st(0).subarray(8)]]).toEqual([0x28, [0xff, 0x7f]]);
  });
});
