// FADD, FSUB, FMUL, FDIV and FSQRT on extended-precision numbers, rounded once to the precision asked for.
// Results in W_SIG and W_SE, exceptions in W_EXC.
import { RC_DOWN, roundingControl, signal, ZE } from "./status";
import { invalid, setResult } from "./stack";
import { isInfinity, isNormal, isZero, J_BIT, nanResult1, nanResult2, normalExp, normalSig, noteDenormal } from "./nan";
import { roundPack } from "./round";
import { multiplyHigh, quotient128, shiftedHigh, shiftedLow } from "./words";

/** a + b, or a - b with negate = 8000h. */
export function add(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32, negate: u32, pc: u32): void {
  if (isNormal(aSig, aSe) && isNormal(bSig, bSe)) {
    addFinite(vcpu, aSe & 0x8000, <i32>(aSe & 0x7fff), aSig, (bSe ^ negate) & 0x8000, <i32>(bSe & 0x7fff), bSig, pc);
    return;
  }
  if (nanResult2(vcpu, aSig, aSe, bSig, bSe)) return;
  const bSign = (bSe ^ negate) & 0x8000;
  const aSign = aSe & 0x8000;
  const aInf = isInfinity(aSig, aSe);
  const bInf = isInfinity(bSig, bSe);
  if (aInf && bInf && aSign != bSign) {
    invalid(vcpu);
    return;
  }
  noteDenormal(vcpu, aSig, aSe);
  noteDenormal(vcpu, bSig, bSe);
  if (aInf) {
    setResult(vcpu, aSig, aSe & 0xffff);
    return;
  }
  if (bInf) {
    setResult(vcpu, bSig, (bSe & 0x7fff) | bSign);
    return;
  }
  const aZero = isZero(aSig, aSe);
  const bZero = isZero(bSig, bSe);
  if (aZero && bZero) {
    setResult(vcpu, 0, aSign == bSign ? aSign : roundingControl(vcpu) == RC_DOWN ? 0x8000 : 0);
    return;
  }
  const aExp = normalExp(aSig, aSe);
  const bExp = normalExp(bSig, bSe);
  if (bZero) roundPack(vcpu, aSign, aExp, normalSig(aSig), 0, pc);
  else if (aZero) roundPack(vcpu, bSign, bExp, normalSig(bSig), 0, pc);
  else addFinite(vcpu, aSign, aExp, normalSig(aSig), bSign, bExp, normalSig(bSig), pc);
}

function addFinite(vcpu: i32, aSign: u32, aExp: i32, aSig: u64, bSign: u32, bExp: i32, bSig: u64, pc: u32): void {
  if (aExp < bExp || (aExp == bExp && aSig < bSig)) {
    const s = aSign;
    aSign = bSign;
    bSign = s;
    const e = aExp;
    aExp = bExp;
    bExp = e;
    const m = aSig;
    aSig = bSig;
    bSig = m;
  }
  let bLo: u64 = 0;
  const d = aExp - bExp;
  if (d) {
    bLo = shiftedLow(bSig, 0, d);
    bSig = shiftedHigh(bSig, d);
  }
  if (aSign == bSign) {
    let hi = aSig + bSig;
    if (hi < aSig) {
      bLo = (hi << 63) | (bLo >> 1) | (bLo & 1);
      hi = (hi >> 1) | J_BIT;
      aExp++;
    }
    roundPack(vcpu, aSign, aExp, hi, bLo, pc);
    return;
  }
  let lo = 0 - bLo;
  let hi = aSig - bSig - u64(bLo != 0);
  if (!(hi | lo)) {
    setResult(vcpu, 0, roundingControl(vcpu) == RC_DOWN ? 0x8000 : 0);
    return;
  }
  if (!hi) {
    hi = lo;
    lo = 0;
    aExp -= 64;
  }
  const n = clz(hi);
  if (n) {
    hi = (hi << n) | (lo >> (64 - n));
    lo <<= n;
    aExp -= <i32>n;
  }
  roundPack(vcpu, aSign, aExp, hi, lo, pc);
}

export function multiply(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32, pc: u32): void {
  const sign = (aSe ^ bSe) & 0x8000;
  let aExp: i32, bExp: i32;
  if (isNormal(aSig, aSe) && isNormal(bSig, bSe)) {
    aExp = <i32>(aSe & 0x7fff);
    bExp = <i32>(bSe & 0x7fff);
  } else {
    if (nanResult2(vcpu, aSig, aSe, bSig, bSe)) return;
    const infinite = isInfinity(aSig, aSe) || isInfinity(bSig, bSe);
    const zero = isZero(aSig, aSe) || isZero(bSig, bSe);
    if (infinite && zero) {
      invalid(vcpu);
      return;
    }
    noteDenormal(vcpu, aSig, aSe);
    noteDenormal(vcpu, bSig, bSe);
    if (infinite) {
      setResult(vcpu, J_BIT, sign | 0x7fff);
      return;
    }
    if (zero) {
      setResult(vcpu, 0, sign);
      return;
    }
    aExp = normalExp(aSig, aSe);
    bExp = normalExp(bSig, bSe);
    aSig = normalSig(aSig);
    bSig = normalSig(bSig);
  }
  let hi = multiplyHigh(aSig, bSig);
  let lo = aSig * bSig;
  let exp = aExp + bExp - 0x3ffe;
  if (<i64>hi >= 0) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    exp--;
  }
  roundPack(vcpu, sign, exp, hi, lo, pc);
}

