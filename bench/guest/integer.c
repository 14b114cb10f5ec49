// Integer arithmetic: sieve (bytes and strides), SHA-256 (rotates and adds), CRC-32 (table look-ups), division, big numbers.
#include "guest.h"

static u8 sieve_bytes[1 << 18];

u32 sieve(u32 amount) {
  u32 primes = 0;
  for (u32 round = 0; round < amount; round++) {
    for (u32 i = 0; i < sizeof sieve_bytes; i++) sieve_bytes[i] = 1;
    for (u32 i = 2; i * i < sizeof sieve_bytes; i++)
      if (sieve_bytes[i])
        for (u32 k = i * i; k < sizeof sieve_bytes; k += i) sieve_bytes[k] = 0;
    for (u32 i = 2; i < sizeof sieve_bytes; i++) primes += sieve_bytes[i];
  }
  return primes;
}

// FIPS 180-4. The constants are the fractions of cube roots of primes; computing them here keeps the table out of sight.
static u32 sha_constants[64];

static u32 cube_root_fraction(u32 prime) {
  // Bit by bit, the largest x with x^3 <= prime * 2^96, in 32.32 fixed point: only the low word is the fraction.
  u64 x = 0;
  for (int bit = 34; bit >= 0; bit--) {
    const u64 t = x | (1ULL << bit);
    const u64 square_high = (u64)(u32)(t >> 32) * (u32)(t >> 32);
    const u64 cross = (u64)(u32)(t >> 32) * (u32)t;
    const u64 low = (u64)(u32)t * (u32)t;
    // t^2 in 64.64 as three words from the bottom: s0 s1 s2.
    const u32 s0 = (u32)low;
    u64 sum = (low >> 32) + (u32)(cross << 1);
    const u32 s1 = (u32)sum;
    sum = (sum >> 32) + (cross >> 31) + square_high;
    const u32 s2 = (u32)sum;
    // times t; the words at 96 and above are the integer part.
    const u32 t0 = (u32)t, t1 = (u32)(t >> 32);
    u64 carry = ((u64)s0 * t0) >> 32;
    u64 word = (u64)s1 * t0 + carry;
    u64 word1 = (u64)s0 * t1 + (u32)word;
    carry = (word >> 32) + (word1 >> 32);
    word = (u64)s2 * t0 + (u32)carry;
    word1 = (u64)s1 * t1 + (u32)word;
    const u64 top = (carry >> 32) + (word >> 32) + (word1 >> 32) + (u64)s2 * t1;
    if ((u32)top < prime) x = t;
  }
  return (u32)x;
}

static void sha_prepare(void) {
  u32 found = 0;
  for (u32 candidate = 2; found < 64; candidate++) {
    u32 divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor) divisor++;
    if (divisor * divisor > candidate) sha_constants[found++] = cube_root_fraction(candidate);
  }
}

#define ROTATE(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

static NOINLINE void sha_block(u32 *state, const u32 *block) {
  u32 w[64];
  for (int i = 0; i < 16; i++) w[i] = __builtin_bswap32(block[i]);
  for (int i = 16; i < 64; i++) {
    const u32 s0 = ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ (w[i - 15] >> 3);
    const u32 s1 = ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    const u32 t1 = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) + sha_constants[i] + w[i];
    const u32 t2 = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

u32 sha256(u32 amount) {
  static u32 buffer[1024];
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  sha_prepare();
  for (u32 i = 0; i < 1024; i++) buffer[i] = i * 2654435761u;
  for (u32 round = 0; round < amount; round++)
    for (u32 block = 0; block < 1024; block += 16) sha_block(state, buffer + block);
  return state[0] ^ state[7];
}

u32 crc32(u32 amount) {
  static u32 table[256];
  static u8 buffer[1 << 16];
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0xedb88320 : c >> 1;
    table[i] = c;
  }
  u64 random = 1;
  for (u32 i = 0; i < sizeof buffer; i++) buffer[i] = next_random(&random);
  u32 crc = ~0u;
  for (u32 round = 0; round < amount; round++)
    for (u32 i = 0; i < sizeof buffer; i++) crc = (crc >> 8) ^ table[(u8)(crc ^ buffer[i])];
  return ~crc;
}

/** Modular powers through 64-bit products and DIV, and greatest common divisors. */
u32 divide(u32 amount) {
  u32 sum = 0;
  u64 random = 7;
  for (u32 round = 0; round < amount; round++) {
    const u32 modulus = next_random(&random) | 1;
    u32 base = next_random(&random) % modulus, power = next_random(&random), result = 1;
    for (; power; power >>= 1) {
      u32 low, high, quotient;
      if (power & 1) {
        __asm__("mull %3" : "=a"(low), "=d"(high) : "a"(result), "r"(base) : "cc");
        __asm__("divl %4" : "=a"(quotient), "=d"(result) : "a"(low), "d"(high), "r"(modulus) : "cc");
      }
      __asm__("mull %3" : "=a"(low), "=d"(high) : "a"(base), "r"(base) : "cc");
      __asm__("divl %4" : "=a"(quotient), "=d"(base) : "a"(low), "d"(high), "r"(modulus) : "cc");
    }
    u32 a = result, b = modulus;
    while (b) {
      const u32 t = a % b;
      a = b;
      b = t;
    }
    sum += result ^ a;
  }
  return sum;
}

/** 32 x 32 -> 64 bits out of 16-bit halves, as portable big-number code does it without assembly. */
static inline u32 wide_product(u32 a, u32 b, u32 *high) {
  const u32 al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
  const u32 low = al * bl, cross = ah * bl + (low >> 16);
  u32 middle, top = ah * bh;
  middle = cross + al * bh;
  if (middle < cross) top += 0x10000;
  *high = top + (middle >> 16);
  return (middle << 16) + (low & 0xffff);
}

/** Long multiplication and the subtraction step of long division, 64 words: what RSA in a kernel spends its time on. */
u32 bignum(u32 amount) {
  enum { WORDS = 64 };
  static u32 a[WORDS], product[2 * WORDS];
  u64 random = 13;
  for (u32 i = 0; i < WORDS; i++) a[i] = next_random(&random);
  for (u32 i = 0; i < 2 * WORDS; i++) product[i] = 0;
  for (u32 round = 0; round < amount; round++) {
    const u32 factor = next_random(&random);
    u32 *const to = product + (round & (WORDS - 1));
    u32 carry = 0, borrow = 0;
    for (u32 i = 0; i < WORDS; i++) {
      u32 high;
      u32 low = wide_product(a[i], factor, &high) + carry;
      carry = high + (low < carry);
      low += to[i];
      carry += low < to[i];
      to[i] = low;
    }
    for (u32 i = 0; i < WORDS; i++) {
      u32 high;
      const u32 low = wide_product(to[i], factor ^ round, &high) + borrow, old = product[i];
      borrow = high + (low < borrow) + (old < low);
      product[i] = old - low;
    }
    a[round & (WORDS - 1)] ^= carry + borrow;
  }
  u32 sum = 0;
  for (u32 i = 0; i < 2 * WORDS; i++) sum = sum * 31 + product[i];
  return sum;
}
