// Where everything that a VM is lies in its memory. Read by both sides: `assembly/` (as compile-time
// constants) and `src/` (typed views). All offsets and sizes in bytes; all fields little endian.
// Names follow the Intel SDM and struct kvm_* of Linux.

// ---------------------------------------------------------------- the memory of one VM, lowest first
/** Static data of the Wasm module (tables); read only after instantiation. */
export const STATIC_DATA_BASE = 0x400;
export const STATIC_DATA_END = 0x30000;
/** A TLB that never hits; see assembly/cpu/fault.ts. */
export const TLB_NULL = 0x30000;
/** VM header: format, layout, clock; see VM_*. */
export const VM_BASE = 0x40000;
/** Chipset block: both 8259s, 8254, I/O APIC; see assembly/irq and assembly/time. */
export const CHIPSET_BASE = 0x41000;
export const CHIPSET_SIZE = 0x1000;
/** Memory slots, as KVM_SET_USER_MEMORY_REGION knows them; see SLOT_*. */
export const SLOTS_BASE = 0x42000;
export const SLOTS_MAX = 64;
/** The first vCPU block; block n is at VCPU_BASE + n * VCPU_STRIDE. */
export const VCPU_BASE = 0x50000;
export const VCPU_STRIDE = 0x10000;
export const VCPU_MAX = 8;
/** Derived state (TLBs, decoded blocks, page flags), then guest RAM: the host chooses; see VM_*. */
export const DERIVED_BASE = 0xd0000;

// ---------------------------------------------------------------- VM header (VM_BASE + ...)
export const VM_FORMAT = 0x00; // u32 format version
export const VM_VCPU_COUNT = 0x04; // u32
export const VM_RAM_BASE = 0x08; // u32 Wasm address of guest RAM, 64 KiB aligned
export const VM_RAM_SIZE = 0x0c; // u32 bytes
export const VM_SLOT_COUNT = 0x10; // u32
export const VM_A20_MASK = 0x14; // u32 ANDed to every guest-physical address
export const VM_PAGE_FLAGS = 0x18; // u32 Wasm address of one byte for each 4 KiB page of Wasm memory; PAGE_*
export const VM_CODE_BITS = 0x1c; // u32 Wasm address of one u64 a page: which 64-byte granules hold decoded code
export const VM_CLOCK_MODE = 0x20; // u32 CLOCK_*
export const VM_TSC_KHZ = 0x24; // u32
export const VM_CLOCK_NS = 0x28; // i64 virtual clock: guest nanoseconds at VM_CLOCK_RETIRED
export const VM_CLOCK_OFFSET_NS = 0x30; // i64 real clock: added to the host's monotonic time
export const VM_HOST_DEADLINE_NS = 0x38; // i64 next timer of a device in the host, guest ns; MAX = none
export const VM_PS_PER_INSTRUCTION = 0x40; // u32 virtual clock: picoseconds one instruction stands for
export const VM_KERNEL_DEVICES = 0x44; // u32 KDEV_* devices that live in Wasm
export const VM_BLOCK_MAP = 0x48; // u32 Wasm address of the decoded-block hash (per VM while one vCPU runs it)
export const VM_ARENA_BASE = 0x4c; // u32 decoded-block arena
export const VM_ARENA_END = 0x50; // u32
export const VM_ARENA_NEXT = 0x54; // u32 next free byte
export const VM_ARENA_LIMIT = 0x58; // u32 where the arena ends for now: it grows while blocks come back too often, up to VM_ARENA_END
export const VM_DIRTY_LOG = 0x5c; // u32 1 = writes are logged in PAGE_DIRTY
export const VM_PAGE_BLOCKS = 0x60; // u32 Wasm address of one u32 a page: first decoded block in that page
export const VM_IRQ_TRACE = 0x64; // u32 1 = the interrupt controllers keep their log, see spec/irq-trace.ts
export const VM_IRQ_TRACE_COUNT = 0x68; // u32 records written since the host emptied it
export const VM_VRAM_SIZE = 0x6c; // u32 bytes of video memory, which lies directly before RAM; 0 = none
export const VM_SHADOW_BASE = 0x70; // u32 Wasm address of the shadow page tables (assembly/mmu/shadow-pool.ts), 0 = none
export const VM_SHADOW_END = 0x74; // u32
export const VM_TABLE_REFS = 0x78; // u32 Wasm address of one u32 a page: what registered tables name it as (assembly/mmu/para.ts), 0 = none
export const VM_TABLE_WORK = 0x7c; // u32 scratch of one hypercall: entries looked at
export const VM_ARENA_AGAIN = 0xe0; // u32 blocks decoded since the arena was last emptied that had been there before (VM_ARENA_GONE)
export const VM_ARENA_DEBT = 0xe4; // u32 instructions that decoding again was worth and that are not paid back: growArena
export const VM_ARENA_GONE = 0xe8; // u32 Wasm address of one bit a bucket of the block map: it had a block one of the last times that the arena was emptied
export const VM_ARENA_FLUSHED_AT = 0xf0; // u64 instructions retired when that was
export const VM_WALL_NS = 0x100; // u64 ns since 1970 at guest time 0
/** Real clock: from VM_SLEW_START_NS (host ns) for VM_SLEW_LENGTH_NS it runs by VM_SLEW_PPM faster (negative: slower). */
export const VM_SLEW_START_NS = 0x108; // i64
export const VM_SLEW_LENGTH_NS = 0x110; // i64, at most SLEW_LENGTH_MAX_NS
export const VM_SLEW_PPM = 0x118; // i32 millionths, above -1,000,000; 0 = no slew
/** A quarter of an hour: the product with any rate fits into 64 bits. */
export const SLEW_LENGTH_MAX_NS = 1e12;
export const VM_SIZE = 0x400;

