// SSE and SSE2: packed singles, scalar doubles, packed bytes and words. Vectors by GCC's extension: no headers needed.
#pragma GCC target("sse2,fpmath=sse")
#include "guest.h"
#include "nbody.inc"

typedef float f32x4 __attribute__((vector_size(16)));
typedef s32 s32x4 __attribute__((vector_size(16)));
typedef short s16x8 __attribute__((vector_size(16)));

u32 nbody_sse(u32 amount) { return simulate(amount); }

/** Four points of the Mandelbrot set at a time, 24 iterations each. */
u32 mandelbrot_sse(u32 amount) {
  u32 sum = 0;
  for (u32 row = 0; row < amount; row++) {
    const float y = (float)(row & 63) / 32 - 1;
    for (u32 column = 0; column < 64; column += 4) {
      const float left = (float)column / 24 - 2;
      const f32x4 cr = {left, left + 1 / 24.0f, left + 2 / 24.0f, left + 3 / 24.0f}, ci = {y, y, y, y};
      f32x4 zr = cr, zi = ci;
      s32x4 inside = {0, 0, 0, 0};
      for (int i = 0; i < 24; i++) {
        const f32x4 rr = zr * zr, ii = zi * zi, size = rr + ii;
        const s32x4 small = size < (f32x4){4, 4, 4, 4};
        if (__builtin_ia32_movmskps((f32x4)small) == 0) break;
        inside -= small;
        zi = zr * zi * 2 + ci;
        zr = rr - ii + cr;
      }
      sum = sum * 3 + inside[0] + inside[1] * 5 + inside[2] * 7 + inside[3] * 11;
    }
  }
  return sum;
}

typedef char c8x16 __attribute__((vector_size(16)));

/** Alpha blending of 8-bit pixels: unpack, multiply, shift, pack with saturation. */
u32 blend_sse2(u32 amount) {
  static u8 a[16384] __attribute__((aligned(16))), b[16384] __attribute__((aligned(16)));
  for (u32 i = 0; i < 16384; i++) a[i] = i * 13, b[i] = i * 29 >> 3;
  const c8x16 zero = {0};
  for (u32 round = 0; round < amount; round++) {
    const short k = 1 + (round & 63);
    const s16x8 alpha = {k, k, k, k, k, k, k, k}, rest = 128 - alpha;
    for (u32 i = 0; i < 16384; i += 16) {
      const c8x16 x = *(const c8x16 *)(a + i), y = *(const c8x16 *)(b + i);
      const s16x8 x0 = (s16x8)__builtin_ia32_punpcklbw128(x, zero), x1 = (s16x8)__builtin_ia32_punpckhbw128(x, zero);
      const s16x8 y0 = (s16x8)__builtin_ia32_punpcklbw128(y, zero), y1 = (s16x8)__builtin_ia32_punpckhbw128(y, zero);
      const c8x16 mixed = __builtin_ia32_packuswb128((x0 * alpha + y0 * rest) >> 7, (x1 * alpha + y1 * rest) >> 7);
      *(c8x16 *)(b + i) = __builtin_ia32_pavgb128(mixed, __builtin_ia32_paddusb128(x, y));
    }
  }
  u32 sum = 0;
  for (u32 i = 0; i < 16384; i++) sum = sum * 31 + b[i];
  return sum;
}
