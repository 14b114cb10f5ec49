// Clocks of a PC, each to be read by itself, and the one that the kernel lives by.
#pragma once
#include "types.h"

/** Chooses the kernel's clock: kvm-clock where there is one, else the TSC, measured against the 8254. */
void clock_init(void);
/** Nanoseconds since some moment, never backwards. */
u64 clock_ns(void);
const char *clock_name(void);

struct date { u32 year, month, day, hour, minute, second; };
/** The CMOS clock, once it does not change under one's eyes. */
void read_rtc(struct date *date);
/** What is left in channel 0 of the 8254, latched. */
u32 read_pit(void);
/** 0: there is no PM timer. */
int has_pm_timer(void);
u32 read_pm_timer(void);
/** 0: there is no HPET. */
int has_hpet(void);
/** The lower half of its main counter, which runs since clock_init(). */
u32 read_hpet(void);
extern u32 tsc_khz;
