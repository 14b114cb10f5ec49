#include "acpi.h"
#include "cpu.h"
#include "paging.h"
#include "power.h"

#define PM_TIMER_BLOCK 76
#define PM1A_CONTROL_BLOCK 64
#define DSDT 40
#define HPET_ADDRESS 44
#define FLAGS 112
#define FLAG_TIMER_32 (1u << 8)

u16 pm_timer_port;
int pm_timer_wide;
u32 hpet_address;
static u16 pm1a_control;
static u8 sleep_type = 0xff;

static u32 field(u32 table, u32 offset) { return *(u32 *)(table + offset); }
static int readable(u32 address) { return address >= PAGE && address < frame_count() * PAGE; }

static u32 find_rsdp(void) {
  for (u32 at = 0xe0000; at < 0x100000; at += 16)
    if (memcmp((void *)at, "RSD PTR ", 8) == 0) return at;
  return 0;
}

/** The first value of the package \_S5 in the DSDT: what PM1_CNT.SLP_TYP must be. */
static void find_sleep_type(u32 dsdt) {
  if (!readable(dsdt)) return;
  const u8 *bytes = (const u8 *)dsdt;
  const u32 length = field(dsdt, 4);
  for (u32 i = 36; i + 12 < length; i++) {
    if (memcmp(bytes + i, "_S5_", 4) != 0 || bytes[i + 4] != 0x12 /* PackageOp */) continue;
    const u8 *value = bytes + i + 5 + 1 + (bytes[i + 5] >> 6) + 1; // PkgLength, NumElements
    if (*value == 0x0a /* BytePrefix */) value++;
    sleep_type = *value;
    return;
  }
}

void acpi_init(void) {
  const u32 rsdp = find_rsdp();
  if (!rsdp || !readable(field(rsdp, 16))) return;
  const u32 rsdt = field(rsdp, 16), length = field(rsdt, 4);
  for (u32 offset = 36; offset + 4 <= length; offset += 4) {
    const u32 table = field(rsdt, offset);
    if (!readable(table)) continue;
    if (memcmp((void *)table, "HPET", 4) == 0) hpet_address = field(table, HPET_ADDRESS);
    if (memcmp((void *)table, "FACP", 4) != 0) continue;
    pm_timer_port = (u16)field(table, PM_TIMER_BLOCK);
    pm_timer_wide = (field(table, FLAGS) & FLAG_TIMER_32) != 0;
    pm1a_control = (u16)field(table, PM1A_CONTROL_BLOCK);
    find_sleep_type(field(table, DSDT));
  }
}

void power_off(void) {
  if (pm1a_control && sleep_type != 0xff) out16(pm1a_control, (u16)(sleep_type << 10 | 1 << 13));
}

void debug_exit(u32 code) { out32(0xf4, code); }

void reboot(void) {
  out8(0x64, 0xfe); // the keyboard controller pulses the reset line
  const struct PACKED { u16 limit; u32 base; } none = {0, 0};
  __asm__ volatile("lidt %0\n\tint3" : : "m"(none));
  for (;;) __asm__ volatile("hlt");
}
