// FPREM, FPREM1, FSCALE and FXTRACT.
import { C0, C1, C2, C3, PC_64, signal, W_AUX, W_SE, W_SE2, W_SIG, W_SIG2, ZE } from "./status";
import { invalid, setResult } from "./stack";
import { isInfinity, isZero, J_BIT, nanResult1, nanResult2, normalExp, normalSig, noteDenormal } from "./nan";
import { roundPack } from "./round";
import { quotient128 } from "./words";

/**
 * Remainder of a by b, truncating (FPREM) or to the nearest quotient (FPREM1). The condition codes go to W_AUX: C2 when
 * the reduction is incomplete, else the low three quotient bits in C0, C3, C1. False when there is no quotient.
 */
export function remainder(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32, nearest: bool): bool {
  store<u32>(vcpu, 0, W_AUX);
  if (nanResult2(vcpu, aSig, aSe, bSig, bSe)) return false;
  if (isInfinity(aSig, aSe) || isZero(bSig, bSe)) {
    invalid(vcpu);
    return false;
  }
  noteDenormal(vcpu, aSig, aSe);
  noteDenormal(vcpu, bSig, bSe);
  let sign = aSe & 0x8000;
  if (isZero(aSig, aSe)) {
    setResult(vcpu, 0, sign);
    return true;
  }
  let exp = normalExp(aSig, aSe);
  let rem = normalSig(aSig);
  let q: u64 = 0;
  const diff = isInfinity(bSig, bSe) ? -2 : exp - normalExp(bSig, bSe);
  const b = normalSig(bSig);
  if (diff >= 64) {
    // Reduce the exponent by 32 to 63, in a way that leaves a multiple of 32 for the next execution.
    const n = 32 | (diff & 31);
    rem = (rem << n) - quotient128(rem >> (64 - n), rem << n, b) * b;
    exp -= n;
    store<u32>(vcpu, C2, W_AUX);
  } else {
    if (diff >= 0) {
      if (diff == 0) {
        q = u64(rem >= b);
        if (q) rem -= b;
      } else {
        q = quotient128(rem >> (64 - diff), rem << diff, b);
        rem = (rem << diff) - q * b;
      }
      exp -= diff;
      if (nearest && (<i64>rem < 0 || rem << 1 > b || (rem << 1 == b && (q & 1) != 0))) {
        rem = b - rem;
        q++;
        sign ^= 0x8000;
      }
    } else if (diff == -1 && nearest && rem > b) {
      // |a| is between |b| / 2 and |b|: the quotient rounds to 1, in units of half of b's last place.
      rem = (b - rem) + b;
      q = 1;
      sign ^= 0x8000;
    }
    store<u32>(vcpu, (q & 4 ? C0 : 0) | (q & 2 ? C3 : 0) | (q & 1 ? C1 : 0), W_AUX);
  }
  if (!rem) {
    setResult(vcpu, 0, aSe & 0x8000);
    return true;
  }
  const n = clz(rem);
  roundPack(vcpu, sign, exp - <i32>n, rem << n, 0, PC_64);
  return true;
}

/** a * 2^trunc(b). */
export function scale(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  if (nanResult2(vcpu, aSig, aSe, bSig, bSe)) return;
  const sign = aSe & 0x8000;
  const aInf = isInfinity(aSig, aSe);
  const aZero = isZero(aSig, aSe);
  if (isInfinity(bSig, bSe)) {
    const down = (bSe & 0x8000) != 0;
    if (down ? aInf : aZero) {
      invalid(vcpu);
      return;
    }
    noteDenormal(vcpu, aSig, aSe);
    if (down) setResult(vcpu, 0, sign);
    else setResult(vcpu, J_BIT, sign | 0x7fff);
    return;
  }
  noteDenormal(vcpu, aSig, aSe);
  noteDenormal(vcpu, bSig, bSe);
  if (aInf || aZero) {
    setResult(vcpu, aSig, aSe & 0xffff);
    return;
  }
  const bExp = <i32>(bSe & 0x7fff) - 0x3fff;
  let n: i32 = 0;
  // 2^16 is beyond what any exponent can take.
  if (bExp >= 16) n = 0x10000;
  else if (bExp >= 0) n = <i32>(bSig >> (63 - bExp));
  if (bSe & 0x8000) n = -n;
  roundPack(vcpu, sign, normalExp(aSig, aSe) + n, normalSig(aSig), 0, PC_64);
}

/** Splits a into exponent (W_SIG2, W_SE2; it replaces ST(0)) and significand (W_SIG, W_SE; it is pushed). */
export function extract(vcpu: i32, sig: u64, se: u32): void {
  if (nanResult1(vcpu, sig, se)) {
    copyResult(vcpu);
    return;
  }
  if (isInfinity(sig, se)) {
    setResult(vcpu, J_BIT, 0x7fff);
    copyResult(vcpu);
    setResult(vcpu, sig, se);
    return;
  }
  if (isZero(sig, se)) {
    signal(vcpu, ZE);
    setResult(vcpu, J_BIT, 0xffff);
    copyResult(vcpu);
    setResult(vcpu, 0, se);
    return;
  }
  noteDenormal(vcpu, sig, se);
  const exp = normalExp(sig, se) - 0x3fff;
  const magnitude = <u64>(exp < 0 ? -exp : exp);
  if (exp) {
    const n = clz(magnitude);
    setResult(vcpu, magnitude << n, (exp < 0 ? 0x8000 : 0) | (0x403e - <u32>n));
  } else setResult(vcpu, 0, 0);
  copyResult(vcpu);
  setResult(vcpu, normalSig(sig), (se & 0x8000) | 0x3fff);
}

function copyResult(vcpu: i32): void {
  store<u64>(vcpu, load<u64>(vcpu, W_SIG), W_SIG2);
  store<u32>(vcpu, load<u32>(vcpu, W_SE), W_SE2);
}
