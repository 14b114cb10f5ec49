// clock_gettime by each of the kernel's clock sources.
#include "measure.h"

#define FOLDER "/sys/devices/system/clocksource/clocksource0/"
#define READS 20000

static long read_file(const char *path, char *text, u32 size) {
  const long file = call3(SYS_open, (long)path, O_RDONLY, 0);
  if (file < 0) return -1;
  const long bytes = call3(SYS_read, file, (long)text, (long)size - 1);
  call3(SYS_close, file, 0, 0);
  text[bytes < 0 ? 0 : bytes] = 0;
  return bytes;
}

static int choose(const char *source) {
  char now[64];
  const long file = call3(SYS_open, (long)(FOLDER "current_clocksource"), O_WRONLY, 0);
  if (file < 0) return 0;
  call3(SYS_write, file, (long)source, (long)text_length(source));
  call3(SYS_close, file, 0, 0);
  const long bytes = read_file(FOLDER "current_clocksource", now, sizeof now);
  if (bytes <= 0) return 0;
  now[bytes - 1] = 0; // its line end
  return same_text(now, source);
}

static const char *read_clock(void) {
  int last[2] = {0}, now[2];
  u32 back = 0, changes = 0;
  mark_begin();
  for (u32 i = 0; i < READS; i++) {
    call3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)now, 0);
    back += now[0] < last[0] || (now[0] == last[0] && now[1] < last[1]);
    changes += now[1] != last[1];
    last[0] = now[0], last[1] = now[1];
  }
  mark_end();
  return back ? "the time went back" : changes < 2 ? "the time stands still" : NULL;
}

void measure_clocks(int (*wanted)(const char *name)) {
  char sources[256], first[64], name[64] = "linux-clock-";
  const u32 prefix = text_length(name);
  if (read_file(FOLDER "available_clocksource", sources, sizeof sources) <= 0) return;
  const long bytes = read_file(FOLDER "current_clocksource", first, sizeof first);
  if (bytes > 0) first[bytes - 1] = 0;
  for (char *at = sources; *at;) {
    u32 length = 0;
    while (at[length] > ' ') length++;
    const char end = at[length];
    at[length] = 0;
    if (length && prefix + length < sizeof name) {
      memcpy(name + prefix, at, length + 1);
      if (wanted(name)) {
        if (choose(at)) {
          report_begin(name, READS, 0, at);
          report_end(name, read_clock());
        } else report_skip(name, "the kernel does not take it");
      }
    }
    at += length + (end != 0);
  }
  choose(first);
}
