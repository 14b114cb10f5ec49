// What the kernel takes from the ACPI tables (ACPI 6.5, 5.2): the PM timer, the HPET and how to power off.
#pragma once
#include "types.h"

/** I/O port of the PM timer (3.579545 MHz), 0: none. */
extern u16 pm_timer_port;
/** The counter has 32 bits and not 24. */
extern int pm_timer_wide;
/** Physical address of the HPET's registers, 0: none. */
extern u32 hpet_address;

/** Reads RAM as it is: before or after paging, RAM is mapped identically. */
void acpi_init(void);
