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

// ---------------------------------------------------------------- asynchronous page faults (struct kvm_vcpu_pv_apf_data)
export const ASYNC_PF_FLAGS = 0; // u32, set before #PF, cleared by the guest
export const ASYNC_PF_TOKEN = 4; // u32, set before the interrupt, cleared by the guest
export const ASYNC_PF_SIZE = 64;
export const ASYNC_PF_NOT_PRESENT = 1; // in ASYNC_PF_FLAGS: CR2 is a token
/** In MSR_KVM_ASYNC_PF_EN, beside KVM_MSR_ENABLED. SEND_ALWAYS allows events below CPL 3 as well; none is ever sent there. */
export const ASYNC_PF_BY_INTERRUPT = 8;
export const ASYNC_PF_RESERVED = 0x34; // with the bit for nested guests
/** A token for everybody who waits. */
export const ASYNC_PF_ALL = 0xffffffff;

// ---------------------------------------------------------------- hypercalls
export const KVM_HC_VAPIC_POLL_IRQ = 1;
export const KVM_EPERM = 1;
export const KVM_ENOSYS = 1000;
