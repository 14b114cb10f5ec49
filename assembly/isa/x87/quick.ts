// The common cases of arithmetic, loads and stores. For arithmetic: both operands normal, round to nearest, precision 64
// or 53 bits, #P masked, result normal. These are the general paths of arith.ts,
// round.ts and narrow.ts with everything kept in locals; what does not fit goes there, before anything was changed.
import { FPU_FCW, FPU_FSW, FPU_R, FPU_TAG } from "../../../spec/layout";
import { C1, PE, TOP } from "./status";
import { multiplyHigh, quotient128, shiftedHigh, shiftedLow } from "./words";

const J_BIT: u64 = 0x8000000000000000;
/** Rounding control, mask of #P and the upper precision bit; 53 and 64 bits differ in bit 8. */
export const QUICK_FIELDS: u32 = 0xe20;
export const QUICK_VALUE: u32 = 0x220;
export const PC_64_BIT: u32 = 0x100;
/** Rounding control and mask of #P: equal to PE when rounding is to nearest and unreported. */
export const QUICK_ROUND: u32 = 0xc20;

// Operations, as in operate.ts
const MUL: i32 = 1;
const SUB: i32 = 4;
const SUBR: i32 = 5;
const DIV: i32 = 6;

/**
 * Computes a op b into the register at `to`, with C1 and PE in the status word; false when the case is not common.
 * `aSe` and `bSe` have no bits above 15.
 */
export function quickArithmetic(vcpu: i32, to: i32, op: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): bool {
  const fcw = <u32>load<u16>(vcpu, FPU_FCW);
  let aExp = <i32>(aSe & 0x7fff);
  let bExp = <i32>(bSe & 0x7fff);
  if (<i64>(aSig & bSig) >= 0 || <u32>(aExp - 1) >= 0x7ffe || <u32>(bExp - 1) >= 0x7ffe) return false;
  if ((fcw & QUICK_FIELDS) != QUICK_VALUE) return false;
  let sign = (aSe ^ bSe) & 0x8000;
  let exp: i32;
  let hi: u64;
  let lo: u64 = 0;
  if (op == MUL) {
    exp = aExp + bExp - 0x3ffe;
    hi = multiplyHigh(aSig, bSig);
    lo = aSig * bSig;
    if (<i64>hi >= 0) {
      hi = (hi << 1) | (lo >> 63);
      lo <<= 1;
      exp--;
    }
  } else if (op >= DIV) {
    if (op != DIV) {
      const s = aSig;
      aSig = bSig;
      bSig = s;
      const e = aExp;
      aExp = bExp;
      bExp = e;
    }
    exp = aExp - bExp + 0x3ffe;
    if (aSig >= bSig) {
      lo = aSig << 63;
      aSig >>= 1;
      exp++;
    }
    hi = quotient128(aSig, lo, bSig);
    const rest = lo - hi * bSig;
    lo = rest == 0 ? 0 : <i64>rest < 0 || rest << 1 > bSig ? J_BIT | 1 : 1;
  } else {
    if (op >= SUB) sign ^= 0x8000;
    // `sign` now tells whether the magnitudes are subtracted
    const differ = sign != 0;
    sign = aSe & 0x8000;
    if (op == SUBR) sign ^= 0x8000;
    if (aExp < bExp || (aExp == bExp && aSig < bSig)) {
      const m = aSig;
      aSig = bSig;
      bSig = m;
      const e = aExp;
      aExp = bExp;
      bExp = e;
      if (differ) sign ^= 0x8000;
    }
    exp = aExp;
    const d = aExp - bExp;
    if (d) {
      lo = shiftedLow(bSig, 0, d);
      bSig = shiftedHigh(bSig, d);
    }
    if (!differ) {
      hi = aSig + bSig;
      if (hi < aSig) {
        lo = (hi << 63) | (lo >> 1) | (lo & 1);
        hi = (hi >> 1) | J_BIT;
        exp++;
      }
    } else {
      hi = aSig - bSig - u64(lo != 0);
      lo = 0 - lo;
      if (!hi) {
        if (!lo) return false;
        hi = lo;
        lo = 0;
        exp -= 64;
      }
      const n = clz(hi);
      if (n) {
        hi = (hi << n) | (lo >> (64 - n));
        lo <<= n;
        exp -= <i32>n;
      }
    }
  }
  let ulp: u64 = 1;
  if (!(fcw & PC_64_BIT)) {
    ulp = 0x800;
    lo = (hi << 53) | u64(lo != 0);
    hi &= ~0x7ff;
  }
  let fsw = <u32>load<u16>(vcpu, FPU_FSW) & ~C1;
  if (lo) {
    fsw |= PE;
    if (lo > J_BIT || (lo == J_BIT && (hi & ulp) != 0)) {
      fsw |= C1;
      hi += ulp;
      if (!hi) {
        hi = J_BIT;
        exp++;
      }
    }
  }
  if (<u32>(exp - 1) >= 0x7ffe) return false;
  store<u64>(to, hi);
  store<u16>(to, <u16>(sign | <u32>exp), 8);
  store<u16>(vcpu, <u16>fsw, FPU_FSW);
  return true;
}

