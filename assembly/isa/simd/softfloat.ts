// IEEE 754 binary32 and binary64 arithmetic in integers, in every rounding mode, with the exceptions and NaN rules of
// SSE (SDM 1 11.5 and table 4-7). Slow and exact: the instructions come here when the host's own arithmetic cannot
// give the result or its flags. T is f32 or f64; values are bit patterns in the low bits of a u64.
//
// Inside, a finite nonzero number is (sign, exponent, significand) = significand * 2^(exponent - 63) with bit 63 of the
// significand set; bit 0 also stands for everything below it ("sticky"), which is far below every rounding bit.
import { MXCSR } from "../../../spec/layout";
import {
  MX_DAZ, MX_DE, MX_FTZ, MX_IE, MX_OE, MX_PE, MX_RC, MX_RC_SHIFT, MX_UE, MX_UM, MX_ZE, RC_DOWN, RC_NEAREST, RC_UP, RC_ZERO,
  signal,
} from "./mxcsr";

/** Layout of a format. */
export class Format {
  /** Bits of the fraction field. */
  // @ts-ignore: decorator
  @inline static fraction<T>(): u64 {
    return sizeof<T>() == 4 ? 23 : 52;
  }
  // @ts-ignore: decorator
  @inline static expMask<T>(): u64 {
    return sizeof<T>() == 4 ? 0xff : 0x7ff;
  }
  // @ts-ignore: decorator
  @inline static bias<T>(): i32 {
    return sizeof<T>() == 4 ? 127 : 1023;
  }
  // @ts-ignore: decorator
  @inline static signBit<T>(): u64 {
    return sizeof<T>() == 4 ? 0x80000000 : 0x8000000000000000;
  }
  // @ts-ignore: decorator
  @inline static infinity<T>(): u64 {
    return sizeof<T>() == 4 ? 0x7f800000 : 0x7ff0000000000000;
  }
  // @ts-ignore: decorator
  @inline static quietBit<T>(): u64 {
    return sizeof<T>() == 4 ? 0x00400000 : 0x0008000000000000;
  }
  /** The QNaN that invalid operations give: "real indefinite". */
  // @ts-ignore: decorator
  @inline static indefinite<T>(): u64 {
    return sizeof<T>() == 4 ? 0xffc00000 : 0xfff8000000000000;
  }
  // @ts-ignore: decorator
  @inline static magnitude<T>(a: u64): u64 {
    return a & (Format.signBit<T>() - 1);
  }
  // @ts-ignore: decorator
  @inline static isNaN<T>(a: u64): bool {
    return Format.magnitude<T>(a) > Format.infinity<T>();
  }
  // @ts-ignore: decorator
  @inline static isSNaN<T>(a: u64): bool {
    return Format.isNaN<T>(a) && (a & Format.quietBit<T>()) == 0;
  }
  // @ts-ignore: decorator
  @inline static isInfinite<T>(a: u64): bool {
    return Format.magnitude<T>(a) == Format.infinity<T>();
  }
  // @ts-ignore: decorator
  @inline static isZero<T>(a: u64): bool {
    return Format.magnitude<T>(a) == 0;
  }
  // @ts-ignore: decorator
  @inline static isDenormal<T>(a: u64): bool {
    return ((a >> Format.fraction<T>()) & Format.expMask<T>()) == 0 && Format.magnitude<T>(a) != 0;
  }
  /** Exponent of a finite nonzero number. */
  static exponent<T>(a: u64): i32 {
    const e = <i32>((a >> Format.fraction<T>()) & Format.expMask<T>());
    if (e != 0) return e - Format.bias<T>();
    return 1 - Format.bias<T>() - (<i32>clz(Format.magnitude<T>(a)) - (63 - <i32>Format.fraction<T>()));
  }
  /** Significand of a finite nonzero number, bit 63 set. */
  static significand<T>(a: u64): u64 {
    const m = Format.magnitude<T>(a) & ((<u64>1 << Format.fraction<T>()) - 1);
    if (((a >> Format.fraction<T>()) & Format.expMask<T>()) != 0) return (m << (63 - Format.fraction<T>())) | 0x8000000000000000;
    return m << clz(m);
  }
}

// @ts-ignore: decorator
@inline
function roundingControl(vcpu: i32): u32 {
  return (load<u32>(vcpu, MXCSR) & MX_RC) >> MX_RC_SHIFT;
}

/** The operand as arithmetic sees it: with DAZ a denormal is a zero of its sign. */
// @ts-ignore: decorator
@inline
export function daz<T>(vcpu: i32, a: u64): u64 {
  return load<u32>(vcpu, MXCSR) & MX_DAZ && Format.isDenormal<T>(a) ? a & Format.signBit<T>() : a;
}

/** Result of an operation with a NaN among its operands: the first NaN, made quiet. Signals SNaNs. */
export function propagateNaN<T>(vcpu: i32, a: u64, b: u64): u64 {
  if (Format.isSNaN<T>(a) || Format.isSNaN<T>(b)) signal(vcpu, MX_IE);
  return (Format.isNaN<T>(a) ? a : b) | Format.quietBit<T>();
}

