// Exceptions, interrupts and system calls: what the processor has pushed, and where it goes.
#pragma once
#include "types.h"

/** As entry.S leaves it on the kernel's stack. `esp` and `ss` only where the processor came from user mode. */
struct frame {
  u32 edi, esi, ebp, unused, ebx, edx, ecx, eax;
  u32 vector, error;
  u32 eip, cs, eflags, esp, ss;
};

enum {
  VECTOR_DIVIDE = 0, VECTOR_INVALID_OPCODE = 6, VECTOR_PAGE_FAULT = 14,
  /** ISA interrupts 0 to 15, from the 8259s or the I/O APIC. */
  VECTOR_IRQ = 0x20,
  /** Messages of PCI devices. */
  VECTOR_MSI = 0x40, VECTOR_MSI_END = 0x60,
  VECTOR_APIC_TIMER = 0x70, VECTOR_SELF = 0x71, VECTOR_SPURIOUS = 0x7f,
  VECTOR_SYSCALL = 0x80,
};

void traps_init(void);
int has_sysenter(void);
static inline int from_user(const struct frame *frame) { return frame->cs & 3; }

/** Takes the exception and returns 1, or 0 for what it does not want. */
typedef int fault_handler(struct frame *frame);
/** In place of the usual end of an exception, which is the end of the task or of the kernel; NULL: as usual. */
void on_fault(u32 vector, fault_handler *handler);

void sysenter_entry(void);
void return_to_user(void);
