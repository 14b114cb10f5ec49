// Binary logarithm of a 64-bit number m * 2^e. A table has a short c near 1 / m; z = c m - 1, up to 1/128 in magnitude, is
// exact, and log2 x = e - log2 c + log2(1 + z). Near x = 1 both c = 1 and e = 0, so that nothing cancels.
import { LOGARITHMS, TWO_LOG2E_HI, TWO_LOG2E_LO } from "./constants.gen";
import { addWide, multiplyConstant, normalizeWide, setWide } from "./wide";
import { multiplyHigh } from "./words";

const BIAS: i32 = 0x3fff;
const J_BIT: u64 = 0x8000000000000000;
const THIRD: u64 = 0x5555555555555555;
const TWO_71: f64 = 2361183241434822606848.0;
const TWO_64: f64 = 18446744073709551616.0;

/**
 * g = 1/3 - x/4 + x^2/5 ... - x^9/12 in units of 2^-64, for |x| = z in units of 2^-71, from ln(1 + x) = x - x^2/2 + x^3 g.
 * What follows 1/3 is below 2^-9, so that doubles give it to 2^-61.
 */
// @ts-ignore: decorator
@inline
export function logarithmRest(z: u64, negative: bool): u64 {
  const x = (negative ? -<f64>z : <f64>z) * (1.0 / TWO_71);
  const x2 = x * x;
  const x4 = x2 * x2;
  const g = x * ((0.25 - x * 0.2) + x2 * (1.0 / 6.0 - x * (1.0 / 7.0)) +
    x4 * ((0.125 - x * (1.0 / 9.0)) + x2 * (0.1 - x * (1.0 / 11.0))));
  return THIRD - <u64>(<i64>(g * TWO_64));
}

/** log2 of sig / 2^63 * 2^(exp - 16383), bit 63 of sig set, to slot `to`; slot `part` is scratch. */
export function logarithmOf(vcpu: i32, to: i32, part: i32, sig: u64, exp: i32): void {
  const row = LOGARITHMS + <usize>((sig >> 56) & 127) * 24;
  const c = load<u64>(row);
  // c * sig, 72 bits, less one: 128 in the high word
  const negative = multiplyHigh(sig, c) < 128;
  let z = sig * c;
  if (negative) z = 0 - z;
  if (z) {
    // ln(1 + z) = z (1 - z/2 + z^2 g); z^2 g is kept in units of 2^-78, the sum in units of 2^-127.
    const s = multiplyHigh(multiplyHigh(z, z), logarithmRest(z, negative));
    // z/2 is z * 2^-72: units of 2^-127 after a shift by 55
    let hi = z >> 9;
    let lo = z << 55;
    if (!negative) {
      hi = 0 - hi - u64(lo != 0);
      lo = 0 - lo;
    }
    const t = s << 49;
    lo += t;
    hi += J_BIT + (s >> 15) + u64(lo < t);
    const n = clz(z);
    normalizeWide(to, hi, lo, BIAS, negative ? 0x8000 : 0);
    multiplyConstant(vcpu, to, to, z << n, 0, BIAS - 8 - <i32>n);
    multiplyConstant(vcpu, to, to, TWO_LOG2E_HI, TWO_LOG2E_LO, BIAS);
  } else setWide(to, 0, 0, 0, 0);
  // e - log2 c as a signed integer in units of 2^-112
  const up = c <= 181;
  let whole = <u64>(<i64>(exp - BIAS + i32(up))) << 48;
  const fraction = load<u64>(row, 8);
  let below = (fraction << 48) | (load<u64>(row, 16) >> 16);
  if (up) {
    whole -= (fraction >> 16) + u64(below != 0);
    below = 0 - below;
  } else whole += fraction >> 16;
  if (!(whole | below)) return;
  let sign: u32 = 0;
  if (<i64>whole < 0) {
    sign = 0x8000;
    whole = 0 - whole - u64(below != 0);
    below = 0 - below;
  }
  normalizeWide(part, whole, below, BIAS + 15, sign);
  addWide(vcpu, to, to, part);
}
