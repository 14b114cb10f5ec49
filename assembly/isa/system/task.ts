// Hardware task switches with 16- and 32-bit TSSs. SDM 3A chapter 7; the numbers are the steps of 7.3.
// Everything of the new TSS is read and the old one written before the first register changes. What can only be checked
// afterwards (LDTR and segments) faults in the context of the new task, as the SDM has it.
import {
  CPL, CR0, DR7, EAX, EIP, EVENT, EVENT_NO_STEP, FAULT, FAULT_EXIT, GDTR_BASE,
  GPR_STRIDE, PENDING_DB, SEG_ATTR, SEG_BASE, SEG_CS, SEG_ES, SEG_GS, SEG_LDTR, SEG_LIMIT, SEG_SELECTOR, SEG_SS, SEG_TR, TASK, TASK_COMMITTED,
} from "../../../spec/layout";
import { CR0_PG, CR0_TS, FLAG_NT, FLAG_RF, FLAG_VM } from "../../../spec/registers";
import { Vector } from "../../../spec/vectors";
import { clearFault, faulted, raise, raiseGP, recheck } from "../../cpu/fault";
import { getEflags, setEflags } from "../../cpu/flags";
import { segAddress, updateMode } from "../../cpu/segment";
import { sysRead, sysWrite } from "../../mmu/access";
import { loadCr3 } from "../../cpu/paging";
import {
  commit8086, commitNull, commitSegment, dpl, draftAddress, fetchDescriptor, isCode, isConforming, isNull, isPresent, markAccessed,
  systemType, TYPE_32, TYPE_BUSY, TYPE_LDT, TYPE_TSS16, TYPE_TSS32, withinLimit,
} from "./descriptor";
import { deliverException } from "./interrupt";
import { draftData, draftStack, setBusy } from "./load-segment";
import { sysItem } from "./frame";

export const SWITCH_JUMP = 0;
export const SWITCH_CALL = 1;
export const SWITCH_IRET = 2;
export const SWITCH_EVENT = 3;

// The new task, read from its TSS (u32 each)
const TASK_EIP = TASK;
const TASK_EFLAGS = TASK + 4;
const TASK_GPR = TASK + 8; // EAX ECX EDX EBX ESP EBP ESI EDI
const TASK_SEG = TASK + 40; // ES CS SS DS FS GS
const TASK_LDT = TASK + 64;
const TASK_CR3 = TASK + 68;
const TASK_TRAP = TASK + 72;

const DR7_LOCAL: u32 = 0x155;
const DR6_BT: u32 = 0x8000;
const TSS32_LIMIT: u32 = 0x67;
const TSS16_LIMIT: u32 = 0x2b;

export function switchCommitted(vcpu: i32): bool {
  return load<u32>(vcpu, TASK_COMMITTED) != 0;
}

export function beginSwitch(vcpu: i32): void {
  store<u32>(vcpu, 0, TASK_COMMITTED);
}

/** #GP for switches that start here, #TS where a back link (IRET) names the TSS. */
function badTss(vcpu: i32, source: u32, selector: u32, ext: u32): void {
  raise(vcpu, source == SWITCH_IRET ? Vector.TS : Vector.GP, (selector & 0xfffc) | ext);
}

/**
 * Switches to the task of a TSS selector. The caller has checked privilege where the source has such a check. `ext` is
 * the EXT bit of error codes; `fault` sets RF in the image of the old task. Faults before the commit are recorded and
 * leave the old task as it was; faults after it are delivered in the new task (SWITCH_EVENT: left to the caller, who
 * tests switchCommitted).
 */
