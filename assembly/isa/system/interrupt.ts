// Delivery of interrupts and exceptions: real-mode vector table, gates, vm86 and task gates; double and triple faults.
// SDM 2A INT n (the pseudo-code followed here), 3A chapter 6, 20.2, 20.3.
// Delivery changes no register before its last memory access, so an access that must wait for the host (a stack or a
// table in MMIO) is simply repeated: exceptions with their instruction, asynchronous events through VECTORING.
import {
  COUNT_EXCEPTION, COUNT_INTERRUPT, CPL, CTRL_EXCEPTIONS, CUR_REC, EXIT_DATA, EXIT_NR, REC_OP, CR0, CR4, DR6, DR7, EIP, ESP, EVENT, EVENT_NO_STEP, FAULT, FAULT_ERROR, FAULT_EXIT,
  FAULT_NONE, FAULT_VECTOR, HALTED, IDTR_BASE, IDTR_LIMIT, INHIBIT, NMI_BLOCKED, NMI_PENDING, PENDING_DB, SEG_ATTR, SEG_BASE, SEG_CS, SEG_DS,
  SEG_ES, SEG_FS, SEG_GS, SEG_LIMIT, SEG_SELECTOR, SEG_SS, SEG_TR, VECTORING, VECTORING_NMI, VECTORING_VALID,
} from "../../../spec/layout";
import {
  CR0_PE, CR4_VME, FLAG_AC, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VIF, FLAG_VM,
} from "../../../spec/registers";
import { Exit } from "../../../spec/exits";
import { Op } from "../../../spec/op.gen";
import { Vector } from "../../../spec/vectors";
import { clearFault, exitAfter, faulted, raise, raiseGP, recheck, shutdown } from "../../cpu/fault";
import { getEflags, setEflags } from "../../cpu/flags";
import { segAddress, updateMode } from "../../cpu/segment";
import { sysRead } from "../../mmu/access";
import {
  commit8086, commitNull, commitSegment, dpl, draftAddress, fetchDescriptor, isCode, isConforming, isNull, isPresent, isVm86,
  markAccessed, systemType, TYPE_32, TYPE_INT16, TYPE_INT32, TYPE_TASK, TYPE_TRAP16, TYPE_TRAP32, TYPE_TSS16, TYPE_TSS32,
  withinLimit,
} from "./descriptor";
import { frameBegin, framePointer, framePush, frameRoom } from "./frame";
import { decodeGate, draftInnerStack, gateAttr, gateItemSize, gateOffset, gateSelector, innerStackPointer, setDraftRpl } from "./gate";
import { beginSwitch, switchCommitted, switchTask, SWITCH_EVENT } from "./task";

/** INT n, INT3, INTO: the gate's DPL is checked and EXT is 0. */
export const KIND_SOFTWARE: u32 = 1;
/** The event pushes an error code. */
export const KIND_ERROR: u32 = 2;
/** A fault: RF is set in the pushed image. */
export const KIND_FAULT: u32 = 4;

const DR6_BITS: u32 = 0xe00f;
const DR7_GD: u32 = 0x2000;
/** Bits of FAULT_ERROR of a #DB that is an instruction breakpoint (B0..B3): RF is not set in its image. */
const DR6_BREAKPOINTS: u32 = 0xf;

// ---------------------------------------------------------------- what the run loop calls

/**
 * Delivers the recorded exception (FAULT_VECTOR, FAULT_ERROR; for #DB the error is the DR6 bits). On return FAULT is
 * none, FAULT_EXIT (the host is needed first: execute the instruction again) or FAULT_SHUTDOWN.
 */
export function deliverException(vcpu: i32): void {
  const vector = load<u32>(vcpu, FAULT_VECTOR);
  const error = load<u32>(vcpu, FAULT_ERROR);
  clearFault(vcpu);
  count(vcpu, COUNT_EXCEPTION);
  let kind: u32 = KIND_FAULT;
  if (vector == Vector.DB) {
    recordDebug(vcpu, error);
    if (error & DR6_BREAKPOINTS) kind = 0;
  }
  deliverChain(vcpu, vector, kind | errorKind(vector), error);
}

/** Delivers an external interrupt that the controller has handed over. */
export function deliverInterrupt(vcpu: i32, vector: u32): void {
  count(vcpu, COUNT_INTERRUPT);
  deliverAsynchronous(vcpu, vector, 0);
}

