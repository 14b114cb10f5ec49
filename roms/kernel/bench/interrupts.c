// Interrupts: to oneself, from a device, from a timer, and out of HLT.
#include "bench.h"
#include "../clock.h"
#include "../irq.h"
#include "../trap.h"

#define TEST_IRQ 6
#define TEST_PORT (0x2000 + TEST_IRQ) // pc-testdev
#define SELF 0x40000u
#define SLEEP_NS 2000000u

static volatile u32 self_count, test_count;

static const char *no_apic(void) { return apic_present ? NULL : "no local APIC"; }
static const char *no_test_device(void) { return in8(0x2000) != 0xff ? NULL : "no pc-testdev, which raises interrupts"; }

static void on_self(void *unused) { (void)unused, self_count++; }
static void on_test(void *unused) {
  (void)unused;
  test_count++;
  out8(TEST_PORT, 0);
}

static const char *run_self(const struct bench *bench, u32 count) {
  static int attached;
  (void)bench;
  if (!attached) attached = 1, vector_attach(VECTOR_SELF, on_self);
  self_count = 0;
  interrupts_on();
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    apic_write(APIC_ICR, SELF | VECTOR_SELF);
    while (self_count == i) barrier();
  }
  mark_end();
  interrupts_off();
  return self_count == count ? NULL : "interrupts were lost or came twice";
}

static const char *run_device(const struct bench *bench, u32 count) {
  static int attached;
  (void)bench;
  if (!attached) attached = 1, irq_attach(TEST_IRQ, on_test, NULL);
  test_count = 0;
  interrupts_on();
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    out8(TEST_PORT, 1);
    while (test_count == i) barrier();
  }
  mark_end();
  interrupts_off();
  return test_count == count ? NULL : "interrupts were lost or came twice";
}

static const char *run_timer(const struct bench *bench, u32 count) {
  (void)bench;
  timer_fired = 0;
  interrupts_on();
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    timer_once(2000);
    while (timer_fired == i) barrier();
  }
  mark_end();
  interrupts_off();
  return timer_fired == count ? NULL : "interrupts were lost or came twice";
}

static const char *run_hlt(const struct bench *bench, u32 count) {
  (void)bench;
  timer_fired = 0;
  u64 late = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const u64 due = clock_ns() + SLEEP_NS;
    timer_once(SLEEP_NS);
    while (timer_fired == i) wait_for_interrupt();
    const u64 now = clock_ns();
    if (now > due) late += now - due;
  }
  mark_end();
  bench_extra("latencyNs", (u32)div64(late, count, NULL));
  return timer_fired == count ? NULL : "interrupts were lost or came twice";
}

const struct bench interrupt_benches[] = {
    {"ipi-self", "an interrupt to oneself through the APIC, and its EOI", 20000, 0, 0, no_apic, irq_controller, run_self},
    {"interrupt-eoi", "an interrupt that a port raises, and its EOI", 10000, 0, 0, no_test_device, irq_controller, run_device},
    {"timer-interrupt", "a timer set to 2 us, and its interrupt", 5000, 0, 0, NULL, irq_controller, run_timer},
    {"hlt-wakeup", "HLT until a timer 2 ms away", 20, 0, 0, NULL, irq_controller, run_hlt},
};
const u32 interrupt_bench_count = COUNT(interrupt_benches);
