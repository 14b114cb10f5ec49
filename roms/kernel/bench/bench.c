// All operations in order, and what is said before and after each: a line to people, `@begin` and `@end` to the host
// (docs/VIRT-BENCH.md).
#include "bench.h"
#include "../clock.h"
#include "../irq.h"
#include "../print.h"

u32 bench_percent = 100;
int bench_para;

static const struct { const struct bench *rows; const u32 *count; } groups[] = {
    {cpu_benches, &cpu_bench_count},         {table_benches, &table_bench_count},
    {task_benches, &task_bench_count},       {interrupt_benches, &interrupt_bench_count},
    {clock_benches, &clock_bench_count},     {block_benches, &block_bench_count},
    {net_benches, &net_bench_count},         {console_benches, &console_bench_count},
};
static u64 begun_ns, measured_ns;
static int marked;
static u32 running;
static const char *extra_name;
static u32 extra_value;

const struct bench *bench_at(u32 index) {
  for (u32 i = 0; i < COUNT(groups); i++) {
    if (index < *groups[i].count) return &groups[i].rows[index];
    index -= *groups[i].count;
  }
  return NULL;
}

s32 bench_index(const char *name) {
  const struct bench *bench;
  for (u32 i = 0; (bench = bench_at(i)) != NULL; i++)
    if (strcmp(bench->name, name) == 0) return (s32)i;
  return -1;
}

void bench_extra(const char *name, u32 value) {
  extra_name = name;
  extra_value = value;
}

static void mark(u8 code) { __asm__ volatile("outb %0, %1" : : "a"(code), "N"(MARK_PORT) : "memory"); }
void mark_begin(void) {
  marked = 1;
  begun_ns = clock_ns();
  mark(MARK_BEGIN);
}
void mark_end(void) {
  mark(MARK_END);
  measured_ns = clock_ns() - begun_ns;
}

u32 bench_open(u32 index) {
  const struct bench *bench = bench_at(index);
  if (!bench) return 0;
  const char *why = bench->missing ? bench->missing() : NULL;
  if (why) {
    print("  %-22s -  %s\n", bench->name, why);
    report("@skip %s %s\n", bench->name, why);
    return 0;
  }
  const u32 count = bench->count * bench_percent / 100;
  running = count ? count : 1;
  extra_name = NULL;
  tick_stop();
  report("@begin %s count=%u bytes=%u by=%s\n", bench->name, running, bench->bytes, bench->by ? bench->by() : "CPU");
  // A program marks by itself: for people its time is from here to the end.
  measured_ns = 0;
  marked = bench->program != PROGRAM_NONE;
  begun_ns = clock_ns();
  return running;
}

void bench_close(u32 index, const char *wrong) {
  const struct bench *bench = bench_at(index);
  // One that failed early has marks, too: the host counts them.
  if (!marked) mark_begin(), mark_end();
  if (!measured_ns) measured_ns = clock_ns() - begun_ns;
  tick_start();
  if (!bench || !running) return;
  const u32 ns = (u32)div64(measured_ns, running, NULL);
  if (extra_name) report("@extra %s %s=%u\n", bench->name, extra_name, extra_value);
  if (wrong) {
    print("  %-22s FAILED: %s\n", bench->name, wrong);
    report("@end %s failed %s\n", bench->name, wrong);
    return;
  }
  print("  %-22s %9u.%02u us  x %-7u %s\n", bench->name, ns / 1000, ns % 1000 / 10, running, bench->by ? bench->by() : "CPU");
  report("@end %s ok\n", bench->name);
}

void bench_list(void) {
  const struct bench *bench;
  for (u32 i = 0; (bench = bench_at(i)) != NULL; i++) {
    const char *why = bench->missing ? bench->missing() : NULL;
    print("  %-22s %s%s%s\n", bench->name, bench->about, why ? "; not here: " : "", why ? why : "");
  }
}
