// CLI, STI, PUSHF, POPF, CLAC, STAC, with IOPL and the virtual interrupt flag. SDM 2A-2B; 3A 2.3, 20.3, 20.4.
import { CPL, CR4, EFLAGS_SYS, INHIBIT, INHIBIT_IRQ, PFX_OP16, REC_PFX, TLB_CURRENT } from "../../../spec/layout";
import {
  CR4_PVI, CR4_VME, FLAG_AC, FLAG_ID, FLAG_IF, FLAG_IOPL, FLAG_RF, FLAG_TF, FLAG_VIF, FLAG_VIP, FLAG_VM,
} from "../../../spec/registers";
import { faulted, raiseGP, raiseUD, recheck, supervisorTlb, updateCurrentTlb } from "../../cpu/fault";
import { getEflags, setEflags } from "../../cpu/flags";
import { isProtected, isVm86 } from "./descriptor";
import { pushValue, stackAdjust, stackPeek } from "./frame";
import { FLAGS_USER, mergeFlags } from "./iret";

/** CPL is at most IOPL: IF may be changed. Real mode has CPL 0. */
function ownsIf(vcpu: i32, flags: u32): bool {
  return load<u32>(vcpu, CPL) <= (flags & FLAG_IOPL) >> 12;
}

/** CLI and STI act on VIF: VME in vm86 mode, PVI at CPL 3. */
function virtualIf(vcpu: i32): bool {
  const cr4 = load<u32>(vcpu, CR4);
  return isVm86(vcpu) ? (cr4 & CR4_VME) != 0 : isProtected(vcpu) && load<u32>(vcpu, CPL) == 3 && (cr4 & CR4_PVI) != 0;
}

export function clearInterruptFlag(vcpu: i32): void {
  const flags = getEflags(vcpu);
  if (ownsIf(vcpu, flags)) setEflags(vcpu, flags & ~FLAG_IF);
  else if (virtualIf(vcpu)) setEflags(vcpu, flags & ~FLAG_VIF);
  else return raiseGP(vcpu, 0);
  recheck(vcpu);
}

export function setInterruptFlag(vcpu: i32): void {
  const flags = getEflags(vcpu);
  if (ownsIf(vcpu, flags)) {
    // the shadow covers the next instruction only where interrupts were off
    if (!(flags & FLAG_IF)) store<u32>(vcpu, load<u32>(vcpu, INHIBIT) | INHIBIT_IRQ, INHIBIT);
    setEflags(vcpu, flags | FLAG_IF);
  } else if (virtualIf(vcpu)) {
    if (flags & FLAG_VIP) return raiseGP(vcpu, 0);
    setEflags(vcpu, flags | FLAG_VIF);
  } else return raiseGP(vcpu, 0);
  recheck(vcpu);
}

export function pushFlags(vcpu: i32, rec: i32): void {
  const size: u32 = load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
  let image = getEflags(vcpu);
  if (isVm86(vcpu) && (image & FLAG_IOPL) != FLAG_IOPL) {
    if (size == 4 || !(load<u32>(vcpu, CR4) & CR4_VME)) return raiseGP(vcpu, 0);
    image = (image & ~FLAG_IF) | FLAG_IOPL | (image & FLAG_VIF ? FLAG_IF : 0);
  }
  pushValue(vcpu, size, image & ~(FLAG_VM | FLAG_RF));
}

export function popFlags(vcpu: i32, rec: i32): void {
  const size: u32 = load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
  const flags = getEflags(vcpu);
  let mask: u32 = FLAGS_USER;
  if (size == 4) mask |= FLAG_AC | FLAG_ID;
  let virtual = false;
  if (isVm86(vcpu)) {
    if ((flags & FLAG_IOPL) == FLAG_IOPL) mask |= FLAG_IF;
    else if (size == 2 && load<u32>(vcpu, CR4) & CR4_VME) virtual = true;
    else return raiseGP(vcpu, 0);
  } else {
    if (ownsIf(vcpu, flags)) mask |= FLAG_IF;
    if (load<u32>(vcpu, CPL) == 0) mask |= FLAG_IOPL;
  }
  const image = stackPeek(vcpu, 0, size);
  if (faulted(vcpu)) return;
  let next = mergeFlags(flags, image, mask) & ~FLAG_RF;
  if (virtual) {
    if ((image & FLAG_IF && flags & FLAG_VIP) || image & FLAG_TF) return raiseGP(vcpu, 0);
    next = (next & ~FLAG_VIF) | (image & FLAG_IF ? FLAG_VIF : 0);
  }
  stackAdjust(vcpu, size);
  setEflags(vcpu, next);
  // AC decides over alignment checks and SMAP
  if ((flags ^ next) & FLAG_AC) updateCurrentTlb(vcpu);
  recheck(vcpu);
}

/** CLAC, STAC: #UD outside CPL 0. */
export function setAccessCheck(vcpu: i32, on: bool): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseUD(vcpu);
  const flags = load<u32>(vcpu, EFLAGS_SYS);
  if ((flags & FLAG_AC) != 0 == on) return;
  store<u32>(vcpu, flags ^ FLAG_AC, EFLAGS_SYS);
  // What base registers last accessed stays allowed when AC is set, and not when it is cleared.
  if (on) store<i32>(vcpu, supervisorTlb(vcpu), TLB_CURRENT);
  else updateCurrentTlb(vcpu);
}