export const CLOCK_REAL = 0;
export const CLOCK_VIRTUAL = 1;
export const CLOCK_REPLAY = 2;

export const KDEV_PIC = 1;
export const KDEV_PIT = 2;
export const KDEV_IOAPIC = 4;
export const KDEV_LAPIC = 8;

// ---------------------------------------------------------------- memory slots (SLOTS_BASE + n * SLOT_STRIDE)
export const SLOT_STRIDE = 16;
export const SLOT_GPA = 0; // u32 first guest-physical byte, page aligned
export const SLOT_SIZE = 4; // u32 bytes, page multiple
export const SLOT_HOST = 8; // u32 Wasm address that backs it
export const SLOT_FLAGS = 12; // u32 SLOTF_*
export const SLOTF_READONLY = 1; // writes exit as MMIO writes (ROM)

// ---------------------------------------------------------------- registered root tables (para paging)
/** u32 count, then that many u32: physical address, PIN_LEVELS in the lowest bits. */
export const PINS_BASE = 0x44000;
export const PINS_SIZE = 0x1000;
export const PIN_LEVELS = 3;

// ---------------------------------------------------------------- page flags (one byte a Wasm page)
export const PAGE_CODE = 1; // holds decoded instructions: no write tag in any TLB
export const PAGE_DIRTY = 2; // written since the dirty log was last read
export const PAGE_TABLE = 4; // page table that the guest may not write by itself (shadow and para paging): no write tag in any TLB
export const PAGE_ABSENT = 8; // not brought from the snapshot yet: the host is asked before its bytes are used (assembly/mmu/absent.ts)

