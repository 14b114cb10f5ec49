// What one question of the Linux benchmark is, and what it may use.
#pragma once
#include "linux.h"

/** Where it talks to the host (docs/VIRT-BENCH.md): lines on the debug console, marks on a port that nobody else uses. */
#define REPORT_PORT 0xe9
#define MARK_PORT 0x5b0
#define MARK_BEGIN 0xb1
#define MARK_END 0xb0

/** From the command line: key=value. */
extern const char *disk_path, *nic_name, *console_path;

struct question {
  const char *name;
  u32 count;
  u32 bytes;
  /** NULL: right; else what was wrong. Marks by itself. */
  const char *(*run)(const struct question *question, u32 count);
  /** NULL: it can run; else why not. */
  const char *(*missing)(void);
};

extern const struct question process_questions[], file_questions[], device_questions[];
extern const u32 process_question_count, file_question_count, device_question_count;

/** One question for each clock source that the kernel has: begins and ends them itself. */
void measure_clocks(int (*wanted)(const char *name));

void report(const char *a, const char *b, const char *c);
void report_begin(const char *name, u32 count, u32 bytes, const char *by);
void report_end(const char *name, const char *wrong);
void report_skip(const char *name, const char *why);

static inline void mark_begin(void) { out8(MARK_PORT, MARK_BEGIN); }
static inline void mark_end(void) { out8(MARK_PORT, MARK_END); }

/** Status of a program run with these arguments, its output to a path; -1: it did not run. */
int run_program(const char *const *arguments, const char *output);
/** Bytes written, all of them or -1. */
long write_all(int file, const void *bytes, u32 count);
