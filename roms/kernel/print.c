#include "print.h"
#include "console.h"
#include "cpu.h"
#include "format.h"
#include "power.h"

void print(const char *format, ...) {
  char text[512];
  __builtin_va_list values;
  __builtin_va_start(values, format);
  console_text(text, format_list(text, sizeof text, format, values));
  __builtin_va_end(values);
}

void report(const char *format, ...) {
  char text[256];
  __builtin_va_list values;
  __builtin_va_start(values, format);
  format_list(text, sizeof text, format, values);
  __builtin_va_end(values);
  for (const char *at = text; *at; at++) out8(0xe9, (u8)*at);
}

void panic(const char *why) {
  interrupts_off();
  print("\nkernel: %s\n", why);
  report("@panic %s\n", why);
  debug_exit(99);
  for (;;) __asm__ volatile("hlt");
}
