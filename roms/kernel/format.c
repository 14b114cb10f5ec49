// Numbers and strings as text, for kernel and programs alike.
#include "format.h"

struct buffer { char *at, *end; };

static void put(struct buffer *to, char c) {
  if (to->at < to->end) *to->at++ = c;
}

static void put_number(struct buffer *to, u32 value, u32 base, u32 width, char fill) {
  char digits[10];
  u32 count = 0;
  do digits[count++] = "0123456789abcdef"[value % base], value /= base;
  while (value);
  while (width > count) put(to, fill), width--;
  while (count) put(to, digits[--count]);
}

u32 format_list(char *text, u32 size, const char *format, __builtin_va_list values) {
  struct buffer buffer = {text, text + size - 1}, *to = &buffer;
  for (; *format; format++) {
    if (*format != '%') {
      put(to, *format);
      continue;
    }
    format++;
    const int left = *format == '-';
    if (left) format++;
    const char fill = *format == '0' ? '0' : ' ';
    u32 width = 0;
    for (; *format >= '0' && *format <= '9'; format++) width = width * 10 + (u32)(*format - '0');
    switch (*format) {
      case 's': {
        const char *text = __builtin_va_arg(values, const char *);
        const u32 length = strlen(text);
        if (!left)
          for (u32 i = length; i < width; i++) put(to, ' ');
        while (*text) put(to, *text++);
        if (left)
          for (u32 i = length; i < width; i++) put(to, ' ');
        break;
      }
      case 'c':
        put(to, (char)__builtin_va_arg(values, int));
        break;
      case 'd': {
        const s32 value = __builtin_va_arg(values, s32);
        if (value < 0) put(to, '-');
        put_number(to, value < 0 ? -(u32)value : (u32)value, 10, width, fill);
        break;
      }
      case 'u':
        put_number(to, __builtin_va_arg(values, u32), 10, width, fill);
        break;
      case 'x':
        put_number(to, __builtin_va_arg(values, u32), 16, width, fill);
        break;
      case '%':
        put(to, '%');
        break;
      default:
        break;
    }
  }
  *buffer.at = 0;
  return (u32)(buffer.at - text);
}
