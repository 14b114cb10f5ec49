// IRET in every mode. SDM 2A IRET; 3A 6.12.1, 7.4, 20.2.
import {
  CPL, CR4, EIP, ESP, NMI_BLOCKED, PFX_OP16, REC_PFX, SEG_BASE, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS, SEG_TR,
} from "../../../spec/layout";
import {
  CR4_VME, FLAG_AC, FLAG_DF, FLAG_ID, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VIF, FLAG_VIP, FLAG_VM, FLAGS_ARITH,
} from "../../../spec/registers";
import { faulted, raiseGP, recheck, updateCurrentTlb } from "../../cpu/fault";
import { getEflags, setEflags } from "../../cpu/flags";
import { segAddress, updateMode } from "../../cpu/segment";
import { sysRead } from "../../mmu/access";
import { commit8086, isProtected, isVm86, withinLimit } from "./descriptor";
import { returnProtected } from "./far";
import { stackAdjust, stackPeek } from "./frame";
import { switchTask, SWITCH_IRET } from "./task";

/** Flags that IRET and POPF load at every privilege. */
export const FLAGS_USER: u32 = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

/** `old` with the bits of `mask` taken from `value`. */
export function mergeFlags(old: u32, value: u32, mask: u32): u32 {
  return (old & ~mask) | (value & mask);
}

export function interruptReturn(vcpu: i32, rec: i32): void {
  const size: u32 = load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
  if (isProtected(vcpu)) {
    if (getEflags(vcpu) & FLAG_NT) taskReturn(vcpu);
    else protectedReturn(vcpu, size);
  } else if (isVm86(vcpu)) vm86Return(vcpu, size);
  else realReturn(vcpu, size);
  if (!faulted(vcpu)) store<u32>(vcpu, 0, NMI_BLOCKED);
}

/** EFLAGS.NT = 1: back to the task that the link field of the current TSS names. */
function taskReturn(vcpu: i32): void {
  const link = <u32>sysRead<u16>(vcpu, load<u32>(segAddress(vcpu, SEG_TR), SEG_BASE));
  if (faulted(vcpu)) return;
  switchTask(vcpu, link, SWITCH_IRET, 0);
}

/** Loads CS:EIP in real or vm86 mode, and pops the frame. */
function load8086(vcpu: i32, size: u32, selector: u32, offset: u32): void {
  commit8086(vcpu, SEG_CS, selector, isVm86(vcpu));
  stackAdjust(vcpu, 3 * size);
  store<u64>(vcpu, offset, EIP);
}

function realReturn(vcpu: i32, size: u32): void {
  const offset = stackPeek(vcpu, 0, size);
  const selector = stackPeek(vcpu, size, size) & 0xffff;
  const image = stackPeek(vcpu, 2 * size, size);
  if (faulted(vcpu)) return;
  if (!withinLimit(segAddress(vcpu, SEG_CS), offset, 1)) return raiseGP(vcpu, 0);
  load8086(vcpu, size, selector, offset);
  let mask: u32 = FLAGS_USER | FLAG_IF | FLAG_IOPL;
  if (size == 4) mask |= FLAG_RF | FLAG_AC | FLAG_ID;
  setEflags(vcpu, mergeFlags(getEflags(vcpu), image, mask));
  updateMode(vcpu);
  recheck(vcpu);
}

function vm86Return(vcpu: i32, size: u32): void {
  const flags = getEflags(vcpu);
  const iopl3 = (flags & FLAG_IOPL) == FLAG_IOPL;
  if (!iopl3 && (size == 4 || !(load<u32>(vcpu, CR4) & CR4_VME))) return raiseGP(vcpu, 0);
  const offset = stackPeek(vcpu, 0, size);
  const selector = stackPeek(vcpu, size, size) & 0xffff;
  const image = stackPeek(vcpu, 2 * size, size);
  if (faulted(vcpu)) return;
  if (!withinLimit(segAddress(vcpu, SEG_CS), offset, 1)) return raiseGP(vcpu, 0);
  // VME: IF of the image goes to VIF, unless that would let a pending virtual interrupt in
  if (!iopl3 && ((image & FLAG_IF && flags & FLAG_VIP) || image & FLAG_TF)) return raiseGP(vcpu, 0);
  load8086(vcpu, size, selector, offset);
  if (iopl3) {
    let mask: u32 = FLAGS_USER | FLAG_IF;
    if (size == 4) mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    setEflags(vcpu, mergeFlags(flags, image, mask));
  } else {
    setEflags(vcpu, mergeFlags(flags, image, FLAGS_USER) & ~FLAG_VIF | (image & FLAG_IF ? FLAG_VIF : 0));
  }
  updateMode(vcpu);
  recheck(vcpu);
}

function protectedReturn(vcpu: i32, size: u32): void {
  const offset = stackPeek(vcpu, 0, size);
  const selector = stackPeek(vcpu, size, size) & 0xffff;
  const image = stackPeek(vcpu, 2 * size, size);
  if (faulted(vcpu)) return;
  const cpl = load<u32>(vcpu, CPL);
  if (size == 4 && image & FLAG_VM && cpl == 0) return returnToVm86(vcpu, selector, offset, image);
  // which flags may change is decided by the privilege that IRET runs with
  const flags = getEflags(vcpu);
  let mask: u32 = FLAGS_USER;
  if (size == 4) mask |= FLAG_RF | FLAG_AC | FLAG_ID;
  if (cpl <= (flags & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (cpl == 0) {
    mask |= FLAG_IOPL;
    if (size == 4) mask |= FLAG_VIF | FLAG_VIP;
  }
  returnProtected(vcpu, selector, offset, size, 3 * size, 0);
  if (faulted(vcpu)) return;
  const next = mergeFlags(flags, image, mask);
  setEflags(vcpu, next);
  // AC decides over alignment checks and SMAP
  if ((flags ^ next) & FLAG_AC) updateCurrentTlb(vcpu);
}

/** The frame continues with ESP SS ES DS FS GS; nothing of it is checked but the limit of the new code segment. */
function returnToVm86(vcpu: i32, cs: u32, offset: u32, image: u32): void {
  const esp = stackPeek(vcpu, 12, 4);
  const ss = stackPeek(vcpu, 16, 4);
  const es = stackPeek(vcpu, 20, 4);
  const ds = stackPeek(vcpu, 24, 4);
  const fs = stackPeek(vcpu, 28, 4);
  const gs = stackPeek(vcpu, 32, 4);
  if (faulted(vcpu)) return;
  if (offset > 0xffff) return raiseGP(vcpu, 0);
  setEflags(vcpu, image);
  commit8086(vcpu, SEG_CS, cs & 0xffff, true);
  commit8086(vcpu, SEG_SS, ss & 0xffff, true);
  commit8086(vcpu, SEG_ES, es & 0xffff, true);
  commit8086(vcpu, SEG_DS, ds & 0xffff, true);
  commit8086(vcpu, SEG_FS, fs & 0xffff, true);
  commit8086(vcpu, SEG_GS, gs & 0xffff, true);
  store<u32>(vcpu, esp, ESP);
  store<u64>(vcpu, offset, EIP);
  store<u32>(vcpu, 3, CPL);
  updateMode(vcpu);
  recheck(vcpu);
}
