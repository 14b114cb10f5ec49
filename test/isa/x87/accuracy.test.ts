// The transcendental functions against their mathematical values, computed here in integers with 512 fraction bits:
// rounding to nearest may be off by hardly more than half a unit in the last place (the SDM allows one unit).
// FSIN, FCOS and FPTAN are functions of x modulo the 66-bit pi of SDM 1 8.3.8.
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileX87 } from "./compile.ts";
import { rowNamed, X87Machine } from "./machine.ts";

const BITS = 512n;
const ONE = 1n << BITS;
const mul = (a: bigint, b: bigint): bigint => (a * b) >> BITS;
const div = (a: bigint, b: bigint): bigint => (a << BITS) / b;
const abs = (a: bigint): bigint => (a < 0n ? -a : a);

/** Sum of t0 * step(1) * step(2)... until the terms vanish. */
function series(first: bigint, next: (term: bigint, k: bigint) => bigint): bigint {
  let sum = first;
  for (let term = first, k = 1n; term !== 0n && term !== -1n; k++) {
    term = next(term, k);
    sum += term;
  }
  return sum;
}

const sin = (x: bigint): bigint => series(x, (t, k) => -mul(mul(t, x), x) / (2n * k * (2n * k + 1n)));
const cos = (x: bigint): bigint => series(ONE, (t, k) => -mul(mul(t, x), x) / (2n * k * (2n * k - 1n)));
const exp = (x: bigint): bigint => series(ONE, (t, k) => mul(t, x) / k);
/** 2 atanh(s), by its series */
function logRatio(s: bigint): bigint {
  let power = s;
  let sum = 0n;
  for (let k = 1n; abs(power) > 1n; k += 2n) {
    sum += power / k;
    power = mul(mul(power, s), s);
  }
  return 2n * sum;
}
const LN2 = logRatio(ONE / 3n);
function ln(x: bigint): bigint {
  let e = 0n;
  while (x >= 2n * ONE) {
    x >>= 1n;
    e++;
  }
  while (x < ONE) {
    x <<= 1n;
    e--;
  }
  return logRatio(div(x - ONE, x + ONE)) + e * LN2;
}
function sqrt(x: bigint): bigint {
  let r = ONE;
  for (let i = 0; i < 600; i++) {
    const n = (r + div(x, r)) >> 1n;
    if (n === r) break;
    r = n;
  }
  return r;
}
/** Halves the angle five times, then the series. */
function atan(x: bigint): bigint {
  for (let i = 0; i < 5; i++) x = div(x, ONE + sqrt(ONE + mul(x, x)));
  let power = x;
  let sum = 0n;
  for (let k = 1n; abs(power) > 1n; k += 2n) {
    sum += (k & 2n ? -power : power) / k;
    power = mul(mul(power, x), x);
  }
  return sum * 32n;
}
const PI = 4n * atan(ONE);
const PI66 = (0xc90fdaa22168c234cn << BITS) >> 66n;

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
/** Value with 512 fraction bits; exact for exponents above -448. */
function value({ sig, exp, negative }: Number80): bigint {
  const shift = BITS - 63n + BigInt(exp);
  const v = sig << shift;
  return negative ? -v : v;
}
function read(b: Uint8Array): Number80 {
  const view = new DataView(b.buffer, b.byteOffset, 10);
  const se = view.getUint16(8, true);
  return { sig: view.getBigUint64(0, true), exp: (se & 0x7fff) - 0x3fff, negative: (se & 0x8000) !== 0 };
}
const number = (low: number, high: number): fc.Arbitrary<Number80> =>
  fc.record({
    sig: fc.bigInt(1n << 63n, (1n << 64n) - 1n),
    exp: fc.integer({ min: low, max: high }),
    negative: fc.boolean(),
  });

let machine: X87Machine;
beforeAll(async () => {
  machine = new X87Machine(await compileX87());
});

