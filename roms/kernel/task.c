// Tasks: fork, wait, exit, and who runs next (round robin).
#include "task.h"
#include "clock.h"
#include "cpu.h"
#include "paging.h"
#include "print.h"
#include "segments.h"

void switch_stacks(u32 *save_esp, u32 esp);
extern u8 user_image[], user_image_end[];

struct task task_table[TASKS];
struct task *current;
static u32 next_pid = 1;
static int make_room;

/** task_table[0] is the idle task: it has no program, and runs when nobody else can. */
#define IDLE (&task_table[0])

static void switch_to(struct task *next) {
  struct task *previous = current;
  if (next == previous) return;
  current = next;
  if (next->stack) set_kernel_stack((u32)next->stack + KERNEL_STACK);
  if (next->directory != previous->directory) tables->load(next->directory);
  switch_stacks(&previous->esp, next->esp);
}

static void schedule(void) {
  const u32 start = current - task_table;
  for (u32 i = 1; i <= TASKS; i++) {
    struct task *candidate = &task_table[(start + i) % TASKS];
    if (candidate != IDLE && candidate->state == TASK_READY) return switch_to(candidate);
  }
  switch_to(IDLE);
}

void task_block(enum task_state state) {
  current->state = state;
  schedule();
}

void task_yield(void) { task_block(TASK_READY); }

void task_wake(enum task_state state) {
  for (u32 i = 1; i < TASKS; i++)
    if (task_table[i].state == state) task_table[i].state = TASK_READY;
}

void tasks_tick(void) {
  if (!current) return;
  current->ticks++;
  make_room = 1;
  u64 now = 0;
  for (u32 i = 1; i < TASKS; i++) {
    if (task_table[i].state != TASK_SLEEPING) continue;
    if (!now) now = clock_ns();
    if (task_table[i].wake_ns <= now) task_table[i].state = TASK_READY;
  }
}

void preempt(void) {
  if (!make_room) return;
  make_room = 0;
  task_yield();
}

static struct task *free_task(void) {
  for (u32 i = 1; i < TASKS; i++)
    if (task_table[i].state == TASK_FREE) return &task_table[i];
  return NULL;
}

/** Kernel stacks are made once for each place in the table, and stay. */
static int give_stack(struct task *task) {
  if (task->stack) return 1;
  // Two frames in a row: the list of frames hands them out in order after start-up, else there is no stack.
  const u32 a = frame_alloc(), b = frame_alloc();
  if (a && b && (b == a + PAGE || a == b + PAGE)) {
    task->stack = (u32 *)(a < b ? a : b);
    return 1;
  }
  if (a) frame_release(a);
  if (b) frame_release(b);
  return 0;
}

/** The stack of a task that has not run yet: it returns to user mode with this frame. */
static void prepare_stack(struct task *task, const struct frame *frame) {
  u32 *top = task->stack + KERNEL_STACK / 4 - sizeof *frame / 4;
  memcpy(top, frame, sizeof *frame);
  *--top = (u32)return_to_user;
  top -= 4; // EDI, ESI, EBX, EBP of switch_stacks
  task->esp = (u32)top;
}

s32 task_fork(const struct frame *frame) {
  struct task *child = free_task();
  if (!child || !give_stack(child)) return -1;
  child->directory = space_fork(current->directory);
  if (!child->directory) return -1;
  struct frame copy = *frame;
  copy.eax = 0;
  prepare_stack(child, &copy);
  child->pid = ++next_pid;
  child->parent = current->pid;
  child->ticks = 0;
  memcpy(child->name, current->name, sizeof child->name);
  child->state = TASK_READY;
  return (s32)child->pid;
}

static void end_task(struct task *task, u32 status) {
  for (u32 i = 1; i < TASKS; i++) {
    if (task_table[i].parent != task->pid || task_table[i].state == TASK_FREE) continue;
    task_table[i].parent = 1;
    if (task_table[i].state == TASK_ENDED) task_wake(TASK_WAITING);
  }
  task->status = status;
  task->state = TASK_ENDED;
  task_wake(TASK_WAITING);
}

void task_exit(u32 status) {
  if (current->pid <= 1) panic("the first program has ended");
  const u32 directory = current->directory;
  current->directory = kernel_directory;
  tables->load(kernel_directory);
  space_destroy(directory);
  end_task(current, status);
  schedule();
  panic("a task that has ended runs");
}

int task_kill(u32 pid) {
  if (pid == current->pid) task_exit(137);
  for (u32 i = 1; i < TASKS; i++) {
    struct task *task = &task_table[i];
    if (task->pid != pid || pid <= 1 || task->state == TASK_FREE || task->state == TASK_ENDED) continue;
    space_destroy(task->directory);
    task->directory = kernel_directory;
    end_task(task, 137);
    return 1;
  }
  return 0;
}

s32 task_wait(u32 *status) {
  for (;;) {
    int children = 0;
    for (u32 i = 1; i < TASKS; i++) {
      struct task *task = &task_table[i];
      if (task->state == TASK_FREE || task->parent != current->pid || task == current) continue;
      children = 1;
      if (task->state != TASK_ENDED) continue;
      *status = task->status;
      task->state = TASK_FREE;
      return (s32)task->pid;
    }
    if (!children) return -1;
    task_block(TASK_WAITING);
  }
}

static void start_first(void) {
  struct task *task = &task_table[1];
  const u32 bytes = user_image_end - user_image;
  task->directory = space_create();
  if (!task->directory || !give_stack(task)) panic("no memory for the first program");
  for (u32 at = 0; at < bytes; at += PAGE) {
    if (!space_map_zero(task->directory, USER_BASE + at)) panic("no memory for the first program");
    memcpy((void *)FRAME_OF(*entry_of(task->directory, USER_BASE + at, 0)), user_image + at, PAGE);
  }
  const struct frame frame = {
      .eip = USER_BASE, .cs = USER_CODE, .eflags = 0x202, .esp = USER_END, .ss = USER_DATA, .vector = VECTOR_SYSCALL};
  prepare_stack(task, &frame);
  task->pid = 1;
  memcpy(task->name, "shell", 6);
  task->state = TASK_READY;
}

void tasks_run(void) {
  for (u32 i = 2; i < 16; i++) give_stack(&task_table[i]);
  IDLE->directory = kernel_directory;
  IDLE->state = TASK_READY;
  memcpy(IDLE->name, "idle", 5);
  start_first();
  current = IDLE;
  for (;;) {
    schedule();
    // Everybody waits. An interrupt may have made somebody ready meanwhile, and ends the HLT.
    wait_for_interrupt();
  }
}
