// System calls as functions, and what programs print with.
#pragma once
#include "../abi.h"

static inline s32 call3(u32 nr, u32 a, u32 b, u32 c) {
  s32 result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

static inline void exit(u32 status) {
  call3(SYS_EXIT, status, 0, 0);
  __builtin_unreachable();
}
static inline s32 write(const char *text, u32 bytes) { return call3(SYS_WRITE, (u32)text, bytes, 0); }
static inline s32 read(char *to, u32 bytes) { return call3(SYS_READ, (u32)to, bytes, 0); }
static inline s32 fork(void) { return call3(SYS_FORK, 0, 0, 0); }
static inline s32 wait(u32 *status) { return call3(SYS_WAIT, (u32)status, 0, 0); }
static inline s32 getpid(void) { return call3(SYS_GETPID, 0, 0, 0); }
static inline void yield(void) { call3(SYS_YIELD, 0, 0, 0); }
static inline void sleep(u32 ms) { call3(SYS_SLEEP, ms, 0, 0); }
static inline s32 kill(u32 pid) { return call3(SYS_KILL, pid, 0, 0); }
static inline void set_name(const char *name) { call3(SYS_NAME, (u32)name, 0, 0); }
static inline s32 unmap(u32 address, u32 pages) { return call3(SYS_UNMAP, address, pages, 0); }
static inline u64 time_ns(void) {
  u64 ns = 0;
  call3(SYS_TIME, (u32)&ns, 0, 0);
  return ns;
}
/** getpid by SYSENTER: the kernel returns to EDX with the stack in ECX. */
static inline s32 getpid_sysenter(void) {
  s32 result;
  __asm__ volatile("movl %%esp, %%ecx\n\tmovl $1f, %%edx\n\tsysenter\n1:" : "=a"(result) : "a"(SYS_GETPID) : "ecx", "edx", "memory");
  return result;
}

/** As format.h says. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
u32 parse_number(const char *text, u32 otherwise);

struct program { const char *name, *about; u32 (*run)(const char *argument); };
extern const struct program programs[];
extern const u32 program_count;

/** Every operation whose name begins with one of the words; all without any. Children that failed count; 0: all is well. */
u32 measure(char *words);
/** A line from the console, edited as on a terminal, without its end. */
void read_line(char *line, u32 size);
void shell(void);
