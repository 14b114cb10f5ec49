// Bytes to a console that nobody reads meanwhile: COM2 of the full set, virtio of the para set, and hypercalls.
#include "bench.h"
#include "../drivers/hypercalls.h"
#include "../drivers/uart.h"
#include "../drivers/virtio_console.h"
#include "../hypervisor.h"

#include "hypercalls.gen.h"

static int virtio_ready;
void bench_console_init(void) { virtio_ready = virtio_console_init(); }

static int use_virtio(void) { return virtio_ready && (bench_para || !com2.present); }
static const char *no_console(void) {
  if (!com2.present) uart_init(&com2);
  return use_virtio() || com2.present ? NULL : "no COM2 and no virtio console";
}
static const char *by_console(void) { return use_virtio() ? "virtio-console" : "16550"; }
static const char *no_calls(void) { return paravane_calls & HCF_CONSOLE ? NULL : "no hypercalls, or not to be used"; }
static const char *by_calls(void) { return hypercall_console.name; }

static void write_com2(const u8 *bytes, u32 count) { uart_write(&com2, bytes, count); }

static const char *print_lines(void (*write)(const u8 *, u32), u32 bytes, u32 count) {
  u8 line[256];
  for (u32 i = 0; i < bytes; i++) line[i] = (u8)('a' + i % 26);
  line[bytes - 1] = '\n';
  mark_begin();
  for (u32 i = 0; i < count; i++) write(line, bytes);
  mark_end();
  return NULL;
}
static const char *run(const struct bench *bench, u32 count) {
  return print_lines(use_virtio() ? virtio_console.write : write_com2, bench->bytes, count);
}
/** They go where those of COM1 go: NUL bytes, which no terminal shows. */
static const char *run_call(const struct bench *bench, u32 count) {
  u8 nothing[256] = {0};
  mark_begin();
  for (u32 i = 0; i < count; i++) hypercall_console.write(nothing, bench->bytes);
  mark_end();
  return NULL;
}

const struct bench console_benches[] = {
    {"console-line", "a line of 80 bytes on a console", 400, 80, 0, no_console, by_console, run},
    {"console-byte", "a single byte on a console", 2000, 1, 0, no_console, by_console, run},
    {"console-call-line", "80 bytes by hypercall", 400, 80, 0, no_calls, by_calls, run_call},
    {"console-call-byte", "one byte by hypercall", 2000, 1, 0, no_calls, by_calls, run_call},
};
const u32 console_bench_count = COUNT(console_benches);
