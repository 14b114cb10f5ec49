// Far JMP, CALL and RET. SDM 2A CALL, JMP; 2B RET; 3A 5.8.
import {
  ATTR_CODE, ATTR_DC, ATTR_S, CPL, DRAFT_HIGH, DRAFT_LOW, EIP, ESP, PFX_OP16, REC_DISP, REC_IMM, REC_PFX, SEG_ATTR, SEG_BASE,
  SEG_CS, SEG_ES, SEG_GS, SEG_SELECTOR, SEG_SS,
} from "../../../spec/layout";
import { Vector } from "../../../spec/vectors";
import { faulted, raise, raiseGP, recheck } from "../../cpu/fault";
import { checkSegment, segAddress, updateMode } from "../../cpu/segment";
import { Mem } from "../../mmu/access";
import { readOperand } from "../operand";
import {
  commit8086, commitNull, commitSegment, dpl, draftAddress, fetchDescriptor, isCode, isConforming, isNull, isPresent, isProtected,
  isVm86, markAccessed, systemType, TYPE_CALL16, TYPE_CALL32, TYPE_TASK, TYPE_TSS16, TYPE_TSS32, withinLimit,
} from "./descriptor";
import { frameBegin, framePointer, framePush, frameRoom, stackMask, stackPeek } from "./frame";
import {
  decodeGate, draftInnerStack, gateAttr, gateItemSize, gateOffset, gateParameters, gateSelector, innerStackPointer, setDraftRpl,
} from "./gate";
import { draftStack } from "./load-segment";
import { switchTask, SWITCH_CALL, SWITCH_JUMP } from "./task";

/** Bytes of one stack item of the instruction. */
function itemSize(rec: i32): u32 {
  return load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
}

/** JMP and CALL ptr16:16/32 */
export function farDirect(vcpu: i32, rec: i32, call: bool): void {
  farTransfer(vcpu, load<u32>(rec, REC_DISP) & 0xffff, load<u32>(rec, REC_IMM), itemSize(rec), call);
}

/** JMP and CALL m16:16/32 */
export function farIndirect(vcpu: i32, rec: i32, call: bool): void {
  const size = itemSize(rec);
  const offset: u32 = size == 4 ? readOperand<u32>(vcpu, rec) : <u32>readOperand<u16>(vcpu, rec);
  const selector = <u32>readOperand<u16>(vcpu, rec, size);
  if (faulted(vcpu)) return;
  farTransfer(vcpu, selector, offset, size, call);
}

function farTransfer(vcpu: i32, selector: u32, offset: u32, size: u32, call: bool): void {
  if (!isProtected(vcpu)) far8086(vcpu, selector, offset, size, call);
  else farProtected(vcpu, selector, offset, size, call);
}

function far8086(vcpu: i32, selector: u32, offset: u32, size: u32, call: bool): void {
  if (!withinLimit(segAddress(vcpu, SEG_CS), offset, 1)) return raiseGP(vcpu, 0);
  if (call) {
    if (!pushReturn(vcpu, size)) return;
    store<u32>(vcpu, framePointer(vcpu), ESP);
  }
  commit8086(vcpu, SEG_CS, selector, isVm86(vcpu));
  store<u64>(vcpu, offset, EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

/** Builds the frame CS, EIP on the current stack. The caller stores framePointer to ESP. */
function pushReturn(vcpu: i32, size: u32): bool {
  frameBegin(vcpu, segAddress(vcpu, SEG_SS), load<u32>(vcpu, ESP), load<u32>(vcpu, CPL));
  if (!frameRoom(vcpu, 2, size, 0)) return false;
  framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_CS), SEG_SELECTOR));
  framePush(vcpu, size, load<u32>(vcpu, EIP));
  return !faulted(vcpu);
}

function farProtected(vcpu: i32, selector: u32, offset: u32, size: u32, call: bool): void {
  if (isNull(selector)) return raiseGP(vcpu, 0);
  const error = selector & 0xfffc;
  const cs = draftAddress(vcpu, SEG_CS);
  if (!fetchDescriptor(vcpu, selector, cs)) return raiseGP(vcpu, error);
  const attr = load<u32>(cs, SEG_ATTR);
  const cpl = load<u32>(vcpu, CPL);
  const rpl = selector & 3;
  if (isCode(attr)) {
    if (isConforming(attr) ? dpl(attr) > cpl : rpl > cpl || dpl(attr) != cpl) return raiseGP(vcpu, error);
    if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
    return enterSamePrivilege(vcpu, offset, size, call);
  }
  const type = systemType(attr);
  if (type != TYPE_CALL16 && type != TYPE_CALL32 && type != TYPE_TASK && type != TYPE_TSS16 && type != TYPE_TSS32)
    return raiseGP(vcpu, error);
  if (dpl(attr) < cpl || dpl(attr) < rpl) return raiseGP(vcpu, error);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
  if (type == TYPE_TSS16 || type == TYPE_TSS32) return switchTask(vcpu, selector, call ? SWITCH_CALL : SWITCH_JUMP, 0);
  decodeGate(vcpu, load<u32>(cs, DRAFT_LOW), load<u32>(cs, DRAFT_HIGH));
  if (type == TYPE_TASK) return taskGate(vcpu, gateSelector(vcpu), call);
  callGate(vcpu, call);
}

