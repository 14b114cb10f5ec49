// FSIN, FCOS, FSINCOS, FPTAN and FPATAN (SDM 1 8.3.8). Computed to more than 100 bits and rounded once.
import { FPU_FSW } from "../../../spec/layout";
import { arctangentOfRatio } from "./arctangent";
import { PI_HI, PI_LO } from "./constants.gen";
import { isInfinity, isZero, J_BIT, nanResult1, nanResult2, normalExp, normalSig, noteDenormal } from "./nan";
import { bothIndefinite, finish, replaceAndPush } from "./operate";
import { NOT_COMMON, noteRounded, quickArctangent, quickSineAndCosine } from "./quick-functions";
import { roundPack } from "./round";
import { sineAndCosine } from "./sine";
import { invalid, isEmpty, pop, pushStored, setResult, st, stackUnderflow } from "./stack";
import { begin, C1, C2, commit, PC_64, W_EXC, W_LO, W_SE, W_SE2, W_SIG, W_SIG2, waiting } from "./status";
import {
  addWide, copyWide, divideWide, fraction, multiplyConstant, multiplyWide, normalizeWide, polynomial, setWide,
  setWideSign, slot, wideExp, wideHi, wideLo, wideSign,
} from "./wide";
import { multiplyHigh, quotient128 } from "./words";

const BIAS: i32 = 0x3fff;
/** The 66-bit pi/2 of the hardware is 4 * PI66 + 3 units of 2^-65 (SDM 1 8.3.8). */
const PI66: u64 = 0xc90fdaa22168c234;
const TWO_OVER_PI: f64 = 0.63661977236758134308;

// Slots
const R: i32 = 0;
const T: i32 = 1;
const SIN: i32 = 2;
const COS: i32 = 3;
const NUM: i32 = 4;
const DEN: i32 = 5;

/** Rounds a wide number whose bits go on: it is never exact. */
export function roundWide(vcpu: i32, w: i32): void {
  roundPack(vcpu, wideSign(w), wideExp(w), wideHi(w), wideLo(w) | 1, PC_64);
}

/**
 * Finite nonzero |x| < 2^63: x - n * pi/2 with |remainder| up to about pi/4 goes to slot R, with the sign of x; returns
 * n of |x| modulo 4. The subtraction is exact with the 66-bit pi.
 */
function reduceAngle(vcpu: i32, sig: u64, se: u32): u32 {
  const sign = se & 0x8000;
  const exp = normalExp(sig, se);
  sig = normalSig(sig);
  if (exp < BIAS - 1 || (exp == BIAS - 1 && sig <= PI66)) {
    setWide(slot(vcpu, R), sig, 0, exp, sign);
    return 0;
  }
  // |x| in units of 2^-65, below 2^128; all but its two lowest bits divided by PI66 give n or a little more.
  const shift = exp - BIAS + 2;
  const hi = shift == 64 ? sig : sig >> (64 - shift);
  const lo = shift == 64 ? 0 : sig << shift;
  // Below 2^31 a double gives the nearest n, or its neighbour where both are as good; farther out its error would count.
  const near = exp < BIAS + 31;
  const unit = reinterpret<f64>(<u64>(exp - BIAS - 63 + 1023) << 52);
  let n = near
    ? <u64>(<f64>sig * unit * TWO_OVER_PI + 0.5)
    : quotient128(hi >> 2, (hi << 62) | (lo >> 2), PI66);
  // remainder = |x| - n * (4 * PI66 + 3), as a signed 128-bit number
  const ph = multiplyHigh(n, PI66);
  const pl = n * PI66;
  let rh = hi - ((ph << 2) | (pl >> 62));
  let rl = lo - (pl << 2);
  if (lo < pl << 2) rh--;
  const th = multiplyHigh(n, 3);
  const tl = n * 3;
  if (rl < tl) rh--;
  rl -= tl;
  rh -= th;
  if (near) {
    const below: u64 = <i64>rh < 0 ? ~(<u64>0) : 0;
    rl = (rl ^ below) - below;
    rh = (rh ^ below) + u64(below != 0 && rl == 0);
    normalizeWide(slot(vcpu, R), rh, rl, BIAS + 62, sign ^ (<u32>below & 0x8000));
    return <u32>n & 3;
  }
  const step: u64 = (PI66 << 2) | 3;
  while (<i64>rh < 0) {
    n--;
    const before = rl;
    rl += step;
    rh += 3 + u64(rl < before);
  }
  // To the nearest multiple: half of the step is 2 * PI66 + 1.5 units.
  let negative: u32 = 0;
  const half: u64 = (PI66 << 1) | 1;
  if (rh > 1 || (rh == 1 && rl > half)) {
    n++;
    const before = rl;
    rl = step - rl;
    rh = 3 - rh - u64(step < before);
    negative = 0x8000;
  }
  normalizeWide(slot(vcpu, R), rh, rl, BIAS + 62, sign ^ negative);
  return <u32>n & 3;
}

