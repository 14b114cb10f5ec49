// Console, disk and clock without a device: Paravane's own hypercalls (docs/HYPERCALLS.md).
#pragma once
#include "../console.h"
#include "../types.h"

extern const struct console_driver hypercall_console;
/** Nanoseconds since power-on. */
u64 hypercall_clock_ns(void);
void hypercall_disk_init(void);
