#include "clock.h"
#include "acpi.h"
#include "cpu.h"
#include "hypervisor.h"
#include "paging.h"

// IA-PC HPET specification 1.0a, 2.3.
#define HPET_CONFIGURATION 0x10
#define HPET_ENABLE 1u
#define HPET_COUNTER 0xf0
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define PIT_HZ 1193182u
/** 2 ms: each look at the port may be an exit. */
#define CALIBRATIONS_A_SECOND 500
#define CALIBRATION_COUNTS (PIT_HZ / CALIBRATIONS_A_SECOND)

u32 tsc_khz;
static volatile u32 *hpet;
static u64 tsc_base;

/** The TSC's rate by channel 2 of the 8254, whose output port 61h shows. */
static u32 measure_tsc(void) {
  out8(0x61, (u8)((in8(0x61) & ~2) | 1));
  out8(0x43, 0xb0); // channel 2, mode 0
  out8(0x42, (u8)CALIBRATION_COUNTS);
  out8(0x42, (u8)(CALIBRATION_COUNTS >> 8));
  const u64 start = read_tsc();
  while (!(in8(0x61) & 0x20)) {
  }
  return (u32)(read_tsc() - start) / (1000 / CALIBRATIONS_A_SECOND);
}

void clock_init(void) {
  kvm_clock_init();
  tsc_khz = kvm_clock_on() ? 0 : measure_tsc();
  tsc_base = read_tsc();
  if (!hpet_address) return;
  map_device(hpet_address, PAGE);
  hpet = (volatile u32 *)hpet_address;
  hpet[HPET_CONFIGURATION / 4] |= HPET_ENABLE;
}

const char *clock_name(void) { return kvm_clock_on() ? "kvm-clock" : "TSC"; }

u64 clock_ns(void) {
  if (kvm_clock_on()) return kvm_clock_ns();
  u32 rest;
  const u64 ms = div64(read_tsc() - tsc_base, tsc_khz, &rest);
  return ms * 1000000 + div64((u64)rest * 1000000, tsc_khz, NULL);
}

u32 read_pit(void) {
  out8(0x43, 0);
  const u32 low = in8(0x40);
  return low | (u32)in8(0x40) << 8;
}

int has_pm_timer(void) { return pm_timer_port != 0; }
u32 read_pm_timer(void) { return in32(pm_timer_port); }

int has_hpet(void) { return hpet != NULL; }
u32 read_hpet(void) { return hpet[HPET_COUNTER / 4]; }

static u8 cmos(u8 index) {
  out8(CMOS_INDEX, index);
  return in8(CMOS_DATA);
}

static u32 decimal(u8 value, int binary) { return binary ? value : (u32)(value >> 4) * 10 + (value & 15); }

void read_rtc(struct date *date) {
  static const u8 registers[] = {0, 2, 4, 7, 8, 9, 0x32};
  u8 raw[COUNT(registers)];
  do {
    while (cmos(0x0a) & 0x80) {
    }
    for (u32 i = 0; i < COUNT(registers); i++) raw[i] = cmos(registers[i]);
  } while (cmos(0) != raw[0]);
  const int binary = cmos(0x0b) >> 2 & 1;
  date->second = decimal(raw[0], binary);
  date->minute = decimal(raw[1], binary);
  date->hour = decimal(raw[2], binary);
  date->day = decimal(raw[3], binary);
  date->month = decimal(raw[4], binary);
  date->year = decimal(raw[6], binary) * 100 + decimal(raw[5], binary);
}
