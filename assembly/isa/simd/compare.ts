// MIN, MAX, CMPcc, COMIS and UCOMIS of SSE on bit patterns. SDM 2: MINPS, CMPPS, COMISS.
import { FLAG_CF, FLAG_PF, FLAG_ZF } from "../../../spec/registers";
import { MX_DE, MX_IE, signal } from "./mxcsr";
import { daz, Format } from "./softfloat";

/** The bit pattern's value: binary32 widened, which keeps order and equality. */
// @ts-ignore: decorator
@inline
function value<T>(a: u64): f64 {
  return sizeof<T>() == 4 ? <f64>reinterpret<f32>(<u32>a) : reinterpret<f64>(a);
}

// @ts-ignore: decorator
@inline
function noteDenormals<T>(vcpu: i32, a: u64, b: u64): void {
  if (Format.isDenormal<T>(a) || Format.isDenormal<T>(b)) signal(vcpu, MX_DE);
}

/** MIN (or MAX): the source for any NaN and for two zeros. A QNaN is invalid here, too. */
export function minMax<T>(vcpu: i32, isMax: bool, x: u64, y: u64): u64 {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) {
    signal(vcpu, MX_IE);
    return b;
  }
  noteDenormals<T>(vcpu, a, b);
  if (isMax) return value<T>(a) > value<T>(b) ? a : b;
  return value<T>(a) < value<T>(b) ? a : b;
}

/** CMPcc with predicate 0..7 (EQ LT LE UNORD NEQ NLT NLE ORD). LT, LE and their negations make QNaNs invalid. */
export function compare<T>(vcpu: i32, predicate: u32, x: u64, y: u64): bool {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  const p = predicate & 3;
  let r: bool;
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) {
    if (p == 1 || p == 2 || Format.isSNaN<T>(a) || Format.isSNaN<T>(b)) signal(vcpu, MX_IE);
    r = p == 3;
  } else {
    noteDenormals<T>(vcpu, a, b);
    if (p == 0) r = value<T>(a) == value<T>(b);
    else if (p == 1) r = value<T>(a) < value<T>(b);
    else if (p == 2) r = value<T>(a) <= value<T>(b);
    else r = false;
  }
  return (predicate & 4) != 0 ? !r : r;
}

/** COMIS and UCOMIS: the EFLAGS to set. A QNaN is invalid for COMIS only. */
export function compareFlags<T>(vcpu: i32, quiet: bool, x: u64, y: u64): u32 {
  const a = daz<T>(vcpu, x);
  const b = daz<T>(vcpu, y);
  if (Format.isNaN<T>(a) || Format.isNaN<T>(b)) {
    if (!quiet || Format.isSNaN<T>(a) || Format.isSNaN<T>(b)) signal(vcpu, MX_IE);
    return FLAG_ZF | FLAG_PF | FLAG_CF;
  }
  noteDenormals<T>(vcpu, a, b);
  if (value<T>(a) > value<T>(b)) return 0;
  return value<T>(a) < value<T>(b) ? FLAG_CF : FLAG_ZF;
}

