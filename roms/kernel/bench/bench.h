// The benchmark's operations: each runs `count` times between two marks, and knows whether the result is right.
#pragma once
#include "../abi.h"
#include "../cpu.h"

struct bench {
  const char *name;
  /** One unit of it, for people. */
  const char *about;
  /** How often at 100%. */
  u32 count;
  /** Bytes that one moves; 0: none. */
  u32 bytes;
  /** PROGRAM_*: user/measure.c runs it. */
  u32 program;
  /** NULL: always there. Else why it cannot be here, or NULL. */
  const char *(*missing)(void);
  /** By what: "8259", "virtio-blk"... NULL: the processor. */
  const char *(*by)(void);
  /** NULL: all results were right; else what was wrong. Marks by itself. Not for programs. */
  const char *(*run)(const struct bench *bench, u32 count);
};

extern const struct bench cpu_benches[], table_benches[], task_benches[], interrupt_benches[], clock_benches[],
    block_benches[], net_benches[], console_benches[];
extern const u32 cpu_bench_count, table_bench_count, task_bench_count, interrupt_bench_count, clock_bench_count,
    block_bench_count, net_bench_count, console_bench_count;

/** The guest's own clock is read outside of the marks. */
void mark_begin(void);
void mark_end(void);

/** Nanoseconds that belong to the result beside the time: a latency. Once, before the operation ends. */
void bench_extra(const char *name, u32 value);
/** Percent of each count; 1 to 1000. */
extern u32 bench_percent;
/** The para set was asked for. */
extern int bench_para;

const struct bench *bench_at(u32 index);
/** -1: none of that name. */
s32 bench_index(const char *name);
/** How often it is to run; 0: it cannot, and that has been said. */
u32 bench_open(u32 index);
void bench_close(u32 index, const char *wrong);
void bench_list(void);
