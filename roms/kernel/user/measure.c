// Those operations of the benchmark that take a user program, and the order of all.
#include "system.h"

static inline void mark(u8 code) { __asm__ volatile("outb %0, %1" : : "a"(code), "N"(MARK_PORT) : "memory"); }

static int marked;
static inline void mark_begin(void) { marked = 1, mark(MARK_BEGIN); }
static inline void mark_end(void) { mark(MARK_END); }

/** NULL: all results were right. */
static const char *int80(u32 count) {
  const s32 pid = getpid();
  s32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong |= getpid() ^ pid;
  mark_end();
  return wrong ? "another pid" : NULL;
}

static const char *sysenter(u32 count) {
  const s32 pid = getpid();
  s32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong |= getpid_sysenter() ^ pid;
  mark_end();
  return wrong ? "another pid" : NULL;
}

static const char *divide(u32 count) {
  u32 wrong = 0;
  call3(SYS_FAULT, 1, 0, 0);
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    u32 result, rest;
    __asm__ volatile("divl %%ecx" : "=a"(result), "=d"(rest) : "a"(1), "d"(0), "c"(0));
    wrong |= result ^ 0x5a;
  }
  mark_end();
  call3(SYS_FAULT, 0, 0, 0);
  return wrong ? "the handler's result did not come" : NULL;
}

static const char *page_faults(u32 count) {
  const u32 chunk = 256;
  u32 sum = 0;
  mark_begin();
  for (u32 done = 0; done < count;) {
    const u32 now = count - done < chunk ? count - done : chunk;
    for (u32 i = 0; i < now; i++) {
      volatile u32 *page = (volatile u32 *)(HEAP_BASE + i * PAGE_BYTES);
      sum += *page;
      *page = done + i + 1;
    }
    unmap(HEAP_BASE, now);
    done += now;
  }
  mark_end();
  return sum ? "a new page is not zero" : NULL;
}

static const char *forks(u32 count) {
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    const s32 pid = fork();
    if (pid == 0) exit(i & 0x7f);
    u32 status = 0;
    wrong += pid < 0 || wait(&status) != pid || status != (i & 0x7f);
  }
  mark_end();
  return wrong ? "a child's status is another" : NULL;
}

/** Parent and child give the processor to each other: two switches a round. */
static const char *switches(u32 count) {
  const s32 pid = fork();
  if (pid < 0) return "no child";
  if (pid == 0)
    for (;;) yield();
  yield();
  mark_begin();
  for (u32 i = 0; i < count; i += 2) yield();
  mark_end();
  kill((u32)pid);
  u32 status = 0;
  return wait(&status) == pid && status == 137 ? NULL : "the child was not there";
}

static const char *(*const runs[])(u32 count) = {
    [PROGRAM_INT80] = int80, [PROGRAM_SYSENTER] = sysenter, [PROGRAM_DIVIDE] = divide,
    [PROGRAM_PAGE_FAULT] = page_faults, [PROGRAM_FORK] = forks, [PROGRAM_SWITCH] = switches,
};

static void measure_one(u32 index, u32 program) {
  const u32 count = (u32)call3(SYS_BENCH_OPEN, index, 0, 0);
  if (!count) return;
  if (!program) {
    call3(SYS_BENCH_RUN, index, count, 0);
    return;
  }
  marked = 0;
  const char *wrong = program < COUNT(runs) ? runs[program](count) : "no such program";
  // One that failed early has marks, too: the host counts them.
  if (!marked) mark_begin(), mark_end();
  call3(SYS_BENCH_CLOSE, index, (u32)(wrong ? wrong : ""), 0);
}

u32 measure(char *words) {
  u32 found = 0;
  do {
    while (*words == ' ') words++;
    char *word = words;
    while (*words && *words != ' ') words++;
    const char end = *words;
    *words = 0;
    struct bench_info info;
    for (u32 i = 0;; i++) {
      const s32 index = call3(SYS_BENCH_FIND, i, (u32)word, (u32)&info);
      if (index < 0) break;
      found++;
      measure_one((u32)index, info.program);
    }
    if (end) *words++ = ' ';
  } while (*words);
  return found;
}