// ---------------------------------------------------------------- vCPU block (vcpu + ...)
/** Sixteen 64-bit general registers in encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15. */
export const GPR = 0x000;
export const GPR_STRIDE = 8;
export const EAX = 0x00;
export const ECX = 0x08;
export const EDX = 0x10;
export const EBX = 0x18;
export const ESP = 0x20;
export const EBP = 0x28;
export const ESI = 0x30;
export const EDI = 0x38;
/** Always zero: the base or index of an operand that has none. */
export const GPR_ZERO = 0x80;
/** Between calls of runVcpu: the next instruction. Inside an instruction handler: the instruction after it. */
export const EIP = 0x88; // u64
/** Lazy arithmetic flags, see assembly/cpu/flags.ts. */
export const FLAG_RES = 0x90; // i32
export const FLAG_AUX = 0x94; // u32
/** EFLAGS without OF SF ZF AF PF CF (and with bit 1 set). */
export const EFLAGS_SYS = 0x98; // u32
export const MODE = 0x9c; // u32 MODE_* decode mode of the current code segment; part of a block's key
export const CPL = 0xa0; // u32
export const TLB_CURRENT = 0xa4; // u32 Wasm address of the TLB for the current privilege
export const FAULT = 0xa8; // u32 0 = none, else FAULT_* kind of what stops the instruction being executed
export const EVENT = 0xac; // u32, beside FAULT (one load tests both). EVENT_* reasons to leave the block loop after the current instruction
export const EVENT_AND_FAULT = 0xa8; // u64
export const FAULT_VECTOR = 0xb0; // u32
export const FAULT_ERROR = 0xb4; // u32
export const BLOCK_EIP = 0xb8; // u32 EIP of the first instruction of the current block
export const INHIBIT = 0xbc; // u32 INHIBIT_* interrupt shadow that covers the next instruction only
export const CUR_REC = 0xc0; // u32 record being executed (rare instructions and slow paths)
export const CUR_BLOCK = 0xc4; // u32 its block
export const HALTED = 0xc8; // u32 1 = HLT until an interrupt
export const NMI_PENDING = 0xcc; // u32
export const NMI_BLOCKED = 0xd0; // u32 until IRET
export const TLB_USER = 0xd4; // u32 Wasm address
export const TLB_SUPER = 0xd8; // u32 Wasm address
export const KICKED = 0xdc; // u32 set by other threads: leave runVcpu soon
export const RETIRED = 0xe0; // u64 instructions retired up to the current block
export const BUDGET_END = 0xe8; // u64 RETIRED at which the block loop must stop
export const PENDING_DB = 0xf0; // u32 DR6 bits of a debug trap due after the current instruction
export const VCPU_ID = 0xf4; // u32
export const NEXT_LINK = 0xf8; // u32 Wasm address at which the next block's address may be kept, 0 = nowhere
export const FLUSH_GEN = 0xfc; // u32 counts invalidations of decoded code // u32

/** Segment registers: ES CS SS DS FS GS LDTR TR, SEG_STRIDE bytes each. */
export const SEG = 0x100;
export const SEG_STRIDE = 32;
export const SEG_SELECTOR = 0; // u32
export const SEG_BASE = 4; // u32
export const SEG_LIMIT = 8; // u32 expanded: last valid byte (expand-down: last invalid byte)
export const SEG_ATTR = 12; // u32 ATTR_*: descriptor bits 40..47 in 0..7, AVL L D/B G in 12..15 (VMX access rights); ATTR_UNUSABLE
export const SEG_ACCESS = 16; // u32 SEGA_* derived from the rest by updateSegment
export const SEG_ES = 0;
export const SEG_CS = 1;
export const SEG_SS = 2;
export const SEG_DS = 3;
export const SEG_FS = 4;
export const SEG_GS = 5;
export const SEG_LDTR = 6;
export const SEG_TR = 7;

export const ATTR_TYPE = 0x0f;
export const ATTR_ACCESSED = 0x01;
export const ATTR_RW = 0x02; // readable code, writable data
export const ATTR_DC = 0x04; // conforming code, expand-down data
export const ATTR_CODE = 0x08;
export const ATTR_S = 0x10; // code or data
export const ATTR_DPL_SHIFT = 5;
export const ATTR_PRESENT = 0x80;
export const ATTR_DB = 0x4000;
export const ATTR_G = 0x8000;
export const ATTR_UNUSABLE = 0x10000;

export const SEGA_READ = 1;
export const SEGA_WRITE = 2;
export const SEGA_FLAT = 4; // base 0, limit 4 GiB - 1, readable and writable (data) or readable (code)
export const SEGA_EXPAND_DOWN = 8;
export const SEGA_OPEN = 16; // any base, limit 4 GiB - 1, readable and writable data

/** Decode mode bits. A block is decoded for one combination. */
export const MODE_CS32 = 1; // CS.D
export const MODE_SS32 = 2; // SS.B
export const MODE_FLAT_DATA = 4; // DS, ES and SS are flat
export const MODE_FLAT_CODE = 8; // CS is flat
export const MODE_PROTECTED = 16; // CR0.PE and not EFLAGS.VM
export const MODE_USER = 32; // CPL 3
export const MODE_FS_OPEN = 64; // FS has SEGA_OPEN: no limit to check, only a base to add
export const MODE_GS_OPEN = 128;