/** ST(0) after the operation, with x in ST(0) and y in ST(1). */
function run(op: string, x: Number80, y: Number80 = x, result = 0): Number80 {
  machine.reset(0x37f, [bytes(x), bytes(y)], 2);
  machine.run(rowNamed(op), 0xc0);
  return read(machine.st(result));
}
/** Error in thousandths of a unit in the last place of `got`. */
function error(got: Number80, exact: bigint): number {
  const unit = 1n << (BITS - 63n + BigInt(got.exp));
  return Number((1000n * abs(value(got) - exact)) / unit);
}
const HALF = 501;

describe("x87 transcendental functions", () => {
  const check = (name: string, numbers: fc.Arbitrary<Number80>, test: (x: Number80) => number): void => {
    it(`${name} rounds its exact value`, () => {
      fc.assert(
        fc.property(numbers, (x) => {
          expect(test(x)).toBeLessThanOrEqual(HALF);
        }),
        { numRuns: 150 },
      );
    });
  };
  /** sin and cos of x: the 66-bit pi brings it within pi/4 of a multiple of pi/2, the rest is mathematics. */
  const sineCosine = (x: Number80): [bigint, bigint] => {
    const quarter = PI66 >> 1n;
    const n = (2n * value(x) + (x.negative ? -quarter : quarter)) / (2n * quarter);
    const r = value(x) - n * quarter;
    switch (((n % 4n) + 4n) % 4n) {
      case 0n:
        return [sin(r), cos(r)];
      case 1n:
        return [cos(r), -sin(r)];
      case 2n:
        return [-sin(r), -cos(r)];
      default:
        return [-cos(r), sin(r)];
    }
  };
  check("FSIN", number(-60, 62), (x) => error(run("FSIN", x), sineCosine(x)[0]));
  check("FCOS", number(-60, 62), (x) => error(run("FCOS", x), sineCosine(x)[1]));
  check("FSINCOS", number(-60, 62), (x) => {
    const [sine, cosine] = sineCosine(x);
    return Math.max(error(run("FSINCOS", x), cosine), error(run("FSINCOS", x, x, 1), sine));
  });
  check("FPTAN", number(-60, 62), (x) => {
    const [sine, cosine] = sineCosine(x);
    return error(run("FPTAN", x, x, 1), div(sine, cosine));
  });
  check("F2XM1", number(-60, -1), (x) => error(run("F2XM1", x), exp(mul(value(x), LN2)) - ONE));
  check("FYL2X", number(-60, 60), (x) => {
    const y = { sig: 0xb504f333f9de6484n, exp: 3, negative: x.negative };
    return error(run("FYL2X", { ...x, negative: false }, y), mul(value(y), div(ln(abs(value(x))), LN2)));
  });
  check("FYL2X near one", number(-60, -2), (x) => {
    const near = ONE + value({ ...x, sig: (x.sig >> 40n) << 40n });
    // as a number of 64 bits
    const e = near < ONE ? -1 : 0;
    const sig = near >> (BITS - 63n + BigInt(e));
    const n = { sig, exp: e, negative: false };
    if (value(n) === ONE) return 0;
    const one = { sig: 1n << 63n, exp: 0, negative: false };
    return error(run("FYL2X", n, one), div(ln(value(n)), LN2));
  });
  check("FYL2XP1", number(-60, -3), (x) => {
    const y = { sig: 0xb504f333f9de6484n, exp: 3, negative: false };
    return error(run("FYL2XP1", x, y), mul(value(y), div(ln(ONE + value(x)), LN2)));
  });
  it("FPATAN rounds its exact value in every quadrant", () => {
    fc.assert(
      fc.property(number(-30, 30), number(-30, 30), (x, y) => {
        const base = atan(div(abs(value(y)), abs(value(x))));
        const positive = x.negative ? PI - base : base;
        expect(error(run("FPATAN", x, y), y.negative ? -positive : positive)).toBeLessThanOrEqual(HALF);
      }),
      { numRuns: 150 },
    );
  });
});
