// What every file of the kernel uses: integer types, and the few routines that gcc may call by itself.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define NULL ((void *)0)
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOINLINE __attribute__((noinline))
#define PACKED __attribute__((packed))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))

void *memset(void *to, int value, u32 count);
void *memcpy(void *to, const void *from, u32 count);
int memcmp(const void *a, const void *b, u32 count);
u32 strlen(const char *text);
int strcmp(const char *a, const char *b);

/** Quotient of 64 by 32 bits; gcc's own would need a library. `rest` may be NULL. */
static inline u64 div64(u64 value, u32 by, u32 *rest) {
  const u32 high = (u32)(value >> 32);
  u32 low, remainder;
  __asm__("divl %4" : "=a"(low), "=d"(remainder) : "a"((u32)value), "d"(high % by), "rm"(by));
  if (rest) *rest = remainder;
  return (u64)(high / by) << 32 | low;
}
