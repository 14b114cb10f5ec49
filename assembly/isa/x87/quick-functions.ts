// The common cases of FSQRT, FSIN, FCOS, FSINCOS, FPATAN and FYL2X: normal operands of ordinary size, round to nearest, #P
// masked. The methods of sine.ts, arctangent.ts and logarithm.ts with everything in locals, and with what is always or
// never needed there decided beforehand; error bounds are the same. Each function stores its result at `to` and returns
// the C1 of its rounding, or returns NOT_COMMON and leaves at most the place of the result changed: the general path then
// does all of it.
import { FPU_FCW, FPU_FSW } from "../../../spec/layout";
import { arctangentLoss } from "./arctangent";
import {
  ARCTANGENTS, LOGARITHMS, PI_HI, PI_LO, SINES_AND_COSINES, TWO_LOG2E_HI, TWO_LOG2E_LO,
} from "./constants.gen";
import { logarithmRest } from "./logarithm";
import { PC_64_BIT, QUICK_FIELDS, QUICK_ROUND, QUICK_VALUE } from "./quick";
import { cosineLoss, sineLoss } from "./sine";
import { C1, PE } from "./status";
import { multiplyHigh, multiplyHighShort } from "./words";

/** The operand or the control word is not common; no bit of the status word. */
export const NOT_COMMON: u32 = 0xffffffff;

const J_BIT: u64 = 0x8000000000000000;
const BIAS: i32 = 0x3fff;
const TWO_OVER_PI: f64 = 0.63661977236758134308;
/** The 66-bit pi/2 of the hardware in units of 2^-70, as two words. */
const HALF_PI_HI: u64 = 100;
const HALF_PI_LO: u64 = 0x87ed5110b4611a60;

/** Status word after one of these: PE, and C1 as returned. */
// @ts-ignore: decorator
@inline
export function noteRounded(vcpu: i32, c1: u32): void {
  store<u16>(vcpu, <u16>((<u32>load<u16>(vcpu, FPU_FSW) & ~C1) | PE | c1), FPU_FSW);
}

/** 2^n, for a normal double. */
// @ts-ignore: decorator
@inline
function power(n: i32): f64 {
  return reinterpret<f64>((<u64>(n + 1023)) << 52);
}

/**
 * 2^-12 of the last place, in the word behind it: far above how far the paths differ, and one result of a thousand lies
 * that close to where its rounding changes.
 */
const CLOSE: u64 = 1 << 52;

/**
 * Stores hi:lo, normalised and never exact, rounded to nearest. Returns C1, or NOT_COMMON where the general path could
 * round to the other neighbour, or find the same one from its other side.
 */
// @ts-ignore: decorator
@inline
function storeRounded(to: i32, hi: u64, lo: u64, exp: i32, sign: u32): u32 {
  if ((lo << 1) + (CLOSE << 1) < CLOSE << 2) return NOT_COMMON;
  const up = lo >> 63;
  hi += up;
  if (!hi) {
    hi = J_BIT;
    exp++;
  }
  store<u64>(to, hi);
  store<u16>(to, <u16>(sign | <u32>exp), 8);
  return <u32>up << 9;
}

/** The same for hi:lo * 2^(exp - 16383 - 127) with hi above zero. */
// @ts-ignore: decorator
@inline
function storeNormalized(to: i32, hi: u64, lo: u64, exp: i32, sign: u32): u32 {
  const n = clz(hi);
  return storeRounded(to, (hi << n) | ((lo >> 1) >> (63 - n)), lo << n, exp - <i32>n, sign);
}

/**
 * FSQRT. A double gives 52 bits of the root, the exact remainder the rest with a fraction of some 30 good bits: enough
 * unless the fraction is close to where the rounding changes, which every exact root is.
 */
