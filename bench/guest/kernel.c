// What programs ask of the kernel: system calls, files, signals, page faults, switches between processes, new processes.
#include "guest.h"

u32 syscalls(u32 amount) {
  u32 sum = 0;
  for (u32 i = 0; i < amount; i++) sum += syscall3(SYS_getppid, 0, 0, 0) >= 0;
  return sum;
}

/** Writes a file in memory and reads it back, 4 KiB a call. */
u32 files(u32 amount) {
  static u8 block[4096];
  const long fd = syscall3(SYS_open, (long)"/tmp/paravane-bench", 0x242 /* O_RDWR, O_CREAT, O_TRUNC */, 0600);
  if (fd < 0) return 0;
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++) {
    syscall3(SYS_lseek, fd, 0, 0);
    for (u32 i = 0; i < 16; i++) {
      block[i * 256] = (u8)(round + i);
      syscall3(SYS_write, fd, (long)block, sizeof block);
    }
    syscall3(SYS_lseek, fd, 0, 0);
    for (u32 i = 0; i < 16; i++) {
      sum += syscall3(SYS_read, fd, (long)block, sizeof block);
      sum = sum * 3 + block[i * 256];
    }
  }
  syscall3(SYS_close, fd, 0, 0);
  syscall3(SYS_unlink, (long)"/tmp/paravane-bench", 0, 0);
  return sum;
}

static volatile u32 signals_seen;
static void on_signal(int number) { signals_seen += number; }

u32 signals(u32 amount) {
  // struct old_sigaction: handler, mask, flags, restorer. Without SA_RESTORER the kernel returns through the vDSO.
  const u32 action[4] = {(u32)on_signal, 0, 0, 0};
  const u32 before = signals_seen;
  const long self = syscall3(SYS_getpid, 0, 0, 0);
  syscall3(SYS_sigaction, 10 /* SIGUSR1 */, (long)action, 0);
  for (u32 i = 0; i < amount; i++) syscall3(SYS_kill, self, 10, 0);
  return signals_seen - before;
}

/** First touches of fresh pages, 256 a mapping. */
u32 faults(u32 amount) {
  const u32 bytes = 256 * 4096;
  u32 sum = 0;
  for (u32 round = 0; round < amount; round++) {
    u8 *memory = map_memory(bytes);
    for (u32 at = 0; at < bytes; at += 4096) memory[at] = (u8)at + 1;
    for (u32 at = 0; at < bytes; at += 4096) sum += memory[at];
    unmap_memory(memory, bytes);
  }
  return sum;
}

/** One byte to another process and back. */
u32 pipes(u32 amount) {
  int there[2], back[2];
  if (syscall3(SYS_pipe, (long)there, 0, 0) < 0 || syscall3(SYS_pipe, (long)back, 0, 0) < 0) return 0;
  const long child = syscall3(SYS_fork, 0, 0, 0);
  u8 byte = 0;
  if (child == 0) {
    syscall3(SYS_close, there[1], 0, 0);
    while (syscall3(SYS_read, there[0], (long)&byte, 1) == 1) {
      byte++;
      syscall3(SYS_write, back[1], (long)&byte, 1);
    }
    syscall3(SYS_exit, 0, 0, 0);
  }
  u32 sum = 0;
  for (u32 i = 0; i < amount; i++) {
    byte = (u8)i;
    syscall3(SYS_write, there[1], (long)&byte, 1);
    syscall3(SYS_read, back[0], (long)&byte, 1);
    sum = sum * 3 + byte;
  }
  for (int i = 0; i < 2; i++) syscall3(SYS_close, there[i], 0, 0), syscall3(SYS_close, back[i], 0, 0);
  syscall3(SYS_waitpid, child, 0, 0);
  return sum;
}

/** Two processes that hand the CPU to each other. */
u32 yields(u32 amount) {
  const long child = syscall3(SYS_fork, 0, 0, 0);
  for (u32 i = 0; i < amount; i++) syscall3(SYS_sched_yield, 0, 0, 0);
  if (child == 0) syscall3(SYS_exit, 0, 0, 0);
  syscall3(SYS_waitpid, child, 0, 0);
  return amount;
}

u32 forks(u32 amount) {
  u32 sum = 0;
  for (u32 i = 0; i < amount; i++) {
    const long child = syscall3(SYS_fork, 0, 0, 0);
    if (child == 0) syscall3(SYS_exit, i & 63, 0, 0);
    int status = 0;
    syscall3(SYS_waitpid, child, (long)&status, 0);
    sum = sum * 3 + (status >> 8);
  }
  return sum;
}

extern const char *own_path;

/** A new program each time: this one, which with the argument "leave" ends at once. */
u32 execs(u32 amount) {
  const char *const arguments[] = {own_path, "leave", NULL}, *const environment[] = {NULL};
  u32 sum = 0;
  for (u32 i = 0; i < amount; i++) {
    const long child = syscall3(SYS_fork, 0, 0, 0);
    if (child == 0) {
      syscall3(SYS_execve, (long)own_path, (long)arguments, (long)environment);
      syscall3(SYS_exit, 1, 0, 0);
    }
    int status = 0;
    syscall3(SYS_waitpid, child, (long)&status, 0);
    sum += status >> 8 == 42;
  }
  return sum;
}
