// Control flow: branches that no predictor knows, recursion, indirect jumps, calls through pointers, fresh code.
#include "guest.h"

/** Steps of the Collatz sequence, and binary search in a sorted table. */
u32 branches(u32 amount) {
  static u32 sorted[4096];
  u64 random = 3;
  u32 sum = 0;
  for (u32 i = 0; i < 4096; i++) sorted[i] = i * 1048573u;
  for (u32 round = 0; round < amount; round++) {
    u32 n = (next_random(&random) >> 14) + 1;
    for (u32 step = 0; n != 1 && step < 64; step++) {
      if (n & 1) n = 3 * n + 1;
      else n >>= 1;
      sum++;
    }
    const u32 wanted = next_random(&random);
    u32 low = 0, high = 4096;
    while (low < high) {
      const u32 middle = (low + high) / 2;
      if (sorted[middle] < wanted) low = middle + 1;
      else high = middle;
      __asm__ volatile("" : "+r"(low), "+r"(high));
    }
    sum += low;
  }
  return sum;
}

static NOINLINE u32 fibonacci(u32 n) {
  __asm__ volatile("");
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static NOINLINE u32 ackermann(u32 m, u32 n) {
  __asm__ volatile("");
  if (m == 0) return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

u32 calls(u32 amount) {
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++) sum += fibonacci(20) + ackermann(2, 40);
  return sum;
}

/** A stack machine that runs a small program: one indirect jump an instruction. */
u32 bytecode(u32 amount) {
  enum { PUSH, ADD, XOR, DUP, SWAP, SHIFT, COUNT, LOOP, END };
  static const u8 code[] = {PUSH, 17, DUP, ADD, SWAP, PUSH, 5, XOR, SHIFT, SWAP, DUP, XOR, ADD, COUNT, LOOP, 0, END};
  static const void *const handlers[] = {&&push, &&add, &&xor_, &&dup, &&swap, &&shift, &&count, &&loop, &&end};
  u32 stack[256] = {0}, top = 2, at = 0, turns = amount * 256, t;
  stack[1] = 0x12345;
  stack[2] = 0x6789a;
#define NEXT goto *handlers[code[at++]]
  NEXT;
push: stack[++top] = code[at++]; NEXT;
add: top--; stack[top] += stack[top + 1]; NEXT;
xor_: top--; stack[top] ^= stack[top + 1]; NEXT;
dup: top++; stack[top] = stack[top - 1]; NEXT;
swap: t = stack[top]; stack[top] = stack[top - 1]; stack[top - 1] = t; NEXT;
shift: stack[top] = (stack[top] << 7) | (stack[top] >> 25); NEXT;
count: turns--; NEXT;
loop:
  t = code[at++];
  if (turns) at = t;
  top = 2;
  NEXT;
end:
  return stack[1] ^ stack[2];
#undef NEXT
}

static NOINLINE int by_value(const void *a, const void *b) {
  const u32 x = *(const u32 *)a, y = *(const u32 *)b;
  return x < y ? -1 : x > y;
}

static void quicksort(u32 *from, u32 *to, int (*compare)(const void *, const void *)) {
  while (to - from > 1) {
    const u32 pivot = from[(to - from) / 2];
    u32 *i = from, *j = to - 1;
    while (i <= j) {
      while (compare(i, &pivot) < 0) i++;
      while (compare(&pivot, j) < 0) j--;
      if (i > j) break;
      const u32 t = *i;
      *i++ = *j;
      *j-- = t;
    }
    quicksort(from, j + 1, compare);
    from = i;
  }
}

/** Sorting with a comparison behind a pointer. */
u32 sort(u32 amount) {
  static u32 numbers[4096];
  static int (*volatile compare)(const void *, const void *) = by_value;
  u64 random = 11;
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++) {
    for (u32 i = 0; i < 4096; i++) numbers[i] = next_random(&random);
    quicksort(numbers, numbers + 4096, compare);
    for (u32 i = 0; i < 4096; i += 64) sum = sum * 31 + numbers[i];
  }
  return sum;
}

/** Writes small functions and runs each a while, as translators for other languages do. */
u32 generate(u32 amount) {
  const u32 arguments[6] = {0, 4096, 7 /* read, write, execute */, 0x22, (u32)-1, 0};
  u8 *page = (u8 *)syscall3(SYS_mmap, (long)arguments, 0, 0);
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++) {
    u8 *at = page + (round & 7) * 512;
    u32(*const function)(void) = (u32(*)(void))(u32)at;
    *at++ = 0xb8; *(u32 *)at = round; at += 4; // mov eax, imm32
    *at++ = 0xb9; *(u32 *)at = 50; at += 4;    // mov ecx, 50
    u8 *const loop = at;
    for (u32 i = 0; i < 8; i++) {
      *at++ = 0x05; *(u32 *)at = round * (i + 1); at += 4; // add eax, imm32
      *at++ = 0xd1; *at++ = 0xc0;                          // rol eax, 1
    }
    *at++ = 0x49;                                               // dec ecx
    *at++ = 0x75; *at = (u8)(loop - (at + 1)); at++;            // jnz loop
    *at++ = 0xc3;                                               // ret
    for (u32 call = 0; call < 4; call++) sum += function();
  }
  unmap_memory(page, 4096);
  return sum;
}