/** Pushes a value that signals nothing onto a stack with room, C1 cleared; false when the stack is full. */
// @ts-ignore: decorator
@inline
export function quickPush(vcpu: i32, sig: u64, se: u32): bool {
  const fsw = <u32>load<u16>(vcpu, FPU_FSW);
  const slot = ((fsw >> 11) - 1) & 7;
  const tags = <u32>load<u8>(vcpu, FPU_TAG);
  const bit = (<u32>1) << slot;
  if (tags & bit) return false;
  const r = vcpu + FPU_R + <i32>(slot << 4);
  store<u64>(r, sig);
  store<u16>(r, <u16>se, 8);
  store<u8>(vcpu, <u8>(tags | bit), FPU_TAG);
  store<u16>(vcpu, <u16>((fsw & ~(TOP | C1)) | (slot << 11)), FPU_FSW);
  return true;
}

/** No pattern that quickNarrow makes. */
export const NOT_QUICK: u64 = 0xffffffffffffffff;

/**
 * Bits of a number in double (`dropped` = 11, `rebias` = 3C00h) or single precision (40, 3F80h) if that is zero or a
 * normal number and the rounding to nearest, with #P masked; else NOT_QUICK.
 */
// @ts-ignore: decorator
@inline
export function quickNarrow(vcpu: i32, sig: u64, se: u32, dropped: i32, rebias: i32): u64 {
  const signShift: u64 = dropped == 11 ? 48 : 16;
  const sign = (<u64>(se & 0x8000)) << signShift;
  let exp = <i32>(se & 0x7fff);
  if (<i64>sig >= 0) return (sig | <u64>exp) == 0 ? sign : NOT_QUICK;
  exp -= rebias;
  const highest: u32 = dropped == 11 ? 0x7fd : 0xfd;
  if (<u32>(exp - 1) >= highest) return NOT_QUICK;
  const kept = 64 - dropped;
  let bits = (<u64>(exp - 1) << (kept - 1)) + (sig >> dropped);
  const rest = sig << kept;
  if (rest) {
    if ((<u32>load<u16>(vcpu, FPU_FCW) & QUICK_ROUND) != PE) return NOT_QUICK;
    // A carry out of the significand is the next exponent.
    if (rest > J_BIT || (rest == J_BIT && (bits & 1) != 0)) bits++;
  }
  return sign | bits;
}

/** Status word after a quick store of `bits` for `sig`: PE and C1, and the pop. */
// @ts-ignore: decorator
@inline
export function finishQuickStore(vcpu: i32, sig: u64, bits: u64, dropped: i32, pops: bool): void {
  let fsw = <u32>load<u16>(vcpu, FPU_FSW) & ~C1;
  if (sig << (64 - dropped)) {
    fsw |= PE;
    if ((bits ^ (sig >> dropped)) & 1) fsw |= C1;
  }
  if (pops) {
    const slot = (fsw >> 11) & 7;
    store<u8>(vcpu, <u8>(<u32>load<u8>(vcpu, FPU_TAG) & ~((<u32>1) << slot)), FPU_TAG);
    fsw = (fsw & ~TOP) | (((slot + 1) & 7) << 11);
  }
  store<u16>(vcpu, <u16>fsw, FPU_FSW);
}
