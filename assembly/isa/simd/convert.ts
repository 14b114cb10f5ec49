// Conversions between binary32, binary64 and 32-bit integers, and the approximations RCP and RSQRT.
import { MXCSR } from "../../../spec/layout";
import { SAFE32 } from "./arithmetic";
import { MX_DE, MX_IE, MX_PE, MX_RC, MX_RC_SHIFT, RC_DOWN, RC_NEAREST, RC_UP, RC_ZERO, signal } from "./mxcsr";
import { daz, Format, roundPack } from "./softfloat";

/** What an integer conversion gives for NaNs and values out of range. */
const INTEGER_INDEFINITE: u32 = 0x80000000;

/** Rounds an integral value in the given mode; every binary64 number has an exact neighbour for each. */
// @ts-ignore: decorator
@inline
export function roundTo(rc: u32, x: f64): f64 {
  if (rc == RC_NEAREST) return nearest<f64>(x);
  if (rc == RC_DOWN) return floor<f64>(x);
  if (rc == RC_UP) return ceil<f64>(x);
  return trunc<f64>(x);
}

/** T to a 32-bit signed integer, rounding as MXCSR says or, for CVTT, towards zero. */
export function toInt32<T>(vcpu: i32, x: u64, truncate: bool): u32 {
  const a = daz<T>(vcpu, x);
  if (!Format.isNaN<T>(a)) {
    const value = sizeof<T>() == 4 ? <f64>reinterpret<f32>(<u32>a) : reinterpret<f64>(a);
    const rounded = roundTo(truncate ? RC_ZERO : (load<u32>(vcpu, MXCSR) & MX_RC) >> MX_RC_SHIFT, value);
    if (rounded >= -2147483648.0 && rounded <= 2147483647.0) {
      if (rounded != value) signal(vcpu, MX_PE);
      return <u32>(<i32>rounded);
    }
  }
  signal(vcpu, MX_IE);
  return INTEGER_INDEFINITE;
}

/** A 32-bit signed integer to binary32. */
export function int32ToF32(vcpu: i32, x: i32): u32 {
  if ((load<u32>(vcpu, MXCSR) & MX_RC) == 0) {
    const r = <f32>x;
    if (<f64>r != <f64>x) signal(vcpu, MX_PE);
    return reinterpret<u32>(r);
  }
  if (x == 0) return 0;
  const sign: u64 = x < 0 ? 0x80000000 : 0;
  const magnitude = <u64><u32>(x < 0 ? -x : x);
  const up = clz(magnitude);
  return <u32>roundPack<f32>(vcpu, sign, 63 - <i32>up, magnitude << up);
}

/** A 32-bit signed integer to binary64: always exact. */
// @ts-ignore: decorator
@inline
export function int32ToF64(x: i32): u64 {
  return reinterpret<u64>(<f64>x);
}

/** CVTPS2PD, CVTSS2SD: exact, but SNaNs and denormals signal. */
export function f32ToF64(vcpu: i32, x: u32): u64 {
  const a = daz<f32>(vcpu, x);
  if (Format.isNaN<f32>(a)) {
    if (Format.isSNaN<f32>(a)) signal(vcpu, MX_IE);
    return ((a & 0x80000000) << 32) | 0x7ff8000000000000 | ((a & 0x7fffff) << 29);
  }
  if (Format.isDenormal<f32>(a)) signal(vcpu, MX_DE);
  return reinterpret<u64>(<f64>reinterpret<f32>(<u32>a));
}

/** CVTPD2PS, CVTSD2SS. */
export function f64ToF32(vcpu: i32, x: u64): u32 {
  if ((load<u32>(vcpu, MXCSR) & MX_RC) == 0) {
    const r = <f32>reinterpret<f64>(x);
    const bits = reinterpret<u32>(r);
    // Normal, and above what could have been rounded up from a tiny number; NaNs and denormals are not.
    if ((bits & 0x7fffffff) - SAFE32 < 0x7f800000 - SAFE32) {
      if (<f64>r != reinterpret<f64>(x)) signal(vcpu, MX_PE);
      return bits;
    }
  }
  const a = daz<f64>(vcpu, x);
  const sign = (a >> 32) & 0x80000000;
  if (Format.isNaN<f64>(a)) {
    if (Format.isSNaN<f64>(a)) signal(vcpu, MX_IE);
    return <u32>(sign | 0x7fc00000 | ((a >> 29) & 0x3fffff));
  }
  if (Format.isInfinite<f64>(a)) return <u32>(sign | 0x7f800000);
  if (Format.isZero<f64>(a)) return <u32>sign;
  if (Format.isDenormal<f64>(a)) signal(vcpu, MX_DE);
  return <u32>roundPack<f32>(vcpu, sign, Format.exponent<f64>(a), Format.significand<f64>(a));
}

// RCP and RSQRT promise a relative error of at most 1.5 * 2^-12 (SDM 2); processors differ below that, so nothing may
// depend on more. These give the correctly rounded value. They raise no exception and take denormals for zeros.

/** RCPSS of a bit pattern. */
export function reciprocal(a: u32): u32 {
  if (Format.isNaN<f32>(a)) return a | 0x00400000;
  const sign = a & 0x80000000;
  const exponent = (a >> 23) & 0xff;
  if (exponent == 0) return sign | 0x7f800000;
  const r = reinterpret<u32>(<f32>1 / reinterpret<f32>(a));
  // A result below the normal range is flushed.
  return ((r >> 23) & 0xff) == 0 ? sign : r;
}

/** RSQRTSS of a bit pattern. */
export function reciprocalRoot(a: u32): u32 {
  if (Format.isNaN<f32>(a)) return a | 0x00400000;
  const sign = a & 0x80000000;
  if (((a >> 23) & 0xff) == 0) return sign | 0x7f800000;
  if (sign != 0) return 0xffc00000;
  return reinterpret<u32>(<f32>(1.0 / sqrt<f64>(<f64>reinterpret<f32>(a))));
}