export const GDTR_BASE = 0x200;
export const GDTR_LIMIT = 0x204;
export const IDTR_BASE = 0x208;
export const IDTR_LIMIT = 0x20c;
export const CR0 = 0x210;
export const CR2 = 0x214;
export const CR3 = 0x218;
export const CR4 = 0x21c;
/** DR0..DR3, DR6, DR7, u32 each. */
export const DR0 = 0x220;
export const DR6 = 0x230;
export const DR7 = 0x234;
/** PAE page-directory-pointer entries loaded by CR3 (SDM 3A 4.4.1), u64 each. */
export const PDPTE = 0x240;
/** Interrupt or trap whose delivery waits for the host (its stack or tables are MMIO): VECTORING_*, 0 = none. */
export const VECTORING = 0x260; // u32, as VMX's IDT-vectoring information: vector, VECTORING_VALID, VECTORING_NMI
export const VECTORING_VALID = -0x80000000;
export const VECTORING_NMI = 0x200;

// MSRs with storage in the block (u64 unless said)
export const MSR_STATE = 0x268;
export const P6_EVNTSEL = 0x268; // 2 u32
export const P6_PERFCTR = 0x270; // 2 u64, 40 bits each
export const EFER = 0x280;
export const SYSENTER_CS = 0x288;
export const SYSENTER_ESP = 0x290;
export const SYSENTER_EIP = 0x298;
export const PAT = 0x2a0;
export const APIC_BASE = 0x2a8;
export const TSC_OFFSET = 0x2b0; // i64 added to the clock's TSC
export const TSC_AUX = 0x2b8;
export const MISC_ENABLE = 0x2c0;
export const TSC_DEADLINE = 0x2c8;
export const MTRR_DEF_TYPE = 0x2d0;
export const MTRR_FIX = 0x2d8; // 11 u64
export const MTRR_VAR = 0x330; // 8 pairs u64
export const KVM_WALL_CLOCK = 0x3b0;
export const KVM_SYSTEM_TIME = 0x3b8;
export const KVM_ASYNC_PF_EN = 0x3c0;
export const KVM_STEAL_TIME = 0x3c8;
export const KVM_PV_EOI_EN = 0x3d0;
export const KVM_POLL_CONTROL = 0x3d8;
export const KVM_ASYNC_PF_INT = 0x3e0;
export const BIOS_SIGN_ID = 0x3e8;
export const DEBUGCTL = 0x3f0;

/** x87: eight 80-bit registers, physical order R0..R7: u64 significand, u16 sign and exponent, 6 pad. */
export const FPU_R = 0x400;
export const FPU_R_STRIDE = 16;
export const FPU_FCW = 0x480; // u16
export const FPU_FSW = 0x482; // u16, TOP inside
export const FPU_TAG = 0x484; // u8: bit i set = physical register i is in use (abridged tag word, as FXSAVE)
export const FPU_FOP = 0x486; // u16
export const FPU_FIP = 0x488; // u32
export const FPU_FCS = 0x48c; // u16
export const FPU_FDP = 0x490; // u32
export const FPU_FDS = 0x494; // u16
export const FPU_FERR = 0x498; // u32 FERR_*
export const FERR_ASSERTED = 1; // FERR# output, with CR0.NE = 0
export const FERR_IGNNE = 2; // IGNNE# input: the host sets it on a write to port F0h; falls when no error is pending
export const MXCSR = 0x49c; // u32
export const SSE_RAISED = 0x4f8; // u32 MXCSR exception flags that the current SSE instruction raised so far
export const XMM = 0x500; // 16 registers, 16 bytes each

// Execution controls (u32 each), as VMX's: what exits
export const CTRL_EXCEPTIONS = 0x600; // bitmap of vectors that exit instead of being delivered
export const CTRL_FLAGS = 0x604; // CTRLF_*
export const CTRL_PAGING = 0x608; // PAGING_*
export const CTRLF_PORT_BITMAP = 1; // ports whose bit is set in PORT_BITMAP exit even when Wasm has the device
export const CTRLF_CR3 = 2;
export const CTRLF_INVLPG = 4;
export const CTRLF_HLT = 8; // always set today: the host owns idling
export const CTRLF_RDTSC = 16;
export const CTRLF_CPUID = 32;
export const CTRLF_DESCRIPTOR = 64;
export const CTRLF_MSR_BITMAP = 128;
export const CTRLF_DEBUG = 256; // breakpoints of the debugger: see DEBUG_BREAK
export const CTRLF_APIC = 512; // the local and the I/O APIC are the host's: their MMIO exits
export const CTRLF_INTERRUPTS = 1024; // an interrupt that had to wait asks for the window
export const CTRLF_WINDOW = 2048; // exit as soon as the guest can take an interrupt, once
export const PAGING_DIRECT = 0;
export const PAGING_SHADOW = 1;
export const PAGING_PARA = 2;

