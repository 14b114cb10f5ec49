// What kernel and programs agree on: system calls (number in EAX, arguments in EBX, ECX, EDX, result in EAX; INT 80h, or
// SYSENTER with the stack in ECX: see user/system.h) and the structures that they pass.
#pragma once
#include "types.h"

enum {
  SYS_EXIT, SYS_WRITE, SYS_READ, SYS_FORK, SYS_WAIT, SYS_GETPID, SYS_YIELD, SYS_SLEEP, SYS_TIME, SYS_UNMAP, SYS_KILL,
  SYS_NAME, SYS_COMMAND_LINE, SYS_SHOW, SYS_END, SYS_BENCH_FIND, SYS_BENCH_OPEN, SYS_BENCH_RUN, SYS_BENCH_CLOSE, SYS_FAULT,
  SYS_COUNT,
};

/** What SYS_SHOW prints. */
enum { SHOW_TASKS, SHOW_CPU, SHOW_MEMORY, SHOW_DEVICES, SHOW_INTERRUPTS, SHOW_DATE, SHOW_BENCHMARKS, SHOW_TEST_DEVICE };
/** How SYS_END ends: with a code, by ACPI, by a reset. */
enum { END_EXIT, END_POWER_OFF, END_REBOOT };

/** Where programs find memory that is made as they touch it. */
#define HEAP_BASE 0x50000000u
#define PAGE_BYTES 4096u

/** An operation of the benchmark, for SYS_BENCH_FIND. */
struct bench_info {
  char name[32];
  /** 0: the kernel runs it (SYS_BENCH_RUN); else which of user/measure.c. */
  u32 program;
};
enum { PROGRAM_NONE, PROGRAM_INT80, PROGRAM_SYSENTER, PROGRAM_DIVIDE, PROGRAM_PAGE_FAULT, PROGRAM_FORK, PROGRAM_SWITCH };

/**
 * Marks, which the host sees as changes of the POST code: nothing between them but what is measured. Programs that
 * measure have the I/O privilege for it.
 */
#define MARK_PORT 0x80
#define MARK_BEGIN 0xb1
#define MARK_END 0xb0