export function invalid<T>(vcpu: i32): u64 {
  signal(vcpu, MX_IE);
  return Format.indefinite<T>();
}

/** Shifts right, keeping in bit 0 whether anything was lost. */
// @ts-ignore: decorator
@inline
function shiftSticky(a: u64, n: i32): u64 {
  if (n <= 0) return a;
  if (n > 63) return a != 0 ? 1 : 0;
  return (a >> <u64>n) | <u64>((a << <u64>(64 - n)) != 0);
}

/** 1 when `tail`, the `shift` bits below the last kept one, rounds the magnitude up. */
function increment(rc: u32, sign: u64, odd: u64, tail: u64, shift: u64): u64 {
  if (tail == 0) return 0;
  if (rc == RC_NEAREST) {
    const half = <u64>1 << (shift - 1);
    return tail > half || (tail == half && odd != 0) ? 1 : 0;
  }
  if (rc == RC_ZERO) return 0;
  return (rc == RC_UP) == (sign == 0) ? 1 : 0;
}

/**
 * Rounds to T with overflow, underflow and precision exceptions. Tininess is detected after rounding, as SSE does; an
 * unmasked overflow or underflow gives no usable result, because the instruction will fault.
 */
export function roundPack<T>(vcpu: i32, sign: u64, exponent: i32, significand: u64): u64 {
  const fraction = Format.fraction<T>();
  const shift = 63 - fraction;
  const tailMask = (<u64>1 << shift) - 1;
  const signed = sign ? Format.signBit<T>() : 0;
  const mxcsr = load<u32>(vcpu, MXCSR);
  const rc = (mxcsr & MX_RC) >> MX_RC_SHIFT;
  let kept = significand >> shift;
  let tail = significand & tailMask;
  let e = exponent;
  kept += increment(rc, sign, kept & 1, tail, shift);
  if (kept >> (fraction + 1)) {
    kept >>= 1;
    e++;
  }
  const bias = Format.bias<T>();
  if (e > bias) {
    signal(vcpu, MX_OE | (tail != 0 || mxcsr & (MX_OE << 7) ? MX_PE : 0));
    const away = rc == RC_NEAREST || (rc == RC_UP && sign == 0) || (rc == RC_DOWN && sign != 0);
    return signed | (away ? Format.infinity<T>() : Format.infinity<T>() - 1);
  }
  if (e >= 1 - bias) {
    if (tail != 0) signal(vcpu, MX_PE);
    return signed | ((<u64>(e + bias) << fraction) + (kept & ((<u64>1 << fraction) - 1)));
  }
  // Tiny.
  if (!(mxcsr & MX_UM)) {
    signal(vcpu, MX_UE | (tail != 0 ? MX_PE : 0));
    return signed;
  }
  if (mxcsr & MX_FTZ) {
    signal(vcpu, MX_UE | MX_PE);
    return signed;
  }
  const denormal = shiftSticky(significand, 1 - bias - exponent);
  kept = denormal >> shift;
  tail = denormal & tailMask;
  if (tail != 0) signal(vcpu, MX_UE | MX_PE);
  kept += increment(rc, sign, kept & 1, tail, shift);
  return signed | kept;
}

/** Signals a denormal operand. */
// @ts-ignore: decorator
@inline
function noteDenormal<T>(vcpu: i32, a: u64): void {
  if (Format.isDenormal<T>(a)) signal(vcpu, MX_DE);
}

/** a + b. */
export function softAdd<T>(vcpu: i32, x: u64, y: u64): u64 {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) return propagateNaN<T>(vcpu, a, b);
  const signA = a & Format.signBit<T>();
  const signB = b & Format.signBit<T>();
  if (Format.isInfinite<T>(a)) {
    if (Format.isInfinite<T>(b) && signA != signB) return invalid<T>(vcpu);
    noteDenormal<T>(vcpu, b);
    return a;
  }
  noteDenormal<T>(vcpu, a);
  if (Format.isInfinite<T>(b)) return b;
  noteDenormal<T>(vcpu, b);
  const zero = roundingControl(vcpu) == RC_DOWN ? Format.signBit<T>() : 0;
  if (Format.isZero<T>(a)) {
    if (Format.isZero<T>(b)) return signA == signB ? a : zero;
    return roundPack<T>(vcpu, signB, Format.exponent<T>(b), Format.significand<T>(b));
  }
  if (Format.isZero<T>(b)) return roundPack<T>(vcpu, signA, Format.exponent<T>(a), Format.significand<T>(a));
  let expA = Format.exponent<T>(a);
  const expB = Format.exponent<T>(b);
  // Two free bits above for the carry; at least nine below the last bit of either format.
  let sigA = Format.significand<T>(a) >> 2;
  let sigB = Format.significand<T>(b) >> 2;
  if (expA >= expB) {
    sigB = shiftSticky(sigB, expA - expB);
  } else {
    sigA = shiftSticky(sigA, expB - expA);
    expA = expB;
  }
  let sign = signA;
  let sum: u64;
  if (signA == signB) {
    sum = sigA + sigB;
  } else if (sigA >= sigB) {
    sum = sigA - sigB;
  } else {
    sum = sigB - sigA;
    sign = signB;
  }
  if (sum == 0) return zero;
  const up = <i32>clz(sum);
  return roundPack<T>(vcpu, sign, expA + 2 - up, sum << <u64>up);
}

