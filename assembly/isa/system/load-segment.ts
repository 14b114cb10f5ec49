// Loading segment registers: MOV, POP, LxS, PUSH, and LLDT, LTR. SDM 2B MOV, POP; 2A LDS; 3A 5.6, 5.7.
import {
  ATTR_CODE, ATTR_DC, ATTR_S, CPL, DRAFT_ADDR, ESP, INHIBIT, INHIBIT_SS, PFX_OP16, PFX_REG, REC_BASE, REC_PFX, REC_REG, SEG_ATTR,
  SEG_BASE, SEG_CS, SEG_LDTR, SEG_SELECTOR, SEG_SS, SEG_TR,
} from "../../../spec/layout";
import { Vector } from "../../../spec/vectors";
import { faulted, raise, raiseGP, raiseUD, recheck } from "../../cpu/fault";
import { checkSegment, segAddress, updateMode } from "../../cpu/segment";
import { Mem, sysWrite } from "../../mmu/access";
import { readE, readOperand, writeE } from "../operand";
import {
  commit8086, commitNull, commitSegment, dpl, draftAddress, fetchDescriptor, isNull, isPresent, isProtected, isReadable, isVm86,
  isWritableData, markAccessed, systemType, TYPE_BUSY, TYPE_LDT, TYPE_TSS16, TYPE_TSS32,
} from "./descriptor";
import { descriptorExit } from "./exit-controls";
import { stackMask, stackPeek } from "./frame";

/** #SS checks of a stack selector for privilege `cpl`, into the SS draft. Vector of the errors: #GP (loads), #TS (stacks of a TSS). */
export function draftStack(vcpu: i32, selector: u32, cpl: u32, vector: u32, ext: u32): bool {
  const draft = draftAddress(vcpu, SEG_SS);
  if (isNull(selector)) {
    raise(vcpu, vector, ext);
    return false;
  }
  const error = (selector & 0xfffc) | ext;
  if (!fetchDescriptor(vcpu, selector, draft)) {
    raise(vcpu, vector, error);
    return false;
  }
  const attr = load<u32>(draft, SEG_ATTR);
  if ((selector & 3) != cpl || !isWritableData(attr) || dpl(attr) != cpl) {
    raise(vcpu, vector, error);
    return false;
  }
  if (!isPresent(attr)) {
    raise(vcpu, Vector.SS, error);
    return false;
  }
  return true;
}

/** Checks of a selector for DS, ES, FS or GS that is not null, into `draft`. */
export function draftData(vcpu: i32, selector: u32, cpl: u32, draft: i32, vector: u32, ext: u32): bool {
  const error = (selector & 0xfffc) | ext;
  if (!fetchDescriptor(vcpu, selector, draft)) {
    raise(vcpu, vector, error);
    return false;
  }
  const attr = load<u32>(draft, SEG_ATTR);
  const conformingCode = (attr & (ATTR_S | ATTR_CODE | ATTR_DC)) == (ATTR_S | ATTR_CODE | ATTR_DC);
  if (!isReadable(attr) || (!conformingCode && (dpl(attr) < (selector & 3) || dpl(attr) < cpl))) {
    raise(vcpu, vector, error);
    return false;
  }
  if (!isPresent(attr)) {
    raise(vcpu, Vector.NP, error);
    return false;
  }
  return true;
}

/** Loads ES, SS, DS, FS or GS as MOV does, in any mode. Nothing changes when it faults. */
export function loadSegment(vcpu: i32, seg: i32, selector: u32): void {
  if (!isProtected(vcpu)) {
    commit8086(vcpu, seg, selector, isVm86(vcpu));
  } else if (seg != SEG_SS && isNull(selector)) {
    commitNull(vcpu, seg, selector);
  } else {
    const cpl = load<u32>(vcpu, CPL);
    const draft = draftAddress(vcpu, seg);
    if (seg == SEG_SS) {
      if (!draftStack(vcpu, selector, cpl, Vector.GP, 0)) return;
    } else if (!draftData(vcpu, selector, cpl, draft, Vector.GP, 0)) return;
    markAccessed(vcpu, draft);
    if (faulted(vcpu)) return;
    commitSegment(vcpu, seg, draft);
  }
  updateMode(vcpu);
  recheck(vcpu);
}

function inhibitAfterStack(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, INHIBIT) | INHIBIT_SS, INHIBIT);
}

/** MOV Sreg, r/m16 */
export function movToSegment(vcpu: i32, rec: i32): void {
  const seg = <i32>(load<u8>(rec, REC_REG) >> 3);
  if (seg == SEG_CS || seg > 5) return raiseUD(vcpu);
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  loadSegment(vcpu, seg, selector);
  if (seg == SEG_SS && !faulted(vcpu)) inhibitAfterStack(vcpu);
}

