// What the processor does by itself, and what it asks its hypervisor for.
#include "bench.h"
#include "../hypervisor.h"
#include "../irq.h"

#include "hypercalls.gen.h"

#define SCRATCH_PORT 0x3ff // COM1's scratch register: read back, and without any effect

static const char *no_calls(void) { return paravane_calls ? NULL : "no hypercalls, or not to be used"; }
static const char *no_apic(void) { return apic_present ? NULL : "no local APIC"; }
static const char *no_uart(void) {
  out8(SCRATCH_PORT, 0x3c);
  return in8(SCRATCH_PORT) == 0x3c ? NULL : "no COM1";
}

static const char *run_loop(const struct bench *bench, u32 count) {
  (void)bench;
  u32 left = count;
  mark_begin();
  __asm__ volatile("1: decl %0\n\tjnz 1b" : "+r"(left) : : "cc");
  mark_end();
  return left ? "the count is not 0" : NULL;
}

NOINLINE static u32 add_one(u32 value) {
  __asm__ volatile("" : "+r"(value));
  return value + 1;
}

static const char *run_call(const struct bench *bench, u32 count) {
  (void)bench;
  u32 sum = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) sum = add_one(sum);
  mark_end();
  return sum == count ? NULL : "calls were lost";
}

static const char *run_out(const struct bench *bench, u32 count) {
  (void)bench;
  mark_begin();
  for (u32 i = 0; i < count; i++) out8(SCRATCH_PORT, (u8)i);
  mark_end();
  return in8(SCRATCH_PORT) == (u8)(count - 1) ? NULL : "the register has another value";
}

static const char *run_in(const struct bench *bench, u32 count) {
  (void)bench;
  out8(SCRATCH_PORT, 0x5a);
  u32 sum = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) sum += in8(SCRATCH_PORT);
  mark_end();
  return sum == 0x5a * count ? NULL : "the register has another value";
}

/** The 8259's mask, as kernels write it around interrupts. */
static const char *run_pic(const struct bench *bench, u32 count) {
  (void)bench;
  const u8 before = in8(0x21);
  mark_begin();
  for (u32 i = 0; i < count; i++) out8(0x21, before);
  mark_end();
  return in8(0x21) == before ? NULL : "the mask has changed";
}

static const char *run_tpr(const struct bench *bench, u32 count) {
  (void)bench;
  const u32 before = apic_read(APIC_TPR);
  mark_begin();
  for (u32 i = 0; i < count; i++) apic_write(APIC_TPR, (i & 7) << 4);
  mark_end();
  const u32 last = apic_read(APIC_TPR);
  apic_write(APIC_TPR, before);
  return last == ((count - 1) & 7) << 4 ? NULL : "the TPR has another value";
}

static const char *run_cpuid(const struct bench *bench, u32 count) {
  (void)bench;
  const u32 first = cpuid(1).eax;
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong |= cpuid(1).eax ^ first;
  mark_end();
  return wrong ? "CPUID gives other values" : NULL;
}

/** EBX says who answers: the core (0) or the hypervisor (1). */
static const char *run_hypercall(u32 count, u32 who) {
  s32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong |= hypercall(HC_EMPTY, who, 0, 0, 0);
  mark_end();
  return wrong ? "the result is not 0" : NULL;
}
static const char *run_hypercall_core(const struct bench *b, u32 count) { (void)b; return run_hypercall(count, 0); }
static const char *run_hypercall_host(const struct bench *b, u32 count) { (void)b; return run_hypercall(count, 1); }

const struct bench cpu_benches[] = {
    {"loop", "an empty loop: the control", 2000000, 0, 0, NULL, NULL, run_loop},
    {"call-return", "a near call and its return", 1000000, 0, 0, NULL, NULL, run_call},
    {"cpuid", "CPUID leaf 1", 20000, 0, 0, NULL, NULL, run_cpuid},
    {"port-out", "OUT to a register without effect", 20000, 0, 0, no_uart, NULL, run_out},
    {"port-in", "IN from it", 20000, 0, 0, no_uart, NULL, run_in},
    {"pic-mask", "OUT to the 8259's mask", 20000, 0, 0, NULL, NULL, run_pic},
    {"tpr-write", "a write of the APIC's task priority", 20000, 0, 0, no_apic, NULL, run_tpr},
    {"hypercall-core", "an empty hypercall that the processor's side answers", 20000, 0, 0, no_calls, NULL, run_hypercall_core},
    {"hypercall-host", "an empty hypercall that the hypervisor answers", 20000, 0, 0, no_calls, NULL, run_hypercall_host},
};
const u32 cpu_bench_count = COUNT(cpu_benches);
