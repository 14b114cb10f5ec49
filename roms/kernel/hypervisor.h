// What a hypervisor offers: KVM's interface (CPUID 4000_0000h, see docs/PARAVIRT.md) and Paravane's own hypercalls
// (docs/HYPERCALLS.md). On a bare machine everything here says no.
#pragma once
#include "types.h"

/** Looks what is there; `use` 0: as if nothing were. Before interrupts and clocks are set up. */
void hypervisor_init(int use);
/** VMCALL exists, whether it is used or not. */
extern int vmcall_present;
/** KVM's features (CPUID 4000_0001h EAX) that are used. */
extern u32 kvm_features;
#define KVM_CLOCK (1u << 3)
#define KVM_PV_EOI (1u << 6)

/** Paravane's own calls (HCF_*) that are used. */
extern u32 paravane_calls;

void pv_eoi_init(void);
int pv_eoi_on(void);
/** The hypervisor takes the end of this interrupt from memory: no EOI is to be written. */
int pv_eoi_done(void);

void kvm_clock_init(void);
int kvm_clock_on(void);
u64 kvm_clock_ns(void);