/** Writes a 16-bit system register: zero-extended to a 32-bit register, always 16 bits to memory. */
export function writeSelector(vcpu: i32, rec: i32, selector: u32): void {
  const prefixes = <u32>load<u8>(rec, REC_PFX);
  if (prefixes & PFX_REG && !(prefixes & PFX_OP16)) store<u32>(vcpu + <i32>load<u8>(rec, REC_BASE), selector);
  else writeE<u16>(vcpu, rec, <u16>selector);
}

/** MOV r/m16, Sreg */
export function movFromSegment(vcpu: i32, rec: i32): void {
  const seg = <i32>(load<u8>(rec, REC_REG) >> 3);
  if (seg > 5) return raiseUD(vcpu);
  writeSelector(vcpu, rec, load<u32>(segAddress(vcpu, seg), SEG_SELECTOR));
}

/** PUSH Sreg: with 32-bit operand size only the low half of the slot is written, as processors since the P6 do. */
export function pushSegment(vcpu: i32, rec: i32, seg: i32): void {
  const size: u32 = load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
  const ss = segAddress(vcpu, SEG_SS);
  const mask = stackMask(ss);
  const old = load<u32>(vcpu, ESP);
  const at = (old - size) & mask;
  if (!checkSegment(vcpu, SEG_SS, at, size, true)) return;
  Mem.write<u16>(vcpu, load<u32>(ss, SEG_BASE) + at, load<u16>(segAddress(vcpu, seg), SEG_SELECTOR));
  if (faulted(vcpu)) return;
  store<u32>(vcpu, (old & ~mask) | at, ESP);
}

/** POP Sreg */
export function popSegment(vcpu: i32, rec: i32, seg: i32): void {
  const size: u32 = load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
  const selector = stackPeek(vcpu, 0, size) & 0xffff;
  if (faulted(vcpu)) return;
  // the pop happens on the old stack segment
  const mask = stackMask(segAddress(vcpu, SEG_SS));
  const old = load<u32>(vcpu, ESP);
  loadSegment(vcpu, seg, selector);
  if (faulted(vcpu)) return;
  store<u32>(vcpu, (old & ~mask) | ((old + size) & mask), ESP);
  if (seg == SEG_SS) inhibitAfterStack(vcpu);
}

/** LES, LDS, LSS, LFS, LGS */
export function loadFarPointer(vcpu: i32, rec: i32, seg: i32): void {
  const wide = !(load<u8>(rec, REC_PFX) & PFX_OP16);
  const offset: u32 = wide ? readOperand<u32>(vcpu, rec) : <u32>readOperand<u16>(vcpu, rec);
  const selector = <u32>readOperand<u16>(vcpu, rec, wide ? 4 : 2);
  if (faulted(vcpu)) return;
  loadSegment(vcpu, seg, selector);
  if (faulted(vcpu)) return;
  const reg = vcpu + <i32>load<u8>(rec, REC_REG);
  if (wide) store<u32>(reg, offset);
  else store<u16>(reg, <u16>offset);
}

/** LLDT r/m16 */
export function loadLdt(vcpu: i32, rec: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu) || descriptorExit(vcpu)) return;
  if (isNull(selector)) {
    commitNull(vcpu, SEG_LDTR, selector);
    return;
  }
  const draft = draftAddress(vcpu, SEG_LDTR);
  if (selector & 4 || !fetchDescriptor(vcpu, selector, draft)) return raiseGP(vcpu, selector & 0xfffc);
  const attr = load<u32>(draft, SEG_ATTR);
  if (systemType(attr) != TYPE_LDT) return raiseGP(vcpu, selector & 0xfffc);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, selector & 0xfffc);
  commitSegment(vcpu, SEG_LDTR, draft);
}

/** LTR r/m16 */
export function loadTaskRegister(vcpu: i32, rec: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu) || descriptorExit(vcpu)) return;
  if (isNull(selector)) return raiseGP(vcpu, 0);
  const draft = draftAddress(vcpu, SEG_TR);
  if (selector & 4 || !fetchDescriptor(vcpu, selector, draft)) return raiseGP(vcpu, selector & 0xfffc);
  const attr = load<u32>(draft, SEG_ATTR);
  const type = systemType(attr);
  if (type != TYPE_TSS16 && type != TYPE_TSS32) return raiseGP(vcpu, selector & 0xfffc);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, selector & 0xfffc);
  setBusy(vcpu, draft, true);
  if (faulted(vcpu)) return;
  commitSegment(vcpu, SEG_TR, draft);
}

/** Sets or clears the busy bit of the TSS descriptor in `draft`, in memory and in the draft. */
export function setBusy(vcpu: i32, draft: i32, busy: bool): void {
  const attr = load<u32>(draft, SEG_ATTR);
  const changed = busy ? attr | TYPE_BUSY : attr & ~TYPE_BUSY;
  sysWrite<u8>(vcpu, load<u32>(draft, DRAFT_ADDR) + 5, <u8>changed);
  store<u32>(draft, changed, SEG_ATTR);
}
