// Wide numbers: 128-bit significand, for the intermediate results of the transcendental functions.
// A wide number lies in a 32-byte slot of the scratch area and stands for
//   (-1)^sign * (hi:lo / 2^127) * 2^(exp - 16383), bit 63 of hi set, or zero with hi = 0.
// Operations truncate; each loses at most a few units in the 128th bit, far below what 64 result bits need.
import { W_LO, W_WIDE } from "./status";
import { multiplyHigh, quotient128, shiftedHigh, shiftedLow } from "./words";

const BIT63: u64 = 0x8000000000000000;
const BIAS: i32 = 0x3fff;

const LO = 8;
const EXP = 16;
const SIGN = 20;

/** Slot n of the scratch area. */
// @ts-ignore: decorator
@inline
export function slot(vcpu: i32, n: i32): i32 {
  return vcpu + W_WIDE + (n << 5);
}

export function setWide(w: i32, hi: u64, lo: u64, exp: i32, sign: u32): void {
  store<u64>(w, hi);
  store<u64>(w, lo, LO);
  store<i32>(w, exp, EXP);
  store<u32>(w, sign, SIGN);
}

export function copyWide(to: i32, from: i32): void {
  setWide(to, load<u64>(from), load<u64>(from, LO), load<i32>(from, EXP), load<u32>(from, SIGN));
}

// @ts-ignore: decorator
@inline
export function wideHi(w: i32): u64 {
  return load<u64>(w);
}

// @ts-ignore: decorator
@inline
export function wideLo(w: i32): u64 {
  return load<u64>(w, LO);
}

// @ts-ignore: decorator
@inline
export function wideExp(w: i32): i32 {
  return load<i32>(w, EXP);
}

// @ts-ignore: decorator
@inline
export function wideSign(w: i32): u32 {
  return load<u32>(w, SIGN);
}

export function setWideSign(w: i32, sign: u32): void {
  store<u32>(w, sign, SIGN);
}

/** Sets hi:lo * 2^(exp - 16383 - 127), normalised. */
export function normalizeWide(w: i32, hi: u64, lo: u64, exp: i32, sign: u32): void {
  if (!hi) {
    hi = lo;
    lo = 0;
    exp -= 64;
  }
  if (hi) {
    const n = clz(hi);
    if (n) {
      hi = (hi << n) | (lo >> (64 - n));
      lo <<= n;
      exp -= <i32>n;
    }
  }
  setWide(w, hi, lo, exp, sign);
}

/** High word of the high 128 bits of a product of two 128-bit numbers, the low word in W_LO; truncated. */
// @ts-ignore: decorator
@inline
function multiply128(vcpu: i32, ah: u64, al: u64, bh: u64, bl: u64): u64 {
  // The words below count by their carry only: ah * bl and al * bh by their low words, al * bl by its high word.
  const xLo = ah * bl;
  const yLo = al * bh;
  const below = xLo + yLo;
  const carry = u64(below < xLo) + u64(below + multiplyHigh(al, bl) < below);
  const x = multiplyHigh(ah, bl) + carry;
  const y = multiplyHigh(al, bh);
  let lo = ah * bh;
  let hi = multiplyHigh(ah, bh);
  lo += x;
  hi += u64(lo < x);
  lo += y;
  hi += u64(lo < y);
  store<u64>(vcpu, lo, W_LO);
  return hi;
}

export function multiplyWide(vcpu: i32, to: i32, a: i32, b: i32): void {
  const sign = wideSign(a) ^ wideSign(b);
  const exp = wideExp(a) + wideExp(b) - BIAS + 1;
  const hi = multiply128(vcpu, wideHi(a), wideLo(a), wideHi(b), wideLo(b));
  normalizeWide(to, hi, load<u64>(vcpu, W_LO), exp, sign);
}

/** a times a constant significand hi:lo with exponent exp. */
export function multiplyConstant(vcpu: i32, to: i32, a: i32, hi: u64, lo: u64, exp: i32): void {
  const p = multiply128(vcpu, wideHi(a), wideLo(a), hi, lo);
  normalizeWide(to, p, load<u64>(vcpu, W_LO), wideExp(a) + exp - BIAS + 1, wideSign(a));
}

