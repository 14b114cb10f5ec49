// Arithmetic on 64-bit words and pairs of them. Wasm has no 64 x 64 -> 128 multiplication and no 128 / 64 division.

/** High word of the product of two words (the low one is a * b). */
// @ts-ignore: decorator
@inline
export function multiplyHigh(a: u64, b: u64): u64 {
  const al = a & 0xffffffff;
  const ah = a >> 32;
  const bl = b & 0xffffffff;
  const bh = b >> 32;
  const mid = ah * bl + ((al * bl) >> 32);
  const mid2 = al * bh + (mid & 0xffffffff);
  return ah * bh + (mid >> 32) + (mid2 >> 32);
}

/** The same for a factor of 32 bits. */
// @ts-ignore: decorator
@inline
export function multiplyHighShort(a: u64, b: u32): u64 {
  return ((a >> 32) * <u64>b + (((a & 0xffffffff) * <u64>b) >> 32)) >> 32;
}

/**
 * (hi:lo) / d with hi < d and bit 63 of d set: the quotient; the remainder is lo - q * d in one word. Schoolbook
 * division with two 32-bit digits; each trial digit is at most two too large.
 */
export function quotient128(hi: u64, lo: u64, d: u64): u64 {
  const dh = d >> 32;
  const dl = d & 0xffffffff;
  let q1 = hi / dh;
  let r = hi - q1 * dh;
  let next = lo >> 32;
  while (q1 > 0xffffffff || q1 * dl > ((r << 32) | next)) {
    q1--;
    r += dh;
    if (r > 0xffffffff) break;
  }
  const mid = ((hi << 32) | next) - q1 * d;
  let q0 = mid / dh;
  r = mid - q0 * dh;
  next = lo & 0xffffffff;
  while (q0 > 0xffffffff || q0 * dl > ((r << 32) | next)) {
    q0--;
    r += dh;
    if (r > 0xffffffff) break;
  }
  return (q1 << 32) | q0;
}

/** High word of hi:lo shifted right by n >= 0. */
// @ts-ignore: decorator
@inline
export function shiftedHigh(hi: u64, n: i32): u64 {
  return n < 64 ? hi >> n : 0;
}

/** Low word of hi:lo shifted right by n >= 0; bits that fall out stick to the last one. */
export function shiftedLow(hi: u64, lo: u64, n: i32): u64 {
  if (n == 0) return lo;
  if (n < 64) return (hi << (64 - n)) | (lo >> n) | u64(lo << (64 - n) != 0);
  if (n == 64) return hi | u64(lo != 0);
  if (n < 128) return (hi >> (n - 64)) | u64(((hi << (128 - n)) | lo) != 0);
  return u64((hi | lo) != 0);
}