/** The TSS that a task gate names: an available one in the GDT. */
function taskGate(vcpu: i32, selector: u32, call: bool): void {
  const error = selector & 0xfffc;
  const draft = draftAddress(vcpu, SEG_CS);
  if (selector & 4 || isNull(selector) || !fetchDescriptor(vcpu, selector, draft)) return raiseGP(vcpu, error);
  const attr = load<u32>(draft, SEG_ATTR);
  const type = systemType(attr);
  if (type != TYPE_TSS16 && type != TYPE_TSS32) return raiseGP(vcpu, error);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
  switchTask(vcpu, selector, call ? SWITCH_CALL : SWITCH_JUMP, 0);
}

/** Enters the code segment in the CS draft without a change of privilege. */
function enterSamePrivilege(vcpu: i32, offset: u32, size: u32, call: bool): void {
  const cs = draftAddress(vcpu, SEG_CS);
  const target = size == 2 ? offset & 0xffff : offset;
  if (call) {
    // room first: #SS comes before the #GP of the target's limit
    frameBegin(vcpu, segAddress(vcpu, SEG_SS), load<u32>(vcpu, ESP), load<u32>(vcpu, CPL));
    if (!frameRoom(vcpu, 2, size, 0)) return;
  }
  if (!withinLimit(cs, target, 1)) return raiseGP(vcpu, 0);
  if (call && !pushReturn(vcpu, size)) return;
  markAccessed(vcpu, cs);
  if (faulted(vcpu)) return;
  if (call) store<u32>(vcpu, framePointer(vcpu), ESP);
  setDraftRpl(vcpu, load<u32>(vcpu, CPL));
  commitSegment(vcpu, SEG_CS, cs);
  store<u64>(vcpu, target, EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

/** JMP or CALL through the decoded call gate. */
function callGate(vcpu: i32, call: bool): void {
  const selector = gateSelector(vcpu);
  if (isNull(selector)) return raiseGP(vcpu, 0);
  const error = selector & 0xfffc;
  const cs = draftAddress(vcpu, SEG_CS);
  const cpl = load<u32>(vcpu, CPL);
  if (!fetchDescriptor(vcpu, selector, cs)) return raiseGP(vcpu, error);
  const attr = load<u32>(cs, SEG_ATTR);
  const conforming = isConforming(attr);
  // a call may raise the privilege, a jump may not
  if (!isCode(attr) || (call || conforming ? dpl(attr) > cpl : dpl(attr) != cpl)) return raiseGP(vcpu, error);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
  const size = gateItemSize(vcpu);
  if (!call || conforming || dpl(attr) == cpl) return enterSamePrivilege(vcpu, gateOffset(vcpu), size, call);
  callInnerPrivilege(vcpu, dpl(attr), size);
}

/** CALL through a gate to a more privileged, non-conforming segment: switches stacks and copies parameters. */
function callInnerPrivilege(vcpu: i32, cpl: u32, size: u32): void {
  if (!draftInnerStack(vcpu, cpl, 0)) return;
  const ss = draftAddress(vcpu, SEG_SS);
  const cs = draftAddress(vcpu, SEG_CS);
  const count = gateParameters(vcpu);
  const oldSs = segAddress(vcpu, SEG_SS);
  const oldEsp = load<u32>(vcpu, ESP);
  frameBegin(vcpu, ss, innerStackPointer(vcpu), cpl);
  if (!frameRoom(vcpu, count + 4, size, load<u32>(ss, SEG_SELECTOR) & 0xfffc)) return;
  if (!withinLimit(cs, gateOffset(vcpu), 1)) return raiseGP(vcpu, 0);
  framePush(vcpu, size, load<u32>(oldSs, SEG_SELECTOR));
  framePush(vcpu, size, oldEsp);
  const mask = stackMask(oldSs);
  for (let i = <i32>count - 1; i >= 0; i--) {
    const at = (oldEsp + <u32>i * size) & mask;
    if (!checkSegment(vcpu, SEG_SS, at, size, false)) return;
    const lin = load<u32>(oldSs, SEG_BASE) + at;
    framePush(vcpu, size, size == 4 ? Mem.read<u32>(vcpu, lin) : <u32>Mem.read<u16>(vcpu, lin));
  }
  framePush(vcpu, size, load<u32>(segAddress(vcpu, SEG_CS), SEG_SELECTOR));
  framePush(vcpu, size, load<u32>(vcpu, EIP));
  markAccessed(vcpu, ss);
  markAccessed(vcpu, cs);
  if (faulted(vcpu)) return;
  store<u32>(vcpu, framePointer(vcpu), ESP);
  commitSegment(vcpu, SEG_SS, ss);
  setDraftRpl(vcpu, cpl);
  commitSegment(vcpu, SEG_CS, cs);
  store<u32>(vcpu, cpl, CPL);
  store<u64>(vcpu, gateOffset(vcpu), EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

/** RETF and RETF imm16. */
export function farReturn(vcpu: i32, rec: i32, release: u32): void {
  const size = itemSize(rec);
  const offset = stackPeek(vcpu, 0, size);
  const selector = stackPeek(vcpu, size, size) & 0xffff;
  if (faulted(vcpu)) return;
  if (isProtected(vcpu)) return returnProtected(vcpu, selector, offset, size, 2 * size, release);
  if (!withinLimit(segAddress(vcpu, SEG_CS), offset, 1)) return raiseGP(vcpu, 0);
  const mask = stackMask(segAddress(vcpu, SEG_SS));
  const esp = load<u32>(vcpu, ESP);
  commit8086(vcpu, SEG_CS, selector, isVm86(vcpu));
  store<u32>(vcpu, (esp & ~mask) | ((esp + 2 * size + release) & mask), ESP);
  store<u64>(vcpu, offset, EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

/** Checks of the CS that RETF and IRET return to, into the CS draft. */
export function draftReturnCode(vcpu: i32, selector: u32): bool {
  if (isNull(selector)) {
    raiseGP(vcpu, 0);
    return false;
  }
  const cs = draftAddress(vcpu, SEG_CS);
  const error = selector & 0xfffc;
  const rpl = selector & 3;
  if (!fetchDescriptor(vcpu, selector, cs)) {
    raiseGP(vcpu, error);
    return false;
  }
  const attr = load<u32>(cs, SEG_ATTR);
  if (!isCode(attr) || rpl < load<u32>(vcpu, CPL) || (isConforming(attr) ? dpl(attr) > rpl : dpl(attr) != rpl)) {
    raiseGP(vcpu, error);
    return false;
  }
  if (!isPresent(attr)) {
    raise(vcpu, Vector.NP, error);
    return false;
  }
  return true;
}

/**
 * Return in protected mode; `popped` bytes hold the frame's EIP, CS (and EFLAGS), above which an outer stack's ESP and
 * SS follow after `release` bytes of parameters. Commits everything but EFLAGS.
 */
export function returnProtected(vcpu: i32, selector: u32, offset: u32, size: u32, popped: u32, release: u32): void {
  if (!draftReturnCode(vcpu, selector)) return;
  const cs = draftAddress(vcpu, SEG_CS);
  const cpl = selector & 3;
  const outer = cpl > load<u32>(vcpu, CPL);
  let esp: u32 = 0;
  if (outer) {
    esp = stackPeek(vcpu, popped + release, size);
    const ssSelector = stackPeek(vcpu, popped + release + size, size) & 0xffff;
    if (faulted(vcpu)) return;
    if (!draftStack(vcpu, ssSelector, cpl, Vector.GP, 0)) return;
  }
  if (!withinLimit(cs, offset, 1)) return raiseGP(vcpu, 0);
  markAccessed(vcpu, cs);
  if (outer) markAccessed(vcpu, draftAddress(vcpu, SEG_SS));
  if (faulted(vcpu)) return;
  commitSegment(vcpu, SEG_CS, cs);
  store<u64>(vcpu, offset, EIP);
  const old = load<u32>(vcpu, ESP);
  if (!outer) {
    const mask = stackMask(segAddress(vcpu, SEG_SS));
    store<u32>(vcpu, (old & ~mask) | ((old + popped + release) & mask), ESP);
  } else {
    const ss = draftAddress(vcpu, SEG_SS);
    const mask = stackMask(ss);
    // a 16-bit stack takes SP only: the upper half of ESP stays the inner one's
    store<u32>(vcpu, (old & ~mask) | ((esp + release) & mask), ESP);
    commitSegment(vcpu, SEG_SS, ss);
    store<u32>(vcpu, cpl, CPL);
    dropInnerSegments(vcpu, cpl);
  }
  updateMode(vcpu);
  recheck(vcpu);
}

/** After a return to less privilege, data segments that it could not have loaded become null (SDM 3A 5.8.6). */
export function dropInnerSegments(vcpu: i32, cpl: u32): void {
  for (let seg = SEG_ES; seg <= SEG_GS; seg++) {
    if (seg == SEG_CS || seg == SEG_SS) continue;
    const attr = load<u32>(segAddress(vcpu, seg), SEG_ATTR);
    const conformingCode = (attr & (ATTR_S | ATTR_CODE | ATTR_DC)) == (ATTR_S | ATTR_CODE | ATTR_DC);
    if (dpl(attr) < cpl && !conformingCode) commitNull(vcpu, seg, 0);
  }
}