export function switchTask(vcpu: i32, selector: u32, source: u32, ext: u32, fault: bool = false): void {
  beginSwitch(vcpu);
  const error = (selector & 0xfffc) | ext;
  const tr = draftAddress(vcpu, SEG_TR);
  // 1-4: the descriptor
  if (isNull(selector) || selector & 4 || !fetchDescriptor(vcpu, selector, tr)) return badTss(vcpu, source, selector, ext);
  const attr = load<u32>(tr, SEG_ATTR);
  const type = systemType(attr);
  const wanted: u32 = source == SWITCH_IRET ? TYPE_BUSY : 0;
  if ((type & ~TYPE_BUSY) != TYPE_TSS16 && (type & ~TYPE_BUSY) != TYPE_TSS32) return badTss(vcpu, source, selector, ext);
  if ((type & TYPE_BUSY) != wanted) return badTss(vcpu, source, selector, ext);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
  const wide = (type & TYPE_32) != 0;
  if (load<u32>(tr, SEG_LIMIT) < (wide ? TSS32_LIMIT : TSS16_LIMIT)) return raise(vcpu, Vector.TS, error);

  const base = load<u32>(tr, SEG_BASE);
  readTss(vcpu, base, wide);
  if (faulted(vcpu)) return;
  const old = segAddress(vcpu, SEG_TR);
  // 7, 8: the old task
  let image = getEflags(vcpu);
  if (fault) image |= FLAG_RF;
  if (source == SWITCH_IRET) image &= ~FLAG_NT;
  saveTss(vcpu, load<u32>(old, SEG_BASE), (load<u32>(old, SEG_ATTR) & TYPE_32) != 0, image);
  const nested = source == SWITCH_CALL || source == SWITCH_EVENT;
  if (nested) sysWrite<u16>(vcpu, base, <u16>load<u32>(old, SEG_SELECTOR));
  // 6, 10: busy bits
  if (faulted(vcpu)) return;
  if (source != SWITCH_IRET) setBusy(vcpu, tr, true);
  if (faulted(vcpu)) return;
  if (!nested) clearOldBusy(vcpu, load<u32>(old, SEG_SELECTOR));
  if (faulted(vcpu)) return;

  commitTask(vcpu, wide, nested);
  loadTaskSegments(vcpu, ext);
  if (load<u32>(vcpu, FAULT) == FAULT_EXIT) {
    // A descriptor table in MMIO: the switch cannot be repeated, so its descriptors count as bad.
    clearFault(vcpu);
    raise(vcpu, Vector.TS, error);
  }
  if (load<u32>(vcpu, TASK_TRAP) & 1) store<u32>(vcpu, load<u32>(vcpu, PENDING_DB) | DR6_BT, PENDING_DB);
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_NO_STEP, EVENT);
  recheck(vcpu);
  if (source != SWITCH_EVENT && faulted(vcpu)) deliverException(vcpu);
}

function readTss(vcpu: i32, base: u32, wide: bool): void {
  const size: u32 = wide ? 4 : 2;
  let at: u32 = wide ? 0x20 : 0x0e;
  store<u32>(vcpu, sysItem(vcpu, base + at, size), TASK_EIP);
  at += size;
  store<u32>(vcpu, sysItem(vcpu, base + at, size), TASK_EFLAGS);
  for (let i = 0; i < 8; i++) {
    at += size;
    store<u32>(vcpu + (i << 2), sysItem(vcpu, base + at, size), TASK_GPR);
  }
  for (let i = 0; i < 6; i++) {
    at += size;
    // a 16-bit TSS has no FS and GS
    store<u32>(vcpu + (i << 2), wide || i < 4 ? <u32>sysRead<u16>(vcpu, base + at) : 0, TASK_SEG);
  }
  store<u32>(vcpu, <u32>sysRead<u16>(vcpu, base + (wide ? 0x60 : 0x2a)), TASK_LDT);
  store<u32>(vcpu, wide ? sysRead<u32>(vcpu, base + 0x1c) : 0, TASK_CR3);
  store<u32>(vcpu, wide ? <u32>sysRead<u16>(vcpu, base + 0x64) : 0, TASK_TRAP);
}

function saveItem(vcpu: i32, lin: u32, size: u32, value: u32): void {
  if (size == 4) sysWrite<u32>(vcpu, lin, value);
  else sysWrite<u16>(vcpu, lin, <u16>value);
}

function saveTss(vcpu: i32, base: u32, wide: bool, eflags: u32): void {
  const size: u32 = wide ? 4 : 2;
  let at: u32 = wide ? 0x20 : 0x0e;
  saveItem(vcpu, base + at, size, load<u32>(vcpu, EIP));
  at += size;
  saveItem(vcpu, base + at, size, eflags);
  for (let i = 0; i < 8; i++) {
    at += size;
    saveItem(vcpu, base + at, size, load<u32>(vcpu + i * GPR_STRIDE, EAX));
  }
  const segments = wide ? SEG_GS : 3;
  for (let seg = SEG_ES; seg <= segments; seg++) {
    at += size;
    sysWrite<u16>(vcpu, base + at, <u16>load<u32>(segAddress(vcpu, seg), SEG_SELECTOR));
  }
}

function clearOldBusy(vcpu: i32, selector: u32): void {
  const lin = load<u32>(vcpu, GDTR_BASE) + (selector & 0xfff8) + 5;
  const attr = <u32>sysRead<u8>(vcpu, lin);
  sysWrite<u8>(vcpu, lin, <u8>(attr & ~TYPE_BUSY));
}

