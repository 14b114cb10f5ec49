#include "hypervisor.h"
#include "cpu.h"

#include "hypercalls.gen.h"

#define HYPERVISOR_LEAF 0x40000000u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define MSR_KVM_PV_EOI 0x4b564d04u

int vmcall_present;
u32 kvm_features, paravane_calls;

/** struct pvclock_vcpu_time_info of Linux. */
static volatile struct {
  u32 version, pad;
  u64 tsc, system_ns;
  u32 multiplier;
  signed char shift;
  u8 flags, pad2[2];
} time_page ALIGNED(32);
static u32 eoi_word ALIGNED(4);
static int clock_on, eoi_on;

void hypervisor_init(int use) {
  const struct cpuid basic = cpuid(1);
  if (!(basic.ecx >> 31)) return;
  const struct cpuid top = cpuid(HYPERVISOR_LEAF);
  if (top.ebx != 0x4b4d564b || top.ecx != 0x564b4d56 || top.edx != 0x4d) return; // "KVMKVMKVM"
  vmcall_present = 1;
  if (!use) return;
  kvm_features = cpuid(HYPERVISOR_LEAF + 1).eax;
  const struct cpuid own = cpuid(HC_LEAF);
  if (own.eax >= HC_LEAF_FEATURES && own.ebx == 0x61726150 && own.ecx == 0x656e6176 && own.edx == 0x004d4d56) // "ParavaneVMM"
    paravane_calls = cpuid(HC_LEAF_FEATURES).eax;
}

void pv_eoi_init(void) {
  if (!(kvm_features & KVM_PV_EOI)) return;
  write_msr(MSR_KVM_PV_EOI, (u32)&eoi_word | 1);
  eoi_on = 1;
}

int pv_eoi_on(void) { return eoi_on; }

int pv_eoi_done(void) {
  if (!eoi_on) return 0;
  int was;
  __asm__ volatile("btrl $0, %1" : "=@ccc"(was), "+m"(eoi_word) : : "memory");
  return was;
}

void kvm_clock_init(void) {
  if (!(kvm_features & KVM_CLOCK)) return;
  write_msr(MSR_KVM_SYSTEM_TIME, (u32)&time_page | 1);
  clock_on = time_page.multiplier != 0;
}

int kvm_clock_on(void) { return clock_on; }

u64 kvm_clock_ns(void) {
  u32 version;
  u64 ns;
  do {
    version = time_page.version & ~1u;
    barrier();
    u64 delta = read_tsc() - time_page.tsc;
    const u32 multiplier = time_page.multiplier;
    if (time_page.shift < 0) delta >>= -time_page.shift;
    else delta <<= time_page.shift;
    ns = (u64)(u32)delta * multiplier >> 32;
    ns += (delta >> 32) * multiplier;
    ns += time_page.system_ns;
    barrier();
  } while (version != time_page.version);
  return ns;
}
