// Conversions from extended precision: to single, double, integers and packed BCD, and FRNDINT.
// Each returns the bits to be stored; exceptions are in W_EXC. A result that must not be stored (unmasked invalid
// operation, overflow or underflow) is for the caller to drop, see `stopsStore`.
import { FPU_FCW } from "../../../spec/layout";
import { C1, IE, OE, PE, RC_NEAREST, RC_UP, RC_ZERO, roundingControl, signal, UE, W_EXC, W_LO } from "./status";
import { setResult } from "./stack";
import {
  isInfinity, isNan, isUnsupported, isZero, J_BIT, nanResult1, normalExp, normalSig, noteDenormal, QUIET_BIT,
} from "./nan";
import { roundsUp } from "./round";
import { shiftedHigh, shiftedLow } from "./words";

/** Extended to a format with `bits` significand bits (24 or 53), exponent bias `bias`; returns its bit pattern. */
function toFormat(vcpu: i32, sig: u64, se: u32, bits: i32, bias: i32): u64 {
  const fractionBits = bits - 1;
  const maxExp = 2 * bias + 1;
  const sign = se & 0x8000;
  const signBit: u64 = sign ? (bits == 24 ? 0x80000000 : J_BIT) : 0;
  const infinity = <u64>maxExp << fractionBits;
  if (isUnsupported(sig, se)) {
    signal(vcpu, IE);
    return (bits == 24 ? 0x80000000 : J_BIT) | infinity | ((<u64>1) << (fractionBits - 1));
  }
  if (isNan(sig, se)) {
    if (!(sig & QUIET_BIT)) signal(vcpu, IE);
    return signBit | infinity | (((sig | QUIET_BIT) & ~J_BIT) >> (64 - bits));
  }
  if (isInfinity(sig, se)) return signBit | infinity;
  if (isZero(sig, se)) return signBit;
  const fcw = <u32>load<u16>(vcpu, FPU_FCW);
  const rc = (fcw >> 10) & 3;
  let exp = normalExp(sig, se) - 0x3fff + bias;
  sig = normalSig(sig);
  let hi = sig >> (64 - bits);
  let lo = sig << bits;
  let up = lo != 0 && roundsUp(rc, sign, (hi & 1) != 0, lo);
  const allOnes = hi == ((<u64>1) << bits) - 1;
  let exc: u32 = 0;
  if (exp <= 0) {
    // Tiny unless rounding with an unbounded exponent reaches the smallest normal number.
    const tiny = !(exp == 0 && up && allOnes);
    if (tiny && !(fcw & UE)) {
      signal(vcpu, UE);
      return 0;
    }
    const drop = 64 - bits + 1 - exp;
    hi = shiftedHigh(sig, drop);
    lo = shiftedLow(sig, 0, drop);
    up = lo != 0 && roundsUp(rc, sign, (hi & 1) != 0, lo);
    if (lo) exc = tiny ? UE | PE : PE;
    exp = 0;
    if (up) hi++;
    if (up) exc |= C1;
    signal(vcpu, exc);
    // A carry into the place of the leading bit is the exponent field 1.
    return signBit | hi;
  }
  if (lo) exc = PE;
  if (up) {
    exc |= C1;
    hi++;
    if (allOnes) {
      hi >>= 1;
      exp++;
    }
  }
  if (exp >= maxExp) {
    if (!(fcw & OE)) {
      signal(vcpu, OE);
      return 0;
    }
    if (rc == RC_NEAREST || (rc != RC_ZERO && (rc == RC_UP) == (sign == 0))) {
      signal(vcpu, OE | PE | C1);
      return signBit | infinity;
    }
    signal(vcpu, OE | PE);
    return signBit | (infinity - 1);
  }
  signal(vcpu, exc);
  return signBit | (<u64>exp << fractionBits) | (hi & (((<u64>1) << fractionBits) - 1));
}

export function toSingle(vcpu: i32, sig: u64, se: u32): u32 {
  return <u32>toFormat(vcpu, sig, se, 24, 0x7f);
}