/** Slot that holds sin(x), with its sign, after reduceAngle returned `n` for x of sign `sign`. */
function sineOf(vcpu: i32, n: u32, sign: u32): i32 {
  // R has the sign of x times that of the remainder; sin(|x|) goes through sin, cos, -sin, -cos of the remainder.
  const w = slot(vcpu, n & 1 ? COS : SIN);
  if (n & 1) setWideSign(w, (n & 2 ? 0x8000 : 0) ^ sign);
  else if (n & 2) setWideSign(w, wideSign(w) ^ 0x8000);
  return w;
}

/** Slot that holds cos(x) = cos(|x|): cos, -sin, -cos, sin of the remainder of |x|. */
function cosineOf(vcpu: i32, n: u32, sign: u32): i32 {
  const w = slot(vcpu, n & 1 ? SIN : COS);
  const negative: u32 = ((n + 1) & 2) != 0 ? 0x8000 : 0;
  if (n & 1) setWideSign(w, wideSign(w) ^ sign ^ negative);
  else setWideSign(w, negative);
  return w;
}

function tooLarge(se: u32): bool {
  return <i32>(se & 0x7fff) >= BIAS + 63;
}

function setC2(vcpu: i32, on: bool): void {
  const fsw = <u32>load<u16>(vcpu, FPU_FSW) & ~C2;
  store<u16>(vcpu, <u16>(on ? fsw | C2 : fsw), FPU_FSW);
}

/** FSIN (cosine = false) and FCOS. */
function oneResult(vcpu: i32, rec: i32, cosine: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  setC2(vcpu, false);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    const sig = load<u64>(a);
    const se = <u32>load<u16>(a, 8);
    const c1 = quickSineAndCosine(vcpu, sig, se, cosine ? 0 : a, cosine ? a : 0);
    if (c1 != NOT_COMMON) {
      noteRounded(vcpu, c1);
      return;
    }
    if (!nanResult1(vcpu, sig, se)) {
      if (isInfinity(sig, se)) invalid(vcpu);
      else if (isZero(sig, se)) {
        if (cosine) setResult(vcpu, J_BIT, 0x3fff);
        else setResult(vcpu, 0, se);
      } else if (tooLarge(se)) {
        setC2(vcpu, true);
        setResult(vcpu, sig, se);
      } else {
        noteDenormal(vcpu, sig, se);
        const n = reduceAngle(vcpu, sig, se);
        const other = (n & 1) != 0;
        sineAndCosine(
          slot(vcpu, R), cosine == other ? slot(vcpu, SIN) : 0, cosine != other ? slot(vcpu, COS) : 0,
        );
        roundWide(vcpu, cosine ? cosineOf(vcpu, n, se & 0x8000) : sineOf(vcpu, n, se & 0x8000));
      }
    }
  }
  finish(vcpu, rec, 0);
}

export function fsin(vcpu: i32, rec: i32): void {
  oneResult(vcpu, rec, false);
}

export function fcos(vcpu: i32, rec: i32): void {
  oneResult(vcpu, rec, true);
}

/** Result of the operand that replaces ST(0), kept while the pushed one is computed. */
function keepSecond(vcpu: i32): void {
  store<u64>(vcpu, load<u64>(vcpu, W_SIG), W_SIG2);
  store<u32>(vcpu, load<u32>(vcpu, W_SE), W_SE2);
}

