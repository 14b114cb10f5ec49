// Selectors of the GDT, and the one TSS. Kernel and user have the same flat data segments: DS and ES are never reloaded.
#pragma once
#include "types.h"

// In the order that SYSENTER and SYSEXIT ask for: kernel code, kernel stack, user code, user data (SDM 3A 6.8.7).
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TASK_STATE 0x28

void segments_init(void);
/** Where the processor finds the kernel's stack when it leaves user mode. */
void set_kernel_stack(u32 esp);