/** 9, 11, 12: TR, CR0.TS, CR3, registers and selectors; from here on faults belong to the new task. */
function commitTask(vcpu: i32, wide: bool, nested: bool): void {
  store<u32>(vcpu, 1, TASK_COMMITTED);
  const tr = draftAddress(vcpu, SEG_TR);
  store<u32>(tr, load<u32>(tr, SEG_ATTR) | TYPE_BUSY, SEG_ATTR);
  commitSegment(vcpu, SEG_TR, tr);
  store<u32>(vcpu, load<u32>(vcpu, CR0) | CR0_TS, CR0);
  store<u32>(vcpu, load<u32>(vcpu, DR7) & ~DR7_LOCAL, DR7);
  for (let i = 0; i < 8; i++) store<u32>(vcpu + i * GPR_STRIDE, load<u32>(vcpu + (i << 2), TASK_GPR), EAX);
  store<u64>(vcpu, load<u32>(vcpu, TASK_EIP), EIP);
  let flags = load<u32>(vcpu, TASK_EFLAGS);
  if (nested) flags |= FLAG_NT;
  setEflags(vcpu, flags);
  for (let seg = SEG_ES; seg <= SEG_GS; seg++) commitNull(vcpu, seg, load<u32>(vcpu + (seg << 2), TASK_SEG));
  commitNull(vcpu, SEG_LDTR, load<u32>(vcpu, TASK_LDT));
  store<u32>(vcpu, flags & FLAG_VM ? 3 : load<u32>(vcpu, TASK_SEG + SEG_CS * 4) & 3, CPL);
  updateMode(vcpu);
  if (wide && load<u32>(vcpu, CR0) & CR0_PG && !loadCr3(vcpu, load<u32>(vcpu, TASK_CR3))) raiseGP(vcpu, 0);
}

/** 13: LDTR and the segment registers, checked. */
function loadTaskSegments(vcpu: i32, ext: u32): void {
  if (faulted(vcpu)) return;
  loadTaskLdt(vcpu, load<u32>(vcpu, TASK_LDT), ext);
  if (faulted(vcpu)) return;
  if (load<u32>(vcpu, TASK_EFLAGS) & FLAG_VM) {
    for (let seg = SEG_ES; seg <= SEG_GS; seg++) commit8086(vcpu, seg, load<u32>(vcpu + (seg << 2), TASK_SEG), true);
  } else {
    loadTaskCode(vcpu, ext);
    if (faulted(vcpu)) return;
    const cpl = load<u32>(vcpu, CPL);
    if (!draftStack(vcpu, load<u32>(vcpu, TASK_SEG + SEG_SS * 4), cpl, Vector.TS, ext)) return;
    commitAccessed(vcpu, SEG_SS);
    for (let seg = SEG_ES; seg <= SEG_GS; seg++) {
      if (seg == SEG_CS || seg == SEG_SS) continue;
      const selector = load<u32>(vcpu + (seg << 2), TASK_SEG);
      if (isNull(selector)) continue;
      if (!draftData(vcpu, selector, cpl, draftAddress(vcpu, seg), Vector.TS, ext)) break;
      commitAccessed(vcpu, seg);
      if (faulted(vcpu)) break;
    }
  }
  updateMode(vcpu);
  if (!faulted(vcpu) && !withinLimit(segAddress(vcpu, SEG_CS), load<u32>(vcpu, EIP), 1)) raiseGP(vcpu, ext);
}

function commitAccessed(vcpu: i32, seg: i32): void {
  const draft = draftAddress(vcpu, seg);
  markAccessed(vcpu, draft);
  if (!faulted(vcpu)) commitSegment(vcpu, seg, draft);
}

function loadTaskLdt(vcpu: i32, selector: u32, ext: u32): void {
  if (isNull(selector)) return;
  const draft = draftAddress(vcpu, SEG_LDTR);
  if (
    selector & 4 ||
    !fetchDescriptor(vcpu, selector, draft) ||
    systemType(load<u32>(draft, SEG_ATTR)) != TYPE_LDT ||
    !isPresent(load<u32>(draft, SEG_ATTR))
  )
    return raise(vcpu, Vector.TS, (selector & 0xfffc) | ext);
  commitSegment(vcpu, SEG_LDTR, draft);
}

function loadTaskCode(vcpu: i32, ext: u32): void {
  const selector = load<u32>(vcpu, TASK_SEG + SEG_CS * 4);
  const error = (selector & 0xfffc) | ext;
  const draft = draftAddress(vcpu, SEG_CS);
  if (isNull(selector) || !fetchDescriptor(vcpu, selector, draft)) return raise(vcpu, Vector.TS, error);
  const attr = load<u32>(draft, SEG_ATTR);
  const rpl = selector & 3;
  if (!isCode(attr) || (isConforming(attr) ? dpl(attr) > rpl : dpl(attr) != rpl)) return raise(vcpu, Vector.TS, error);
  if (!isPresent(attr)) return raise(vcpu, Vector.NP, error);
  commitAccessed(vcpu, SEG_CS);
  updateMode(vcpu);
}
