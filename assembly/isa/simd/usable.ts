// What an MMX or SSE instruction checks before it touches an operand. SDM 3A 12.1, 13.1 and SDM 2 2.5 (exception
// types): #UD for CR0.EM and CR4.OSFXSR, then #NM for CR0.TS, then a pending x87 exception for MMX registers.
import { CR0, CR4, FPU_FSW, FPU_R, FPU_TAG } from "../../../spec/layout";
import { CR0_EM, CR0_TS, CR4_OSFXSR } from "../../../spec/registers";
import { Vector } from "../../../spec/vectors";
import { raise } from "../../cpu/fault";
import { noPending } from "../x87/status";

const FSW_TOP: u32 = 0x3800;

/** False, with the exception raised, when MMX registers cannot be used now. */
export function mmxUsable(vcpu: i32): bool {
  const cr0 = load<u32>(vcpu, CR0);
  if (cr0 & (CR0_EM | CR0_TS)) {
    raise(vcpu, cr0 & CR0_EM ? Vector.UD : Vector.NM, 0);
    return false;
  }
  return noPending(vcpu);
}

/** False, with the exception raised, when XMM registers cannot be used now. */
// @ts-ignore: decorator
@inline
export function sseUsable(vcpu: i32): bool {
  if ((load<u32>(vcpu, CR0) & (CR0_EM | CR0_TS)) == 0 && (load<u32>(vcpu, CR4) & CR4_OSFXSR) != 0) return true;
  raise(vcpu, load<u32>(vcpu, CR0) & CR0_EM || !(load<u32>(vcpu, CR4) & CR4_OSFXSR) ? Vector.UD : Vector.NM, 0);
  return false;
}

/** Every MMX instruction but EMMS makes TOP 0 and all tags valid (SDM 1 9.5.1). */
export function enterMmx(vcpu: i32): void {
  store<u16>(vcpu, <u16>(<u32>load<u16>(vcpu, FPU_FSW) & ~FSW_TOP), FPU_FSW);
  store<u8>(vcpu, 0xff, FPU_TAG);
}

/** EMMS: all tags empty. TOP is left at 0 as after any MMX instruction. */
export function emptyMmx(vcpu: i32): void {
  store<u16>(vcpu, <u16>(<u32>load<u16>(vcpu, FPU_FSW) & ~FSW_TOP), FPU_FSW);
  store<u8>(vcpu, 0, FPU_TAG);
}

/** Writes MMX register `n16`/16: the significand, with all ones as sign and exponent. */
// @ts-ignore: decorator
@inline
export function writeMmx(vcpu: i32, n16: i32, value: u64): void {
  store<u64>(vcpu + n16, value, FPU_R);
  store<u16>(vcpu + n16, 0xffff, FPU_R + 8);
}
