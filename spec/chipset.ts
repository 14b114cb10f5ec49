// Where the interrupt controllers, timers and the clock keep their state: offsets inside CHIPSET_BASE (one a VM) and
// inside each vCPU's LAPIC and LAPIC_PRIVATE areas. All plain data: a snapshot of the chipset is a copy of it.

// ---------------------------------------------------------------- CHIPSET_BASE: the two 8259As
export const PIC_MASTER = 0x000;
export const PIC_SLAVE = 0x040;
/** Offsets inside one 8259A; u8 each. */
export const PIC_IRR = 0x00; // requests (edge latches, or the level of level-triggered inputs)
export const PIC_ISR = 0x01;
export const PIC_IMR = 0x02;
export const PIC_LINES = 0x03; // electrical level of IR0..IR7
export const PIC_ELCR = 0x04; // 1 = level triggered
export const PIC_VECTOR = 0x05; // ICW2 bits 7..3
export const PIC_LOWEST = 0x06; // the input that has the lowest priority: 7 until rotated
export const PIC_INIT = 0x07; // which initialization word comes next: 0 none, 2, 3, 4
export const PIC_ICW1 = 0x08;
export const PIC_ICW3 = 0x09;
export const PIC_ICW4 = 0x0a;
export const PIC_FLAGS = 0x0b; // PICF_*
export const PIC_OUTPUT = 0x0c; // level of the INT pin

export const PICF_READ_ISR = 1; // reads of the even port return ISR
export const PICF_POLL = 2; // the next read is a poll
export const PICF_SPECIAL_MASK = 4;
export const PICF_ROTATE_AEOI = 8;

// ---------------------------------------------------------------- CHIPSET_BASE: 8254
/** Counter n is at PIT_COUNTER + n * PIT_STRIDE. */
export const PIT_COUNTER = 0x080;
export const PIT_STRIDE = 0x40;
export const PIT_TICK = 0x00; // i64 input clock pulse up to which the state below holds
export const PIT_CE = 0x08; // u32 counting element, 0..modulus (modulus stands for a freshly loaded 0)
export const PIT_COUNT = 0x0c; // u32 count the counting element was last loaded with, 1..modulus
export const PIT_CR = 0x10; // u32 count register, 1..modulus
export const PIT_CONTROL = 0x14; // u8 control word bits 5..0: access, mode, BCD
export const PIT_GATE = 0x15; // u8
export const PIT_OUT = 0x16; // u8
export const PIT_FLAGS = 0x17; // u8 PITF_*
export const PIT_WRITE_LOW = 0x18; // u8 first byte of a two-byte count
export const PIT_WRITE_HALF = 0x19; // u8 1 = the next write is the high byte
export const PIT_READ_HALF = 0x1a; // u8 1 = the next read returns the high byte
export const PIT_LATCHED = 0x1b; // u8 PITL_*
export const PIT_LATCH = 0x1c; // u16 latched count, as it is read (BCD if programmed so)
export const PIT_STATUS = 0x1e; // u8 latched status

export const PITF_WRITTEN = 1; // a whole count was written since the control word
export const PITF_LOAD = 2; // the counting element takes the count register at the next clock pulse
export const PITF_ARMED = 4; // modes 0, 1, 4, 5: OUT changes when the counting element reaches 0
export const PITF_NULL = 8; // null count: the count register is newer than the counting element
export const PITF_LOADED = 16; // the counting element holds a count and counts
export const PITF_HOLD = 32; // mode 0 between the two bytes of a count

export const PITL_COUNT = 1;
export const PITL_STATUS = 2;

/** Last value written to port 61h, bits 3..0. */
export const PORT_61 = 0x140; // u32
/** 1 = OUT0 does not reach IRQ 0: another timer of the board has it. */
export const PIT_REPLACED = 0x144; // u32
/** When the next edge of OUT0 is due, guest ns; i64 MAX = none. */
export const PIT_DEADLINE = 0x148; // i64

// ---------------------------------------------------------------- what firmware's tables say of the APICs
export const LAPIC_ADDRESS = 0xfee00000;
export const IOAPIC_ADDRESS = 0xfec00000;
/** Integrated APIC, six local vector table entries (the number of the last one is in bits 23..16). */
export const LAPIC_VERSION = 0x50014;
/** 82093AA: version 11h, number of the last entry in bits 23..16. */
export const IOAPIC_VERSION = 0x170011;

// ---------------------------------------------------------------- CHIPSET_BASE: I/O APIC
export const IOAPIC_PINS = 24;
export const IOAPIC_REGSEL = 0x180; // u32
export const IOAPIC_ID = 0x184; // u32 bits 27..24
export const IOAPIC_LINES = 0x188; // u32 one bit a pin: asserted
/** Redirection table, IOAPIC_PINS u64. */
export const IOAPIC_REDIR = 0x1a0;

// ---------------------------------------------------------------- CHIPSET_BASE: rest
/** vCPU that took the last lowest-priority message: the next one starts looking behind it. */
export const APIC_LAST_LOWEST = 0x280; // u32
/** Latest value the real clock returned, guest ns. */
export const CLOCK_LAST_NS = 0x288; // i64

