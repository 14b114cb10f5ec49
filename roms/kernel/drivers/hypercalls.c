#include "hypercalls.h"
#include "../cpu.h"
#include "../hypervisor.h"
#include "disk.h"

#include "hypercalls.gen.h"

static void write(const u8 *bytes, u32 count) {
  while (count) {
    const u32 now = count < HC_CONSOLE_MAX ? count : HC_CONSOLE_MAX;
    const s32 done = hypercall(HC_CONSOLE_WRITE, (u32)bytes, now, 0, 0);
    if (done <= 0) return;
    bytes += done;
    count -= (u32)done;
  }
}
const struct console_driver hypercall_console = {"hypercall", write};

u64 hypercall_clock_ns(void) {
  u32 nr = HC_CLOCK, low, high;
  __asm__ volatile("vmcall" : "+a"(nr), "=c"(low), "=d"(high) : "b"(HC_CLOCK_MONOTONIC) : "memory");
  return (u64)high << 32 | low;
}

const struct disk *hypercall_disk;
static struct disk disk;

static int transfer(u32 sector, u32 count, void *memory, int out) {
  s32 result;
  // The sector's upper half is in EDI, where it is 0.
  __asm__ volatile("vmcall"
                   : "=a"(result)
                   : "a"(out ? HC_BLOCK_WRITE : HC_BLOCK_READ), "b"(0), "c"((u32)memory), "d"(sector), "S"(count), "D"(0)
                   : "memory");
  return result == 0;
}

void hypercall_disk_init(void) {
  if (!(paravane_calls & HCF_BLOCK)) return;
  static struct { u64 sectors; u32 flags, zero; } info;
  if (hypercall(HC_BLOCK_INFO, 0, (u32)&info, 0, 0) != 0) return;
  disk = (struct disk){"hypercalls", info.sectors >> 32 ? 0xffffffff : (u32)info.sectors, transfer};
  hypercall_disk = &disk;
}
