// SGDT, SIDT, LGDT, LIDT, SLDT, STR; LAR, LSL, VERR, VERW, ARPL. SDM 2A-2B; 3A 5.10.
import {
  ATTR_CODE, ATTR_DC, ATTR_S, CPL, CR4, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, PFX_OP16, REC_PFX, SEG_ATTR, SEG_CS, SEG_LIMIT,
  SEG_SELECTOR, DRAFT_HIGH,
} from "../../../spec/layout";
import { CR4_UMIP } from "../../../spec/registers";
import { faulted, raiseGP } from "../../cpu/fault";
import { setZf } from "../../cpu/flags";
import { segAddress } from "../../cpu/segment";
import { readE, readForUpdate, readG, readOperand, writeE, writeG, writeOperand } from "../operand";
import {
  dpl, draftAddress, fetchDescriptor, isNull, isReadable, isWritableData, systemType, TYPE_BUSY, TYPE_CALL16, TYPE_CALL32, TYPE_LDT,
  TYPE_TASK, TYPE_TSS16, TYPE_TSS32,
} from "./descriptor";
import { descriptorExit } from "./exit-controls";
import { writeSelector } from "./load-segment";

/** CR4.UMIP keeps the system registers from user mode: raises #GP(0) and returns true. */
export function umipBlocks(vcpu: i32): bool {
  if (!(load<u32>(vcpu, CR4) & CR4_UMIP) || load<u32>(vcpu, CPL) == 0) return false;
  raiseGP(vcpu, 0);
  return true;
}

/** SGDT, SIDT: all 32 bits of the base whatever the operand size, as processors do since the 386. */
export function storeTable(vcpu: i32, rec: i32, idt: bool): void {
  if (umipBlocks(vcpu) || descriptorExit(vcpu)) return;
  writeOperand<u16>(vcpu, rec, load<u16>(vcpu + (idt ? IDTR_LIMIT : GDTR_LIMIT)));
  writeOperand<u32>(vcpu, rec, load<u32>(vcpu + (idt ? IDTR_BASE : GDTR_BASE)), 2);
}

/** LGDT, LIDT: 24 bits of the base with 16-bit operand size. */
export function loadTable(vcpu: i32, rec: i32, idt: bool): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const limit = <u32>readOperand<u16>(vcpu, rec);
  let base = readOperand<u32>(vcpu, rec, 2);
  if (faulted(vcpu) || descriptorExit(vcpu)) return;
  if (load<u8>(rec, REC_PFX) & PFX_OP16) base &= 0xffffff;
  store<u32>(vcpu + (idt ? IDTR_LIMIT : GDTR_LIMIT), limit);
  store<u32>(vcpu + (idt ? IDTR_BASE : GDTR_BASE), base);
}

/** SLDT, STR */
export function storeSelector(vcpu: i32, rec: i32, seg: i32): void {
  if (umipBlocks(vcpu) || descriptorExit(vcpu)) return;
  writeSelector(vcpu, rec, load<u32>(segAddress(vcpu, seg), SEG_SELECTOR));
}

/** Reads the descriptor that LAR, LSL, VERR and VERW look at; false when it is not visible at CPL and RPL. */
function draftVisible(vcpu: i32, selector: u32): bool {
  const draft = draftAddress(vcpu, SEG_CS);
  if (isNull(selector) || !fetchDescriptor(vcpu, selector, draft)) return false;
  const attr = load<u32>(draft, SEG_ATTR);
  if ((attr & (ATTR_S | ATTR_CODE | ATTR_DC)) == (ATTR_S | ATTR_CODE | ATTR_DC)) return true;
  return dpl(attr) >= load<u32>(vcpu, CPL) && dpl(attr) >= (selector & 3);
}

/** System descriptors that have a limit: TSSs and LDTs. */
function hasLimit(type: u32): bool {
  return (type & ~TYPE_BUSY) == TYPE_TSS16 || (type & ~TYPE_BUSY) == TYPE_TSS32 || type == TYPE_LDT;
}

/** LAR: access rights, masked with 00FxFF00h. */
export function loadAccessRights(vcpu: i32, rec: i32): void {
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  let visible = draftVisible(vcpu, selector);
  if (faulted(vcpu)) return;
  const draft = draftAddress(vcpu, SEG_CS);
  if (visible) {
    const attr = load<u32>(draft, SEG_ATTR);
    const type = systemType(attr);
    visible = (attr & ATTR_S) != 0 || hasLimit(type) || type == TYPE_CALL16 || type == TYPE_CALL32 || type == TYPE_TASK;
  }
  if (visible) {
    const rights = load<u32>(draft, DRAFT_HIGH) & 0x00ffff00; // the SDM leaves bits 16..19 undefined; processors give the limit's
    if (load<u8>(rec, REC_PFX) & PFX_OP16) writeG<u16>(vcpu, rec, <u16>rights);
    else writeG<u32>(vcpu, rec, rights);
  }
  setZf(vcpu, visible);
}

/** LSL: the limit in bytes. */
export function loadSegmentLimit(vcpu: i32, rec: i32): void {
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  let visible = draftVisible(vcpu, selector);
  if (faulted(vcpu)) return;
  const draft = draftAddress(vcpu, SEG_CS);
  if (visible) {
    const attr = load<u32>(draft, SEG_ATTR);
    visible = (attr & ATTR_S) != 0 || hasLimit(systemType(attr));
  }
  if (visible) {
    const limit = load<u32>(draft, SEG_LIMIT);
    if (load<u8>(rec, REC_PFX) & PFX_OP16) writeG<u16>(vcpu, rec, <u16>limit);
    else writeG<u32>(vcpu, rec, limit);
  }
  setZf(vcpu, visible);
}

/** VERR, VERW */
export function verify(vcpu: i32, rec: i32, write: bool): void {
  const selector = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  const visible = draftVisible(vcpu, selector);
  if (faulted(vcpu)) return;
  const attr = load<u32>(draftAddress(vcpu, SEG_CS), SEG_ATTR);
  setZf(vcpu, visible && (write ? isWritableData(attr) : isReadable(attr)));
}

/** ARPL: raises the RPL of a selector to that of another. */
export function adjustRpl(vcpu: i32, rec: i32): void {
  const selector = <u32>readE<u16>(vcpu, rec); // written only when it changes
  const rpl = <u32>readG<u16>(vcpu, rec) & 3;
  if (faulted(vcpu)) return;
  const lower = (selector & 3) < rpl;
  if (lower) writeE<u16>(vcpu, rec, <u16>((selector & ~3) | rpl));
  if (faulted(vcpu)) return;
  setZf(vcpu, lower);
}
