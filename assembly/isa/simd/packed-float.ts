// SSE arithmetic on all elements at once, with Wasm SIMD, where every element is of the plain kind that arithmetic.ts
// describes and inexactness need not be found out; else element by element.
import { MXCSR } from "../../../spec/layout";
import {
  add32, add64, div32, div64, mul32, mul64, PE_STICKY, SAFE32, SAFE64, sqrt32, sqrt64, sub32, sub64,
} from "./arithmetic";
import { compare, minMax } from "./compare";
import { int32ToF32, toInt32 } from "./convert";
import { MX_RC } from "./mxcsr";

/** Rounding to nearest, and the precision flag already set and masked. */
// @ts-ignore: decorator
@inline
function relaxed(vcpu: i32): bool {
  return (load<u32>(vcpu, MXCSR) & (MX_RC | PE_STICKY)) == PE_STICKY;
}

/** Lanes that are zero or normal: no NaN, infinity or denormal. */
// @ts-ignore: decorator
@inline
function plainPs(a: v128): v128 {
  const m = v128.and(a, i32x4.splat(0x7fffffff));
  const normal = i32x4.lt_u(i32x4.sub(m, i32x4.splat(0x00800000)), i32x4.splat(0x7f000000));
  return v128.or(normal, i32x4.eq(m, i32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
function plainPd(a: v128): v128 {
  const m = v128.and(a, i64x2.splat(0x7fffffffffffffff));
  const normal = v128.and(i64x2.gt_s(m, i64x2.splat(0x000fffffffffffff)), i64x2.lt_s(m, i64x2.splat(0x7ff0000000000000)));
  return v128.or(normal, i64x2.eq(m, i64x2.splat(0)));
}

/** Lanes of a result that are normal and cannot have been tiny before rounding. */
// @ts-ignore: decorator
@inline
function safePs(r: v128): v128 {
  const m = v128.and(r, i32x4.splat(0x7fffffff));
  return i32x4.lt_u(i32x4.sub(m, i32x4.splat(SAFE32)), i32x4.splat(0x7f800000 - SAFE32));
}

// @ts-ignore: decorator
@inline
function safePd(r: v128): v128 {
  const m = v128.and(r, i64x2.splat(0x7fffffffffffffff));
  return v128.and(i64x2.gt_s(m, i64x2.splat(SAFE64 - 1)), i64x2.lt_s(m, i64x2.splat(0x7ff0000000000000)));
}

// @ts-ignore: decorator
@inline
function zeroPs(a: v128): v128 {
  return f32x4.eq(a, f32x4.splat(0));
}

// @ts-ignore: decorator
@inline
function zeroPd(a: v128): v128 {
  return f64x2.eq(a, f64x2.splat(0));
}

export function addPs(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f32x4.add(a, b);
    const exact = v128.or(safePs(r), zeroPs(r));
    if (v128.all_true<i32>(v128.and(exact, v128.and(plainPs(a), plainPs(b))))) return r;
  }
  let r = i32x4.splat(add32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, add32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, add32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, add32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}

export function subPs(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f32x4.sub(a, b);
    const exact = v128.or(safePs(r), zeroPs(r));
    if (v128.all_true<i32>(v128.and(exact, v128.and(plainPs(a), plainPs(b))))) return r;
  }
  let r = i32x4.splat(sub32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, sub32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, sub32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, sub32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}

export function mulPs(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f32x4.mul(a, b);
    const exact = v128.or(safePs(r), v128.and(zeroPs(r), v128.or(zeroPs(a), zeroPs(b))));
    if (v128.all_true<i32>(v128.and(exact, v128.and(plainPs(a), plainPs(b))))) return r;
  }
  let r = i32x4.splat(mul32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, mul32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, mul32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, mul32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}

export function divPs(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f32x4.div(a, b);
    const exact = v128.or(safePs(r), v128.and(zeroPs(r), zeroPs(a)));
    if (v128.all_true<i32>(v128.and(exact, v128.and(plainPs(a), plainPs(b))))) return r;
  }
  let r = i32x4.splat(div32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, div32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, div32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, div32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}

export function sqrtPs(vcpu: i32, a: v128): v128 {
  if (relaxed(vcpu) && v128.all_true<i32>(v128.and(plainPs(a), f32x4.ge(a, f32x4.splat(0))))) return f32x4.sqrt(a);
  let r = i32x4.splat(sqrt32(vcpu, i32x4.extract_lane(a, 0)));
  r = i32x4.replace_lane(r, 1, sqrt32(vcpu, i32x4.extract_lane(a, 1)));
  r = i32x4.replace_lane(r, 2, sqrt32(vcpu, i32x4.extract_lane(a, 2)));
  return i32x4.replace_lane(r, 3, sqrt32(vcpu, i32x4.extract_lane(a, 3)));
}

/** a < b ? a : b: Wasm's pseudo-minimum with the operands exchanged. */
export function minPs(vcpu: i32, a: v128, b: v128): v128 {
  if (v128.all_true<i32>(v128.and(plainPs(a), plainPs(b)))) return f32x4.pmin(b, a);
  let r = i32x4.splat(<u32>minMax<f32>(vcpu, false, <u32>i32x4.extract_lane(a, 0), <u32>i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, <u32>minMax<f32>(vcpu, false, <u32>i32x4.extract_lane(a, 1), <u32>i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, <u32>minMax<f32>(vcpu, false, <u32>i32x4.extract_lane(a, 2), <u32>i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, <u32>minMax<f32>(vcpu, false, <u32>i32x4.extract_lane(a, 3), <u32>i32x4.extract_lane(b, 3)));
}

/** a > b ? a : b: Wasm's pseudo-maximum with the operands exchanged. */
export function maxPs(vcpu: i32, a: v128, b: v128): v128 {
  if (v128.all_true<i32>(v128.and(plainPs(a), plainPs(b)))) return f32x4.pmax(b, a);
  let r = i32x4.splat(<u32>minMax<f32>(vcpu, true, <u32>i32x4.extract_lane(a, 0), <u32>i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, <u32>minMax<f32>(vcpu, true, <u32>i32x4.extract_lane(a, 1), <u32>i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, <u32>minMax<f32>(vcpu, true, <u32>i32x4.extract_lane(a, 2), <u32>i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, <u32>minMax<f32>(vcpu, true, <u32>i32x4.extract_lane(a, 3), <u32>i32x4.extract_lane(b, 3)));
}

/** CMPPS: all ones where the predicate holds. */
export function cmpPs(vcpu: i32, predicate: u32, a: v128, b: v128): v128 {
  if (v128.all_true<i32>(v128.and(plainPs(a), plainPs(b)))) {
    const p = predicate & 3;
    let r = i32x4.splat(0);
    if (p == 0) r = f32x4.eq(a, b);
    else if (p == 1) r = f32x4.lt(a, b);
    else if (p == 2) r = f32x4.le(a, b);
    return predicate & 4 ? v128.not(r) : r;
  }
  let r = i32x4.splat(compare<f32>(vcpu, predicate, <u32>i32x4.extract_lane(a, 0), <u32>i32x4.extract_lane(b, 0)) ? -1 : 0);
  r = i32x4.replace_lane(r, 1, compare<f32>(vcpu, predicate, <u32>i32x4.extract_lane(a, 1), <u32>i32x4.extract_lane(b, 1)) ? -1 : 0);
  r = i32x4.replace_lane(r, 2, compare<f32>(vcpu, predicate, <u32>i32x4.extract_lane(a, 2), <u32>i32x4.extract_lane(b, 2)) ? -1 : 0);
  return i32x4.replace_lane(r, 3, compare<f32>(vcpu, predicate, <u32>i32x4.extract_lane(a, 3), <u32>i32x4.extract_lane(b, 3)) ? -1 : 0);
}

export function addPd(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f64x2.add(a, b);
    const exact = v128.or(safePd(r), zeroPd(r));
    if (v128.all_true<i64>(v128.and(exact, v128.and(plainPd(a), plainPd(b))))) return r;
  }
  const r = i64x2.splat(add64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, add64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

export function subPd(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f64x2.sub(a, b);
    const exact = v128.or(safePd(r), zeroPd(r));
    if (v128.all_true<i64>(v128.and(exact, v128.and(plainPd(a), plainPd(b))))) return r;
  }
  const r = i64x2.splat(sub64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, sub64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

export function mulPd(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f64x2.mul(a, b);
    const exact = v128.or(safePd(r), v128.and(zeroPd(r), v128.or(zeroPd(a), zeroPd(b))));
    if (v128.all_true<i64>(v128.and(exact, v128.and(plainPd(a), plainPd(b))))) return r;
  }
  const r = i64x2.splat(mul64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, mul64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

export function divPd(vcpu: i32, a: v128, b: v128): v128 {
  if (relaxed(vcpu)) {
    const r = f64x2.div(a, b);
    const exact = v128.or(safePd(r), v128.and(zeroPd(r), zeroPd(a)));
    if (v128.all_true<i64>(v128.and(exact, v128.and(plainPd(a), plainPd(b))))) return r;
  }
  const r = i64x2.splat(div64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, div64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

export function sqrtPd(vcpu: i32, a: v128): v128 {
  if (relaxed(vcpu) && v128.all_true<i64>(v128.and(plainPd(a), f64x2.ge(a, f64x2.splat(0))))) return f64x2.sqrt(a);
  const r = i64x2.splat(sqrt64(vcpu, i64x2.extract_lane(a, 0)));
  return i64x2.replace_lane(r, 1, sqrt64(vcpu, i64x2.extract_lane(a, 1)));
}

/** a < b ? a : b: Wasm's pseudo-minimum with the operands exchanged. */
export function minPd(vcpu: i32, a: v128, b: v128): v128 {
  if (v128.all_true<i64>(v128.and(plainPd(a), plainPd(b)))) return f64x2.pmin(b, a);
  const r = i64x2.splat(minMax<f64>(vcpu, false, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, minMax<f64>(vcpu, false, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

/** a > b ? a : b: Wasm's pseudo-maximum with the operands exchanged. */
export function maxPd(vcpu: i32, a: v128, b: v128): v128 {
  if (v128.all_true<i64>(v128.and(plainPd(a), plainPd(b)))) return f64x2.pmax(b, a);
  const r = i64x2.splat(minMax<f64>(vcpu, true, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)));
  return i64x2.replace_lane(r, 1, minMax<f64>(vcpu, true, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
}

/** CMPPD: all ones where the predicate holds. */
export function cmpPd(vcpu: i32, predicate: u32, a: v128, b: v128): v128 {
  if (v128.all_true<i64>(v128.and(plainPd(a), plainPd(b)))) {
    const p = predicate & 3;
    let r = i64x2.splat(0);
    if (p == 0) r = f64x2.eq(a, b);
    else if (p == 1) r = f64x2.lt(a, b);
    else if (p == 2) r = f64x2.le(a, b);
    return predicate & 4 ? v128.not(r) : r;
  }
  const r = i64x2.splat(compare<f64>(vcpu, predicate, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)) ? -1 : 0);
  return i64x2.replace_lane(r, 1, compare<f64>(vcpu, predicate, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)) ? -1 : 0);
}

/** CVTDQ2PS. */
export function convertDq2ps(vcpu: i32, a: v128): v128 {
  if (relaxed(vcpu)) return f32x4.convert_i32x4_s(a);
  let r = i32x4.splat(int32ToF32(vcpu, i32x4.extract_lane(a, 0)));
  r = i32x4.replace_lane(r, 1, int32ToF32(vcpu, i32x4.extract_lane(a, 1)));
  r = i32x4.replace_lane(r, 2, int32ToF32(vcpu, i32x4.extract_lane(a, 2)));
  return i32x4.replace_lane(r, 3, int32ToF32(vcpu, i32x4.extract_lane(a, 3)));
}

/** CVTPS2DQ and CVTTPS2DQ. */
export function convertPs2dq(vcpu: i32, a: v128, truncate: bool): v128 {
  // Within the range of integers (NaNs are not), and no denormal, which DAZ would make exact.
  const inside = v128.and(f32x4.lt(f32x4.abs(a), f32x4.splat(2147483648)), plainPs(a));
  if (relaxed(vcpu) && v128.all_true<i32>(inside)) return i32x4.trunc_sat_f32x4_s(truncate ? a : f32x4.nearest(a));
  let r = i32x4.splat(toInt32<f32>(vcpu, <u32>i32x4.extract_lane(a, 0), truncate));
  r = i32x4.replace_lane(r, 1, toInt32<f32>(vcpu, <u32>i32x4.extract_lane(a, 1), truncate));
  r = i32x4.replace_lane(r, 2, toInt32<f32>(vcpu, <u32>i32x4.extract_lane(a, 2), truncate));
  return i32x4.replace_lane(r, 3, toInt32<f32>(vcpu, <u32>i32x4.extract_lane(a, 3), truncate));
}
