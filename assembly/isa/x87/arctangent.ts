// Arctangent of a ratio up to 1. The ratio is split at the nearest multiple c of 1/64: atan(y / x) = atan c + atan z with
// z = (y - c x) / (x + c y) up to 1/128 in magnitude, and atan z = z (1 - p). Numerator and denominator are exact; z has
// more than 100 bits, p below 2^-15 is kept in units of 2^-77, so that the result is off by a few units of 2^-77.
import { ARCTANGENTS } from "./constants.gen";
import { divideWide, normalizeWide, wideExp, wideHi, wideLo } from "./wide";
import { multiplyHigh } from "./words";

const BIAS: i32 = 0x3fff;
const THIRD: u64 = 0x5555555555555555;
const TWO_77: f64 = 151115727451828646838272.0;
const TWO_64: f64 = 18446744073709551616.0;

/**
 * p = z^2/3 - z^4/5 + z^6/7 - z^8/9 + z^10/11 in units of 2^-77, at least one, for v = z^2 in units of 2^-77. Terms but
 * the first are below 2^-13, so that doubles give them to 2^-67, and p to 2^-80.
 */
// @ts-ignore: decorator
@inline
export function arctangentLoss(v: u64): u64 {
  const u = <f64>v * (1.0 / TWO_77);
  const rest = u * (0.2 - u * (1.0 / 7.0 - u * (1.0 / 9.0 - u * (1.0 / 11.0))));
  const p = multiplyHigh(v, THIRD - <u64>(rest * TWO_64));
  return p ? p : 1;
}

/** Signed 128-bit integer as a double, off by 2^-52 of it and 2^11. */
// @ts-ignore: decorator
@inline
function real(hi: u64, lo: u64): f64 {
  return <f64>(<i64>hi) * TWO_64 + <f64>lo;
}

/** atan(small / large) to slot `to`, for wide numbers of one word 0 < small <= large. */
export function arctangentOfRatio(vcpu: i32, to: i32, small: i32, large: i32): void {
  const y = wideHi(small);
  const x = wideHi(large);
  const e = wideExp(large) - wideExp(small);
  const quotient = <f64>y / <f64>x;
  const j = e < 8 ? <u64>((quotient * 64.0) / <f64>((<u64>1) << e) + 0.5) : 0;
  if (!j) {
    tinyArctangent(vcpu, to, small, large, quotient, e);
    return;
  }
  // In units of the last place of y: numerator 64 y - j x, denominator 64 x + j y, x shifted by e, both below 2^79
  const k = j << e;
  let nl = y << 6;
  const kx = k * x;
  const nh = (y >> 58) - multiplyHigh(k, x) - u64(nl < kx);
  nl -= kx;
  const jy = j * y;
  const dl = (x << (e + 6)) + jy;
  const dh = (x >> (58 - e)) + multiplyHigh(j, y) + u64(dl < jy);
  // Two digits by doubles: units of 2^-57, then of 2^-116 of the exact remainder.
  const divisor = real(dh, dl);
  const q1 = <i64>((real(nh, nl) / divisor) * 144115188075855872.0);
  const m = <u64>(q1 < 0 ? -q1 : q1);
  let ml = m * dl;
  let mh = multiplyHigh(m, dl) + m * dh;
  if (q1 < 0) {
    mh = 0 - mh - u64(ml != 0);
    ml = 0 - ml;
  }
  const rl = (nl << 57) - ml;
  const rh = ((nh << 57) | (nl >> 7)) - mh - u64(nl << 57 < ml);
  const q2 = <i64>((real(rh, rl) / divisor) * 576460752303423488.0);
  // z as a signed 128-bit fraction
  let zl = <u64>q2 << 12;
  let zh = (<u64>q1 << 7) + <u64>(q2 >> 52);
  const negative = <i64>zh < 0;
  if (negative) {
    zh = 0 - zh - u64(zl != 0);
    zl = 0 - zl;
  }
  const d = (zh << 6) | (zl >> 58);
  const t = multiplyHigh(d, arctangentLoss((multiplyHigh(d, d) << 1) | ((d * d) >> 63)));
  // t is in units of 2^-83
  zh -= (t >> 19) + u64(zl < t << 45);
  zl -= t << 45;
  const c = ARCTANGENTS + (<usize>j << 4);
  let hi = load<u64>(c);
  let lo = load<u64>(c, 8);
  if (negative) {
    hi -= zh + u64(lo < zl);
    lo -= zl;
  } else {
    lo += zl;
    hi += zh + u64(lo < zl);
  }
  normalizeWide(to, hi, lo, BIAS - 1, 0);
}

/** The same for ratios up to 1/128: `quotient` is that of the significands, 2^e of the powers of two. */
function tinyArctangent(vcpu: i32, to: i32, small: i32, large: i32, quotient: f64, e: i32): void {
  if (e > 38) {
    // z - z^3/3: just below the ratio
    divideWide(vcpu, to, small, large);
    const lo = wideLo(to);
    normalizeWide(to, wideHi(to) - u64(lo == 0), lo - 1, wideExp(to), 0);
    return;
  }
  const y = wideHi(small);
  const x = wideHi(large);
  // Two digits: units of 2^-52, then of 2^-112 of the exact remainder.
  const q1 = <u64>(quotient * 4503599627370496.0);
  const ml = q1 * x;
  const rl = (y << 52) - ml;
  const rh = (y >> 12) - multiplyHigh(q1, x) - u64(y << 52 < ml);
  const q2 = <i64>((real(rh, rl) / <f64>x) * 1152921504606846976.0);
  // Quotient below 4 in units of 2^-126
  let lo = <u64>q2 << 14;
  let hi = (q1 << 10) + <u64>(q2 >> 50);
  const n = clz(hi);
  hi = (hi << n) | (lo >> (64 - n));
  lo <<= n;
  const exp = 1 - <i32>n - e;
  const square = multiplyHigh(hi, hi);
  const p = arctangentLoss(exp < -7 ? square >> -(2 * exp + 15) : square << 1);
  // Never nothing, so that directed rounding sees a result below the ratio
  let t = multiplyHigh(hi, p);
  if (!t) t = 1;
  const below = lo < t << 51;
  lo -= t << 51;
  hi -= (t >> 13) + u64(below);
  normalizeWide(to, hi, lo, exp + BIAS, 0);
}
