// F2XM1, FYL2X and FYL2XP1 (SDM 1 8.3.9). Computed to more than 100 bits and rounded once.
import {
  EXPONENTIAL, EXPONENTIAL_TERMS, LN2_HI, LN2_LO, LOGARITHM, LOGARITHM_TERMS, TWO_LOG2E_HI, TWO_LOG2E_LO,
} from "./constants.gen";
import { logarithmOf } from "./logarithm";
import { isInfinity, isZero, J_BIT, nanResult1, nanResult2, normalExp, normalSig, noteDenormal } from "./nan";
import { finish } from "./operate";
import { NOT_COMMON, noteRounded, quickLogarithm } from "./quick-functions";
import { roundPack } from "./round";
import { invalid, isEmpty, pop, setResult, st, stackUnderflow } from "./stack";
import { begin, PC_64, PE, signal, UE, W_LO, W_SE, waiting, ZE } from "./status";
import { roundWide } from "./trigonometric";
import {
  addWide, divideWide, fraction, multiplyConstant, multiplyWide, normalizeWide, polynomial, setWide, slot, wideExp,
  wideHi, wideLo, wideSign,
} from "./wide";

const BIAS: i32 = 0x3fff;
const INFINITY: u32 = 0x7fff;
/** Leading bits of the square root of two. */
const SQRT2: u64 = 0xb504f333f9de6484;

// Slots
const X: i32 = 0;
const T: i32 = 1;
const S: i32 = 2;
const N: i32 = 3;
const D: i32 = 4;

/** 2^x - 1 for |x| <= 1; outside, where the SDM leaves the result undefined, x itself as the hardware does. */
function exponentialMinusOne(vcpu: i32, sig: u64, se: u32): void {
  if (nanResult1(vcpu, sig, se)) return;
  const sign = se & 0x8000;
  if (isInfinity(sig, se)) {
    if (sign) setResult(vcpu, J_BIT, 0xbfff);
    else setResult(vcpu, sig, se);
    return;
  }
  if (isZero(sig, se)) {
    setResult(vcpu, sig, se);
    return;
  }
  noteDenormal(vcpu, sig, se);
  const exp = normalExp(sig, se);
  sig = normalSig(sig);
  if (exp >= BIAS) {
    // Reported as inexact even at +-1, where the result is exact.
    signal(vcpu, PE);
    if (exp == BIAS && sig == J_BIT) setResult(vcpu, J_BIT, sign ? 0xbffe : 0x3fff);
    else setResult(vcpu, sig, se);
    return;
  }
  // y = |x| ln 2; e^y - 1 = y (1 + y/2 + y^2/6 ...)
  const x = slot(vcpu, X);
  setWide(x, sig, 0, exp, sign);
  multiplyConstant(vcpu, x, x, LN2_HI, LN2_LO, BIAS - 1);
  const yh = fraction(vcpu, x);
  const hi = polynomial(vcpu, EXPONENTIAL, EXPONENTIAL_TERMS, 0, yh, load<u64>(vcpu, W_LO), sign != 0);
  const t = slot(vcpu, T);
  normalizeWide(t, hi, load<u64>(vcpu, W_LO), BIAS, 0);
  multiplyWide(vcpu, t, t, x);
  roundWide(vcpu, t);
}

export function f2xm1(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    exponentialMinusOne(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
  }
  finish(vcpu, rec, 0);
}

/** log2((D + N) / (D - N)) = 2/ln 2 * atanh(N / D) into slot S, for slots N and D with |N / D| up to 0.18. */
function logarithmOfRatio(vcpu: i32): void {
  const s = slot(vcpu, S);
  const t = slot(vcpu, T);
  divideWide(vcpu, s, slot(vcpu, N), slot(vcpu, D));
  if (!wideHi(s)) return;
  multiplyWide(vcpu, t, s, s);
  const th = fraction(vcpu, t);
  const hi = polynomial(vcpu, LOGARITHM, LOGARITHM_TERMS, LOGARITHM_TERMS - 4, th, load<u64>(vcpu, W_LO), false);
  normalizeWide(t, hi, load<u64>(vcpu, W_LO), BIAS, 0);
  multiplyWide(vcpu, s, s, t);
  multiplyConstant(vcpu, s, s, TWO_LOG2E_HI, TWO_LOG2E_LO, BIAS + 1);
}

