// KVM's paravirtual interface: what guest and hypervisor share in guest memory, and hypercalls.
// Linux Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst, include/uapi/asm/{kvm_para,pvclock-abi}.h.

/** Bit 0 of the MSRs that hold the address of a shared structure. */
export const KVM_MSR_ENABLED = 1;

// ---------------------------------------------------------------- time page (struct pvclock_vcpu_time_info), bytes
export const PVCLOCK_VERSION = 0; // u32, odd while it is being written
export const PVCLOCK_TSC_TIMESTAMP = 8; // u64
export const PVCLOCK_SYSTEM_TIME = 16; // u64 ns
export const PVCLOCK_TSC_TO_SYSTEM_MUL = 24; // u32
export const PVCLOCK_TSC_SHIFT = 28; // i8
export const PVCLOCK_FLAGS = 29; // u8
export const PVCLOCK_SIZE = 32;
/** One time for all vCPUs: readers need not keep it from going back between them. */
export const PVCLOCK_TSC_STABLE = 1;
/** The host stopped the guest: its watchdogs should not bark. Cleared by the guest. */
export const PVCLOCK_GUEST_STOPPED = 2;

// ---------------------------------------------------------------- wall clock (struct pvclock_wall_clock)
export const WALL_CLOCK_VERSION = 0; // u32
export const WALL_CLOCK_SECONDS = 4; // u32 seconds since 1970 at system time 0
export const WALL_CLOCK_NANOSECONDS = 8; // u32
export const WALL_CLOCK_SIZE = 12;

// ---------------------------------------------------------------- steal time (struct kvm_steal_time)
export const STEAL_TIME_STEAL = 0; // u64 ns
export const STEAL_TIME_VERSION = 8; // u32
export const STEAL_TIME_FLAGS = 12; // u32, always 0
export const STEAL_TIME_PREEMPTED = 16; // u8
export const STEAL_TIME_SIZE = 64;
export const STEAL_TIME_RESERVED = 0x3e;
export const PREEMPTED = 1;

// ---------------------------------------------------------------- hypercalls
export const KVM_HC_VAPIC_POLL_IRQ = 1;
export const KVM_EPERM = 1;
export const KVM_ENOSYS = 1000;