/** a / b. */
export function divide(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32, pc: u32): void {
  const sign = (aSe ^ bSe) & 0x8000;
  let aExp: i32, bExp: i32;
  if (isNormal(aSig, aSe) && isNormal(bSig, bSe)) {
    aExp = <i32>(aSe & 0x7fff);
    bExp = <i32>(bSe & 0x7fff);
  } else {
    if (nanResult2(vcpu, aSig, aSe, bSig, bSe)) return;
    const aInf = isInfinity(aSig, aSe);
    const bInf = isInfinity(bSig, bSe);
    const aZero = isZero(aSig, aSe);
    const bZero = isZero(bSig, bSe);
    if ((aInf && bInf) || (aZero && bZero)) {
      invalid(vcpu);
      return;
    }
    if (bZero && !aInf) {
      signal(vcpu, ZE);
      setResult(vcpu, J_BIT, sign | 0x7fff);
      return;
    }
    noteDenormal(vcpu, aSig, aSe);
    noteDenormal(vcpu, bSig, bSe);
    if (aInf) {
      setResult(vcpu, J_BIT, sign | 0x7fff);
      return;
    }
    if (aZero || bInf) {
      setResult(vcpu, 0, sign);
      return;
    }
    aExp = normalExp(aSig, aSe);
    bExp = normalExp(bSig, bSe);
    aSig = normalSig(aSig);
    bSig = normalSig(bSig);
  }
  let exp = aExp - bExp + 0x3ffe;
  let lo: u64 = 0;
  if (aSig >= bSig) {
    lo = aSig << 63;
    aSig >>= 1;
    exp++;
  }
  const q = quotient128(aSig, lo, bSig);
  const rest = lo - q * bSig;
  // The next quotient bit and a sticky one are all that rounding needs.
  let behind: u64 = 0;
  if (rest) {
    if (<i64>rest < 0 || rest << 1 > bSig) behind = J_BIT | 1;
    else behind = rest << 1 == bSig ? J_BIT : 1;
  }
  roundPack(vcpu, sign, exp, q, behind, pc);
}

export function squareRoot(vcpu: i32, sig: u64, se: u32, pc: u32): void {
  if (nanResult1(vcpu, sig, se)) return;
  if (isZero(sig, se)) {
    setResult(vcpu, 0, se & 0x8000);
    return;
  }
  if (se & 0x8000) {
    invalid(vcpu);
    return;
  }
  if (isInfinity(sig, se)) {
    setResult(vcpu, J_BIT, 0x7fff);
    return;
  }
  noteDenormal(vcpu, sig, se);
  const exp = normalExp(sig, se) - 0x3fff;
  sig = normalSig(sig);
  // root = sqrt(n), n = sig * 2^63 (even exponent) or sig * 2^64 (odd): 2^126 <= n < 2^128.
  const odd = exp & 1;
  const hi = odd ? sig : sig >> 1;
  const lo: u64 = odd ? 0 : sig << 63;
  const root = root128(hi, lo);
  // Remainder n - root^2 (up to 2 * root): zero, or the fraction below or above one half. One half itself, that is
  // n = root^2 + root + 1/4, is impossible.
  const sqHi = multiplyHigh(root, root);
  const sqLo = root * root;
  const remLo = lo - sqLo;
  const remHi = hi - sqHi - u64(lo < sqLo);
  let behind: u64 = 0;
  if (remHi | remLo) behind = remHi != 0 || remLo > root ? J_BIT | 1 : 1;
  roundPack(vcpu, 0, ((exp - odd) >> 1) + 0x3fff, root, behind, pc);
}

/** Largest r with r * r <= hi:lo, for hi of at least 2^62: bit 63 of r is set. */
function root128(hi: u64, lo: u64): u64 {
  // 52 good bits from the double root, then one Newton step gives 64 within a unit or two.
  const estimate = sqrt<f64>(<f64>hi) * 4294967296.0;
  let r: u64 = estimate >= 18446744073709549568.0 ? 0xfffffffffffff800 : <u64>estimate;
  if (r <= hi) r = hi + 1;
  if (!r) r = ~(<u64>0);
  else {
    const q = quotient128(hi, lo, r);
    r = (r >> 1) + (q >> 1) + (r & q & 1);
  }
  let sqHi = multiplyHigh(r, r);
  let sqLo = r * r;
  while (sqHi > hi || (sqHi == hi && sqLo > lo)) {
    r--;
    sqHi = multiplyHigh(r, r);
    sqLo = r * r;
  }
  // (r + 1)^2 fits too while the remainder is more than 2r, a number of 65 bits.
  let remLo = lo - sqLo;
  let remHi = hi - sqHi - u64(lo < sqLo);
  while (remHi > 1 || (remHi == 1 && remLo > r << 1)) {
    const twice = (r << 1) + 1;
    remHi -= 1 + u64(remLo < twice);
    remLo -= twice;
    r++;
  }
  return r;
}