/** a - b: NaNs keep their sign. */
export function softSub<T>(vcpu: i32, a: u64, b: u64): u64 {
  return softAdd<T>(vcpu, a, Format.isNaN<T>(b) ? b : b ^ Format.signBit<T>());
}

/** The high 64 bits of a 64 x 64 product; bit 0 also stands for the low half. */
function mulHighSticky(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const p00 = a0 * b0;
  const middle = a1 * b0 + (p00 >> 32);
  const cross = a0 * b1 + (middle & 0xffffffff);
  const high = a1 * b1 + (middle >> 32) + (cross >> 32);
  return high | <u64>(((cross << 32) | (p00 & 0xffffffff)) != 0);
}

/** a * b. */
export function softMul<T>(vcpu: i32, x: u64, y: u64): u64 {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) return propagateNaN<T>(vcpu, a, b);
  const sign = (a ^ b) & Format.signBit<T>();
  if (Format.isInfinite<T>(a) || Format.isInfinite<T>(b)) {
    if (Format.isZero<T>(a) || Format.isZero<T>(b)) return invalid<T>(vcpu);
    noteDenormal<T>(vcpu, a);
    noteDenormal<T>(vcpu, b);
    return sign | Format.infinity<T>();
  }
  noteDenormal<T>(vcpu, a);
  noteDenormal<T>(vcpu, b);
  if (Format.isZero<T>(a) || Format.isZero<T>(b)) return sign;
  const product = mulHighSticky(Format.significand<T>(a), Format.significand<T>(b));
  const up = <i32>clz(product);
  return roundPack<T>(vcpu, sign, Format.exponent<T>(a) + Format.exponent<T>(b) + 1 - up, product << <u64>up);
}

/** a / b. */
export function softDiv<T>(vcpu: i32, x: u64, y: u64): u64 {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) return propagateNaN<T>(vcpu, a, b);
  const sign = (a ^ b) & Format.signBit<T>();
  if (Format.isInfinite<T>(a)) {
    if (Format.isInfinite<T>(b)) return invalid<T>(vcpu);
    noteDenormal<T>(vcpu, b);
    return sign | Format.infinity<T>();
  }
  if (Format.isZero<T>(b)) {
    if (Format.isZero<T>(a)) return invalid<T>(vcpu);
    signal(vcpu, MX_ZE);
    return sign | Format.infinity<T>();
  }
  noteDenormal<T>(vcpu, a);
  noteDenormal<T>(vcpu, b);
  if (Format.isInfinite<T>(b) || Format.isZero<T>(a)) return sign;
  // Significands of 53 bits; each step of the long division brings eleven more bits of the quotient.
  const divisor = Format.significand<T>(b) >> 11;
  let rest = Format.significand<T>(a) >> 11;
  let quotient: u64 = 0;
  if (rest >= divisor) {
    quotient = 1;
    rest -= divisor;
  }
  for (let i = 0; i < 5; i++) {
    rest <<= 11;
    const digit = rest / divisor;
    rest -= digit * divisor;
    quotient = (quotient << 11) | digit;
  }
  // 55 bits behind the point: bit 55 is worth 2^(expA - expB).
  const up = <i32>clz(quotient);
  const exponent = Format.exponent<T>(a) - Format.exponent<T>(b) + 8 - up;
  return roundPack<T>(vcpu, sign, exponent, (quotient << <u64>up) | <u64>(rest != 0));
}

/** The square root of a. */
export function softSqrt<T>(vcpu: i32, x: u64): u64 {
  const a = daz<T>(vcpu, x);
  if (Format.isNaN<T>(a)) return propagateNaN<T>(vcpu, a, a);
  if (Format.isZero<T>(a)) return a;
  if (a & Format.signBit<T>()) return invalid<T>(vcpu);
  if (Format.isInfinite<T>(a)) return a;
  noteDenormal<T>(vcpu, a);
  const e = Format.exponent<T>(a);
  const odd = e & 1;
  // radicand / 2^52 is in [1, 4); the host's root of it is at most half a unit away, the residual says which way.
  const radicand = (Format.significand<T>(a) >> 11) << <u64>odd;
  const root = <u64>(sqrt<f64>(<f64>radicand * 2.220446049250313e-16) * 4503599627370496.0);
  // root^2 against radicand * 2^52, in 128 bits.
  const low = root * root;
  const high = mulHighExact(root, root);
  const wantHigh = radicand >> 12;
  const wantLow = radicand << 52;
  let significand = root << 11;
  if (high != wantHigh || low != wantLow) {
    const below = high < wantHigh || (high == wantHigh && low < wantLow);
    significand = below ? significand | 1 : significand - 1;
  }
  return roundPack<T>(vcpu, 0, (e - odd) >> 1, significand);
}

function mulHighExact(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const cross = a0 * b1 + (middle & 0xffffffff);
  return a1 * b1 + (middle >> 32) + (cross >> 32);
}
