// What every program of the CPU benchmark shares: types, system calls and the table's prototype. No C library: the same
// few bytes of code run everywhere, and nothing picks its routines by CPUID.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define NULL ((void *)0)
#define NOINLINE __attribute__((noinline))

// System call numbers of Linux on i386 (arch/x86/entry/syscalls/syscall_32.tbl).
enum {
  SYS_exit = 1, SYS_fork = 2, SYS_read = 3, SYS_write = 4, SYS_open = 5, SYS_close = 6, SYS_waitpid = 7, SYS_unlink = 10,
  SYS_execve = 11, SYS_lseek = 19, SYS_getpid = 20, SYS_kill = 37, SYS_pipe = 42, SYS_ioctl = 54, SYS_getppid = 64,
  SYS_sigaction = 67, SYS_reboot = 88, SYS_mmap = 90, SYS_munmap = 91, SYS_sched_yield = 158, SYS_clock_gettime = 265,
};

/** The kernel's system call entry in the vDSO (AT_SYSINFO: sysenter where there is one), as C libraries use it. */
extern void *vsyscall;

static inline long syscall3(long nr, long a, long b, long c) {
  long result;
  __asm__ volatile("call *%1" : "=a"(result) : "m"(vsyscall), "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "cc");
  return result;
}

/** Private anonymous memory, zeroed, not yet touched. */
static inline u8 *map_memory(u32 bytes) {
  const u32 arguments[6] = {0, bytes, 3 /* read, write */, 0x22 /* private, anonymous */, (u32)-1, 0};
  return (u8 *)syscall3(SYS_mmap, (long)arguments, 0, 0);
}

static inline void unmap_memory(void *at, u32 bytes) { syscall3(SYS_munmap, (long)at, bytes, 0); }

/** Knuth's MMIX generator, upper half: the same numbers in every run. */
static inline u32 next_random(u64 *state) {
  *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (u32)(*state >> 32);
}

/** Runs `amount` units of work; the result is a checksum that depends on `amount` alone. */
typedef u32 program(u32 amount);

program sieve, sha256, crc32, divide, bignum, branches, calls, bytecode, sort, copy, strings, chase, stream, nbody_x87, trig_x87,
    mandelbrot_sse, nbody_sse, blend_sse2, generate, syscalls, files, signals, faults, pipes, yields, forks, execs;
