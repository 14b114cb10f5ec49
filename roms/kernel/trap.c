// The IDT, and what becomes of exceptions.
#include "trap.h"
#include "cpu.h"
#include "irq.h"
#include "paging.h"
#include "print.h"
#include "segments.h"
#include "task.h"

#define STUBS 128
#define STUB_BYTES 16
extern u8 trap_stubs[STUBS][STUB_BYTES];
void syscall_entry(void);

static struct PACKED { u16 low, selector; u8 zero, access; u16 high; } idt[VECTOR_SYSCALL + 1] ALIGNED(8);
static fault_handler *handlers[32];

static const char *const names[] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode", "no coprocessor",
    "double fault", "9", "invalid TSS", "segment not present", "stack fault", "general protection", "page fault", "15",
    "x87 error", "alignment check", "machine check", "SIMD error",
};

static void set_gate(u32 vector, u32 address, u8 access) {
  idt[vector].low = (u16)address;
  idt[vector].high = (u16)(address >> 16);
  idt[vector].selector = KERNEL_CODE;
  idt[vector].access = access;
}

void traps_init(void) {
  // Interrupt gates: the kernel runs with interrupts off but where it waits. Only INT 80h, INT3 and INTO are for users.
  for (u32 vector = 0; vector < STUBS; vector++)
    set_gate(vector, (u32)trap_stubs[vector], vector == 3 || vector == 4 ? 0xee : 0x8e);
  set_gate(VECTOR_SYSCALL, (u32)syscall_entry, 0xee);
  const struct PACKED { u16 limit; u32 base; } pointer = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lidt %0" : : "m"(pointer));
}

void on_fault(u32 vector, fault_handler *handler) { handlers[vector] = handler; }

__attribute__((used)) void trap(struct frame *frame) {
  const u32 vector = frame->vector;
  if (vector >= VECTOR_IRQ) {
    interrupt(vector);
    if (from_user(frame)) preempt();
    return;
  }
  if (handlers[vector] && handlers[vector](frame)) return;
  if (vector == VECTOR_PAGE_FAULT && memory_fault(read_cr2(), frame->error)) return;
  const char *name = vector < COUNT(names) ? names[vector] : "exception";
  if (from_user(frame)) {
    print("\n[%u] %s at %08x", current->pid, name, frame->eip);
    if (vector == VECTOR_PAGE_FAULT) print(", address %08x", read_cr2());
    print(": ended\n");
    task_exit(128 + vector);
  }
  print("\nkernel: %s, error %x, at %08x, CR2 %08x, EAX %08x EBX %08x ECX %08x EDX %08x\n", name, frame->error, frame->eip,
        read_cr2(), frame->eax, frame->ebx, frame->ecx, frame->edx);
  panic("an exception in the kernel");
}
