// Linux on i386 without a C library: system calls and a few numbers of its interface.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define NULL ((void *)0)
#define COUNT(array) (sizeof(array) / sizeof *(array))

// arch/x86/entry/syscalls/syscall_32.tbl
enum {
  SYS_exit = 1, SYS_fork = 2, SYS_read = 3, SYS_write = 4, SYS_open = 5, SYS_close = 6, SYS_waitpid = 7, SYS_unlink = 10,
  SYS_execve = 11, SYS_getpid = 20, SYS_kill = 37, SYS_mkdir = 39, SYS_pipe = 42, SYS_ioctl = 54, SYS_dup2 = 63,
  SYS_getppid = 64, SYS_mmap = 90, SYS_munmap = 91, SYS_ioperm = 101, SYS_socketcall = 102, SYS_fsync = 118,
  SYS_sched_yield = 158, SYS_pread64 = 180, SYS_pwrite64 = 181, SYS_clock_gettime = 265,
};
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0x40
#define O_TRUNC 0x200
#define O_NOCTTY 0x100
#define O_DIRECT 0x4000
#define TCSBRK 0x5409
#define CLOCK_MONOTONIC 1

static inline long call5(long nr, long a, long b, long c, long d, long e) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
  return result;
}
static inline long call3(long nr, long a, long b, long c) { return call5(nr, a, b, c, 0, 0); }

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port)); }

/** Private memory, zeroed, page-aligned. */
static inline u8 *map_memory(u32 bytes) {
  const u32 arguments[6] = {0, bytes, 3, 0x22, (u32)-1, 0};
  return (u8 *)call3(SYS_mmap, (long)arguments, 0, 0);
}

void *memset(void *to, int value, u32 count);
void *memcpy(void *to, const void *from, u32 count);
u32 text_length(const char *text);
int same_text(const char *a, const char *b);
