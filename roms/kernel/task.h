// User programs: each a page directory and a kernel stack. The kernel is not preempted; it gives the processor away where
// it waits, and user mode loses it at a tick.
#pragma once
#include "trap.h"
#include "types.h"

#define TASKS 64
#define KERNEL_STACK 8192u

enum task_state { TASK_FREE, TASK_READY, TASK_WAITING, TASK_SLEEPING, TASK_READING, TASK_ENDED };

struct task {
  u32 esp;
  u32 pid;
  enum task_state state;
  u32 directory;
  u32 parent;
  /** What exit() was given. */
  u32 status;
  u64 wake_ns;
  u32 ticks;
  char name[16];
  u32 *stack;
};

extern struct task task_table[TASKS];
/** NULL until the first task runs; then never. */
extern struct task *current;

/** Starts the first program and becomes the idle task. */
void tasks_run(void) __attribute__((noreturn));
/** The child's pid, 0 in no case, or -1: no room. */
s32 task_fork(const struct frame *frame);
void task_exit(u32 status) __attribute__((noreturn));
/** Pid of a child that has ended, its status in `status`; waits for one; -1: there is none. */
s32 task_wait(u32 *status);
/** Ends another task; 0: no such task, or the first one. */
int task_kill(u32 pid);
/** Others run until the state is TASK_READY again. */
void task_block(enum task_state state);
void task_yield(void);
void task_wake(enum task_state state);
/** From the tick: sleepers wake, and whoever runs in user mode is to make room. */
void tasks_tick(void);
void preempt(void);