/** Exit record, as struct kvm_run. */
export const EXIT_REASON = 0x620; // u32 Exit.*
export const EXIT_QUAL = 0x624; // u32 reason-specific
export const EXIT_PORT = 0x628; // u32 port number
export const EXIT_SIZE = 0x62c; // u32 bytes of one item: 1 2 4 (MMIO also 8)
export const EXIT_COUNT = 0x630; // u32 items in IO_DATA
export const EXIT_ADDR = 0x638; // u64 guest-physical address (MMIO), linear address (debug)
export const EXIT_DATA = 0x640; // u64 the value written, or where the host puts the value read
export const EXIT_NR = 0x648; // u32 hypercall number, MSR number
export const EXIT_ARGS = 0x650; // 5 u64

/** Accesses of the current instruction that the host has already completed; see assembly/cpu/replay.ts. */
export const REPLAY_COUNT = 0x680; // u32 entries filled
export const REPLAY_NEXT = 0x684; // u32 entries consumed in this execution of the instruction
/** More than any instruction can need: FXSAVE of 512 bytes, ENTER of 31 levels or a task switch to device memory. */
export const REPLAY_LOG = 0xf000; // REPLAY_MAX entries
export const REPLAY_STRIDE = 16; // u32 address, u32 kind and size, u64 value
export const REPLAY_MAX = 256;

/** Counters, u64 each: COUNT_*. */
export const COUNTERS = 0x800;
export const COUNT_TLB_FILL = 0x800;
export const COUNT_BLOCK_DECODE = 0x808;
export const COUNT_SMC = 0x810;
export const COUNT_INTERRUPT = 0x818;
export const COUNT_EXCEPTION = 0x820;
export const COUNT_TLB_FLUSH = 0x828;
export const COUNT_ARENA_FLUSH = 0x830;
export const COUNT_HYPERCALL = 0x838; // answered without an exit
export const COUNT_SHADOW_TABLE = 0x840; // shadow tables made
export const COUNT_SHADOW_DROPPED = 0x848; // of these, given up: for room, or because the guest only wrote to its table
export const COUNT_TABLE_UPDATE = 0x850; // entries changed by hypercall

/** Feature words of the CPU model (u32 bitmaps by Feature.*): what decodes and what #UDs. */
export const FEATURES = 0x900; // 4 u32
/** CPUID leaves, set by the host as KVM_SET_CPUID2 does. */
export const CPUID_COUNT = 0x940; // u32
export const CPUID_TABLE = 0x6000; // CPUID_MAX entries
export const CPUID_STRIDE = 32; // u32 leaf, subleaf, flags (1 = subleaf matters), eax, ebx, ecx, edx, pad
export const CPUID_MAX = 64;
/** A block decoded for one use: single steps, the last instructions of a budget, code across a page border. */
export const SCRATCH_BLOCK = 0x6800;
/** The record of an instruction decoded again in its general form; the 16 bytes before it are zero. */
export const GENERAL_RECORD = 0x6f20;
export const SCRATCH_BYTES = 0x6e00; // instruction bytes put together across a page border
/** Filled TLB entries, u32 each: Wasm address of the entry, plus JOURNAL_* in the low bits. */
export const TLB_JOURNAL = 0x7000;
export const TLB_JOURNAL_MAX = 6144;
/**
 * Where indirect near transfers of flat code find their block: u32 EIP, u32 block. Valid while translations are: emptied by
 * every TLB flush. The block's mode (with MODE_USER) is compared too, so privilege needs no second table.
 */
export const JUMP_CACHE = 0xd000;
export const JUMP_CACHE_ENTRIES = 1024;
/**
 * The page that each base register's last plain access hit: 16 bytes a register at twice its offset, laid out as a TLB
 * entry. A copy of TLB entries that spares the hash; emptied whenever they or TLB_CURRENT change.
 */
