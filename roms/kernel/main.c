// The kernel from its entry to the first program: what each part needs is there before it.
#include "acpi.h"
#include "bench/bench.h"
#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "drivers/disk.h"
#include "drivers/hypercalls.h"
#include "drivers/nic.h"
#include "drivers/pci.h"
#include "drivers/testdev.h"
#include "drivers/uart.h"
#include "hypervisor.h"
#include "irq.h"
#include "paging.h"
#include "print.h"
#include "segments.h"
#include "show.h"
#include "task.h"
#include "trap.h"

#include "hypercalls.gen.h"

#define LOADER_MAGIC 0x2badb002
#define INFO_MEMORY 1
#define INFO_COMMAND_LINE 4
#define RAM_MAX (256u << 20)
#define RAM_DEFAULT (4u << 20)

void bench_console_init(void);

/** What the loader passed, without its options: commands for the shell, behind "--". */
char command_line[512];
static char options[512];

/** The value of `name=value`, or NULL; `value` is cut at the next blank and is valid until the next call. */
static const char *option(const char *name) {
  static char value[64];
  const u32 length = strlen(name);
  for (const char *at = options; *at;) {
    while (*at == ' ') at++;
    if (memcmp(at, name, length) == 0 && at[length] == '=') {
      u32 i = 0;
      for (at += length + 1; at[i] && at[i] != ' ' && i + 1 < sizeof value; i++) value[i] = at[i];
      value[i] = 0;
      return value;
    }
    while (*at && *at != ' ') at++;
  }
  return NULL;
}

static u32 number(const char *text) {
  u32 value = 0;
  for (; text && *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
  return value;
}

static void split_command_line(const char *from) {
  u32 i = 0;
  for (; *from && memcmp(from, "--", 3) != 0 && memcmp(from, "-- ", 3) != 0; from++)
    if (i + 1 < sizeof options) options[i++] = *from;
  if (*from) from += 2;
  for (i = 0; *from && i + 1 < sizeof command_line; i++) command_line[i] = *from++;
}

void main(u32 magic, const u32 *info) {
  u32 top = RAM_DEFAULT;
  if (magic == LOADER_MAGIC) {
    if (info[0] & INFO_MEMORY) top = (info[2] + 1024) * 1024; // KiB above 1 MiB
    if (info[0] & INFO_COMMAND_LINE) split_command_line((const char *)info[4]);
  }
  if (top > RAM_MAX) top = RAM_MAX;
  const char *form = option("virt");
  hypervisor_init(!form || strcmp(form, "full") != 0);
  bench_para = form ? strcmp(form, "para") == 0 : kvm_features != 0;
  const char *percent = option("percent");
  if (percent) bench_percent = number(percent);
  if (bench_percent < 1 || bench_percent > 1000) bench_percent = 100;

  segments_init();
  traps_init();
  console_init();
  frames_init(top);
  paging_init(top);
  acpi_init();
  irq_init(bench_para);
  clock_init();
  pci_init();
  ide_init();
  virtio_blk_init();
  hypercall_disk_init();
  virtio_net_init();
  rtl8139_init();
  bench_console_init();
  testdev_init();
  uart_start_input(&com1);
  if (bench_para && paravane_calls & HCF_CONSOLE) console_use(&hypercall_console);
  if (bench_para && paravane_calls & HCF_MMU) paging_use_hypercalls();
  show_machine();
  tick_start();
  tasks_run();
}
