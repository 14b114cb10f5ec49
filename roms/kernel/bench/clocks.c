// Reading the time, by every clock there is.
#include "bench.h"
#include "../clock.h"
#include "../drivers/hypercalls.h"
#include "../hypervisor.h"

#include "hypercalls.gen.h"

static const char *no_pm(void) { return has_pm_timer() ? NULL : "no PM timer"; }
static const char *no_hpet(void) { return has_hpet() ? NULL : "no HPET"; }
static const char *no_kvm_clock(void) { return kvm_clock_on() ? NULL : "no kvm-clock, or not to be used"; }
static const char *no_calls(void) { return paravane_calls & HCF_CLOCK ? NULL : "no hypercalls, or not to be used"; }
static const char *by_clock(void) { return clock_name(); }

typedef u64 read_clock(void);

/** Never backwards, and not for ever the same. Inlined into each of those below: no call by pointer is measured. */
static inline __attribute__((always_inline)) const char *read_often(read_clock *read, u32 count) {
  const u64 first = read();
  u64 last = first;
  u32 back = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const u64 now = read();
    back += now < last;
    last = now;
  }
  mark_end();
  return back ? "the time went back" : last == first ? "the time stands still" : NULL;
}
static const char *run_clock(const struct bench *b, u32 count) { (void)b; return read_often(clock_ns, count); }
static const char *run_tsc(const struct bench *b, u32 count) { (void)b; return read_often(read_tsc, count); }
static const char *run_kvm(const struct bench *b, u32 count) { (void)b; return read_often(kvm_clock_ns, count); }
static const char *run_call(const struct bench *b, u32 count) { (void)b; return read_often(hypercall_clock_ns, count); }

static const char *run_pm(const struct bench *bench, u32 count) {
  (void)bench;
  u32 elapsed = 0, last = read_pm_timer();
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const u32 now = read_pm_timer();
    elapsed += (now - last) & 0xffffff;
    last = now;
  }
  mark_end();
  // A step back looks like 4.7 s.
  return elapsed == 0 ? "the time stands still" : elapsed > 0xff00000 ? "the time went back" : NULL;
}

static const char *run_hpet(const struct bench *bench, u32 count) {
  (void)bench;
  u32 back = 0;
  const u32 first = read_hpet();
  u32 last = first;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const u32 now = read_hpet();
    back += (s32)(now - last) < 0;
    last = now;
  }
  mark_end();
  return back ? "the time went back" : last == first ? "the time stands still" : NULL;
}

static const char *run_pit(const struct bench *bench, u32 count) {
  (void)bench;
  out8(0x43, 0x34); // channel 0, mode 2, from 65536
  out8(0x40, 0);
  out8(0x40, 0);
  u32 changes = 0, last = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const u32 now = read_pit();
    changes += now != last;
    last = now;
  }
  mark_end();
  return changes > 1 ? NULL : "the time stands still";
}

static const char *run_rtc(const struct bench *bench, u32 count) {
  (void)bench;
  struct date date;
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    read_rtc(&date);
    wrong += date.month - 1 > 11 || date.day - 1 > 30 || date.hour > 23 || date.minute > 59 || date.second > 59;
  }
  mark_end();
  return wrong ? "that is no date" : NULL;
}

const struct bench clock_benches[] = {
    {"clock", "the kernel's own clock, in nanoseconds", 50000, 0, 0, NULL, by_clock, run_clock},
    {"clock-tsc", "RDTSC", 50000, 0, 0, NULL, NULL, run_tsc},
    {"clock-kvm", "kvm-clock's page", 50000, 0, 0, no_kvm_clock, NULL, run_kvm},
    {"clock-hypercall", "HC_CLOCK", 20000, 0, 0, no_calls, NULL, run_call},
    {"clock-pm", "the ACPI PM timer", 10000, 0, 0, no_pm, NULL, run_pm},
    {"clock-hpet", "the HPET's main counter", 10000, 0, 0, no_hpet, NULL, run_hpet},
    {"clock-pit", "the 8254's count, latched", 10000, 0, 0, NULL, NULL, run_pit},
    {"clock-rtc", "date and time from the CMOS clock", 200, 0, 0, NULL, NULL, run_rtc},
};
const u32 clock_bench_count = COUNT(clock_benches);
