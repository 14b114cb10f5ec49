#include "../format.h"
#include "system.h"

void say(const char *format, ...) {
  char text[256];
  __builtin_va_list values;
  __builtin_va_start(values, format);
  write(text, format_list(text, sizeof text, format, values));
  __builtin_va_end(values);
}

u32 parse_number(const char *text, u32 otherwise) {
  if (*text < '0' || *text > '9') return otherwise;
  u32 value = 0;
  if (text[0] == '0' && text[1] == 'x') {
    for (text += 2;; text++) {
      const char digit = *text | 0x20;
      if (digit >= '0' && digit <= '9') value = value * 16 + (u32)(digit - '0');
      else if (digit >= 'a' && digit <= 'f') value = value * 16 + (u32)(digit - 'a' + 10);
      else return value;
    }
  }
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
  return value;
}