/** a + b. */
export function addWide(vcpu: i32, to: i32, a: i32, b: i32): void {
  if (!wideHi(b)) {
    copyWide(to, a);
    return;
  }
  if (!wideHi(a)) {
    copyWide(to, b);
    return;
  }
  if (
    wideExp(a) < wideExp(b) ||
    (wideExp(a) == wideExp(b) && (wideHi(a) < wideHi(b) || (wideHi(a) == wideHi(b) && wideLo(a) < wideLo(b))))
  ) {
    const c = a;
    a = b;
    b = c;
  }
  const d = wideExp(a) - wideExp(b);
  const bh = shiftedHigh(wideHi(b), d);
  const bl = shiftedLow(wideHi(b), wideLo(b), d);
  const exp = wideExp(a);
  const sign = wideSign(a);
  if (sign == wideSign(b)) {
    let lo = wideLo(a) + bl;
    let hi = wideHi(a) + bh;
    let carry = hi < bh;
    if (lo < bl) {
      hi++;
      if (!hi) carry = true;
    }
    if (carry) setWide(to, (hi >> 1) | BIT63, (hi << 63) | (lo >> 1) | (lo & 1), exp + 1, sign);
    else setWide(to, hi, lo, exp, sign);
  } else {
    const lo = wideLo(a) - bl;
    normalizeWide(to, wideHi(a) - bh - u64(wideLo(a) < bl), lo, exp, sign);
  }
}

/** a / b for nonzero b. */
export function divideWide(vcpu: i32, to: i32, a: i32, b: i32): void {
  const sign = wideSign(a) ^ wideSign(b);
  const bh = wideHi(b);
  const bl = wideLo(b);
  let u2 = wideHi(a);
  let u1 = wideLo(a);
  let u0: u64 = 0;
  let exp = wideExp(a) - wideExp(b) + BIAS - 1;
  if (!u2) {
    setWide(to, 0, 0, 0, sign);
    return;
  }
  if (u2 >= bh) {
    u0 = u1 << 63;
    u1 = (u1 >> 1) | (u2 << 63);
    u2 >>= 1;
    exp++;
  }
  // First 64-bit digit: the trial digit from the high word is at most two too large.
  let q1 = quotient128(u2, u1, bh);
  let r = u1 - q1 * bh;
  let p = multiplyHigh(q1, bl);
  let pl = q1 * bl;
  while (p > r || (p == r && pl > u0)) {
    q1--;
    p -= u64(pl < bl);
    pl -= bl;
    r += bh;
    if (r < bh) break;
  }
  const lo = u0 - pl;
  const hi = r - p - u64(u0 < pl);
  // Second digit: its remainder is of no use, so only the trial digit is corrected.
  let q0: u64 = ~(<u64>0);
  if (hi < bh) {
    q0 = quotient128(hi, lo, bh);
    r = lo - q0 * bh;
    p = multiplyHigh(q0, bl);
    while (p > r) {
      q0--;
      p = multiplyHigh(q0, bl);
      r += bh;
      if (r < bh) break;
    }
  }
  normalizeWide(to, q1, q0, exp, sign);
}

/** A wide number below 1 as a 128-bit fraction: high word returned, low word in W_LO. */
export function fraction(vcpu: i32, w: i32): u64 {
  const n = BIAS - 1 - wideExp(w);
  store<u64>(vcpu, shiftedLow(wideHi(w), wideLo(w), n), W_LO);
  return shiftedHigh(wideHi(w), n);
}

/**
 * Horner's rule on 128-bit fractions: the polynomial whose `terms` coefficients lie at `table`, highest order first,
 * in t = th:tl / 2^128. With `alternating` each step subtracts. The first `single` steps use one word only: their error
 * of 2^-63 is scaled down by the powers of t still to come. High word returned, low word in W_LO.
 */
export function polynomial(
  vcpu: i32, table: usize, terms: i32, single: i32, th: u64, tl: u64, alternating: bool,
): u64 {
  let hi = load<u64>(table);
  let lo: u64 = single ? 0 : load<u64>(table, 8);
  let i: i32 = 1;
  for (; i <= single; i++) {
    table += 16;
    const p = multiplyHigh(hi, th);
    hi = alternating ? load<u64>(table) - p : load<u64>(table) + p;
  }
  for (; i < terms; i++) {
    table += 16;
    const ch = load<u64>(table);
    const cl = load<u64>(table, 8);
    // As multiply128, without the word below
    const x = multiplyHigh(hi, tl);
    const y = multiplyHigh(lo, th);
    let pl = hi * th;
    let ph = multiplyHigh(hi, th);
    pl += x;
    ph += u64(pl < x);
    pl += y;
    ph += u64(pl < y);
    if (alternating) {
      hi = ch - ph - u64(cl < pl);
      lo = cl - pl;
    } else {
      lo = cl + pl;
      hi = ch + ph + u64(lo < pl);
    }
  }
  store<u64>(vcpu, lo, W_LO);
  return hi;
}