export function quickSquareRoot(vcpu: i32, to: i32, sig: u64, se: u32): u32 {
  const fcw = <u32>load<u16>(vcpu, FPU_FCW);
  if (<i64>sig >= 0 || se - 1 >= 0x7ffe || (fcw & QUICK_FIELDS) != QUICK_VALUE) return NOT_COMMON;
  // root = sqrt(n), n = sig * 2^63 (even exponent) or sig * 2^64 (odd): 2^126 <= n < 2^128
  const even = <u64>(se & 1);
  const hi = sig >> even;
  const lo = (sig & even) << 63;
  let root = <u64>(<i64>(sqrt<f64>(<f64>(<i64>(hi >> 1))) * 3037000499.9760499)) << 1; // 2^31.5
  if (<i64>root >= 0) return NOT_COMMON;
  // n - root^2 = (2 * root + delta) * delta, below 2^78 in magnitude; the square of delta does not count.
  const square = root * root;
  const rest = (hi - multiplyHigh(root, root) - u64(lo < square)) << 48 | (lo - square) >> 16;
  const delta = (<f64>(<i64>rest) / <f64>(<i64>(root >> 1))) * 16384.0;
  const whole = floor(delta);
  const part = delta - whole;
  const before = root;
  root += <u64>(<i64>whole);
  if ((root ^ before) >> 63) return NOT_COMMON;
  let up: u64;
  let exp = (<i32>se + BIAS) >> 1;
  if (fcw & PC_64_BIT) {
    if (abs(part - 0.5) < 1e-6 || abs(part - 0.5) > 0.499999) return NOT_COMMON;
    up = u64(part > 0.5);
    root += up;
  } else {
    // 53 bits: eleven more stand before the fraction.
    const behind = <f64>(<i32>(root & 0x7ff)) + part;
    if (abs(behind - 1024.0) < 1e-6 || behind < 1e-6 || behind > 2047.999999) return NOT_COMMON;
    up = u64(behind > 1024.0);
    root = (root & ~0x7ff) + (up << 11);
  }
  if (!root) {
    root = J_BIT;
    exp++;
  }
  store<u64>(to, root);
  store<u16>(to, <u16>exp, 8);
  return <u32>up << 9;
}

/**
 * To `to`, with `sign`: a (1 - q) + b (d - dp), or minus with `minus`, for the table values a and b (addresses of 128-bit
 * fractions), d in units of 2^-70, q in units of 2^-77 and dp in units of 2^-83.
 */
// @ts-ignore: decorator
@inline
function combine(to: i32, a: usize, b: usize, q: u64, d: u64, dp: u64, minus: bool, sign: u32): u32 {
  let hi = load<u64>(a);
  let lo = load<u64>(a, 8);
  let t = multiplyHigh(hi, q);
  hi -= (t >> 13) + u64(lo < t << 51);
  lo -= t << 51;
  // b * d in units of 2^-134, of the lower word of b what matters; then b * dp off it
  const bh = load<u64>(b);
  let ph = multiplyHigh(bh, d);
  let pl = bh * d;
  t = (load<u64>(b, 8) >> 32) * (d >> 32);
  pl += t;
  ph += u64(pl < t);
  pl = (ph << 58) | (pl >> 6);
  ph >>= 6;
  t = multiplyHigh(bh, dp);
  ph -= (t >> 19) + u64(pl < t << 45);
  pl -= t << 45;
  // Plus or minus, without a branch that nothing predicts
  const flip: u64 = minus ? ~(<u64>0) : 0;
  pl = (pl ^ flip) - flip;
  ph = (ph ^ flip) + u64(minus && pl == 0);
  lo += pl;
  hi += ph + u64(lo < pl);
  return storeNormalized(to, hi, lo, BIAS - 1, sign);
}

/**
 * Sine and cosine of x, each if it has an address, for 2^-7 <= |x| < 2^31 that is not within 1/128 of a multiple of pi/2.
 * Returns the sine's C1 where both are wanted.
 */
export function quickSineAndCosine(vcpu: i32, sig: u64, se: u32, sine: i32, cosine: i32): u32 {
  const exp = <i32>(se & 0x7fff) - BIAS;
  if (<i64>sig >= 0 || <u32>(exp + 7) > 37 || (<u32>load<u16>(vcpu, FPU_FCW) & QUICK_ROUND) != PE) return NOT_COMMON;
  // |x| in units of 2^-70, less the nearest multiple of pi/2, or its neighbour where both are as good
  const n = <u32>(<i32>(<f64>(<i64>(sig >> 11)) * power(exp - 52) * TWO_OVER_PI + 0.5));
  const shift = <u64>(exp + 7);
  const product = HALF_PI_LO * <u64>n;
  let rl = sig << shift;
  let rh = ((sig >> 1) >> (63 - shift)) - (HALF_PI_HI * <u64>n + multiplyHighShort(HALF_PI_LO, n) + u64(rl < product));
  rl -= product;
  const negative: u64 = <u64>(<i64>rh >> 63);
  rl = (rl ^ negative) - negative;
  rh = (rh ^ negative) + u64(negative != 0 && rl == 0);
  // The upper word is c in 64ths after rounding and the lower word is d.
  const below = rl >> 63;
  const j = rh + below;
  if (!j) return NOT_COMMON;
  const d = (rl ^ (0 - below)) + below;
  const v = (multiplyHigh(d, d) << 1) | ((d * d) >> 63);
  const p = multiplyHigh(d, sineLoss(v));
  const q = cosineLoss(v);
  const s = SINES_AND_COSINES + (<usize>j << 5);
  const c = s + 16;
  // sin |x| is sin, cos, -sin, -cos of the remainder for n = 0, 1, 2, 3, and cos |x| is cos, -sin, -cos, sin.
  const odd = (n & 1) != 0;
  const sineSign = ((n << 14) ^ se) & 0x8000;
  const cosineSign = ((n + 1) << 14) & 0x8000;
  const rest = <u32>negative & 0x8000;
  const toSine = odd ? cosine : sine;
  const toCosine = odd ? sine : cosine;
  let c1: u32 = 0;
  if (toSine) c1 = combine(toSine, s, c, q, d, p, below != 0, rest ^ (odd ? cosineSign : sineSign));
  if (toCosine) {
    const own = combine(toCosine, c, s, q, d, p, below == 0, odd ? sineSign : cosineSign);
    if (!toSine || odd || own == NOT_COMMON) c1 = c1 == NOT_COMMON ? c1 : own;
  }
  return c1;
}