/** Delivers the pending NMI; further ones are blocked until IRET. */
export function deliverNmi(vcpu: i32): void {
  store<u32>(vcpu, 0, NMI_PENDING);
  store<u32>(vcpu, 1, NMI_BLOCKED);
  count(vcpu, COUNT_INTERRUPT);
  deliverAsynchronous(vcpu, Vector.NMI, VECTORING_NMI);
}

/** Delivers the debug trap whose causes are in PENDING_DB. */
export function deliverDebugTrap(vcpu: i32): void {
  const bits = load<u32>(vcpu, PENDING_DB);
  store<u32>(vcpu, 0, PENDING_DB);
  recordDebug(vcpu, bits);
  count(vcpu, COUNT_EXCEPTION);
  deliverAsynchronous(vcpu, Vector.DB, 0);
}

/** Repeats the delivery that waited for the host. The run loop calls it before anything else while VECTORING is set. */
export function redeliver(vcpu: i32): void {
  const info = load<u32>(vcpu, VECTORING);
  deliverAsynchronous(vcpu, info & 0xff, info & VECTORING_NMI);
}

// ---------------------------------------------------------------- software interrupts (handlers of execSystem)

/** INT n */
export function softwareInterrupt(vcpu: i32, vector: u32): void {
  if (isVm86(vcpu)) {
    const iopl3 = (getEflags(vcpu) & FLAG_IOPL) == FLAG_IOPL;
    if (load<u32>(vcpu, CR4) & CR4_VME) {
      const redirected = redirectionBit(vcpu, vector);
      if (faulted(vcpu)) return;
      if (!redirected) return interrupt8086(vcpu, vector, 0, iopl3);
    }
    if (!iopl3) return raiseGP(vcpu, 0);
  }
  trapInto(vcpu, vector, KIND_SOFTWARE);
}

/** INT3, INTO and INT1: traps that are not sensitive to IOPL. */
export function trapInto(vcpu: i32, vector: u32, kind: u32): void {
  // INT n is not an exception; the bitmap does not concern it (SDM 3C 26.2)
  const one = <u32>load<u16>(load<i32>(vcpu, CUR_REC), REC_OP) != <u32>Op.INT_I;
  if (one && (load<u32>(vcpu, CTRL_EXCEPTIONS) >> vector) & 1) {
    store<u32>(vcpu, vector, EXIT_NR);
    store<u64>(vcpu, 0, EXIT_DATA);
    return exitAfter(vcpu, Exit.Exception);
  }
  beginSwitch(vcpu);
  deliverEvent(vcpu, vector, kind, 0);
  // a fault in the new task of a task gate is no longer one of this instruction
  if (faulted(vcpu) && switchCommitted(vcpu)) deliverException(vcpu);
}

/** INT1 (ICEBP): a #DB trap that sets no bit of DR6; EXT is 1. */
export function int1(vcpu: i32): void {
  trapInto(vcpu, Vector.DB, 0);
}

/** The bit of the software-interrupt redirection bitmap: true = through the IDT (SDM 3A 20.3.3). */
function redirectionBit(vcpu: i32, vector: u32): bool {
  const tr = segAddress(vcpu, SEG_TR);
  const base = load<u32>(tr, SEG_BASE);
  const limit = load<u32>(tr, SEG_LIMIT);
  if (limit < 0x67) return true;
  const map = <u32>sysRead<u16>(vcpu, base + 0x66);
  const at = map - 32 + (vector >> 3);
  if (map < 32 || at > limit) return true;
  return ((<u32>sysRead<u8>(vcpu, base + at) >> (vector & 7)) & 1) != 0;
}

// ---------------------------------------------------------------- chains of faults

function count(vcpu: i32, counter: i32): void {
  const p = vcpu + counter;
  store<u64>(p, load<u64>(p) + 1);
}

function recordDebug(vcpu: i32, bits: u32): void {
  store<u32>(vcpu, (load<u32>(vcpu, DR6) & ~DR6_BREAKPOINTS) | (bits & DR6_BITS), DR6);
  store<u32>(vcpu, load<u32>(vcpu, DR7) & ~DR7_GD, DR7);
}

/** Vectors 8, 10 to 14 and 17. */
const ERROR_VECTORS: u32 = (1 << Vector.DF) | (1 << Vector.TS) | (1 << Vector.NP) | (1 << Vector.SS) | (1 << Vector.GP) | (1 << Vector.PF) | (1 << Vector.AC);
const CONTRIBUTORY_VECTORS: u32 = (1 << Vector.DE) | (1 << Vector.TS) | (1 << Vector.NP) | (1 << Vector.SS) | (1 << Vector.GP);

