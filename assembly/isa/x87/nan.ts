// Kinds of extended-precision values and what becomes of NaNs (SDM 1 4.8.3 and table 4-7, 8.2.2).
import { DE, IE, SE_DENORMAL, signal } from "./status";
import { invalid, setResult } from "./stack";

export const J_BIT: u64 = 0x8000000000000000;
export const QUIET_BIT: u64 = 0x4000000000000000;

/** Normal number: no special treatment needed. A number widened from a denormal is not normal in this sense. */
// @ts-ignore: decorator
@inline
export function isNormal(sig: u64, se: u32): bool {
  return (se & 0x7fff) - 1 < 0x7ffe && <i64>sig < 0 && !(se & SE_DENORMAL);
}

/** Encodings that the 387 and its successors refuse: unnormals, pseudo-infinities, pseudo-NaNs. */
// @ts-ignore: decorator
@inline
export function isUnsupported(sig: u64, se: u32): bool {
  return (se & 0x7fff) != 0 && <i64>sig >= 0;
}

// @ts-ignore: decorator
@inline
export function isNan(sig: u64, se: u32): bool {
  return (se & 0x7fff) == 0x7fff && sig << 1 != 0;
}

// @ts-ignore: decorator
@inline
export function isSignaling(sig: u64, se: u32): bool {
  return (se & 0x7fff) == 0x7fff && sig << 1 != 0 && !(sig & QUIET_BIT);
}

// @ts-ignore: decorator
@inline
export function isInfinity(sig: u64, se: u32): bool {
  return (se & 0x7fff) == 0x7fff && sig == J_BIT;
}

// @ts-ignore: decorator
@inline
export function isZero(sig: u64, se: u32): bool {
  return sig == 0 && (se & 0x7fff) == 0;
}

/** Denormals and pseudo-denormals, and numbers widened from a denormal. */
// @ts-ignore: decorator
@inline
export function isDenormal(sig: u64, se: u32): bool {
  return ((se & 0x7fff) == 0 && sig != 0) || (se & SE_DENORMAL) != 0;
}

/** Exponent of a finite nonzero number after `normalSig` (a pseudo-denormal has the exponent 1). */
// @ts-ignore: decorator
@inline
export function normalExp(sig: u64, se: u32): i32 {
  const e = <i32>(se & 0x7fff);
  return e ? e : 1 - <i32>clz(sig);
}

// @ts-ignore: decorator
@inline
export function normalSig(sig: u64): u64 {
  return sig << clz(sig);
}

/** Unsupported or NaN operand of a one-operand instruction: leaves its result and returns true. */
export function nanResult1(vcpu: i32, sig: u64, se: u32): bool {
  if (isUnsupported(sig, se)) {
    invalid(vcpu);
    return true;
  }
  if (!isNan(sig, se)) return false;
  if (!(sig & QUIET_BIT)) signal(vcpu, IE);
  setResult(vcpu, sig | QUIET_BIT, se & 0xffff);
  return true;
}

/** Unsupported or NaN among two operands: leaves the result and returns true. */
export function nanResult2(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): bool {
  if (isUnsupported(aSig, aSe) || isUnsupported(bSig, bSe)) {
    invalid(vcpu);
    return true;
  }
  const aNan = isNan(aSig, aSe);
  const bNan = isNan(bSig, bSe);
  if (!aNan && !bNan) return false;
  const aSignals = aNan && !(aSig & QUIET_BIT);
  const bSignals = bNan && !(bSig & QUIET_BIT);
  if (aSignals || bSignals) signal(vcpu, IE);
  let takeA = aNan;
  if (aNan && bNan) {
    // A quiet NaN wins over a signaling one; of two alike, the larger significand, then the positive sign.
    if (aSignals != bSignals) takeA = bSignals;
    else if (aSig != bSig) takeA = aSig > bSig;
    else takeA = !(aSe & 0x8000);
  }
  if (takeA) setResult(vcpu, aSig | QUIET_BIT, aSe & 0xffff);
  else setResult(vcpu, bSig | QUIET_BIT, bSe & 0xffff);
  return true;
}

/** Signals a denormal operand, if it is one. */
export function noteDenormal(vcpu: i32, sig: u64, se: u32): void {
  if (isDenormal(sig, se)) signal(vcpu, DE);
}
