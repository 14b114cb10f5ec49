// Measures Linux from inside, for `paravane bench virt --guest linux`: one static program without a C library, so that the
// same bytes run everywhere.
//
//   measure [only=NAME,NAME...] [percent=N] [disk=/dev/sda] [nic=eth0] [console=/dev/ttyS1]
#include "measure.h"

const char *disk_path, *nic_name, *console_path;
static const char *only;
static u32 percent = 100;

void *memset(void *to, int value, u32 count) {
  u8 *at = to;
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
  return to;
}
void *memcpy(void *to, const void *from, u32 count) {
  u8 *at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
  return to;
}
u32 text_length(const char *text) {
  u32 length = 0;
  while (text[length]) length++;
  return length;
}
int same_text(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void put(const char *text) {
  while (*text) out8(REPORT_PORT, (u8)*text++);
}
static void put_number(u32 value) {
  char text[12];
  u32 at = sizeof text;
  text[--at] = 0;
  do text[--at] = (char)('0' + value % 10), value /= 10;
  while (value);
  put(text + at);
}

void report(const char *a, const char *b, const char *c) { put(a), put(b), put(c), put("\n"); }
void report_begin(const char *name, u32 count, u32 bytes, const char *by) {
  put("@begin "), put(name), put(" count="), put_number(count), put(" bytes="), put_number(bytes), put(" by="), put(by), put("\n");
}
void report_end(const char *name, const char *wrong) {
  put("@end "), put(name), put(wrong ? " failed " : " ok"), put(wrong ? wrong : ""), put("\n");
}
void report_skip(const char *name, const char *why) { put("@skip "), put(name), put(" "), put(why), put("\n"); }

/** Named in only=, by its whole name or its beginning; everything without only=. */
static int wanted(const char *name) {
  if (!only) return 1;
  for (const char *at = only; *at;) {
    u32 i = 0;
    while (at[i] && at[i] != ',' && at[i] == name[i]) i++;
    if (i && (!at[i] || at[i] == ',')) return 1;
    while (*at && *at++ != ',') {
    }
  }
  return 0;
}

static void measure(const struct question *questions, u32 count) {
  for (u32 i = 0; i < count; i++) {
    const struct question *question = &questions[i];
    if (!wanted(question->name)) continue;
    const char *why = question->missing ? question->missing() : NULL;
    if (why) {
      report_skip(question->name, why);
      continue;
    }
    const u32 scaled = question->count * percent / 100, times = scaled ? scaled : 1;
    const int on_disk = question->name[0] == 'd', on_net = question->name[0] == 'n', on_console = question->name[0] == 'c';
    report_begin(question->name, times, question->bytes,
                 on_disk ? disk_path : on_net ? nic_name : on_console ? console_path : "kernel");
    report_end(question->name, question->run(question, times));
  }
}

static u32 number(const char *text) {
  u32 value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
  return value;
}

static const char *value_of(const char *argument, const char *name) {
  while (*name && *argument == *name) argument++, name++;
  return *name || *argument != '=' ? NULL : argument + 1;
}

__attribute__((used)) void start(u32 *stack) {
  char **arguments = (char **)(stack + 1);
  if (stack[0] > 1 && same_text(arguments[1], "nothing")) call3(SYS_exit, 42, 0, 0);
  for (u32 i = 1; i < stack[0]; i++) {
    const char *value;
    if ((value = value_of(arguments[i], "only"))) only = value;
    if ((value = value_of(arguments[i], "percent"))) percent = number(value);
    if ((value = value_of(arguments[i], "disk"))) disk_path = value;
    if ((value = value_of(arguments[i], "nic"))) nic_name = value;
    if ((value = value_of(arguments[i], "console"))) console_path = value;
  }
  if (percent < 1 || percent > 1000) percent = 100;
  if (call3(SYS_ioperm, REPORT_PORT, 1, 1) || call3(SYS_ioperm, MARK_PORT, 1, 1)) call3(SYS_exit, 3, 0, 0);
  report("@kernel", " form=linux", "");
  measure(process_questions, process_question_count);
  measure_clocks(wanted);
  measure(file_questions, file_question_count);
  measure(device_questions, device_question_count);
  call3(SYS_exit, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n  movl %esp, %eax\n  xorl %ebp, %ebp\n  andl $-16, %esp\n  subl $12, %esp\n  pushl %eax\n  call start\n");
