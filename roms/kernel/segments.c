// GDT, TSS and the registers of SYSENTER.
#include "segments.h"
#include "cpu.h"
#include "trap.h"

/** SDM 3A figure 8-2. The I/O permission bitmap lies beyond the limit: user mode has the ports that IOPL gives it. */
static struct PACKED {
  u32 link, esp0, ss0, unused[22];
  u16 trap, io_map;
} tss ALIGNED(128);

#define FLAT(access) (0x00cf00000000ffffULL | (u64)(access) << 40)
static u64 gdt[6] ALIGNED(8) = {0, FLAT(0x9b), FLAT(0x93), FLAT(0xfb), FLAT(0xf3), 0};

void segments_init(void) {
  const u32 base = (u32)&tss, limit = sizeof tss - 1;
  gdt[5] = limit | (u64)(base & 0xffffff) << 16 | (u64)0x89 << 40 | (u64)(base >> 24) << 56;
  tss.ss0 = KERNEL_DATA;
  tss.io_map = sizeof tss;
  struct PACKED { u16 limit; u32 base; } pointer = {sizeof gdt - 1, (u32)gdt};
  __asm__ volatile(
      "lgdt %0\n\t"
      "ljmp %1, $1f\n1:\n\t"
      "mov %2, %%ss\n\t"
      "mov %3, %%ds\n\tmov %3, %%es\n\tmov %3, %%fs\n\tmov %3, %%gs\n\t"
      "ltr %w4"
      : : "m"(pointer), "i"(KERNEL_CODE), "r"(KERNEL_DATA), "r"(USER_DATA), "r"(TASK_STATE) : "memory");
  if (has_sysenter()) {
    // The stack is found through the TSS: see sysenter_entry.
    write_msr(0x174 /* IA32_SYSENTER_CS */, KERNEL_CODE);
    write_msr(0x175 /* IA32_SYSENTER_ESP */, (u32)&tss.esp0);
    write_msr(0x176 /* IA32_SYSENTER_EIP */, (u32)sysenter_entry);
  }
}

void set_kernel_stack(u32 esp) { tss.esp0 = esp; }

int has_sysenter(void) { return cpuid(1).edx >> 11 & 1; }