export const BASE_CACHE = 0xc40;
export const BASE_CACHE_SIZE = 0x110;
export const JOURNAL_GLOBAL = 1;
export const JOURNAL_LARGE = 2;
export const TLB_JOURNAL_COUNT = 0x948; // u32
export const TLB_LARGE_COUNT = 0x94c; // u32 journal entries that came from large pages
export const LAST_EXIT = 0x950; // u32 Exit.* that the host is answering, or -1
/** Result of the last page walk. */
export const WALK_GPA = 0x954; // u32
export const WALK_FLAGS = 0x958; // u32 see assembly/mmu/walk.ts
/** Elements of repeated string instructions since runVcpu was called, see assembly/isa/strings.ts. */
export const STRING_WORK = 0x95c; // u32
/** Shadow paging: four u32, index plus 1 of the shadow of the page directory (PAE: of each), 0 = not looked up or none. */
export const SHADOW_ROOTS = 0x968;
/** 1 while a table of the system (GDT, LDT, IDT, TSS) is read: an implicit supervisor access (SDM 3A 4.6.1). */
export const IMPLICIT_ACCESS = 0x964; // u32
/** u32 Wasm address of the TLB that explicit accesses below CPL 3 look into while SMAP and EFLAGS.AC are on. */
export const TLB_SUPER_AC = 0x97c;
/** Debugger breakpoints on linear addresses. */
export const DEBUG_BREAK_COUNT = 0x960; // u32
export const DEBUG_BREAK = 0x980; // DEBUG_BREAK_MAX u32
export const DEBUG_BREAK_MAX = 32;
/** Debugger watches on ranges of linear addresses; pages that they touch get no read or write tag in any TLB. */
export const WATCH_COUNT = 0xd50; // u32
export const WATCH_HIT = 0xd54; // u32 WATCH_READ and WATCH_WRITE: what the last instruction did to a watched range
export const WATCH_HIT_ADDR = 0xd58; // u32 linear address of its first such access
export const WATCH_HIT_SIZE = 0xd5c; // u32 bytes of it
export const WATCH_RANGES = 0xd60; // WATCH_MAX entries
export const WATCH_STRIDE = 12;
export const WATCH_MAX = 12;
export const WATCH_START = 0; // u32
export const WATCH_LENGTH = 4; // u32
export const WATCH_ACCESS = 8; // u32 WATCH_READ, WATCH_WRITE
export const WATCH_READ = 1;
export const WATCH_WRITE = 2;

/**
 * Scratch of one instruction (assembly/isa/system), not state: segment caches and gates being validated before they are
 * committed, the stack frame being built, and the new task's registers.
 */
export const SEG_DRAFT = 0xa00; // 8 caches laid out as SEG, one for each segment register
export const DRAFT_ADDR = 20; // u32 linear address of the descriptor, 0 = none
export const DRAFT_LOW = 24; // u32 raw descriptor
export const DRAFT_HIGH = 28; // u32
export const FRAME = 0xb00; // see assembly/isa/system/frame.ts
export const GATE = 0xb20; // see assembly/isa/system/gate.ts
export const TASK = 0xb40; // see assembly/isa/system/task.ts
/** u32 1 from when the registers are the new task's to the next boundary: the switch cannot be made again. */
export const TASK_COMMITTED = 0xb8c;
/** Scratch of the x87 handlers inside one instruction, 512 bytes; nothing in it outlives the instruction. */
export const FPU_WORK = 0xe00;

export const PORT_BITMAP = 0x1000; // 65,536 bits
export const PORT_BITMAP_SIZE = 0x2000;
export const MSR_BITMAP = 0x3000; // read low, read high, write low, write high: 1 KiB each, as VMX
/** Items of a string port access, and MMIO bursts. */
export const IO_DATA = 0x4000;
export const IO_DATA_SIZE = 0x1000;
/** Local APIC register page (offsets as the SDM's MMIO map) and its private state behind it. */
export const LAPIC = 0x5000;
export const LAPIC_PRIVATE = 0x5400;

// ---------------------------------------------------------------- kinds of FAULT
export const FAULT_NONE = 0;
/** An exception (FAULT_VECTOR, FAULT_ERROR): the instruction restarts after the handler. */
export const FAULT_EXCEPTION = 1;
/** The instruction needs the host first: exit, then execute it again (REPLAY_LOG has the answers so far). */
export const FAULT_EXIT = 2;
/** Execute the same instruction again after a look at events (string instructions between chunks). */
export const FAULT_AGAIN = 3;
/** Triple fault: the vCPU is in shutdown. */
export const FAULT_SHUTDOWN = 4;

