// x87: doubles on the register stack, and the transcendental instructions.
#include "guest.h"
#include "nbody.inc"

u32 nbody_x87(u32 amount) { return simulate(amount); }

/** The last bits of transcendentals differ between processors: only a rounded sum enters the checksum. */
u32 trig_x87(u32 amount) {
  double sum = 0;
  for (u32 i = 1; i <= amount; i++) {
    const double x = i * 0.0137;
    double sine, cosine, angle, logarithm;
    __asm__("fsincos" : "=t"(cosine), "=u"(sine) : "0"(x));
    __asm__("fpatan" : "=t"(angle) : "0"(1.0 + cosine * cosine), "u"(sine) : "st(1)");
    __asm__("fyl2x" : "=t"(logarithm) : "0"(x), "u"(1.0) : "st(1)");
    sum += angle * logarithm + __builtin_sqrt(x);
  }
  return (u32)(s32)(sum / amount * 4096);
}
