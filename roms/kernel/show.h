// Tables for people: tasks, processor, memory, devices.
#pragma once
#include "types.h"

/** One of SHOW_* on the console; 0: no such thing. */
int show(u32 what);
/** What the machine is and how it is used, at the start. */
void show_machine(void);
