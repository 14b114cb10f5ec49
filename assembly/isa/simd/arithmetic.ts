// Scalar and packed SSE arithmetic: the host's own where it gives result and flags exactly, else softfloat.ts.
//
// The host rounds to nearest. When operands are normal or zero and the result is normal (or an exact zero), DAZ and FTZ
// do not matter and the only exception possible is precision. That flag is sticky: once it is set and masked nothing
// need be computed for it; until then the exact error of the operation tells (Dekker, Knuth).
import { MXCSR } from "../../../spec/layout";
import { MX_PE, MX_PM, MX_RC, signal } from "./mxcsr";
import { softAdd, softDiv, softMul, softSqrt, softSub } from "./softfloat";

export const enum Arith {
  Add = 0,
  Sub = 1,
  Mul = 2,
  Div = 3,
}

const PE_STICKY: u32 = MX_PE | MX_PM;

/** Bits of the smallest normal number above the smallest one: nothing rounds up to it from below. */
const SAFE32: u32 = 0x01000000;
const SAFE64: u64 = 0x0020000000000000;

/** Zero or normal. */
// @ts-ignore: decorator
@inline
function plain32(a: u32): bool {
  const m = a & 0x7fffffff;
  return m - 0x00800000 < 0x7f000000 || m == 0;
}

// @ts-ignore: decorator
@inline
function plain64(a: u64): bool {
  const m = a & 0x7fffffffffffffff;
  return m - 0x0010000000000000 < 0x7fe0000000000000 || m == 0;
}

/** Normal, and not so small that an underflow could have been rounded up to it. */
// @ts-ignore: decorator
@inline
function safe32(r: u32): bool {
  return (r & 0x7fffffff) - SAFE32 < 0x7f800000 - SAFE32;
}

// @ts-ignore: decorator
@inline
function safe64(r: u64): bool {
  return (r & 0x7fffffffffffffff) - SAFE64 < 0x7ff0000000000000 - SAFE64;
}

// @ts-ignore: decorator
@inline
function host<T>(kind: Arith, a: T, b: T): T {
  if (kind == Arith.Add) return a + b;
  if (kind == Arith.Sub) return a - b;
  if (kind == Arith.Mul) return a * b;
  return a / b;
}

/** One binary32 operation on bit patterns. */
export function arith32(vcpu: i32, kind: Arith, a: u32, b: u32): u32 {
  const mxcsr = load<u32>(vcpu, MXCSR);
  if ((mxcsr & MX_RC) == 0 && plain32(a) && plain32(b)) {
    const x = reinterpret<f32>(a);
    const y = reinterpret<f32>(b);
    const r = host<f32>(kind, x, y);
    const bits = reinterpret<u32>(r);
    if (safe32(bits) || (r == 0 && zeroIsExact(kind, x == 0, y == 0))) {
      if ((mxcsr & PE_STICKY) != PE_STICKY && inexact32(kind, x, y, r)) signal(vcpu, MX_PE);
      return bits;
    }
  }
  switch (kind) {
    case Arith.Add: return <u32>softAdd<f32>(vcpu, a, b);
    case Arith.Sub: return <u32>softSub<f32>(vcpu, a, b);
    case Arith.Mul: return <u32>softMul<f32>(vcpu, a, b);
    default: return <u32>softDiv<f32>(vcpu, a, b);
  }
}

/** One binary64 operation on bit patterns. */
export function arith64(vcpu: i32, kind: Arith, a: u64, b: u64): u64 {
  const mxcsr = load<u32>(vcpu, MXCSR);
  if ((mxcsr & MX_RC) == 0 && plain64(a) && plain64(b)) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    const r = host<f64>(kind, x, y);
    const bits = reinterpret<u64>(r);
    if (safe64(bits) || (r == 0 && zeroIsExact(kind, x == 0, y == 0))) {
      if ((mxcsr & PE_STICKY) != PE_STICKY && inexact64(kind, x, y, r)) signal(vcpu, MX_PE);
      return bits;
    }
  }
  switch (kind) {
    case Arith.Add: return softAdd<f64>(vcpu, a, b);
    case Arith.Sub: return softSub<f64>(vcpu, a, b);
    case Arith.Mul: return softMul<f64>(vcpu, a, b);
    default: return softDiv<f64>(vcpu, a, b);
  }
}

/** Whether a zero result of plain operands is no underflow. Sums never underflow to zero; 0/0 never comes here. */
// @ts-ignore: decorator
@inline
function zeroIsExact(kind: Arith, zeroA: bool, zeroB: bool): bool {
  if (kind == Arith.Mul) return zeroA || zeroB;
  return kind == Arith.Div ? zeroA : true;
}

/** Whether the safe or zero result r of rounding to nearest differs from the exact one. */
function inexact32(kind: Arith, a: f32, b: f32, r: f32): bool {
  if (kind <= Arith.Sub) return sumError<f32>(a, kind == Arith.Add ? b : -b, r) != 0;
  // Products of binary32 numbers are exact in binary64.
  if (kind == Arith.Mul) return <f64>a * <f64>b != <f64>r;
  return <f64>r * <f64>b != <f64>a;
}

function inexact64(kind: Arith, a: f64, b: f64, r: f64): bool {
  if (kind <= Arith.Sub) return sumError<f64>(a, kind == Arith.Add ? b : -b, r) != 0;
  if (kind == Arith.Mul) return r != 0 && !productFits(a, b);
  return r != 0 && !(r * b == a && productFits(r, b));
}