/** FPATAN: angle of the point (x, y), where neither is 128 times the other. */
export function quickArctangent(vcpu: i32, to: i32, ySig: u64, ySe: u32, xSig: u64, xSe: u32): u32 {
  const yExp = <i32>(ySe & 0x7fff);
  const xExp = <i32>(xSe & 0x7fff);
  if (<i64>(ySig & xSig) >= 0 || <u32>(yExp - 1) >= 0x7ffe || <u32>(xExp - 1) >= 0x7ffe) return NOT_COMMON;
  if ((<u32>load<u16>(vcpu, FPU_FCW) & QUICK_ROUND) != PE) return NOT_COMMON;
  const steep = yExp > xExp || (yExp == xExp && ySig > xSig);
  const y = steep ? xSig : ySig;
  const x = steep ? ySig : xSig;
  const e = steep ? yExp - xExp : xExp - yExp;
  if (e > 7) return NOT_COMMON;
  const quotient = <f64>(<i64>(y >> 1)) / <f64>(<i64>(x >> 1));
  const j = <u32>(<i32>(quotient * power(6 - e) + 0.5));
  if (!j) return NOT_COMMON;
  // In units of the last place of y: numerator 64 y - j x, denominator 64 x + j y, x shifted by e, both below 2^79
  const jx = x * <u64>j;
  const kx = jx << e;
  const nl = (y << 6) - kx;
  const nh = (y >> 58) - ((multiplyHighShort(x, j) << e) | ((jx >> 1) >> (63 - e))) - u64(y << 6 < kx);
  const jy = y * <u64>j;
  const dl = (x << (e + 6)) + jy;
  const dh = (x >> (58 - e)) + multiplyHighShort(y, j) + u64(dl < jy);
  // Two digits by doubles: units of 2^-57, then of 2^-116 of the exact remainder, which is below twice the denominator.
  const inverse = 1.0 / <f64>(<i64>((dh << 47) | (dl >> 17)));
  const q1 = <i64>(<f64>(<i64>((nh << 54) | (nl >> 10))) * inverse * 1125899906842624.0); // 2^(57 + 10 - 17)
  // The product with a negative digit as an unsigned word is too large by the denominator in the upper words.
  const m = <u64>q1;
  const sign = <u64>(q1 >> 63);
  const ml = m * dl;
  const mh = multiplyHigh(m, dl) + m * dh - (dl & sign);
  const rl = (nl << 57) - ml;
  const rh = ((nh << 57) | (nl >> 7)) - mh - u64(nl << 57 < ml);
  const q2 = <i64>(<f64>(<i64>((rh << 45) | (rl >> 19))) * inverse * 2305843009213693952.0); // 2^(59 + 19 - 17)
  // z as a signed 128-bit fraction, then its magnitude
  let zl = <u64>q2 << 12;
  let zh = (m << 7) + <u64>(q2 >> 52);
  const negative = <u64>(<i64>zh >> 63);
  zl = (zl ^ negative) - negative;
  zh = (zh ^ negative) + u64(negative != 0 && zl == 0);
  const d = (zh << 6) | (zl >> 58);
  // z p, in units of 2^-83
  const t = multiplyHigh(d, arctangentLoss((multiplyHigh(d, d) << 1) | ((d * d) >> 63)));
  zh -= (t >> 19) + u64(zl < t << 45);
  zl -= t << 45;
  zl = (zl ^ negative) - negative;
  zh = (zh ^ negative) + u64(negative != 0 && zl == 0);
  const c = ARCTANGENTS + (<usize>j << 4);
  let lo = load<u64>(c, 8) + zl;
  let hi = load<u64>(c) + zh + u64(lo < zl);
  // In units of 2^-126, which pi fits
  lo = (hi << 62) | (lo >> 2);
  hi >>= 2;
  if (steep) {
    const half = (PI_HI << 63) | (PI_LO >> 1);
    hi = (PI_HI >> 1) - hi - u64(half < lo);
    lo = half - lo;
  }
  if (xSe & 0x8000) {
    hi = PI_HI - hi - u64(PI_LO < lo);
    lo = PI_LO - lo;
  }
  return storeNormalized(to, hi, lo, BIAS + 1, ySe & 0x8000);
}