// ---------------------------------------------------------------- bits of EVENT
export const EVENT_RECHECK = 1; // CS:EIP, mode, or interrupt state changed: go through the dispatcher
export const EVENT_EXIT = 2; // the instruction completed and EXIT_REASON is set
export const EVENT_IRQ = 4; // an interrupt controller has something to deliver

/** The instruction entered a handler or another task: its single-step trap is dropped (INT n clears TF on the way). */
export const EVENT_NO_STEP = 8;
export const EVENT_TIMER = 16; // the guest moved a deadline

export const INHIBIT_IRQ = 1; // after STI
export const INHIBIT_SS = 2; // after MOV SS, POP SS: also holds off debug traps
export const INHIBIT_DELIVERED = 4; // an interrupt or trap was just delivered: the handler's first instruction comes before another

// ---------------------------------------------------------------- TLB
export const TLB_ENTRIES = 4096;
export const TLB_STRIDE = 16;
/**
 * In place of a linear page where there is none. The base-register cache compares addresses that keep their lowest bits, so
 * these alone must not be set: 1 would be a misaligned access to page 0. The bytes are equal so that a fill can write it.
 */
export const TLB_NO_TAG = 0x01010101;
export const TLB_READ = 0; // u32 linear page if it may be read, else TLB_NO_TAG
export const TLB_WRITE = 4;
export const TLB_EXEC = 8;
export const TLB_DELTA = 12; // u32 Wasm address minus linear address
export const TLB_SIZE = 65536;
/** TLBs of a vCPU: user, supervisor, and supervisor that SMAP lets into user pages (EFLAGS.AC). */
export const TLB_TABLES = 3;

// ---------------------------------------------------------------- decoded records (16 bytes an instruction)
export const REC_STRIDE = 16;
export const REC_OP = 0; // u16 Op.*
export const REC_END = 2; // u8 bytes from the start of the block to the end of this instruction
export const REC_REG = 3; // u8 ModRM.reg as offset into the vCPU block (byte registers: AH..BH are +1); opcode-register forms too
export const REC_BASE = 4; // u8 ModRM.rm register offset (register form), or base register offset / GPR_ZERO (memory form)
export const REC_INDEX = 5; // u8 index register offset or GPR_ZERO
export const REC_EA = 6; // u8 0 = base + disp in a flat segment; else EA_*
export const REC_PFX = 7; // u8 PFX_*
export const REC_DISP = 8; // u32 displacement; register form of rare operations: raw ModRM byte
export const REC_IMM = 12; // u32 immediate, relative target offset; where none: opcode byte, ModRM << 8

export const EA_SCALE = 3; // bits 0-1
export const EA_SEG_SHIFT = 2; // bits 2-4: segment number
export const EA_SEG = 0x1c;
export const EA_INDEX = 0x20; // has an index register
export const EA_ADDR16 = 0x40; // wraps at 64 KiB
export const EA_CHECKED = 0x80; // segment is not known to be flat: base, limit and rights apply
/** The same bit in a specialised operation: FS or GS is open, only its base applies. */
export const EA_BASED = 0x80;

export const PFX_OP16 = 1; // 16-bit operand size (after CS.D and 66h)
export const PFX_REP = 2; // F3
export const PFX_REPNE = 4; // F2
export const PFX_LOCK = 8;
export const PFX_REG = 16; // ModRM.mod = 3
export const PFX_ADDR16 = 32; // 16-bit address size
export const PFX_SEG = 64; // a segment override was given
export const PFX_66 = 128; // a 66h byte was there (mandatory prefix of SSE)

// ---------------------------------------------------------------- decoded blocks
export const BLOCK_ADDR = 0; // u32 Wasm address of the first byte
export const BLOCK_MODE = 4; // u32
export const BLOCK_COUNT = 8; // u32 instructions
export const BLOCK_BYTES = 12; // u32 length of the code
export const BLOCK_NEXT_HASH = 16; // u32 chain of the hash bucket
export const BLOCK_NEXT_PAGE = 20; // u32 chain of the page
export const BLOCK_LINK_TAKEN = 24; // u32 block of the branch target in the same page, 0 = not yet
export const BLOCK_LINK_NEXT = 28; // u32 block that follows in the same page
export const BLOCK_ZERO = 32; // 16 zero bytes: the record before the first, so that lengths are differences of REC_END
export const BLOCK_RECORDS = 48; // records start here
/** Buckets of the block map (u32 each). */
export const BLOCK_MAP_ENTRIES = 65536;
