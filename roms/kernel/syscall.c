// System calls: abi.h says what each takes. Whatever a program passes is checked; a bad pointer gives -1.
#include "abi.h"
#include "bench/bench.h"
#include "clock.h"
#include "console.h"
#include "paging.h"
#include "power.h"
#include "print.h"
#include "show.h"
#include "task.h"
#include "trap.h"

#define FAILED ((u32)-1)
#define IOPL_USER 0x3000u

extern char command_line[];

/** A string of the program, cut to the buffer. */
static int copy_name(char *to, u32 size, u32 from) {
  u32 i = 0;
  for (; i + 1 < size && user_range(from + i, 1) && *(const char *)(from + i); i++) to[i] = *(const char *)(from + i);
  to[i] = 0;
  return i > 0;
}

static u32 sys_write(u32 bytes, u32 count) {
  if (!user_range(bytes, count)) return FAILED;
  console_text((const char *)bytes, count);
  return count;
}

static u32 sys_read(u32 bytes, u32 count) {
  if (!count || !user_range(bytes, count)) return FAILED;
  return console_read((u8 *)bytes, count);
}

static u32 sys_wait(u32 status_at) {
  u32 status = 0;
  const s32 pid = task_wait(&status);
  if (pid > 0 && user_range(status_at, 4)) *(u32 *)status_at = status;
  return (u32)pid;
}

static u32 sys_sleep(u32 ms) {
  current->wake_ns = clock_ns() + (u64)ms * 1000000;
  task_block(TASK_SLEEPING);
  return 0;
}

static u32 sys_time(u32 at) {
  if (!user_range(at, 8)) return FAILED;
  *(u64 *)at = clock_ns();
  return 0;
}

static u32 sys_unmap(u32 address, u32 pages) {
  if (address % PAGE || pages > (USER_HEAP_END - USER_HEAP) / PAGE || address < USER_HEAP || !user_range(address, pages * PAGE))
    return FAILED;
  space_unmap(address, pages);
  return 0;
}

static u32 sys_command_line(u32 to, u32 size) {
  if (!size || !user_range(to, size)) return FAILED;
  u32 i = 0;
  for (; i + 1 < size && command_line[i]; i++) ((char *)to)[i] = command_line[i];
  ((char *)to)[i] = 0;
  return i;
}

static u32 sys_end(u32 how, u32 code) {
  if (how == END_EXIT) debug_exit(code);
  if (how == END_POWER_OFF) power_off();
  if (how == END_REBOOT) reboot();
  return FAILED;
}

/** The `number`-th operation whose name begins with `prefix`. */
static u32 sys_bench_find(u32 number, u32 prefix_at, u32 info_at) {
  char prefix[32];
  copy_name(prefix, sizeof prefix, prefix_at);
  if (!user_range(info_at, sizeof(struct bench_info))) return FAILED;
  const u32 length = strlen(prefix);
  const struct bench *bench;
  for (u32 i = 0; (bench = bench_at(i)) != NULL; i++) {
    if (memcmp(bench->name, prefix, length) != 0 || number--) continue;
    struct bench_info *info = (struct bench_info *)info_at;
    memcpy(info->name, bench->name, strlen(bench->name) + 1);
    info->program = bench->program;
    return i;
  }
  return FAILED;
}

static u32 sys_bench_run(u32 index, u32 count) {
  const struct bench *bench = bench_at(index);
  if (!bench || !bench->run || !count) return FAILED;
  bench_close(index, bench->run(bench, count));
  return 0;
}

static u32 sys_bench_close(u32 index, u32 why_at) {
  char why[64];
  const struct bench *bench = bench_at(index);
  if (!bench || bench->run) return FAILED;
  bench_close(index, copy_name(why, sizeof why, why_at) ? why : NULL);
  return 0;
}

/** DIV ECX by zero gives 5Ah, and the program goes on behind it. */
static int skip_division(struct frame *frame) {
  if (!from_user(frame) || !user_range(frame->eip, 2) || *(const u16 *)frame->eip != 0xf1f7) return 0;
  frame->eip += 2;
  frame->eax = 0x5a;
  return 1;
}

__attribute__((used)) void syscall(struct frame *frame) {
  const u32 a = frame->ebx, b = frame->ecx, c = frame->edx;
  // SYSENTER has no room for ECX and EDX: its one user passes nothing.
  switch (frame->eax) {
    case SYS_EXIT: task_exit(a & 0xff);
    case SYS_WRITE: frame->eax = sys_write(a, b); break;
    case SYS_READ: frame->eax = sys_read(a, b); break;
    case SYS_FORK: frame->eax = (u32)task_fork(frame); break;
    case SYS_WAIT: frame->eax = sys_wait(a); break;
    case SYS_GETPID: frame->eax = current->pid; break;
    case SYS_YIELD: frame->eax = 0, task_yield(); break;
    case SYS_SLEEP: frame->eax = sys_sleep(a); break;
    case SYS_TIME: frame->eax = sys_time(a); break;
    case SYS_UNMAP: frame->eax = sys_unmap(a, b); break;
    case SYS_KILL: frame->eax = task_kill(a) ? 0 : FAILED; break;
    case SYS_NAME: frame->eax = copy_name(current->name, sizeof current->name, a) ? 0 : FAILED; break;
    case SYS_COMMAND_LINE: frame->eax = sys_command_line(a, b); break;
    case SYS_SHOW: frame->eax = show(a) ? 0 : FAILED; break;
    case SYS_END: frame->eax = sys_end(a, b); break;
    case SYS_BENCH_FIND: frame->eax = sys_bench_find(a, b, c); break;
    case SYS_BENCH_OPEN:
      frame->eflags |= IOPL_USER; // for the marks
      frame->eax = bench_open(a);
      break;
    case SYS_BENCH_RUN: frame->eax = sys_bench_run(a, b); break;
    case SYS_BENCH_CLOSE:
      frame->eflags &= ~IOPL_USER;
      frame->eax = sys_bench_close(a, b);
      break;
    case SYS_FAULT: on_fault(VECTOR_DIVIDE, a ? skip_division : NULL), frame->eax = 0; break;
    default: frame->eax = FAILED;
  }
}