/** A chain of benign faults (#AC on the stack of the #AC handler) would never end on a processor; here it is shutdown. */
const CHAIN_MAX = 16;

function errorKind(vector: u32): u32 {
  return vector < 32 && (ERROR_VECTORS >> vector) & 1 ? KIND_ERROR : 0;
}

function isContributory(vector: u32): bool {
  return vector < 32 && ((CONTRIBUTORY_VECTORS >> vector) & 1) != 0;
}

function deliverAsynchronous(vcpu: i32, vector: u32, type: u32): void {
  store<u32>(vcpu, 0, HALTED);
  store<u32>(vcpu, 0, VECTORING);
  deliverEvent(vcpu, vector, 0, 0);
  const fault = load<u32>(vcpu, FAULT);
  if (fault == FAULT_NONE) return;
  if (fault == FAULT_EXIT) {
    store<u32>(vcpu, vector | type | VECTORING_VALID, VECTORING);
    return;
  }
  // an external event is benign: what its delivery raised is an exception of its own
  const next = load<u32>(vcpu, FAULT_VECTOR);
  const error = load<u32>(vcpu, FAULT_ERROR);
  clearFault(vcpu);
  deliverChain(vcpu, next, KIND_FAULT | errorKind(next), error);
  // the chain's own wait for the host starts again from the event
  if (load<u32>(vcpu, FAULT) == FAULT_EXIT) store<u32>(vcpu, vector | type | VECTORING_VALID, VECTORING);
}

/** Delivers an event and then whatever its delivery raises, by the rules of SDM 3A table 6-5. */
function deliverChain(vcpu: i32, first: u32, firstKind: u32, firstError: u32): void {
  let vector = first;
  let kind = firstKind;
  let error = firstError;
  for (let depth = 0; depth < CHAIN_MAX; depth++) {
    deliverEvent(vcpu, vector, kind, error);
    if (load<u32>(vcpu, FAULT) == FAULT_NONE || load<u32>(vcpu, FAULT) == FAULT_EXIT) return;
    const next = load<u32>(vcpu, FAULT_VECTOR);
    error = load<u32>(vcpu, FAULT_ERROR);
    clearFault(vcpu);
    const serious = isContributory(next) || next == Vector.PF;
    if (vector == Vector.DF && serious) return shutdown(vcpu);
    if ((isContributory(vector) && isContributory(next)) || (vector == Vector.PF && serious)) {
      vector = Vector.DF;
      error = 0;
    } else {
      vector = next;
    }
    kind = KIND_FAULT | errorKind(vector);
  }
  shutdown(vcpu);
}

// ---------------------------------------------------------------- delivery

/** Delivers one event. A fault on the way is recorded (FAULT) and, but for a committed task switch, changes nothing. */
function deliverEvent(vcpu: i32, vector: u32, kind: u32, error: u32): void {
  if (!(load<u32>(vcpu, CR0) & CR0_PE)) return interrupt8086(vcpu, vector, load<u32>(vcpu, IDTR_BASE), true);
  const ext: u32 = kind & KIND_SOFTWARE ? 0 : 1;
  const idtError = (vector << 3) | 2 | ext;
  if ((vector << 3) + 7 > load<u32>(vcpu, IDTR_LIMIT)) return raiseGP(vcpu, idtError);
  const entry = load<u32>(vcpu, IDTR_BASE) + (vector << 3);
  const low = sysRead<u32>(vcpu, entry);
  const high = sysRead<u32>(vcpu, entry + 4);
  if (faulted(vcpu)) return;
  const attr = (high >> 8) & 0xff;
  const type = systemType(attr);
  if (type != TYPE_INT32 && type != TYPE_TRAP32 && type != TYPE_TASK && type != TYPE_INT16 && type != TYPE_TRAP16)
    return raiseGP(vcpu, idtError);
  if (kind & KIND_SOFTWARE && dpl(attr) < load<u32>(vcpu, CPL)) return raiseGP(vcpu, idtError);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, idtError);
  decodeGate(vcpu, low, high);
  if (type == TYPE_TASK) return eventTask(vcpu, gateSelector(vcpu), kind, error, ext);

  const selector = gateSelector(vcpu);
  if (isNull(selector)) return raiseGP(vcpu, ext);
  const csError = (selector & 0xfffc) | ext;
  const cs = draftAddress(vcpu, SEG_CS);
  if (!fetchDescriptor(vcpu, selector, cs)) return raiseGP(vcpu, csError);
  const csAttr = load<u32>(cs, SEG_ATTR);
  const cpl = load<u32>(vcpu, CPL);
  if (!isCode(csAttr) || dpl(csAttr) > cpl) return raiseGP(vcpu, csError);
  if (!isPresent(csAttr)) return raise(vcpu, Vector.NP, csError);
  if (!isConforming(csAttr) && dpl(csAttr) < cpl) {
    if (isVm86(vcpu) && dpl(csAttr) != 0) return raiseGP(vcpu, csError);
    return eventInnerPrivilege(vcpu, dpl(csAttr), kind, error, ext);
  }
  if (isVm86(vcpu)) return raiseGP(vcpu, csError);
  eventSamePrivilege(vcpu, kind, error, ext);
}

