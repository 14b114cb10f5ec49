// Which parts of a VM's memory outside guest RAM are its state. A snapshot, a move to another thread and the state hash
// read this table; what it does not name is derived (TLBs, decoded code, segment rights), scratch of one instruction,
// statistics, or set by the configuration (CPUID, execution controls, layout). A field of the layout that must outlive a
// call of runVcpu gets a row here.

import {
  APIC_LAST_LOWEST,
  CLOCK_LAST_NS,
  IOAPIC_PINS,
  IOAPIC_REDIR,
  IOAPIC_REGSEL,
  PIC_MASTER,
  PIC_SLAVE,
  PIT_COUNTER,
  PIT_DEADLINE,
  PIT_REPLACED,
  PIT_STRIDE,
  PORT_61,
} from "./chipset.ts";
import {
  CPL,
  CR0,
  DR7,
  EIP,
  EVENT,
  EXIT_REASON,
  FAULT,
  FPU_R,
  GDTR_BASE,
  GPR,
  GPR_ZERO,
  HALTED,
  INHIBIT,
  LAPIC,
  LAPIC_PRIVATE,
  LAST_EXIT,
  MSR_STATE,
  MXCSR,
  NMI_BLOCKED,
  NMI_PENDING,
  PDPTE,
  PENDING_DB,
  PINS_BASE,
  PINS_SIZE,
  REPLAY_COUNT,
  RETIRED,
  SEG,
  SEG_ACCESS,
  SEG_STRIDE,
  VECTORING,
  VM_A20_MASK,
  VM_BASE,
  VM_CLOCK_NS,
  VM_TSC_KHZ,
  XMM,
} from "./layout.ts";

/** `count` pieces of `sizeBytes` each, `stride` apart; one piece where no count is given. */
export interface StateRange {
  /** What the bytes are called in a saved state; never reused for something else. */
  readonly name: string;
  /** From the base of the block that the table is about. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly count?: number;
  readonly stride?: number;
  /** Left out of the state hash: says how far the host is, not what the guest could see. */
  readonly hashed?: false;
  /** Zeros in states of builds that did not have it yet. */
  readonly added?: true;
}

const LAPIC_REGISTERS_SIZE = 0x400;
/** More than is used: what comes to it is 0 in older states, as after a reset. */
const LAPIC_PRIVATE_SIZE = 0x200;
/** EXIT_REASON to the end of EXIT_ARGS. */
const EXIT_RECORD_SIZE = 0x60;

/** One vCPU, from its block's base. EFLAGS is missing: it is kept lazily and saved as the register that it is. */
export const VCPU_STATE: readonly StateRange[] = [
  { name: "gpr", offset: GPR, sizeBytes: GPR_ZERO - GPR },
  { name: "rip", offset: EIP, sizeBytes: 8 },
  { name: "cpl", offset: CPL, sizeBytes: 4 },
  { name: "segments", offset: SEG, sizeBytes: SEG_ACCESS, count: 8, stride: SEG_STRIDE },
  { name: "tables", offset: GDTR_BASE, sizeBytes: CR0 - GDTR_BASE },
  { name: "control-debug", offset: CR0, sizeBytes: DR7 + 4 - CR0 },
  { name: "pdpte", offset: PDPTE, sizeBytes: 32 },
  { name: "msrs", offset: MSR_STATE, sizeBytes: FPU_R - MSR_STATE },
  { name: "fpu", offset: FPU_R, sizeBytes: MXCSR + 4 - FPU_R },
  { name: "xmm", offset: XMM, sizeBytes: 256 },
  { name: "halted", offset: HALTED, sizeBytes: 4 },
  { name: "shutdown", offset: FAULT, sizeBytes: 4 },
  { name: "interrupt-shadow", offset: INHIBIT, sizeBytes: 4 },
  { name: "nmi-pending", offset: NMI_PENDING, sizeBytes: 4 },
  { name: "nmi-blocked", offset: NMI_BLOCKED, sizeBytes: 4 },
  { name: "pending-debug", offset: PENDING_DB, sizeBytes: 4 },
  { name: "vectoring", offset: VECTORING, sizeBytes: 4 },
  { name: "retired", offset: RETIRED, sizeBytes: 8 },
  { name: "lapic", offset: LAPIC, sizeBytes: LAPIC_REGISTERS_SIZE },
  { name: "lapic-private", offset: LAPIC_PRIVATE, sizeBytes: LAPIC_PRIVATE_SIZE },
  { name: "event", offset: EVENT, sizeBytes: 4, hashed: false },
  { name: "exit-record", offset: EXIT_REASON, sizeBytes: EXIT_RECORD_SIZE, hashed: false },
  { name: "last-exit", offset: LAST_EXIT, sizeBytes: 4, hashed: false },
  { name: "replay", offset: REPLAY_COUNT, sizeBytes: 8, hashed: false },
];

/** The chipset, from CHIPSET_BASE. */
export const CHIPSET_STATE: readonly StateRange[] = [
  { name: "pic-master", offset: PIC_MASTER, sizeBytes: PIC_SLAVE - PIC_MASTER },
  { name: "pic-slave", offset: PIC_SLAVE, sizeBytes: PIT_COUNTER - PIC_SLAVE },
  { name: "pit", offset: PIT_COUNTER, sizeBytes: 3 * PIT_STRIDE },
  { name: "port-61", offset: PORT_61, sizeBytes: 4 },
  { name: "pit-replaced", offset: PIT_REPLACED, sizeBytes: 4 },
  { name: "pit-deadline", offset: PIT_DEADLINE, sizeBytes: 8 },
  { name: "ioapic", offset: IOAPIC_REGSEL, sizeBytes: IOAPIC_REDIR + IOAPIC_PINS * 8 - IOAPIC_REGSEL },
  { name: "apic-last-lowest", offset: APIC_LAST_LOWEST, sizeBytes: 4 },
  { name: "clock-last", offset: CLOCK_LAST_NS, sizeBytes: 8 },
];

/** The VM, from VM_BASE. */
export const VM_STATE: readonly StateRange[] = [
  { name: "a20-mask", offset: VM_A20_MASK, sizeBytes: 4 },
  { name: "virtual-clock", offset: VM_CLOCK_NS, sizeBytes: 8 },
  { name: "tsc-khz", offset: VM_TSC_KHZ, sizeBytes: 4 },
  { name: "pinned-tables", offset: PINS_BASE - VM_BASE, sizeBytes: PINS_SIZE, added: true },
];
