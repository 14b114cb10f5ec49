// Records what a real x87 FPU does: runs every instruction form of the list it is given on chosen operands, control
// words and stack depths, and writes the results as a binary fixture (format: test/isa/x87/fixture.ts).
//
//   gcc -O1 -static -no-pie -fno-pie -o x87-oracle tools/oracle/x87.c
//   npx tsx tools/oracle/x87-forms.ts | ./x87-oracle 200 1 | gzip -9n > test/isa/fixtures/x87.bin.gz
//   ./x87-oracle images 300 5 | gzip -9n > test/isa/fixtures/x87-images.bin.gz      (gcc -m32 only: FCS, FDS)
//
// 64-bit code does the same: x87 knows no difference but these two selectors. Everything that the code names lies below 4 GiB.
//
// The arguments are vectors a form and a seed. A line of input (made from the opcode table): first opcode byte and ModRM byte in
// hexadecimal (ModRM of a memory form has mod 0), kind of memory operand: r none, f single, d double, t extended,
// w l q integers, b BCD, W L Q F D T B the same as destination.
// The instruction runs between a setup from a clean FPU and FNSAVE, which does not wait: unmasked exceptions are
// recorded in the status word and no #MF is taken.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REALS 640
#define MEMS 256

static uint64_t seed;
static uint64_t rnd(void) { // splitmix64
  uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

typedef struct { uint8_t b[10]; } ten;

static ten real(uint64_t sig, unsigned se) {
  ten t;
  memcpy(t.b, &sig, 8);
  t.b[8] = se;
  t.b[9] = se >> 8;
  return t;
}

static ten reals[REALS];
static ten mems[7][MEMS]; // f d t w l q b

static uint64_t pattern(void) {
  uint64_t r = rnd();
  switch (rnd() % 9) {
    case 0: return 1ull << 63;
    case 1: return ~0ull;
    case 2: return (1ull << 63) | 1;
    case 3: return r & ~((1ull << (rnd() & 63)) - 1);          // trailing zeros
    case 4: return ~0ull << (rnd() & 63);                        // leading ones
    case 5: return (1ull << 63) | (1ull << (rnd() & 63));
    case 6: return (r << 40) | ((rnd() & 1) ? 0x8000000000ull : 0x7fffffffffull); // ties of single precision
    case 7: return (r << 11) | ((rnd() & 1) ? 0x400 : 0x3ff);    // ties of double precision
    default: return r;
  }
}

static void fill(void) {
  static const unsigned special_se[] = {0, 1, 2, 0x7ffe, 0x7ffd, 0x7fff, 0x3fff, 0x3ffe, 0x4000, 0x403e, 0x403f, 0x3fbe};
  static const uint64_t special_sig[] = {0, 1, 0x8000000000000000ull, 0x8000000000000001ull, 0xffffffffffffffffull,
    0xc000000000000000ull, 0xc000000000000001ull, 0xbfffffffffffffffull, 0x7fffffffffffffffull, 0x4000000000000000ull};
  int n = 0;
  for (unsigned i = 0; i < 12; i++)
    for (unsigned j = 0; j < 10; j++) {
      if (i >= 6 && (j < 2 || j > 5)) continue;
      reals[n++] = real(special_sig[j], special_se[i]);
      if (i < 6 || j == 2) reals[n++] = real(special_sig[j], special_se[i] | 0x8000);
    }
  for (int k = 0; k < 16; k++) reals[n++] = real(((uint64_t)(k * 2 + 1)) << 59 | 1ull << 63, 0x3fff + (k & 3) - 1);
  while (n < REALS) {
    uint64_t sig = pattern();
    unsigned sign = rnd() & 1 ? 0x8000 : 0, e;
    switch (rnd() % 12) {
      case 0: e = 0x3fff + rnd() % 140 - 70; sig |= 1ull << 63; break;
      case 1: e = rnd() & 0x7fff; sig |= e ? 1ull << 63 : 0; break;
      case 2: e = rnd() % 80; if (e) sig |= 1ull << 63; break;
      case 3: e = 0x7fff - rnd() % 80; sig |= 1ull << 63; break;
      case 4: e = 0; sig >>= rnd() & 63; break;
      case 5: e = 0x3f80 + rnd() % 4; sig |= 1ull << 63; break;   // around the smallest single
      case 6: e = 0x3c00 + rnd() % 4; sig |= 1ull << 63; break;   // around the smallest double
      case 7: e = 0x3f80 - rnd() % 28 ; sig |= 1ull << 63; break;
      case 8: e = 0x3c00 - rnd() % 56; sig |= 1ull << 63; break;
      case 9: e = (rnd() & 1 ? 0x407e : 0x43fe) + rnd() % 3 - 1; sig |= 1ull << 63; break; // around the largest ones
      default: e = 0x3fff + rnd() % 66 - 2; sig |= 1ull << 63; break;
    }
    reals[n++] = real(sig, e | sign);
  }
  static const uint32_t f[] = {0, 1, 0x7fffff, 0x800000, 0x800001, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fbfffff, 0x7fc00000,
    0x7fffffff, 0x3f800000, 0x40000000, 0x3f000000, 0x3fc00000, 0x4b000000, 0x3f800001, 0x3f7fffff};
  static const uint64_t d[] = {0, 1, 0xfffffffffffffull, 0x10000000000000ull, 0x10000000000001ull, 0x7fefffffffffffffull,
    0x7ff0000000000000ull, 0x7ff0000000000001ull, 0x7ff7ffffffffffffull, 0x7ff8000000000000ull, 0x7fffffffffffffffull,
    0x3ff0000000000000ull, 0x4000000000000000ull, 0x3fe0000000000000ull, 0x3ff8000000000000ull, 0x4340000000000000ull,
    0x3ff0000000000001ull, 0x3fefffffffffffffull};
  for (int i = 0; i < MEMS; i++) {
    uint32_t f32 = i < 36 ? f[i % 18] | (i >= 18 ? 1u << 31 : 0) : (uint32_t)(rnd() >> 7);
    if (i > 128) f32 = (f32 & 0x807fffff) | (0x78 + (f32 >> 24 & 15)) << 23;
    memcpy(mems[0][i].b, &f32, 4);
    uint64_t f64 = i < 36 ? d[i % 18] | (i >= 18 ? 1ull << 63 : 0) : rnd();
    if (i > 128) f64 = (f64 & 0x800fffffffffffffull) | (0x3f8 + (f64 >> 56 & 15)) << 52;
    memcpy(mems[1][i].b, &f64, 8);
    mems[2][i] = reals[i * 5 % REALS];
    static const uint64_t ints[] = {0, 1, 2, -1ull, -2ull, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000u, 0xffffffffu,
      0x7fffffffffffffffull, 0x8000000000000000ull};
    for (int k = 3; k < 6; k++) {
      uint64_t v = i < 13 ? ints[i] : rnd() >> (rnd() & 63);
      if (i >= 13 && rnd() & 1) v = -v;
      memcpy(mems[k][i].b, &v, 8);
    }
    for (int k = 0; k < 9; k++) {
      unsigned lim = i < 8 ? 1 : 10;
      mems[6][i].b[k] = i == 1 ? 0x99 : rnd() % lim << 4 | rnd() % lim;
      if (i > 240) mems[6][i].b[k] = rnd();  // not decimal digits
      if (i < 100 && k > i / 10) mems[6][i].b[k] = 0;
    }
    mems[6][i].b[9] = rnd() & 1 ? 0x80 : 0;
    if (i > 200) mems[6][i].b[9] = rnd();
  }
}

typedef struct __attribute__((packed)) {
  uint32_t fcw, fsw, ftw, fip, fcs, fdp, fds;
  ten st[8];
} image;

static uint8_t operand[16];
static image out;
static unsigned long eflags;
static uint32_t eax;
static uint8_t *code;

static void emit(const uint8_t *p, int n) { memcpy(code, p, n); code += n; }
static void emit_pointer(const void *p) { uint32_t v = (uint32_t)(uintptr_t)p; emit((uint8_t *)&v, 4); }
/** One opcode byte with an absolute operand: by a SIB byte, as disp32 alone is relative to RIP in 64-bit code. */
static void emit_at(uint8_t opcode, unsigned reg, const void *p) {
  emit((uint8_t[]){opcode, reg << 3 | 4, 0x25}, 3);
  emit_pointer(p);
}

// ---- State images: FRSTOR or FXRSTOR of a random image, then FNSTENV, FXSAVE and FNSAVE of what became of it.
//   ./x87-oracle images COUNT SEED
// Record: u8 form (0 = 32-bit FRSTOR, 1 = 16-bit FRSTOR, 2 = FXRSTOR), image in (160 bytes used at most), FNSTENV (28),
// FXSAVE (first 160), FNSAVE (108); with form 1 the latter and FNSTENV are 16-bit images.
static uint8_t area[4][512] __attribute__((aligned(16)));

static void images(int count) {
  for (int v = 0; v < count; v++) {
    memset(area, 0, sizeof area);
    uint8_t form = v % 3, *in = area[0];
    uint16_t fcw = rnd(), fsw = rnd() & 0x7f7f, ftw = rnd() | rnd(), fop = rnd() & 0x7ff;
    if (rnd() & 1) fcw |= 0x3f;
    if (rnd() & 1) fcw &= 0x1f7f;
    uint32_t ip = rnd(), dp = rnd();
    uint16_t cs = 0x23, ds = 0x2b;
    if (form == 2) {
      memcpy(in, &fcw, 2);
      memcpy(in + 2, &fsw, 2);
      in[4] = ftw;
      memcpy(in + 6, &fop, 2);
      memcpy(in + 8, &ip, 4);
      memcpy(in + 12, &cs, 2);
      memcpy(in + 16, &dp, 4);
      memcpy(in + 20, &ds, 2);
      uint32_t mxcsr = 0x1f80;
      memcpy(in + 24, &mxcsr, 4);
    } else {
      uint32_t fields[7] = {fcw, fsw, ftw, ip, cs | fop << 16, dp, ds};
      for (int i = 0; i < 7; i++) memcpy(in + (form ? 2 : 4) * i, &fields[i], form ? 2 : 4);
    }
    for (int i = 0; i < 8; i++)
      memcpy(in + (form == 2 ? 32 + 16 * i : (form ? 14 : 28) + 10 * i), &reals[rnd() % REALS], 10);
    const uint8_t *a = area[1], *b = area[2], *c = area[3];
    if (form == 0)
      asm volatile("fninit; frstor %0; fnstenv %1; fnclex; frstor %0; fxsave %2; fnsave %3"
        : : "m"(*in), "m"(*a), "m"(*b), "m"(*c) : "memory");
    else if (form == 1)
      asm volatile("fninit; data16 frstor %0; data16 fnstenv %1; fnclex; data16 frstor %0; fxsave %2; data16 fnsave %3"
        : : "m"(*in), "m"(*a), "m"(*b), "m"(*c) : "memory");
    else
      asm volatile("fninit; fxrstor %0; fnstenv %1; fxrstor %0; fxsave %2; fnsave %3"
        : : "m"(*in), "m"(*a), "m"(*b), "m"(*c) : "memory");
    fwrite(&form, 1, 1, stdout);
    fwrite(in, 1, 160, stdout);
    fwrite(a, 1, 28, stdout);
    fwrite(b, 1, 160, stdout);
    fwrite(c, 1, 108, stdout);
  }
}

static ten stack[8];
static uint16_t control;
static unsigned long eflags_in;
static uint32_t environment[7];

int main(int argc, char **argv) {
  if (argc > 3 && !strcmp(argv[1], "images")) {
    seed = strtoull(argv[3], 0, 0);
    fill();
    images(atoi(argv[2]));
    return 0;
  }
  int count = argc > 1 ? atoi(argv[1]) : 200;
  seed = argc > 2 ? strtoull(argv[2], 0, 0) : 1;
  uint8_t *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) { perror("mmap"); return 1; }
  fill();
  fwrite("X87V", 1, 4, stdout);
  uint16_t head[2] = {REALS, MEMS};
  fwrite(head, 2, 2, stdout);
  fwrite(reals, 10, REALS, stdout);
  fwrite(mems, 10, 7 * MEMS, stdout);
  unsigned b0, modrm;
  char kind;
  while (scanf("%x %x %c", &b0, &modrm, &kind) == 3) {
    static const char kinds[] = "fdtwlqb";
    const char *input = strchr(kinds, kind);
    const int takes = input && kind != 'r';
    for (int v = 0; v < count; v++) {
      // Depth 2 mostly; empty, one register, and full now and then.
      unsigned depth = 2;
      unsigned r = rnd() % 24;
      if (r == 0) depth = 0;
      else if (r == 1) depth = 1;
      else if (r <= 3) depth = 8;
      // Every rounding and precision; mostly masked, sometimes some or all exceptions unmasked.
      control = (rnd() & 3) << 10;
      static const uint16_t precision[16] = {0x300, 0x300, 0x300, 0x300, 0x300, 0x300, 0x300, 0x300, 0x200, 0x200, 0x200, 0x200,
        0, 0, 0, 0x100};
      control |= precision[rnd() & 15];
      switch (rnd() & 7) {
        case 0: break;
        case 1: control |= rnd() & 0x3f; break;
        case 2: control |= 0x3f & ~(1u << rnd() % 6); break;
        case 3: control |= 0x20; break;
        default: control |= 0x3f; break;
      }
      control |= 0x40;
      uint16_t idx[3];
      idx[0] = rnd() % REALS;
      idx[1] = rnd() % REALS;
      if (rnd() % 16 == 0) idx[1] = idx[0];
      idx[2] = takes ? rnd() % MEMS : 0;
      for (int i = 0; i < 8; i++) stack[i] = reals[(idx[0] + i * 7) % REALS];
      stack[0] = reals[idx[0]];
      stack[1] = reals[idx[1]];
      eflags_in = (rnd() & 0x8d5) | 2;
      // Status before: any condition codes and any flags whose exceptions are masked.
      uint16_t status = rnd() & 0x4740 & rnd();
      status |= rnd() & rnd() & control & 0x3f;
      unsigned turns = rnd() & 1 ? rnd() & 7 : 0;               // where the stack begins
      memset(operand, 0xcc, sizeof operand);
      if (takes) memcpy(operand, mems[input - kinds][idx[2]].b, 10);
      unsigned m = modrm;
      if (m >= 0xc0 && kind == 'i') m = modrm | (rnd() & 7 ? 1 : 0); // ST(i): mostly ST(1)

      code = page;
      emit((uint8_t[]){0x53, 0x9c, 0xdb, 0xe3}, 4);             // push ebx; pushf; fninit
      for (unsigned i = 0; i < turns; i++) emit((uint8_t[]){0xd9, 0xf7}, 2); // fincstp
      for (int i = depth - 1; i >= 0; i--) emit_at(0xdb, 5, &stack[i]); // fld tbyte [stack + i]
      emit_at(0xd9, 6, environment);                            // fnstenv [environment]
      emit((uint8_t[]){0x66}, 1);                               // or word [environment + 4], status
      emit_at(0x81, 1, (uint8_t *)environment + 4);
      emit((uint8_t *)&status, 2);
      emit_at(0xd9, 4, environment);                            // fldenv [environment]
      emit_at(0xd9, 5, &control);                               // fldcw [control]
      emit_at(0xff, 6, &eflags_in);                             // push [eflags_in]; popf
      emit((uint8_t[]){0x9d}, 1);
      emit((uint8_t[]){0xb8, 0xaa, 0x55, 0xaa, 0x55}, 5);       // mov eax, 55aa55aah
      emit((uint8_t[]){0xbb}, 1);                               // mov ebx, operand
      emit_pointer(operand);
      const uint8_t insn[2] = {b0, m >= 0xc0 ? m : m | 3};      // [ebx]
      emit(insn, 2);
      emit_at(0xdd, 6, &out);                                   // fnsave [out]
      emit((uint8_t[]){0x9c}, 1);                               // pushf; pop [eflags]
      emit_at(0x8f, 0, &eflags);
      emit_at(0x89, 0, &eax);                                   // mov [eax], eax
      emit((uint8_t[]){0x9d, 0x5b, 0xc3}, 3);                   // popf; pop ebx; ret
      ((void (*)(void))page)();

      // Record: opcode, operand kind, depth and turns, control, operands, EFLAGS and FSW before; then FSW, tags, EFLAGS, AX, FCW, ST(0), ST(1), memory.
      struct __attribute__((packed)) {
        uint8_t b0, modrm, kind, depth;
        uint16_t fcw, idx[3], eflags_in, fsw_in;
        uint16_t fsw, ftw, eflags, ax, fcw_out;
        ten st0, st1;
      } rec = {b0, m, kind, depth | turns << 4, control, {idx[0], idx[1], idx[2]}, eflags_in, status, out.fsw, out.ftw, eflags & 0x8d5, eax,
        out.fcw, out.st[0], out.st[1]};
      fwrite(&rec, sizeof rec, 1, stdout);
      if (kind >= 'A' && kind <= 'Z') fwrite(operand, 10, 1, stdout);
    }
  }
  return 0;
}