// ---------------------------------------------------------------- local APIC registers (vcpu + LAPIC + ..., SDM 3A table 11-1)
export const APIC_ID = 0x020;
export const APIC_VERSION = 0x030;
export const APIC_TPR = 0x080;
export const APIC_APR = 0x090;
export const APIC_PPR = 0x0a0;
export const APIC_EOI = 0x0b0;
export const APIC_RRD = 0x0c0;
export const APIC_LDR = 0x0d0;
export const APIC_DFR = 0x0e0;
export const APIC_SVR = 0x0f0;
/** Eight registers each, 16 bytes apart. */
export const APIC_ISR = 0x100;
export const APIC_TMR = 0x180;
export const APIC_IRR = 0x200;
export const APIC_ESR = 0x280;
export const APIC_ICR_LOW = 0x300;
export const APIC_ICR_HIGH = 0x310;
export const APIC_LVT_TIMER = 0x320;
export const APIC_LVT_THERMAL = 0x330;
export const APIC_LVT_PERF = 0x340;
export const APIC_LVT_LINT0 = 0x350;
export const APIC_LVT_LINT1 = 0x360;
export const APIC_LVT_ERROR = 0x370;
export const APIC_TIMER_INITIAL = 0x380;
export const APIC_TIMER_CURRENT = 0x390;
export const APIC_TIMER_DIVIDE = 0x3e0;

export const SVR_ENABLE = 0x100;
export const LVT_MASKED = 0x10000;
export const LVT_LEVEL = 0x8000;
export const LVT_REMOTE_IRR = 0x4000;
export const LVT_ACTIVE_LOW = 0x2000;
export const LVT_TIMER_MODE = 0x60000;
export const LVT_TIMER_PERIODIC = 0x20000;
export const LVT_TIMER_DEADLINE = 0x40000;

export const ESR_SEND_ILLEGAL_VECTOR = 0x20;
export const ESR_RECEIVE_ILLEGAL_VECTOR = 0x40;
export const ESR_ILLEGAL_REGISTER = 0x80;

/** Bits of IA32_APIC_BASE. */
export const APIC_BASE_BSP = 0x100;
export const APIC_BASE_ENABLE = 0x800;

/** Delivery modes (LVT, ICR, redirection entries and MSI data, bits 10..8). */
export const DELIVER_FIXED = 0;
export const DELIVER_LOWEST = 1;
export const DELIVER_SMI = 2;
export const DELIVER_NMI = 4;
export const DELIVER_INIT = 5;
export const DELIVER_SIPI = 6;
export const DELIVER_EXTINT = 7;

// ---------------------------------------------------------------- vcpu + LAPIC_PRIVATE + ...
/** Not zero when a maskable interrupt could be taken now if EFLAGS.IF allowed it: IRQ_FROM_*. */
export const IRQ_SUMMARY = 0x00; // u32
export const IRQ_FROM_APIC = 1; // an IRR bit above the processor priority
export const IRQ_FROM_PIC = 2; // the 8259s' INTR reaches this vCPU: APIC off, or LINT0 as ExtINT
export const IRQ_FROM_EXTINT = 4; // an ExtINT message of the I/O APIC, held until acknowledged

/** Errors since the last write to ESR. */
export const APIC_ERRORS = 0x04; // u32
/** 1 = the error interrupt was sent and waits for a write to ESR to be armed again. */
export const APIC_ERROR_SENT = 0x08; // u32
/** Input levels: bit 0 LINT0, bit 1 LINT1. */
export const APIC_LINT = 0x0c; // u32
/** APIC_BASE as lapicBaseChanged last saw it, low half. */
export const APIC_BASE_SEEN = 0x10; // u32
/** Start-up requests for the vCPU: 1 = INIT received and not yet carried out. */
export const INIT_PENDING = 0x14; // u32
/** 0x100 | vector once a start-up IPI arrived, else 0. */
export const SIPI_PENDING = 0x18; // u32
/** Timer (one-shot, periodic): APIC_TIMER_AT is when the count was APIC_TIMER_COUNT; 0 counts = stopped. */
export const APIC_TIMER_AT = 0x20; // i64 guest ns
export const APIC_TIMER_COUNT = 0x28; // u32
/** Virtual clock, per vCPU: RETIRED at which its part of the clock began, and time it skipped, ns. */
export const CLOCK_RETIRED_BASE = 0x30; // u64
export const CLOCK_SKIPPED_NS = 0x38; // i64
/** Paravirtual interface (assembly/pv): ns that the vCPU could have run and did not. */
export const STEAL_NS = 0x40; // u64
export const PV_FLAGS = 0x48; // u32 PVF_*
export const PVF_OLD_CLOCK = 1; // the time page was lent through MSR 12h
export const PVF_EOI_OFFERED = 2; // the bit of PV EOI is set, or the guest has cleared it
/** Asynchronous page faults: tokens that the guest was given and has not been told of yet, and those of them whose page is there. */
export const ASYNC_PF_WAITING = 0x4c; // u32
export const ASYNC_PF_READY_COUNT = 0x50; // u32
export const ASYNC_PF_READY = 0x54; // ASYNC_PF_MAX u32, oldest first
export const ASYNC_PF_MAX = 16;
export const CHIPSET_PRIVATE_SIZE = 0x94;