/** FYL2X: y log2 x for x that is neither a power of two nor within 1/128 of one. */
export function quickLogarithm(vcpu: i32, to: i32, xSig: u64, xSe: u32, ySig: u64, ySe: u32): u32 {
  const yExp = <i32>(ySe & 0x7fff);
  if (<i64>(xSig & ySig) >= 0 || xSe - 1 >= 0x7ffe || <u32>(yExp - 1) >= 0x7ffe) return NOT_COMMON;
  if ((<u32>load<u16>(vcpu, FPU_FCW) & QUICK_ROUND) != PE) return NOT_COMMON;
  const row = LOGARITHMS + <usize>((xSig >> 56) & 127) * 24;
  const c = load<u64>(row);
  // e - log2 c as a signed integer in units of 2^-112
  const up = c <= 181;
  const fraction = load<u64>(row, 8);
  let below = (fraction << 48) | (load<u64>(row, 16) >> 16);
  let whole = <u64>(<i64>(<i32>xSe - BIAS + i32(up))) << 48;
  if (up) {
    whole -= (fraction >> 16) + u64(below != 0);
    below = 0 - below;
  } else whole += fraction >> 16;
  // c * sig, 72 bits, less one: 128 in the high word
  const negative: u64 = multiplyHighShort(xSig, <u32>c) < 128 ? ~(<u64>0) : 0;
  const z = (xSig * c ^ negative) - negative;
  if (!(whole | below) || !z) return NOT_COMMON;
  // |z| -+ z^2 / 2 + |z|^3 g in units of 2^-135: see logarithmOf
  const square = multiplyHigh(z, z);
  const cube = multiplyHigh(multiplyHigh(square, logarithmRest(z, negative != 0)), z);
  let sl = (square << 56) | ((z * z) >> 8);
  let sh = square >> 8;
  sh = ~(sh ^ negative) + u64(negative == 0 && sl == 0);
  sl = negative ? sl : 0 - sl;
  let al = sl + (cube << 50);
  const ah = z + sh + (cube >> 14) + u64(al < sl);
  // times log2 e, in units of 2^-134, of the lower words what matters; then in units of 2^-112 with the sign of z
  let pl = ah * TWO_LOG2E_HI;
  let t = (al >> 32) * (TWO_LOG2E_HI >> 32);
  pl += t;
  let ph = multiplyHigh(ah, TWO_LOG2E_HI) + u64(pl < t);
  t = (ah >> 32) * (TWO_LOG2E_LO >> 32);
  pl += t;
  ph += u64(pl < t);
  let lo = ((ph << 42) | (pl >> 22)) ^ negative;
  let hi = (ph >> 22) ^ negative;
  lo -= negative;
  hi += u64(negative != 0 && lo == 0);
  lo += below;
  hi += whole + u64(lo < below);
  const sign = <u64>(<i64>hi >> 63);
  lo = (lo ^ sign) - sign;
  hi = (hi ^ sign) + u64(sign != 0 && lo == 0);
  let n = clz(hi);
  hi = (hi << n) | ((lo >> 1) >> (63 - n));
  lo <<= n;
  let exp = yExp + 15 - <i32>n;
  if (ySig != J_BIT) {
    const part = (lo >> 32) * (ySig >> 32);
    lo = hi * ySig + part;
    hi = multiplyHigh(hi, ySig) + u64(lo < part);
    n = clz(hi);
    hi = (hi << n) | ((lo >> 1) >> (63 - n));
    lo <<= n;
    exp += 1 - <i32>n;
  }
  if (<u32>(exp - 1) >= 0x7ffd) return NOT_COMMON;
  return storeRounded(to, hi, lo, exp, (<u32>sign ^ ySe) & 0x8000);
}
