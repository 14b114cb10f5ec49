#include "testdev.h"
#include "../cpu.h"
#include "../irq.h"
#include "../paging.h"
#include "../print.h"

#define REGISTER 0xe0
#define REGISTER_BYTES 0xe8
#define IRQ_PORT 0x2000
#define MEMORY 0xff000000u
#define MEMORY_BYTES 0x10000u
/** Not one that the benchmark or a device has. */
#define IRQ 7

static u32 tests, failed;
static volatile u32 interrupts;

void testdev_init(void) { map_device(MEMORY, MEMORY_BYTES); }

static void check(const char *name, int right) {
  print("%s: %s\n", right ? "PASS" : "FAIL", name);
  tests++;
  failed += !right;
}

static void on_interrupt(void *unused) {
  (void)unused;
  interrupts++;
  out8(IRQ_PORT + IRQ, 0);
}

unsigned testdev_check(void) {
  static int attached;
  tests = failed = 0;
  out32(REGISTER, 0x12345678);
  check("testdev: a register of 32 bits", in32(REGISTER) == 0x12345678);
  out8(REGISTER, 0xab);
  check("testdev: 8 and 16 bits of it", in8(REGISTER) == 0xab && in16(REGISTER) == 0x56ab);
  volatile u32 *memory = (volatile u32 *)MEMORY;
  int right = 1;
  for (u32 i = 0; i < MEMORY_BYTES / 4; i += 1021) memory[i] = i * 3 + 1;
  for (u32 i = 0; i < MEMORY_BYTES / 4; i += 1021) right &= memory[i] == i * 3 + 1;
  check("testdev: memory", right);
  if (!attached) attached = 1, irq_attach(IRQ, on_interrupt, NULL);
  interrupts = 0;
  for (u32 i = 0; i < 10; i++) {
    out8(IRQ_PORT + IRQ, 1);
    for (u32 patience = 0; interrupts == i && patience < 10000; patience++) interrupts_once();
  }
  check("testdev: interrupts", interrupts == 10);
  print("SUMMARY: %u tests%s", tests, failed ? "" : "\n");
  if (failed) print(", %u unexpected failures\n", failed);
  return failed;
}
