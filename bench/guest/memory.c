// Memory: block copies and fills, byte strings, dependent loads all over 16 MiB, streaming.
#include "guest.h"

/** REP MOVS and STOS, aligned and not, and a word loop. */
u32 copy(u32 amount) {
  const u32 bytes = 1 << 20;
  u8 *from = map_memory(2 * bytes), *to = from + bytes;
  for (u32 i = 0; i < bytes; i++) from[i] = i * 7;
  for (u32 round = 0; round < amount; round++) {
    u8 *d = to, *s = from;
    u32 n = bytes / 4;
    __asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    d = to + 1; s = from + 3; n = bytes / 4;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    d = from; n = bytes / 16;
    __asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(round) : "memory");
    volatile u32 *const x = (u32 *)to, *const y = (u32 *)from;
    for (u32 i = 0; i < bytes / 16; i++) y[i] = x[i] + i;
  }
  u32 sum = 0;
  for (u32 i = 0; i < bytes / 4; i++) sum = sum * 31 + ((u32 *)to)[i] + ((u32 *)from)[i];
  unmap_memory(from, 2 * bytes);
  return sum;
}

static NOINLINE u32 length(const char *s) {
  const char *at = s;
  while (*at) {
    at++;
    __asm__ volatile("");
  }
  return at - s;
}

static NOINLINE int compare(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a - (u8)*b;
}

/** Byte loops as C libraries had them, and REPNE SCAS, REPE CMPS. */
u32 strings(u32 amount) {
  static char text[64][128];
  u64 random = 5;
  for (u32 i = 0; i < 64; i++)
    for (u32 k = 0; k < 64 + (i & 31); k++) text[i][k] = k < 40 ? 'a' + k % 26 : 'a' + next_random(&random) % 26;
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++)
    for (u32 i = 0; i < 64; i++) {
      const char *a = text[i], *b = text[(i + 1 + round) & 63];
      sum += length(a) * 3 + (compare(a, b) > 0);
      u32 left = 128;
      const char *scan = b;
      __asm__ volatile("repne scasb" : "+D"(scan), "+c"(left) : "a"(0) : "cc", "memory");
      const char *x = a, *y = b;
      u32 same = 128;
      __asm__ volatile("repe cmpsb" : "+D"(x), "+S"(y), "+c"(same) : : "cc", "memory");
      sum = sum * 5 + left + same;
    }
  return sum;
}

/** A random cycle through 16 MiB: a TLB miss nearly every step. */
u32 chase(u32 amount) {
  const u32 count = 1 << 18, stride = 64;
  u8 *memory = map_memory(count * stride);
  u64 random = 9;
  // Sattolo's shuffle gives one cycle.
  for (u32 i = 0; i < count; i++) *(u32 *)(memory + i * stride) = i;
  for (u32 i = count - 1; i > 0; i--) {
    const u32 k = (u32)(((u64)next_random(&random) * i) >> 32);
    u32 *const a = (u32 *)(memory + i * stride), *const b = (u32 *)(memory + k * stride), t = *a;
    *a = *b;
    *b = t;
  }
  u32 at = 0, sum = 0;
  for (u32 step = 0; step < amount * 1024; step++) {
    at = *(u32 *)(memory + at * stride);
    sum += at;
  }
  unmap_memory(memory, count * stride);
  return sum;
}

/** Three arrays, one pass after another: a[i] = b[i] + 3 c[i]. */
u32 stream(u32 amount) {
  const u32 count = 1 << 16;
  u32 *memory = (u32 *)map_memory(3 * 4 * count);
  volatile u32 *const a = memory, *const b = memory + count, *const c = b + count;
  for (u32 i = 0; i < count; i++) b[i] = i, c[i] = i * i;
  for (u32 round = 0; round < amount; round++) {
    for (u32 i = 0; i < count; i++) a[i] = b[i] + 3 * c[i];
    for (u32 i = 0; i < count; i++) b[i] = a[i] ^ round;
  }
  u32 sum = 0;
  for (u32 i = 0; i < count; i++) sum = sum * 31 + a[i];
  unmap_memory(memory, 3 * 4 * count);
  return sum;
}
