// MOV to and from debug registers. SDM 2B MOV; 3B 17.2.
import { CPL, CR4, DR0, DR6, DR7 } from "../../../spec/layout";
import { CR4_DE } from "../../../spec/registers";
import { Vector } from "../../../spec/vectors";
import { DR6_BD } from "../../cpu/debug";
import { raise, raiseGP, raiseUD, recheck } from "../../cpu/fault";
import { flushTlbAll } from "../../mmu/tlb";
import { moveNumber, moveRegister } from "./control-registers";

const DR6_FIXED: u32 = 0xffff0ff0;
const DR6_WRITABLE: u32 = 0xe00f;
const DR7_FIXED: u32 = 0x400;
const DR7_WRITABLE: u32 = 0xffff23ff;
const DR7_GD: u32 = 0x2000;

/** Offset of DRn in the vCPU block, DR4 and DR5 being DR6 and DR7. */
function registerOffset(n: u32): i32 {
  if (n < 4) return DR0 + <i32>(n << 2);
  return n & 1 ? DR7 : DR6;
}

/** #UD for DR4 and DR5 under CR4.DE, #GP for CPL, #DB under DR7.GD. */
function blocked(vcpu: i32, n: u32): bool {
  if ((n == 4 || n == 5) && load<u32>(vcpu, CR4) & CR4_DE) {
    raiseUD(vcpu);
    return true;
  }
  if (load<u32>(vcpu, CPL) != 0) {
    raiseGP(vcpu, 0);
    return true;
  }
  if (load<u32>(vcpu, DR7) & DR7_GD) {
    raise(vcpu, Vector.DB, DR6_BD);
    return true;
  }
  return false;
}

export function readDebug(vcpu: i32, rec: i32): void {
  const n = moveNumber(rec);
  if (blocked(vcpu, n)) return;
  store<u32>(moveRegister(vcpu, rec), load<u32>(vcpu + registerOffset(n)));
}

export function writeDebug(vcpu: i32, rec: i32): void {
  const n = moveNumber(rec);
  if (blocked(vcpu, n)) return;
  let value = load<u32>(moveRegister(vcpu, rec));
  const at = registerOffset(n);
  if (at == DR6) value = (value & DR6_WRITABLE) | DR6_FIXED;
  else if (at == DR7) value = (value & DR7_WRITABLE) | DR7_FIXED;
  store<u32>(vcpu + at, value);
  // pages with a data breakpoint have no tags
  if (at != DR6) flushTlbAll(vcpu);
  recheck(vcpu);
}
