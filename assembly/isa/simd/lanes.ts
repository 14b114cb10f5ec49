// Packed-integer operations that Wasm SIMD has no single instruction for. MMX operands come as a vector whose two
// halves are equal or whose upper half does not matter; the caller takes the low half of the result.

/** Bytes 0..15: the identity of a byte shuffle. */
// @ts-ignore: decorator
@inline
export function iota(): v128 {
  return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/** The high 16 bits of each signed 16 x 16 product. */
export function mulHighS(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(
    i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

export function mulHighU(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(
    i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

/** PMULHRSW: bits 16..1 of (product >> 14) + 1. 8000h x 8000h wraps to 8000h, so q15mulr_sat does not serve. */
export function mulHighRound(a: v128, b: v128): v128 {
  const one = i32x4.splat(1);
  const low = i32x4.shr_s(i32x4.add(i32x4.shr_s(i32x4.extmul_low_i16x8_s(a, b), 14), one), 1);
  const high = i32x4.shr_s(i32x4.add(i32x4.shr_s(i32x4.extmul_high_i16x8_s(a, b), 14), one), 1);
  return v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
}

/** PMADDUBSW: unsigned bytes of a times signed bytes of b, neighbours added with signed saturation. */
export function maddUnsignedSigned(a: v128, b: v128): v128 {
  const even = i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8));
  const odd = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return i16x8.add_sat_s(even, odd);
}

/** PSADBW: the sum of the eight absolute byte differences of each half, zero-extended to 64 bits. */
export function sumAbsDifferences(a: v128, b: v128): v128 {
  const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const sums = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference));
  return i64x2.add(i64x2.shr_u(sums, 32), v128.and(sums, i64x2.splat(0xffffffff)));
}

/** PMULUDQ: products of the even doublewords. */
export function mulEvenU32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_u(v128.shuffle<i32>(a, a, 0, 2, 0, 2), v128.shuffle<i32>(b, b, 0, 2, 0, 2));
}

/** PSIGNB/W/D: a negated where b is negative, 0 where b is 0. */
export function sign8(a: v128, b: v128): v128 {
  const negative = i8x16.shr_s(b, 7);
  return v128.andnot(i8x16.sub(v128.xor(a, negative), negative), i8x16.eq(b, i8x16.splat(0)));
}

export function sign16(a: v128, b: v128): v128 {
  const negative = i16x8.shr_s(b, 15);
  return v128.andnot(i16x8.sub(v128.xor(a, negative), negative), i16x8.eq(b, i16x8.splat(0)));
}

export function sign32(a: v128, b: v128): v128 {
  const negative = i32x4.shr_s(b, 31);
  return v128.andnot(i32x4.sub(v128.xor(a, negative), negative), i32x4.eq(b, i32x4.splat(0)));
}

/** Even and odd words or doublewords of the 32 bytes b:a, for horizontal operations. */
// @ts-ignore: decorator
@inline
export function evenWords(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

// @ts-ignore: decorator
@inline
export function oddWords(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

// @ts-ignore: decorator
@inline
export function evenDwords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
export function oddDwords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}

// Shifts by a 64-bit count: Wasm takes counts modulo the lane width, x86 shifts everything out.

export function shiftLeft16(a: v128, count: u64): v128 {
  return count > 15 ? i64x2.splat(0) : i16x8.shl(a, <i32>count);
}

export function shiftLeft32(a: v128, count: u64): v128 {
  return count > 31 ? i64x2.splat(0) : i32x4.shl(a, <i32>count);
}

export function shiftLeft64(a: v128, count: u64): v128 {
  return count > 63 ? i64x2.splat(0) : i64x2.shl(a, <i32>count);
}

export function shiftRight16(a: v128, count: u64): v128 {
  return count > 15 ? i64x2.splat(0) : i16x8.shr_u(a, <i32>count);
}

export function shiftRight32(a: v128, count: u64): v128 {
  return count > 31 ? i64x2.splat(0) : i32x4.shr_u(a, <i32>count);
}

export function shiftRight64(a: v128, count: u64): v128 {
  return count > 63 ? i64x2.splat(0) : i64x2.shr_u(a, <i32>count);
}

export function shiftArithmetic16(a: v128, count: u64): v128 {
  return i16x8.shr_s(a, count > 15 ? 15 : <i32>count);
}

export function shiftArithmetic32(a: v128, count: u64): v128 {
  return i32x4.shr_s(a, count > 31 ? 31 : <i32>count);
}

/** Bytes of a moved towards byte 0 by `bytes` (0..240), zeros entering: indices past 15 select 0. */
export function bytesRight(a: v128, bytes: i32): v128 {
  return i8x16.swizzle(a, i8x16.add(iota(), i8x16.splat(<i8>bytes)));
}

/** Bytes of a moved away from byte 0 by `bytes` (0..240): indices below 0 are past 15 as unsigned numbers. */
export function bytesLeft(a: v128, bytes: i32): v128 {
  return i8x16.swizzle(a, i8x16.sub(iota(), i8x16.splat(<i8>bytes)));
}

/** PALIGNR of XMM registers: bytes `bytes` and following of high:low. */
export function alignRight(high: v128, low: v128, bytes: i32): v128 {
  if (bytes >= 32) return i64x2.splat(0);
  if (bytes >= 16) return bytesRight(high, bytes - 16);
  return v128.or(bytesRight(low, bytes), bytesLeft(high, 16 - bytes));
}

/** Byte indices of four doublewords chosen by the 2-bit fields of `imm`. */
export function dwordSelector(imm: u32): v128 {
  let s = i32x4.splat((imm & 3) * 0x04040404 + 0x03020100);
  s = i32x4.replace_lane(s, 1, ((imm >> 2) & 3) * 0x04040404 + 0x03020100);
  s = i32x4.replace_lane(s, 2, ((imm >> 4) & 3) * 0x04040404 + 0x03020100);
  return i32x4.replace_lane(s, 3, ((imm >> 6) & 3) * 0x04040404 + 0x03020100);
}

/** Four words of `words` chosen by the 2-bit fields of `imm`. */
export function shuffleWords(words: u64, imm: u32): u64 {
  const w0 = (words >> ((imm & 3) << 4)) & 0xffff;
  const w1 = (words >> (((imm >> 2) & 3) << 4)) & 0xffff;
  const w2 = (words >> (((imm >> 4) & 3) << 4)) & 0xffff;
  const w3 = (words >> (((imm >> 6) & 3) << 4)) & 0xffff;
  return w0 | (w1 << 16) | (w2 << 32) | (w3 << 48);
}

/** PMULDQ: signed products of the even doublewords. */
export function mulEvenS32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_s(v128.shuffle<i32>(a, a, 0, 2, 0, 2), v128.shuffle<i32>(b, b, 0, 2, 0, 2));
}
