// Text for people (the console) and for programs (the debug port).
#pragma once
#include "types.h"

/** As format.h says, to the console. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** A line for whoever measures, on the debug console (port E9h): see docs/VIRT-BENCH.md. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *why) __attribute__((noreturn));
