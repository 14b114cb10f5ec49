// Paravane's own hypercalls, for guests that are written for it: numbers, CPUID leaves, bits and errors. Described in
// docs/HYPERCALLS.md; tools/gen-hypercalls.ts makes roms/lib/hypercalls.gen.inc, which ROMs include, from this file.
// KVM's hypercalls keep KVM's numbers (paravirt.ts); these begin where KVM has none.

/** First leaf of ours: EAX highest leaf, EBX ECX EDX the signature. KVM's leaves stay at 40000000h. */
export const HC_LEAF = 0x40000100;
/** EAX: HCF_*; EBX: HC_ABI; ECX: ISA IRQ of console input. */
export const HC_LEAF_FEATURES = 0x40000101;
/** Version of the interface; a change that old guests would notice makes it one higher. */
export const HC_ABI = 1;

// ---------------------------------------------------------------- bits of EAX of HC_LEAF_FEATURES
export const HCF_CONSOLE = 0x1;
export const HCF_YIELD = 0x2;
export const HCF_EXIT = 0x4;
export const HCF_CLOCK = 0x8;
export const HCF_MMU = 0x10;
export const HCF_BLOCK = 0x20;
/** Any of them: HC_EMPTY is there. */
export const HCF_PRESENT = 0x80000000;

// ---------------------------------------------------------------- numbers (EAX)
/** Nothing. EBX = 0: answered by the core; EBX = 1: by the hypervisor, a whole VM exit. */
export const HC_EMPTY = 0x50560000;
/** EBX physical address of bytes, ECX how many, at most HC_CONSOLE_MAX. Gives how many were written. */
export const HC_CONSOLE_WRITE = 0x50560001;
/** EBX physical address of room, ECX bytes of it. Gives how many came, 0 when none are there. */
export const HC_CONSOLE_READ = 0x50560002;
/** Others may run now. */
export const HC_YIELD = 0x50560003;
/** EBX v: ends the VM as a write of v to the debug-exit port does, with code (v << 1) | 1. */
export const HC_EXIT = 0x50560004;
/** EBX HC_CLOCK_*. Gives 0, and nanoseconds in EDX:ECX. */
export const HC_CLOCK = 0x50560005;
/** EBX physical address of a root table, ECX levels: 2 (page directory) or 3 (PAE, page-directory-pointer table). */
export const HC_MMU_PIN = 0x50560008;
/** EBX physical address of a pinned root. */
export const HC_MMU_UNPIN = 0x50560009;
/** EBX physical address of a batch, ECX how many items (1 to HC_MMU_BATCH_MAX), EDX bytes of an entry: 4 or 8. Gives how many were done. */
export const HC_MMU_UPDATE = 0x5056000a;
/** EBX drive, ECX physical address of HC_BLOCK_INFO_SIZE bytes: u64 sectors, u32 flags (1 = read only), u32 0. */
export const HC_BLOCK_INFO = 0x50560010;
/** EBX drive, ECX physical address, EDX sector (EDI its upper half), ESI sectors (1 to HC_BLOCK_MAX). */
export const HC_BLOCK_READ = 0x50560011;
export const HC_BLOCK_WRITE = 0x50560012;
/** EBX drive: what was written before survives a crash of the host. */
export const HC_BLOCK_FLUSH = 0x50560013;

/** Numbers of ours have these upper 16 bits. */
export const HC_RANGE = 0x5056;

/** EBX of HC_CLOCK: since power-on; since 1970. */
export const HC_CLOCK_MONOTONIC = 0;
export const HC_CLOCK_WALL = 1;

// ---------------------------------------------------------------- sizes
export const HC_CONSOLE_MAX = 4096;
export const HC_MMU_BATCH_MAX = 512;
export const HC_MMU_PINS_MAX = 1023;
export const HC_BLOCK_MAX = 256;
export const HC_BLOCK_INFO_SIZE = 16;
export const HC_SECTOR_SIZE = 512;
/** ISA IRQ that is raised when console input arrives at an empty queue. */
export const HC_CONSOLE_IRQ = 5;

// ---------------------------------------------------------------- errors: EAX is the negative of one (Linux's numbers, KVM_ENOSYS)
export const HC_EPERM = 1;
export const HC_EIO = 5;
export const HC_ENOMEM = 12;
export const HC_EFAULT = 14;
export const HC_EBUSY = 16;
export const HC_ENODEV = 19;
export const HC_EINVAL = 22;
export const HC_EROFS = 30;
export const HC_ENOSYS = 1000;