/** EFLAGS as the frame holds them. */
function flagsImage(vcpu: i32, kind: u32): u32 {
  return kind & KIND_FAULT ? getEflags(vcpu) | FLAG_RF : getEflags(vcpu);
}

function pushFrameTail(vcpu: i32, size: u32, kind: u32, error: u32): void {
  framePush(vcpu, size, flagsImage(vcpu, kind));
  framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_CS), SEG_SELECTOR));
  framePush(vcpu, size, load<u32>(vcpu, EIP));
  if (kind & KIND_ERROR) framePush(vcpu, size, error);
}

function eventSamePrivilege(vcpu: i32, kind: u32, error: u32, ext: u32): void {
  const cs = draftAddress(vcpu, SEG_CS);
  const size = gateItemSize(vcpu);
  const cpl = load<u32>(vcpu, CPL);
  frameBegin(vcpu, segAddress(vcpu, SEG_SS), load<u32>(vcpu, ESP), cpl);
  if (!frameRoom(vcpu, kind & KIND_ERROR ? 4 : 3, size, ext)) return;
  if (!withinLimit(cs, gateOffset(vcpu), 1)) return raiseGP(vcpu, ext);
  pushFrameTail(vcpu, size, kind, error);
  markAccessed(vcpu, cs);
  if (faulted(vcpu)) return;
  store<u32>(vcpu, framePointer(vcpu), ESP);
  enterHandler(vcpu, cpl);
}

function eventInnerPrivilege(vcpu: i32, cpl: u32, kind: u32, error: u32, ext: u32): void {
  if (!draftInnerStack(vcpu, cpl, ext)) return;
  const ss = draftAddress(vcpu, SEG_SS);
  const cs = draftAddress(vcpu, SEG_CS);
  const size = gateItemSize(vcpu);
  const vm86 = isVm86(vcpu);
  const items: u32 = (vm86 ? 9 : 5) + (kind & KIND_ERROR ? 1 : 0);
  frameBegin(vcpu, ss, innerStackPointer(vcpu), cpl);
  if (!frameRoom(vcpu, items, size, (load<u32>(ss, SEG_SELECTOR) & 0xfffc) | ext)) return;
  if (!withinLimit(cs, gateOffset(vcpu), 1)) return raiseGP(vcpu, ext);
  if (vm86) {
    framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_GS), SEG_SELECTOR));
    framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_FS), SEG_SELECTOR));
    framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_DS), SEG_SELECTOR));
    framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_ES), SEG_SELECTOR));
  }
  framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_SS), SEG_SELECTOR));
  framePush(vcpu, size, load<u32>(vcpu, ESP));
  pushFrameTail(vcpu, size, kind, error);
  markAccessed(vcpu, ss);
  markAccessed(vcpu, cs);
  if (faulted(vcpu)) return;
  store<u32>(vcpu, framePointer(vcpu), ESP);
  if (vm86) {
    commitNull(vcpu, SEG_ES, 0);
    commitNull(vcpu, SEG_DS, 0);
    commitNull(vcpu, SEG_FS, 0);
    commitNull(vcpu, SEG_GS, 0);
  }
  commitSegment(vcpu, SEG_SS, ss);
  store<u32>(vcpu, cpl, CPL);
  enterHandler(vcpu, cpl);
}