export function toDouble(vcpu: i32, sig: u64, se: u32): u64 {
  return toFormat(vcpu, sig, se, 53, 0x3ff);
}

/**
 * Magnitude of a finite number rounded to an integer, inexactness in W_EXC; all ones with W_LO = 1 when it is
 * 2^64 or more (else W_LO = 0).
 */
function integerMagnitude(vcpu: i32, sig: u64, se: u32, rc: u32): u64 {
  store<u64>(vcpu, 0, W_LO);
  if (!sig) return 0;
  const exp = normalExp(sig, se) - 0x3fff;
  sig = normalSig(sig);
  if (exp > 63) {
    store<u64>(vcpu, 1, W_LO);
    return ~(<u64>0);
  }
  let hi = shiftedHigh(sig, 63 - exp);
  const lo = shiftedLow(sig, 0, 63 - exp);
  if (lo) {
    let exc = PE;
    if (roundsUp(rc, se & 0x8000, (hi & 1) != 0, lo)) {
      exc |= C1;
      hi++;
      if (!hi) {
        store<u64>(vcpu, 1, W_LO);
        hi = ~(<u64>0);
      }
    }
    signal(vcpu, exc);
  }
  return hi;
}

/** FIST and FISTTP: a signed integer of 16, 32 or 64 bits; the integer indefinite when it does not fit. */
export function toInteger(vcpu: i32, sig: u64, se: u32, bits: i32, truncate: bool): i64 {
  const lowest: u64 = (<u64>1) << (bits - 1);
  if ((se & 0x7fff) != 0x7fff && !isUnsupported(sig, se)) {
    const magnitude = integerMagnitude(vcpu, sig, se, truncate ? RC_ZERO : roundingControl(vcpu));
    const negative = (se & 0x8000) != 0;
    if (!load<u64>(vcpu, W_LO) && magnitude <= (negative ? lowest : lowest - 1)) {
      return negative ? -(<i64>magnitude) : <i64>magnitude;
    }
  }
  store<u32>(vcpu, IE, W_EXC);
  return <i64>lowest;
}

/** FBSTP: sixteen digits; the sign byte and two more digits go to W_LO. */
export function toBcd(vcpu: i32, sig: u64, se: u32): u64 {
  if ((se & 0x7fff) != 0x7fff && !isUnsupported(sig, se)) {
    let magnitude = integerMagnitude(vcpu, sig, se, roundingControl(vcpu));
    if (!load<u64>(vcpu, W_LO) && magnitude <= 999999999999999999) {
      let low: u64 = 0;
      for (let shift: i32 = 0; shift < 64; shift += 4) {
        low |= (magnitude % 10) << shift;
        magnitude /= 10;
      }
      store<u64>(vcpu, (magnitude % 10) | ((magnitude / 10) << 4) | <u64>(se & 0x8000), W_LO);
      return low;
    }
  }
  store<u32>(vcpu, IE, W_EXC);
  store<u64>(vcpu, 0xffff, W_LO);
  return 0xc000000000000000;
}

/** FRNDINT: the integer in extended precision. */
export function roundToInteger(vcpu: i32, sig: u64, se: u32): void {
  if (nanResult1(vcpu, sig, se)) return;
  const exp = <i32>(se & 0x7fff) - 0x3fff;
  if (exp >= 63 || isZero(sig, se)) {
    setResult(vcpu, sig, se);
    return;
  }
  noteDenormal(vcpu, sig, se);
  const magnitude = integerMagnitude(vcpu, sig, se, roundingControl(vcpu));
  const sign = se & 0x8000;
  if (load<u64>(vcpu, W_LO)) setResult(vcpu, J_BIT, sign | 0x403f);
  else if (!magnitude) setResult(vcpu, 0, sign);
  else setResult(vcpu, magnitude << clz(magnitude), sign | (0x403e - <u32>clz(magnitude)));
}