/** log2 of the positive number hi:lo with exponent `exp` into slot S; zero for 1. */
function logarithm(vcpu: i32, hi: u64, lo: u64, exp: i32): void {
  let e = exp - BIAS;
  let mExp = BIAS;
  if (hi > SQRT2) {
    mExp--;
    e++;
  }
  const n = slot(vcpu, N);
  const d = slot(vcpu, D);
  const x = slot(vcpu, X);
  setWide(x, hi, lo, mExp, 0);
  setWide(n, J_BIT, 0, BIAS, 0x8000);
  addWide(vcpu, n, x, n);
  setWide(d, J_BIT, 0, BIAS, 0);
  addWide(vcpu, d, x, d);
  logarithmOfRatio(vcpu);
  if (e) {
    const magnitude = <u64>(e < 0 ? -e : e);
    normalizeWide(n, magnitude, 0, BIAS + 63, e < 0 ? 0x8000 : 0);
    addWide(vcpu, slot(vcpu, S), slot(vcpu, S), n);
  }
}

/** Rounds y * slot S; `exact` when the logarithm is an integer. */
function roundProduct(vcpu: i32, ySig: u64, ySe: u32, exact: bool): void {
  const s = slot(vcpu, S);
  const y = slot(vcpu, X);
  setWide(y, normalSig(ySig), 0, normalExp(ySig, ySe), ySe & 0x8000);
  multiplyWide(vcpu, s, s, y);
  if (exact) {
    // The hardware reports every logarithm as inexact, and a tiny one as underflow: so do we, but keep the value.
    roundPack(vcpu, wideSign(s), wideExp(s), wideHi(s), wideLo(s), PC_64);
    signal(vcpu, load<u32>(vcpu, W_SE) & 0x7fff ? PE : PE | UE);
  } else roundWide(vcpu, s);
}

function yLog2x(vcpu: i32, xSig: u64, xSe: u32, ySig: u64, ySe: u32): void {
  if (nanResult2(vcpu, xSig, xSe, ySig, ySe)) return;
  const ySign = ySe & 0x8000;
  const xZero = isZero(xSig, xSe);
  const yZero = isZero(ySig, ySe);
  const yInf = isInfinity(ySig, ySe);
  if (xZero) {
    if (yZero) invalid(vcpu);
    else {
      if (!yInf) signal(vcpu, ZE);
      setResult(vcpu, J_BIT, INFINITY | (ySign ^ 0x8000));
    }
    return;
  }
  if (xSe & 0x8000) {
    invalid(vcpu);
    return;
  }
  if (isInfinity(xSig, xSe)) {
    if (yZero) invalid(vcpu);
    else {
      noteDenormal(vcpu, ySig, ySe);
      setResult(vcpu, J_BIT, INFINITY | ySign);
    }
    return;
  }
  const exp = normalExp(xSig, xSe);
  const one = exp == BIAS && xSig == J_BIT;
  if (yInf) {
    if (one) invalid(vcpu);
    else {
      noteDenormal(vcpu, xSig, xSe);
      setResult(vcpu, J_BIT, INFINITY | (exp < BIAS ? ySign ^ 0x8000 : ySign));
    }
    return;
  }
  noteDenormal(vcpu, xSig, xSe);
  noteDenormal(vcpu, ySig, ySe);
  if (yZero || one) {
    setResult(vcpu, 0, exp < BIAS ? ySign ^ 0x8000 : ySign);
    return;
  }
  const m = normalSig(xSig);
  logarithmOf(vcpu, slot(vcpu, S), slot(vcpu, N), m, exp);
  roundProduct(vcpu, ySig, ySe, m == J_BIT);
}

