// Sine and cosine of a reduced angle. The angle is split at the nearest multiple c of 1/64, r = c + d with |d| up to
// 1/128: sin r = S - S q + (C d - C d p) and cos r = C - C q - (S d - S d p), where S and C come from a table,
// sin d = d (1 - p) and cos d = 1 - q. S, C and d are exact to 128 bits; p and q, below 2^-14, are kept in units of
// 2^-77, so that each result is off by a few units of 2^-77 of its size: below a thousandth of the 64th bit.
import { SINES_AND_COSINES } from "./constants.gen";
import { normalizeWide, setWide, wideExp, wideHi, wideLo, wideSign } from "./wide";
import { multiplyHigh } from "./words";

const BIAS: i32 = 0x3fff;
/** 2^64 / 6 */
const SIXTH: u64 = 0x2aaaaaaaaaaaaaab;
const HALF: u64 = 0x8000000000000000;
const TWO_77: f64 = 151115727451828646838272.0;
const TWO_64: f64 = 18446744073709551616.0;

/**
 * p = d^2/6 - d^4/120 + d^6/5040 - d^8/362880 in units of 2^-77, at least one, for v = d^2 in units of 2^-77. Terms but
 * the first are below 2^-20 of it, so that doubles give them to 2^-73.
 */
// @ts-ignore: decorator
@inline
export function sineLoss(v: u64): u64 {
  const u = <f64>v * (1.0 / TWO_77);
  const rest = u * (1.0 / 120.0 - u * (1.0 / 5040.0 - u * (1.0 / 362880.0)));
  const p = multiplyHigh(v, SIXTH - <u64>(rest * TWO_64));
  return p ? p : 1;
}

/** q = d^2/2 - d^4/24 + d^6/720 - d^8/40320 in the same way. */
// @ts-ignore: decorator
@inline
export function cosineLoss(v: u64): u64 {
  const u = <f64>v * (1.0 / TWO_77);
  const rest = u * (1.0 / 24.0 - u * (1.0 / 720.0 - u * (1.0 / 40320.0)));
  const q = multiplyHigh(v, HALF - <u64>(rest * TWO_64));
  return q ? q : 1;
}

/**
 * To slot `to`, with `sign`: a (1 - q) + b (d - dp), or minus with `minus`, for the table values a and b (addresses of
 * 128-bit fractions), d in units of 2^-70 and dp in units of 2^-83.
 */
function combine(to: i32, a: usize, b: usize, q: u64, d: u64, dp: u64, minus: bool, sign: u32): void {
  let hi = load<u64>(a);
  let lo = load<u64>(a, 8);
  let t = multiplyHigh(hi, q);
  hi -= t >> 13;
  t <<= 51;
  hi -= u64(lo < t);
  lo -= t;
  const bh = load<u64>(b);
  // b * d in units of 2^-134, then b * dp off it
  let ph = multiplyHigh(bh, d);
  let pl = bh * d;
  t = multiplyHigh(load<u64>(b, 8), d);
  pl += t;
  ph += u64(pl < t);
  pl = (ph << 58) | (pl >> 6);
  ph >>= 6;
  t = multiplyHigh(bh, dp);
  ph -= t >> 19;
  t <<= 45;
  ph -= u64(pl < t);
  pl -= t;
  if (minus) {
    hi -= ph + u64(lo < pl);
    lo -= pl;
  } else {
    lo += pl;
    hi += ph + u64(lo < pl);
  }
  normalizeWide(to, hi, lo, BIAS - 1, sign);
}

/** 1 - loss * 2^-77, times the significand `sig` with exponent `exp`, to slot `to`: always below `sig`. */
function lessen(to: i32, sig: u64, exp: i32, loss: u64, sign: u32): void {
  let t = multiplyHigh(sig, loss);
  if (!t) t = 1;
  const lo: u64 = 0 - (t << 51);
  normalizeWide(to, sig - (t >> 13) - u64(lo != 0), lo, exp, sign);
}

/**
 * Sine and cosine (each if its slot is not 0) of the angle of magnitude below 52/64 in slot r, nonzero: a remainder
 * whose last bit stands for 2^-70 or more, or a number of 64 bits below 1/128.
 */
export function sineAndCosine(r: i32, sine: i32, cosine: i32): void {
  const exp = wideExp(r) - BIAS;
  const sign = wideSign(r);
  const hi = wideHi(r);
  if (exp < -7) {
    if (exp < -38) {
      // x - x^3/6 and 1 - x^2/2 are just below x and 1.
      if (sine) normalizeWide(sine, hi - 1, ~(<u64>0), wideExp(r), sign);
      if (cosine) setWide(cosine, ~(<u64>0), ~(<u64>0), BIAS - 1, 0);
      return;
    }
    const v = multiplyHigh(hi, hi) >> -(2 * exp + 15);
    if (sine) lessen(sine, hi, wideExp(r), sineLoss(v), sign);
    if (cosine) {
      const q = cosineLoss(v);
      const lo: u64 = 0 - (q << 51);
      setWide(cosine, 0 - (q >> 13) - u64(lo != 0), lo, BIAS - 1, 0);
    }
    return;
  }
  // In units of 2^-70, the upper word is c in 64ths after rounding and the lower word is d.
  const n = 57 - exp;
  let j = n < 64 ? hi >> n : 0;
  let d = n < 64 ? (hi << (64 - n)) | (wideLo(r) >> n) : hi;
  const below = d >> 63;
  j += below;
  if (below) d = 0 - d;
  const v = (multiplyHigh(d, d) << 1) | ((d * d) >> 63);
  const p = multiplyHigh(d, sineLoss(v));
  const q = cosineLoss(v);
  const s = SINES_AND_COSINES + (<usize>j << 5);
  const c = s + 16;
  if (sine) combine(sine, s, c, q, d, p, below != 0, sign);
  if (cosine) combine(cosine, c, s, q, d, p, below == 0, 0);
}
