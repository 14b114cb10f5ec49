// SSE arithmetic on one element: the host's own where it gives result and flags exactly, else softfloat.ts.
//
// The host rounds to nearest. When operands are normal or zero and the result is normal (or an exact zero), DAZ and FTZ
// do not matter and the only exception possible is precision. That flag is sticky: once it is set and masked nothing
// need be computed for it; until then the exact error of the operation tells (Dekker, Knuth).
import { MXCSR } from "../../../spec/layout";
import { MX_PE, MX_PM, MX_RC, signal } from "./mxcsr";
import { softAdd, softDiv, softMul, softSqrt, softSub } from "./softfloat";

const enum Arith {
  Add = 0,
  Sub = 1,
  Mul = 2,
  Div = 3,
}

/** The precision exception is masked and its flag set: it cannot change anything any more. */
export const PE_STICKY: u32 = MX_PE | MX_PM;

/** Bits of the smallest normal number above the smallest one: nothing rounds up to it from below. */
export const SAFE32: u32 = 0x01000000;
export const SAFE64: u64 = 0x0020000000000000;

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

/** One binary32 operation on bit patterns. `kind` is a constant: one copy each below. */
// @ts-ignore: decorator
@inline
function arith32(vcpu: i32, kind: Arith, a: u32, b: u32): u32 {
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
  if (kind == Arith.Add) return <u32>softAdd<f32>(vcpu, a, b);
  if (kind == Arith.Sub) return <u32>softSub<f32>(vcpu, a, b);
  if (kind == Arith.Mul) return <u32>softMul<f32>(vcpu, a, b);
  return <u32>softDiv<f32>(vcpu, a, b);
}

/** One binary64 operation on bit patterns. */
// @ts-ignore: decorator
@inline
function arith64(vcpu: i32, kind: Arith, a: u64, b: u64): u64 {
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
  if (kind == Arith.Add) return softAdd<f64>(vcpu, a, b);
  if (kind == Arith.Sub) return softSub<f64>(vcpu, a, b);
  if (kind == Arith.Mul) return softMul<f64>(vcpu, a, b);
  return softDiv<f64>(vcpu, a, b);
}

export function add32(vcpu: i32, a: u32, b: u32): u32 {
  return arith32(vcpu, Arith.Add, a, b);
}

export function sub32(vcpu: i32, a: u32, b: u32): u32 {
  return arith32(vcpu, Arith.Sub, a, b);
}

export function mul32(vcpu: i32, a: u32, b: u32): u32 {
  return arith32(vcpu, Arith.Mul, a, b);
}

export function div32(vcpu: i32, a: u32, b: u32): u32 {
  return arith32(vcpu, Arith.Div, a, b);
}

export function add64(vcpu: i32, a: u64, b: u64): u64 {
  return arith64(vcpu, Arith.Add, a, b);
}

export function sub64(vcpu: i32, a: u64, b: u64): u64 {
  return arith64(vcpu, Arith.Sub, a, b);
}

export function mul64(vcpu: i32, a: u64, b: u64): u64 {
  return arith64(vcpu, Arith.Mul, a, b);
}

export function div64(vcpu: i32, a: u64, b: u64): u64 {
  return arith64(vcpu, Arith.Div, a, b);
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
