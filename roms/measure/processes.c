// System calls, processes and what goes between them.
#include "measure.h"

static const char *run_syscall(const struct question *question, u32 count) {
  (void)question;
  const long parent = call3(SYS_getppid, 0, 0, 0);
  long wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong |= call3(SYS_getppid, 0, 0, 0) ^ parent;
  mark_end();
  return wrong ? "another parent" : NULL;
}

/** A byte there and back, through two pipes. */
static const char *run_pipe(const struct question *question, u32 count) {
  (void)question;
  int there[2], back[2], status = 0;
  if (call3(SYS_pipe, (long)there, 0, 0) || call3(SYS_pipe, (long)back, 0, 0)) return mark_begin(), mark_end(), "no pipe";
  const long child = call3(SYS_fork, 0, 0, 0);
  u8 byte = 0;
  if (child == 0) {
    call3(SYS_close, there[1], 0, 0);
    while (call3(SYS_read, there[0], (long)&byte, 1) == 1) {
      byte++;
      call3(SYS_write, back[1], (long)&byte, 1);
    }
    call3(SYS_exit, 0, 0, 0);
  }
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    byte = (u8)i;
    call3(SYS_write, there[1], (long)&byte, 1);
    wrong += call3(SYS_read, back[0], (long)&byte, 1) != 1 || byte != (u8)(i + 1);
  }
  mark_end();
  for (u32 i = 0; i < 2; i++) call3(SYS_close, there[i], 0, 0), call3(SYS_close, back[i], 0, 0);
  call3(SYS_waitpid, child, (long)&status, 0);
  return wrong ? "another byte came back" : NULL;
}

static const char *run_fork(const struct question *question, u32 count) {
  (void)question;
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    int status = 0;
    const long child = call3(SYS_fork, 0, 0, 0);
    if (child == 0) call3(SYS_exit, i & 0x7f, 0, 0);
    wrong += call3(SYS_waitpid, child, (long)&status, 0) != child || status != (int)(i & 0x7f) << 8;
  }
  mark_end();
  return wrong ? "a child's status is another" : NULL;
}

static const char *run_exec(const struct question *question, u32 count) {
  (void)question;
  static const char *const arguments[] = {"/proc/self/exe", "nothing", NULL};
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    int status = 0;
    const long child = call3(SYS_fork, 0, 0, 0);
    if (child == 0) {
      call3(SYS_execve, (long)arguments[0], (long)arguments, 0);
      call3(SYS_exit, 1, 0, 0);
    }
    wrong += call3(SYS_waitpid, child, (long)&status, 0) != child || status != 42 << 8;
  }
  mark_end();
  return wrong ? "the program did not run" : NULL;
}

static const char *run_faults(const struct question *question, u32 count) {
  (void)question;
  const u32 chunk = 256;
  u32 sum = 0;
  mark_begin();
  for (u32 done = 0; done < count; done += chunk) {
    const u32 now = count - done < chunk ? count - done : chunk;
    u8 *memory = map_memory(now * 4096);
    for (u32 i = 0; i < now; i++) sum += memory[i * 4096], memory[i * 4096] = 1;
    call3(SYS_munmap, (long)memory, now * 4096, 0);
  }
  mark_end();
  return sum ? "a new page is not zero" : NULL;
}

const struct question process_questions[] = {
    {"linux-syscall", 50000, 0, run_syscall, NULL},
    {"linux-page-fault", 10240, 0, run_faults, NULL},
    {"linux-pipe", 5000, 0, run_pipe, NULL},
    {"linux-fork", 300, 0, run_fork, NULL},
    {"linux-exec", 150, 0, run_exec, NULL},
};
const u32 process_question_count = COUNT(process_questions);