/** FSINCOS (tangent = false): sine, then cosine pushed. FPTAN: tangent, then 1.0 pushed. */
function twoResults(vcpu: i32, rec: i32, tangent: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  setC2(vcpu, false);
  if (isEmpty(vcpu, 0)) bothIndefinite(vcpu, false);
  else if (!isEmpty(vcpu, 7)) bothIndefinite(vcpu, true);
  else {
    const a = st(vcpu, 0);
    const sig = load<u64>(a);
    const se = <u32>load<u16>(a, 8);
    if (!tangent) {
      const c1 = quickSineAndCosine(vcpu, sig, se, a, st(vcpu, 7));
      if (c1 != NOT_COMMON) {
        noteRounded(vcpu, c1);
        pushStored(vcpu);
        return;
      }
    }
    if (nanResult1(vcpu, sig, se)) keepSecond(vcpu);
    else if (isInfinity(sig, se)) {
      invalid(vcpu);
      keepSecond(vcpu);
    } else if (isZero(sig, se)) {
      setResult(vcpu, sig, se);
      keepSecond(vcpu);
      setResult(vcpu, J_BIT, 0x3fff);
    } else if (tooLarge(se)) {
      setC2(vcpu, true);
      commit(vcpu, rec);
      return;
    } else {
      noteDenormal(vcpu, sig, se);
      const sign = se & 0x8000;
      const n = reduceAngle(vcpu, sig, se);
      sineAndCosine(slot(vcpu, R), slot(vcpu, SIN), slot(vcpu, COS));
      const sine = sineOf(vcpu, n, sign);
      const cosine = cosineOf(vcpu, n, sign);
      if (tangent) {
        const tiny = wideExp(slot(vcpu, R)) < BIAS - 60;
        if (tiny && n == 0) {
          // x + x^3 / 3: just above x
          copyWide(sine, slot(vcpu, R));
        } else divideWide(vcpu, sine, sine, cosine);
        roundWide(vcpu, sine);
        keepSecond(vcpu);
        setResult(vcpu, J_BIT, 0x3fff);
      } else {
        roundWide(vcpu, sine);
        keepSecond(vcpu);
        // C1 tells of the rounding of the sine.
        const exc = load<u32>(vcpu, W_EXC);
        roundWide(vcpu, cosine);
        store<u32>(vcpu, exc | (load<u32>(vcpu, W_EXC) & ~C1), W_EXC);
      }
    }
  }
  replaceAndPush(vcpu, rec);
}

export function fsincos(vcpu: i32, rec: i32): void {
  twoResults(vcpu, rec, false);
}

export function fptan(vcpu: i32, rec: i32): void {
  twoResults(vcpu, rec, true);
}

/** Sets a slot to pi * 2^(n) . */
function setPi(w: i32, n: i32, sign: u32): void {
  setWide(w, PI_HI, PI_LO, BIAS + 1 + n, sign);
}

/** An exact multiple of pi/4 as result: pi * 2^n, or 3/4 pi. */
function piResult(vcpu: i32, sign: u32, n: i32, threeQuarters: bool): void {
  const w = slot(vcpu, R);
  setPi(w, n, 0);
  if (threeQuarters) {
    const q = slot(vcpu, T);
    setPi(q, -2, 0);
    setPi(w, -1, 0);
    addWide(vcpu, w, w, q);
  }
  setWideSign(w, sign);
  roundWide(vcpu, w);
}

/** Angle of the point (x, y). */
function arctangent(vcpu: i32, ySig: u64, ySe: u32, xSig: u64, xSe: u32): void {
  if (nanResult2(vcpu, xSig, xSe, ySig, ySe)) return;
  const sign = ySe & 0x8000;
  const left = (xSe & 0x8000) != 0;
  const yInf = isInfinity(ySig, ySe);
  const xInf = isInfinity(xSig, xSe);
  noteDenormal(vcpu, xSig, xSe);
  noteDenormal(vcpu, ySig, ySe);
  if (yInf) {
    if (xInf) piResult(vcpu, sign, -2, left);
    else piResult(vcpu, sign, -1, false);
    return;
  }
  const yZero = isZero(ySig, ySe);
  if (xInf || yZero) {
    if (left) piResult(vcpu, sign, 0, false);
    else setResult(vcpu, 0, sign);
    return;
  }
  if (isZero(xSig, xSe)) {
    piResult(vcpu, sign, -1, false);
    return;
  }
  const y = slot(vcpu, NUM);
  const x = slot(vcpu, DEN);
  setWide(y, normalSig(ySig), 0, normalExp(ySig, ySe), 0);
  setWide(x, normalSig(xSig), 0, normalExp(xSig, xSe), 0);
  const steep = wideExp(y) > wideExp(x) || (wideExp(y) == wideExp(x) && wideHi(y) > wideHi(x));
  const r = slot(vcpu, R);
  const w = slot(vcpu, T);
  if (steep) arctangentOfRatio(vcpu, w, x, y);
  else arctangentOfRatio(vcpu, w, y, x);
  if (steep) {
    // pi/2 - w
    setWideSign(w, 0x8000);
    setPi(r, -1, 0);
    addWide(vcpu, w, w, r);
  }
  if (left) {
    setWideSign(w, wideSign(w) ^ 0x8000);
    setPi(r, 0, 0);
    addWide(vcpu, w, w, r);
  }
  setWideSign(w, wideSign(w) ^ sign);
  roundWide(vcpu, w);
}

export function fpatan(vcpu: i32, rec: i32): void {
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
    const c1 = quickArctangent(vcpu, y, ySig, ySe, xSig, xSe);
    if (c1 != NOT_COMMON) {
      noteRounded(vcpu, c1);
      pop(vcpu);
      return;
    }
    arctangent(vcpu, ySig, ySe, xSig, xSe);
  }
  if (finish(vcpu, rec, 1)) pop(vcpu);
}
