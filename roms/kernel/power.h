// How the machine ends.
#pragma once
#include "types.h"

/** Leaves through QEMU's isa-debug-exit at port F4h, where there is one: the emulator's status is (code << 1) | 1. */
void debug_exit(u32 code);
/** ACPI S5; returns where there is no ACPI. */
void power_off(void);
void reboot(void) __attribute__((noreturn));