/** Last step of a delivery through an interrupt or trap gate: CS:EIP and EFLAGS. */
function enterHandler(vcpu: i32, cpl: u32): void {
  setDraftRpl(vcpu, cpl);
  commitSegment(vcpu, SEG_CS, draftAddress(vcpu, SEG_CS));
  store<u64>(vcpu, gateOffset(vcpu), EIP);
  let flags = getEflags(vcpu) & ~(FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT);
  // bit 0 of the type: 0 = interrupt gate, 1 = trap gate
  if (!(gateAttr(vcpu) & 1)) flags &= ~FLAG_IF;
  setEflags(vcpu, flags);
  entered(vcpu);
}

/** Everything that every entry of a handler ends with. */
function entered(vcpu: i32): void {
  store<u32>(vcpu, 0, HALTED);
  store<u32>(vcpu, 0, INHIBIT);
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_NO_STEP, EVENT);
  updateMode(vcpu);
  recheck(vcpu);
}

/**
 * Delivery as the 8086 does it, through the vector table at linear address `table`: in real mode, and for INT n that
 * the VME redirection bitmap leaves to the program. There, with IOPL below 3, VIF stands for IF (SDM 3A 20.3.3.4).
 */
function interrupt8086(vcpu: i32, vector: u32, table: u32, ownIf: bool): void {
  const vm86 = isVm86(vcpu);
  const at = vector << 2;
  if (!vm86 && at + 3 > load<u32>(vcpu, IDTR_LIMIT)) return raiseGP(vcpu, 0);
  const pointer = sysRead<u32>(vcpu, table + at);
  if (faulted(vcpu)) return;
  const flags = getEflags(vcpu);
  let image = flags;
  if (!ownIf) image = (flags & ~FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
  frameBegin(vcpu, segAddress(vcpu, SEG_SS), load<u32>(vcpu, ESP), load<u32>(vcpu, CPL));
  if (!frameRoom(vcpu, 3, 2, 0)) return;
  framePush(vcpu, 2, image);
  framePush(vcpu, 2, load<u32>(segAddress(vcpu, SEG_CS), SEG_SELECTOR));
  framePush(vcpu, 2, load<u32>(vcpu, EIP));
  if (faulted(vcpu)) return;
  store<u32>(vcpu, framePointer(vcpu), ESP);
  commit8086(vcpu, SEG_CS, pointer >> 16, vm86);
  store<u64>(vcpu, pointer & 0xffff, EIP);
  let next = flags & ~(FLAG_TF | FLAG_RF);
  if (!vm86) next &= ~(FLAG_IF | FLAG_AC);
  else next &= ownIf ? ~FLAG_IF : ~FLAG_VIF;
  setEflags(vcpu, next);
  entered(vcpu);
}

/** Delivery through a task gate; the error code goes on the new task's stack. */
function eventTask(vcpu: i32, selector: u32, kind: u32, error: u32, ext: u32): void {
  const tssError = (selector & 0xfffc) | ext;
  const draft = draftAddress(vcpu, SEG_TR);
  if (selector & 4 || isNull(selector) || !fetchDescriptor(vcpu, selector, draft)) return raiseGP(vcpu, tssError);
  const type = systemType(load<u32>(draft, SEG_ATTR));
  if (type != TYPE_TSS16 && type != TYPE_TSS32) return raiseGP(vcpu, tssError);
  if (!isPresent(load<u32>(draft, SEG_ATTR))) return raise(vcpu, Vector.NP, tssError);
  switchTask(vcpu, selector, SWITCH_EVENT, ext, (kind & KIND_FAULT) != 0);
  if (!switchCommitted(vcpu)) return;
  store<u32>(vcpu, 0, HALTED);
  store<u32>(vcpu, 0, INHIBIT);
  if (faulted(vcpu) || !(kind & KIND_ERROR)) return;
  const size: u32 = type & TYPE_32 ? 4 : 2;
  frameBegin(vcpu, segAddress(vcpu, SEG_SS), load<u32>(vcpu, ESP), load<u32>(vcpu, CPL));
  if (!frameRoom(vcpu, 1, size, ext)) return;
  framePush(vcpu, size, error);
  // the switch cannot be repeated: a stack in MMIO loses the error code
  if (load<u32>(vcpu, FAULT) == FAULT_EXIT) clearFault(vcpu);
  if (!faulted(vcpu)) store<u32>(vcpu, framePointer(vcpu), ESP);
}
