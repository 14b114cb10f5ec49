// Rounding of an exact or sticky 128-bit significand to extended precision, with the exceptions that follow from it
// (SDM 1 4.8.4 and 8.5.4-8.5.6).
import { FPU_FCW } from "../../../spec/layout";
import { C1, OE, PC_24, PC_53, PE, RC_NEAREST, RC_UP, RC_ZERO, UE, signal } from "./status";
import { setResult } from "./stack";
import { shiftedHigh, shiftedLow } from "./words";

const HALF: u64 = 0x8000000000000000;
/** Added to or taken from the exponent of an unmasked underflow or overflow (SDM 1 8.5.4). */
const BIAS_ADJUST: i32 = 24576;

/** Whether a magnitude with the fraction `lo` / 2^64 behind its last place is rounded up. */
// @ts-ignore: decorator
@inline
export function roundsUp(rc: u32, sign: u32, odd: bool, lo: u64): bool {
  if (rc == RC_NEAREST) return lo > HALF || (lo == HALF && odd);
  if (rc == RC_ZERO) return false;
  return (rc == RC_UP) == (sign == 0);
}

/** Significand bits that a precision leaves unused. */
// @ts-ignore: decorator
@inline
function unusedBits(pc: u32): i32 {
  return pc == PC_24 ? 40 : pc == PC_53 ? 11 : 0;
}

/**
 * Rounds (-1)^sign * (hi:lo / 2^127) * 2^(exp - 16383) to the precision `pc` under the current rounding control and
 * leaves it in W_SIG and W_SE. `sign` is 0 or 8000h; bit 63 of `hi` is set; exp may be any value.
 */
export function roundPack(vcpu: i32, sign: u32, exp: i32, hi: u64, lo: u64, pc: u32): void {
  const fcw = <u32>load<u16>(vcpu, FPU_FCW);
  const rc = (fcw >> 10) & 3;
  if (exp <= 0) {
    packTiny(vcpu, sign, exp, hi, lo, pc);
    return;
  }
  let ulp: u64 = 1;
  const unused = unusedBits(pc);
  if (unused) {
    ulp <<= unused;
    lo = (hi << (64 - unused)) | u64(lo != 0);
    hi &= ~(ulp - 1);
  }
  let exc: u32 = 0;
  if (lo) {
    exc = PE;
    if (roundsUp(rc, sign, (hi & ulp) != 0, lo)) {
      exc |= C1;
      hi += ulp;
      if (!hi) {
        hi = HALF;
        exp++;
      }
    }
  }
  if (exp > 0x7ffe) {
    exc |= OE;
    if (fcw & OE) {
      exc |= PE;
      // Away from zero: infinity; towards zero: the largest number of this precision.
      if (rc == RC_NEAREST || (rc != RC_ZERO && (rc == RC_UP) == (sign == 0))) {
        exc |= C1;
        hi = HALF;
        exp = 0x7fff;
      } else {
        exc &= ~C1;
        hi = ~(ulp - 1);
        exp = 0x7ffe;
      }
    } else {
      exp -= BIAS_ADJUST;
      if (exp > 0x7ffe) {
        // FSCALE can go farther than the adjustment brings back.
        exc |= PE | C1;
        exp = 0x7fff;
        hi = HALF;
      }
    }
  }
  if (exc) signal(vcpu, exc);
  setResult(vcpu, hi, sign | <u32>exp);
}

/** roundPack for a magnitude below the smallest normal number before rounding. */
function packTiny(vcpu: i32, sign: u32, exp: i32, hi: u64, lo: u64, pc: u32): void {
  const fcw = <u32>load<u16>(vcpu, FPU_FCW);
  const rc = (fcw >> 10) & 3;
  const unused = unusedBits(pc);
  const ulp: u64 = (<u64>1) << unused;
  // As if the exponent had no bound: decides whether the result is tiny, and is the unmasked result.
  let wide = hi & ~(ulp - 1);
  const rest = unused ? (hi << (64 - unused)) | u64(lo != 0) : lo;
  let wideExp = exp;
  const up = rest != 0 && roundsUp(rc, sign, (wide & ulp) != 0, rest);
  if (up) {
    wide += ulp;
    if (!wide) {
      wide = HALF;
      wideExp++;
    }
  }
  const tiny = wideExp <= 0;
  if (tiny && !(fcw & UE)) {
    wideExp += BIAS_ADJUST;
    if (wideExp <= 0) {
      // FSCALE can go farther than the adjustment brings back.
      signal(vcpu, UE | PE);
      setResult(vcpu, 0, sign);
    } else {
      signal(vcpu, UE | (rest ? PE : 0) | (up ? C1 : 0));
      setResult(vcpu, wide, sign | <u32>wideExp);
    }
    return;
  }
  lo = shiftedLow(hi, lo, 1 - exp);
  hi = shiftedHigh(hi, 1 - exp);
  if (unused) {
    lo = (hi << (64 - unused)) | u64(lo != 0);
    hi &= ~(ulp - 1);
  }
  if (lo) {
    let exc = PE | (tiny ? UE : 0);
    if (roundsUp(rc, sign, (hi & ulp) != 0, lo)) {
      exc |= C1;
      hi += ulp;
    }
    signal(vcpu, exc);
  }
  // Rounding up to the smallest normal number gives it its exponent.
  setResult(vcpu, hi, sign | u32(hi >> 63));
}
