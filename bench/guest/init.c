// Process 1 of the CPU benchmark's guest, and its only program. Runs each benchmark in a process of its own, says when
// it begins and ends and how long it took by the guest's own monotonic clock, and powers the machine off.
//
// Environment (on the kernel's command line, which hands init what it does not know itself):
//   bench_only=a,b      these programs; all by default
//   bench_percent=100   of each program's usual amount of work
// It runs on the host as well, where it ends in place of powering off.
#include "guest.h"

void *vsyscall;
const char *own_path;

static const struct { const char *name; program *run; u32 amount; } programs[] = {
    {"sieve", sieve, 40},
    {"sha256", sha256, 400},
    {"crc32", crc32, 200},
    {"divide", divide, 150000},
    {"bignum", bignum, 20000},
    {"branches", branches, 100000},
    {"calls", calls, 250},
    {"bytecode", bytecode, 6000},
    {"sort", sort, 50},
    {"generate", generate, 10000},
    {"copy", copy, 120},
    {"strings", strings, 1500},
    {"chase", chase, 2000},
    {"stream", stream, 80},
    {"nbody-x87", nbody_x87, 30000},
    {"trig-x87", trig_x87, 300000},
    {"mandelbrot-sse", mandelbrot_sse, 6000},
    {"nbody-sse", nbody_sse, 30000},
    {"blend-sse2", blend_sse2, 2000},
    {"syscalls", syscalls, 300000},
    {"files", files, 1200},
    {"signals", signals, 30000},
    {"faults", faults, 200},
    {"pipes", pipes, 15000},
    {"yields", yields, 40000},
    {"forks", forks, 800},
    {"execs", execs, 400},
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

// gcc may call these for loops and copies of its own.
void *memset(void *to, int value, u32 count) {
  u8 *at = to;
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
  return to;
}
void *memcpy(void *to, const void *from, u32 count) {
  u8 *at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
  return to;
}

static char line[256];
static u32 line_length;

static void put(const char *text) {
  while (*text && line_length < sizeof line - 1) line[line_length++] = *text++;
}

static void put_number(u32 value, u32 base, u32 digits) {
  char text[12];
  u32 at = sizeof text;
  text[--at] = 0;
  do text[--at] = "0123456789abcdef"[value % base], value /= base;
  while (value || sizeof text - 1 - at < digits);
  put(text + at);
}

/** Writes the line and waits until a serial port has sent it: what follows runs undisturbed. */
static void end_line(void) {
  put("\n");
  syscall3(SYS_write, 1, (long)line, line_length);
  line_length = 0;
  syscall3(SYS_ioctl, 1, 0x5409 /* TCSBRK: drain */, 1);
}

static void begin_line(const char *what, const char *name) {
  put("bench: ");
  put(what);
  put(" ");
  put(name);
}

static int listed(const char *list, const char *name) {
  if (!list) return 1;
  while (*list) {
    u32 i = 0;
    while (name[i] && list[i] == name[i]) i++;
    if (!name[i] && (list[i] == ',' || !list[i])) return 1;
    while (*list && *list++ != ',') {
    }
  }
  return 0;
}

static u32 number(const char *text) {
  u32 value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (*text - '0');
  return value;
}

/** The value of an environment variable, or NULL. */
static const char *variable(char **environment, const char *name) {
  for (; *environment; environment++) {
    u32 i = 0;
    while (name[i] && (*environment)[i] == name[i]) i++;
    if (!name[i] && (*environment)[i] == '=') return *environment + i + 1;
  }
  return NULL;
}

static NOINLINE void measure(u32 index, u32 percent) {
  // In 64 bits, without a division of 64 bits, which would need a library.
  const u32 all = programs[index].amount;
  const u32 amount = all / 100 * percent + all % 100 * percent / 100;
  s32 from[2] = {0}, to[2] = {0};
  syscall3(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, (long)from, 0);
  const u32 checksum = programs[index].run(amount ? amount : 1);
  syscall3(SYS_clock_gettime, 1, (long)to, 0);
  s32 seconds = to[0] - from[0], nanoseconds = to[1] - from[1];
  if (nanoseconds < 0) seconds--, nanoseconds += 1000000000;
  begin_line("end", programs[index].name);
  put(" ");
  put_number((u32)seconds, 10, 1);
  put(".");
  put_number((u32)nanoseconds, 10, 9);
  put(" ");
  put_number(checksum, 16, 8);
  end_line();
}

__attribute__((used)) void start(u32 *stack) {
  const u32 argument_count = stack[0];
  char **const arguments = (char **)(stack + 1);
  char **const environment = arguments + argument_count + 1;
  u32 *auxiliary = (u32 *)environment;
  while (*auxiliary++) {
  }
  for (; auxiliary[0]; auxiliary += 2)
    if (auxiliary[0] == 32 /* AT_SYSINFO */) vsyscall = (void *)auxiliary[1];
  own_path = arguments[0];
  if (argument_count > 1 && arguments[1][0] == 'l') syscall3(SYS_exit, 42, 0, 0);

  const char *const only = variable(environment, "bench_only");
  const char *const percent = variable(environment, "bench_percent");
  put("bench: init");
  end_line();
  for (u32 i = 0; i < PROGRAMS; i++) {
    if (!listed(only, programs[i].name)) continue;
    begin_line("begin", programs[i].name);
    end_line();
    const long child = syscall3(SYS_fork, 0, 0, 0);
    if (child == 0) {
      measure(i, percent ? number(percent) : 100);
      syscall3(SYS_exit, 0, 0, 0);
    }
    int status = 0;
    syscall3(SYS_waitpid, child, (long)&status, 0);
    if (status == 0) continue;
    begin_line("failed", programs[i].name);
    put(" ");
    put_number((u32)status, 16, 1);
    end_line();
  }
  put("bench: done");
  end_line();
  if (syscall3(SYS_getpid, 0, 0, 0) != 1) syscall3(SYS_exit, 0, 0, 0);
  syscall3(SYS_reboot, (long)0xfee1dead, 672274793, 0x4321fedc /* power off */);
  for (;;) syscall3(SYS_sched_yield, 0, 0, 0);
}

// Keeps the stack aligned to 16 bytes, as compiled code expects it after a call.
__asm__(".globl _start\n_start:\n  movl %esp, %eax\n  xorl %ebp, %ebp\n  andl $-16, %esp\n  subl $12, %esp\n  pushl %eax\n  call start\n");
