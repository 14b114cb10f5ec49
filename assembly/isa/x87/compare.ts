// Comparisons and examination: FCOM, FUCOM, FCOMI, FTST, FXAM.
import { C0, C1, C2, C3, DE, IE, signal } from "./status";
import { isDenormal, isNan, isNormal, isSignaling, isUnsupported, normalExp, normalSig } from "./nan";

/** Relations, as the C3 C2 C0 pattern of the status word. */
export const GREATER: u32 = 0;
export const LESS: u32 = C0;
export const EQUAL: u32 = C3;
export const UNORDERED: u32 = C0 | C2 | C3;

/** Relation of a to b. #IA for any NaN, or (quiet) for signaling ones and unsupported encodings only. */
export function compare(vcpu: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32, quiet: bool): u32 {
  if (isNormal(aSig, aSe) && isNormal(bSig, bSe)) {
    // Most comparisons: the order of (exponent, significand), turned round for negative numbers
    if ((aSe ^ bSe) & 0x8000) return aSe & 0x8000 ? LESS : GREATER;
    if (aSe == bSe && aSig == bSig) return EQUAL;
    const lower = aSe != bSe ? aSe < bSe : aSig < bSig;
    return lower != ((aSe & 0x8000) != 0) ? LESS : GREATER;
  }
  if (isUnsupported(aSig, aSe) || isUnsupported(bSig, bSe)) {
    signal(vcpu, IE);
    return UNORDERED;
  }
  if (isNan(aSig, aSe) || isNan(bSig, bSe)) {
    if (!quiet || isSignaling(aSig, aSe) || isSignaling(bSig, bSe)) signal(vcpu, IE);
    return UNORDERED;
  }
  if (isDenormal(aSig, aSe) || isDenormal(bSig, bSe)) signal(vcpu, DE);
  if (!(aSig | bSig)) return EQUAL;
  const aNegative = (aSe & 0x8000) != 0;
  const bNegative = (bSe & 0x8000) != 0;
  // A zero is below every other magnitude; its sign does not count.
  if (!aSig) return bNegative ? GREATER : LESS;
  if (!bSig) return aNegative ? LESS : GREATER;
  if (aNegative != bNegative) return aNegative ? LESS : GREATER;
  const aExp = normalExp(aSig, aSe);
  const bExp = normalExp(bSig, bSe);
  const a = normalSig(aSig);
  const b = normalSig(bSig);
  if (aExp == bExp && a == b) return EQUAL;
  const below = aExp != bExp ? aExp < bExp : a < b;
  return below != aNegative ? LESS : GREATER;
}

/** FXAM's condition codes for a register that may be empty. */
export function examine(sig: u64, se: u32, empty: bool): u32 {
  const sign = se & 0x8000 ? C1 : 0;
  const exp = se & 0x7fff;
  if (empty) return sign | C3 | C0;
  if (isUnsupported(sig, se)) return sign;
  if (exp == 0x7fff) return sign | (sig << 1 ? C0 : C2 | C0);
  if (exp) return sign | C2;
  return sign | (sig ? C3 | C2 : C3);
}