/** What rounding took from a + b (Knuth's two-sum): 0 when the sum is exact. */
// @ts-ignore: decorator
@inline
function sumError<T>(a: T, b: T, sum: T): T {
  const fromB = <T>(sum - a);
  return <T>(<T>(a - <T>(sum - fromB)) + <T>(b - fromB));
}

/** Whether the product of two normal numbers has at most 53 significant bits. */
function productFits(a: f64, b: f64): bool {
  const ma = (reinterpret<u64>(a) & 0xfffffffffffff) | 0x10000000000000;
  const mb = (reinterpret<u64>(b) & 0xfffffffffffff) | 0x10000000000000;
  // Odd parts: their product is odd, so its length is what must be kept.
  const za = ctz(ma);
  const zb = ctz(mb);
  const lengths = 106 - <i32>za - <i32>zb;
  if (lengths <= 53) return true;
  if (lengths > 54) return false;
  return (((ma >> za) * (mb >> zb)) >> 53) == 0;
}

/** Square roots of bit patterns. */
export function sqrt32(vcpu: i32, a: u32): u32 {
  const mxcsr = load<u32>(vcpu, MXCSR);
  if ((mxcsr & MX_RC) == 0 && a - 0x00800000 < 0x7f000000) {
    const x = reinterpret<f32>(a);
    const r = sqrt<f32>(x);
    if ((mxcsr & PE_STICKY) != PE_STICKY && <f64>r * <f64>r != <f64>x) signal(vcpu, MX_PE);
    return reinterpret<u32>(r);
  }
  return <u32>softSqrt<f32>(vcpu, a);
}

export function sqrt64(vcpu: i32, a: u64): u64 {
  const mxcsr = load<u32>(vcpu, MXCSR);
  if ((mxcsr & MX_RC) == 0 && a - 0x0010000000000000 < 0x7fe0000000000000) {
    const x = reinterpret<f64>(a);
    const r = sqrt<f64>(x);
    if ((mxcsr & PE_STICKY) != PE_STICKY && !(r * r == x && productFits(r, r))) signal(vcpu, MX_PE);
    return reinterpret<u64>(r);
  }
  return softSqrt<f64>(vcpu, a);
}

/** Four binary32 operations. */
export function arithPs(vcpu: i32, kind: Arith, a: v128, b: v128): v128 {
  const mxcsr = load<u32>(vcpu, MXCSR);
  if ((mxcsr & (MX_RC | PE_STICKY)) == PE_STICKY) {
    let r: v128;
    if (kind == Arith.Add) r = f32x4.add(a, b);
    else if (kind == Arith.Sub) r = f32x4.sub(a, b);
    else if (kind == Arith.Mul) r = f32x4.mul(a, b);
    else r = f32x4.div(a, b);
    if (v128.all_true<i32>(allPlain32(kind, a, b, r))) return r;
  }
  let r = i32x4.splat(arith32(vcpu, kind, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, arith32(vcpu, kind, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, arith32(vcpu, kind, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, arith32(vcpu, kind, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}

/** Two binary64 operations. */
export function arithPd(vcpu: i32, kind: Arith, a: v128, b: v128): v128 {
  const r = i64x2.splat(arith64(vcpu, kind, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, arith64(vcpu, kind, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

/** Lanes whose operands are plain and whose result is safe or an exact zero, as in `arith32`. */
function allPlain32(kind: Arith, a: v128, b: v128, r: v128): v128 {
  const magnitude = i32x4.splat(0x7fffffff);
  const zero = i32x4.splat(0);
  const ma = v128.and(a, magnitude);
  const mb = v128.and(b, magnitude);
  const mr = v128.and(r, magnitude);
  const normal = i32x4.splat(0x00800000);
  const range = i32x4.splat(0x7f000000);
  const zeroA = i32x4.eq(ma, zero);
  const zeroB = i32x4.eq(mb, zero);
  const plainA = v128.or(i32x4.lt_u(i32x4.sub(ma, normal), range), zeroA);
  const plainB = v128.or(i32x4.lt_u(i32x4.sub(mb, normal), range), zeroB);
  const safe = i32x4.lt_u(i32x4.sub(mr, i32x4.splat(SAFE32)), i32x4.splat(0x7f800000 - SAFE32));
  let exactZero = i32x4.eq(mr, zero);
  if (kind == Arith.Mul) exactZero = v128.and(exactZero, v128.or(zeroA, zeroB));
  else if (kind == Arith.Div) exactZero = v128.and(exactZero, zeroA);
  return v128.and(v128.and(plainA, plainB), v128.or(safe, exactZero));
}

/** Four square roots of binary32, two of binary64. */
export function sqrtPs(vcpu: i32, a: v128): v128 {
  let r = i32x4.splat(sqrt32(vcpu, i32x4.extract_lane(a, 0)));
  r = i32x4.replace_lane(r, 1, sqrt32(vcpu, i32x4.extract_lane(a, 1)));
  r = i32x4.replace_lane(r, 2, sqrt32(vcpu, i32x4.extract_lane(a, 2)));
  return i32x4.replace_lane(r, 3, sqrt32(vcpu, i32x4.extract_lane(a, 3)));
}

export function sqrtPd(vcpu: i32, a: v128): v128 {
  const r = i64x2.splat(sqrt64(vcpu, i64x2.extract_lane(a, 0)));
  return i64x2.replace_lane(r, 1, sqrt64(vcpu, i64x2.extract_lane(a, 1)));
}
