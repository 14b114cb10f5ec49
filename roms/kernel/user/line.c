// Editing a line: backspace, Ctrl-U, Ctrl-C, Ctrl-L, and the lines before by the arrow keys.
#include "system.h"

#define LINES 8
#define LINE_BYTES 160

static char history[LINES][LINE_BYTES];
static u32 written;

static void show(const char *line, u32 old_length) {
  const u32 length = strlen(line);
  for (u32 i = 0; i < old_length; i++) write("\b", 1);
  write(line, length);
  for (u32 i = length; i < old_length; i++) write(" ", 1);
  for (u32 i = length; i < old_length; i++) write("\b", 1);
}

void read_line(char *line, u32 size) {
  u32 length = 0, back = 0, escape = 0;
  line[0] = 0;
  if (size > LINE_BYTES) size = LINE_BYTES;
  for (;;) {
    char c;
    if (read(&c, 1) != 1) continue;
    const u32 before = length;
    if (escape == 1) {
      escape = c == '[' ? 2 : 0;
      continue;
    }
    if (escape == 2) {
      if (c >= '0' && c <= '9') continue;
      escape = 0;
      if (c == 'A' && back < written && back < LINES) back++;
      else if (c == 'B' && back > 0) back--;
      else continue;
      memcpy(line, back ? history[(written - back) % LINES] : "", LINE_BYTES);
      if (!back) line[0] = 0;
      length = strlen(line);
      show(line, before);
      continue;
    }
    switch (c) {
      case 0x1b: escape = 1; break;
      case '\r':
      case '\n':
        write("\n", 1);
        if (length) memcpy(history[written++ % LINES], line, LINE_BYTES);
        return;
      case 0x7f:
      case '\b':
        if (length) line[--length] = 0, write("\b \b", 3);
        break;
      case 3:
        write("^C\n", 3);
        line[0] = 0;
        return;
      case 0x15:
        length = 0;
        line[0] = 0;
        show(line, before);
        break;
      default:
        if ((u8)c < ' ' || length + 1 >= size) break;
        line[length++] = c;
        line[length] = 0;
        write(&c, 1);
    }
  }
}
