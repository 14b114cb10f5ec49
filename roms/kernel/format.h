// Formatted text: %s %c %d %u %x, with a width, a leading 0 and, for %s, a minus.
#pragma once
#include "types.h"

/** Into a buffer, cut to it, always terminated; the length. */
u32 format_list(char *text, u32 size, const char *format, __builtin_va_list values);
