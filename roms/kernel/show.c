#include "show.h"
#include "abi.h"
#include "bench/bench.h"
#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "drivers/disk.h"
#include "drivers/nic.h"
#include "drivers/pci.h"
#include "drivers/testdev.h"
#include "hypervisor.h"
#include "irq.h"
#include "paging.h"
#include "print.h"
#include "task.h"

static const char *const states[] = {"free", "ready", "waits", "sleeps", "reads", "ended"};

static void show_tasks(void) {
  print("  pid parent state   ticks name\n");
  for (u32 i = 0; i < TASKS; i++) {
    const struct task *task = &task_table[i];
    if (task->state == TASK_FREE) continue;
    print("%5u %6u %-6s %6u %s\n", task->pid, task->parent, task == current ? "runs" : states[task->state], task->ticks,
          task->name);
  }
}

static void show_cpu(void) {
  static const char *const flags[32] = {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep",
      "mtrr", "pge", "mca", "cmov", "pat", "pse36", NULL, "clflush", NULL, NULL, NULL, "mmx", "fxsr", "sse", "sse2"};
  char text[13] = "";
  const struct cpuid vendor = cpuid(0), basic = cpuid(1);
  memcpy(text, &vendor.ebx, 4);
  memcpy(text + 4, &vendor.edx, 4);
  memcpy(text + 8, &vendor.ecx, 4);
  print("vendor      %s, family %u model %u stepping %u\nfeatures   ", text, basic.eax >> 8 & 15,
        (basic.eax >> 4 & 15) | (basic.eax >> 12 & 0xf0), basic.eax & 15);
  for (u32 i = 0; i < 32; i++)
    if (flags[i] && basic.edx >> i & 1) print(" %s", flags[i]);
  print("\n");
  if (basic.ecx >> 31) {
    const struct cpuid top = cpuid(0x40000000);
    memcpy(text, &top.ebx, 4);
    memcpy(text + 4, &top.ecx, 4);
    memcpy(text + 8, &top.edx, 4);
    print("hypervisor  %s, features %08x; hypercalls %02x\n", text, kvm_features, paravane_calls);
  }
  if (tsc_khz) print("TSC         %u.%03u MHz\n", tsc_khz / 1000, tsc_khz % 1000);
  print("CR3         %08x\n", read_cr3());
}

static void show_memory(void) {
  print("%u KiB, %u KiB free; page tables by %s\n", frame_count() * 4, frames_free() * 4,
        tables == &native_tables ? "stores" : tables->name);
}

static void show_devices(void) {
  for (u32 i = 0; i < pci_count; i++)
    print("00:%02x.%u  %04x:%04x  class %06x\n", pci_functions[i].slot, pci_functions[i].function, pci_functions[i].vendor,
          pci_functions[i].device, pci_functions[i].class);
  const struct disk *const disks[] = {ide_pio_disk, ide_dma_disk, virtio_disk, hypercall_disk};
  for (u32 i = 0; i < COUNT(disks); i++)
    if (disks[i]) print("disk     %s, %u KiB\n", disks[i]->name, disks[i]->sectors / 2);
  const struct nic *const nics[] = {rtl8139_nic, virtio_nic};
  for (u32 i = 0; i < COUNT(nics); i++)
    if (nics[i])
      print("network  %s, %02x:%02x:%02x:%02x:%02x:%02x\n", nics[i]->name, nics[i]->mac[0], nics[i]->mac[1], nics[i]->mac[2],
            nics[i]->mac[3], nics[i]->mac[4], nics[i]->mac[5]);
  print("console  %s\n", console->name);
}

static void show_interrupts(void) {
  print("by %s\n", irq_controller());
  for (u32 i = 0; i < COUNT(interrupt_counts); i++)
    if (interrupt_counts[i]) print("vector %02x  %u\n", i, interrupt_counts[i]);
}

static void show_date(void) {
  struct date date;
  read_rtc(&date);
  u32 rest;
  const u32 seconds = (u32)div64(clock_ns(), 1000000000, &rest);
  print("%04u-%02u-%02u %02u:%02u:%02u; up %u.%02u s by %s, %u ticks\n", date.year, date.month, date.day, date.hour, date.minute,
        date.second, seconds, rest / 10000000, clock_name(), ticks);
}

int show(u32 what) {
  switch (what) {
    case SHOW_TASKS: show_tasks(); return 1;
    case SHOW_CPU: show_cpu(); return 1;
    case SHOW_MEMORY: show_memory(); return 1;
    case SHOW_DEVICES: show_devices(); return 1;
    case SHOW_INTERRUPTS: show_interrupts(); return 1;
    case SHOW_DATE: show_date(); return 1;
    case SHOW_BENCHMARKS: bench_list(); return 1;
    case SHOW_TEST_DEVICE: return testdev_check() == 0;
    default: return 0;
  }
}

void show_machine(void) {
  const char *disk = bench_para && virtio_disk ? virtio_disk->name : ide_dma_disk ? ide_dma_disk->name : "none";
  const char *nic = bench_para && virtio_nic ? virtio_nic->name : rtl8139_nic ? rtl8139_nic->name : "none";
  print("Paravane kernel: a small 32-bit system to look around in and to measure with\n\n");
  print("Driven     %s\n", bench_para ? "as a paravirtualized guest" : "as a plain PC");
  print("Memory     %u KiB, page tables by %s\n", frame_count() * 4, tables == &native_tables ? "stores" : tables->name);
  print("Interrupts %s\nClock      %s\nConsole    %s\nDisk       %s\nNetwork    %s\n\n", irq_controller(), clock_name(),
        console->name, disk, nic);
  report("@kernel version=1 form=%s tables=%s irq=%s clock=%s disk=%s nic=%s\n", bench_para ? "para" : "full", tables->name,
         irq_controller(), clock_name(), disk, nic);
}