function yLog2xPlus1(vcpu: i32, xSig: u64, xSe: u32, ySig: u64, ySe: u32): void {
  if (nanResult2(vcpu, xSig, xSe, ySig, ySe)) return;
  const ySign = ySe & 0x8000;
  const xSign = xSe & 0x8000;
  const yZero = isZero(ySig, ySe);
  const yInf = isInfinity(ySig, ySe);
  const xInf = isInfinity(xSig, xSe);
  const xZero = isZero(xSig, xSe);
  if (xInf) {
    if (yZero || xSign) invalid(vcpu);
    else {
      noteDenormal(vcpu, ySig, ySe);
      setResult(vcpu, J_BIT, INFINITY | ySign);
    }
    return;
  }
  if (yInf) {
    if (xZero) invalid(vcpu);
    else {
      noteDenormal(vcpu, xSig, xSe);
      setResult(vcpu, J_BIT, INFINITY | (ySign ^ xSign));
    }
    return;
  }
  noteDenormal(vcpu, xSig, xSe);
  noteDenormal(vcpu, ySig, ySe);
  if (xZero || yZero) {
    setResult(vcpu, 0, ySign ^ xSign);
    return;
  }
  const exp = normalExp(xSig, xSe);
  const x = slot(vcpu, X);
  const n = slot(vcpu, N);
  const d = slot(vcpu, D);
  setWide(x, normalSig(xSig), 0, exp, xSign);
  if (exp < BIAS - 2) {
    // |x| < 1/4: log2(1 + x) = 2/ln 2 * atanh(x / (2 + x)), without the loss of adding one
    setWide(n, wideHi(x), 0, exp, xSign);
    setWide(d, J_BIT, 0, BIAS + 1, 0);
    addWide(vcpu, d, x, d);
    logarithmOfRatio(vcpu);
    roundProduct(vcpu, ySig, ySe, false);
    return;
  }
  if (xSign && exp >= BIAS) {
    // 1 + x <= 0: the SDM leaves the result undefined, the hardware returns x.
    signal(vcpu, PE);
    setResult(vcpu, xSig, xSe);
    return;
  }
  setWide(d, J_BIT, 0, BIAS, 0);
  addWide(vcpu, d, x, d);
  const hi = wideHi(d);
  const lo = wideLo(d);
  logarithm(vcpu, hi, lo, wideExp(d));
  roundProduct(vcpu, ySig, ySe, hi == J_BIT && !lo);
}

/** FYL2X (plusOne = false) and FYL2XP1: ST(1) = ST(1) * log2(...ST(0)), pop. */
function logarithmic(vcpu: i32, rec: i32, plusOne: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0) || isEmpty(vcpu, 1)) stackUnderflow(vcpu);
  else {
    const x = st(vcpu, 0);
    const y = st(vcpu, 1);
    const xSig = load<u64>(x);
    const xSe = <u32>load<u16>(x, 8);
    const ySig = load<u64>(y);
    const ySe = <u32>load<u16>(y, 8);
    if (!plusOne) {
      const c1 = quickLogarithm(vcpu, y, xSig, xSe, ySig, ySe);
      if (c1 != NOT_COMMON) {
        noteRounded(vcpu, c1);
        pop(vcpu);
        return;
      }
      yLog2x(vcpu, xSig, xSe, ySig, ySe);
    } else yLog2xPlus1(vcpu, xSig, xSe, ySig, ySe);
  }
  if (finish(vcpu, rec, 1)) pop(vcpu);
}

export function fyl2x(vcpu: i32, rec: i32): void {
  logarithmic(vcpu, rec, false);
}

export function fyl2xp1(vcpu: i32, rec: i32): void {
  logarithmic(vcpu, rec, true);
}
