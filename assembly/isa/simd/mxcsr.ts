// MXCSR: exception flags, masks and controls (SDM 1 10.2.3), and how an instruction ends that raised some.
import { CR4, MXCSR, SSE_RAISED } from "../../../spec/layout";
import { CR4_OSXMMEXCPT } from "../../../spec/registers";
import { Vector } from "../../../spec/vectors";
import { raise } from "../../cpu/fault";

export const MX_IE: u32 = 0x01;
export const MX_DE: u32 = 0x02;
export const MX_ZE: u32 = 0x04;
export const MX_OE: u32 = 0x08;
export const MX_UE: u32 = 0x10;
export const MX_PE: u32 = 0x20;
export const MX_DAZ: u32 = 0x40;
/** A flag's mask bit is this far above it. */
export const MX_MASK_SHIFT: u32 = 7;
export const MX_UM: u32 = 0x800;
export const MX_PM: u32 = 0x1000;
export const MX_RC: u32 = 0x6000;
export const MX_RC_SHIFT: u32 = 13;
export const MX_FTZ: u32 = 0x8000;
/** MXCSR_MASK as FXSAVE reports it: bits that may be set. */
export const MXCSR_MASK: u32 = 0xffff;

export const RC_NEAREST: u32 = 0;
export const RC_DOWN: u32 = 1;
export const RC_UP: u32 = 2;
export const RC_ZERO: u32 = 3;

/** Adds to the exceptions of the current instruction. */
// @ts-ignore: decorator
@inline
export function signal(vcpu: i32, flags: u32): void {
  store<u32>(vcpu, load<u32>(vcpu, SSE_RAISED) | flags, SSE_RAISED);
}

/** Starts an instruction that may raise exceptions. */
// @ts-ignore: decorator
@inline
export function begin(vcpu: i32): void {
  store<u32>(vcpu, 0, SSE_RAISED);
}

/** True when the instruction may write its destination; else #XM (or #UD) is raised. */
// @ts-ignore: decorator
@inline
export function commit(vcpu: i32): bool {
  return load<u32>(vcpu, SSE_RAISED) == 0 ? true : commitRaised(vcpu);
}

/**
 * The flags become sticky even when one of them faults. An unmasked exception that is found before the computation
 * (invalid, denormal, divide by zero) keeps the ones found after it from being reported (SDM 1 11.5.2, 11.5.3).
 */
function commitRaised(vcpu: i32): bool {
  let raised = load<u32>(vcpu, SSE_RAISED);
  const mxcsr = load<u32>(vcpu, MXCSR);
  const unmasked = raised & ~(mxcsr >> MX_MASK_SHIFT) & 0x3f;
  if (unmasked & (MX_IE | MX_DE | MX_ZE)) raised &= MX_IE | MX_DE | MX_ZE;
  store<u32>(vcpu, mxcsr | raised, MXCSR);
  if (unmasked == 0) return true;
  raise(vcpu, load<u32>(vcpu, CR4) & CR4_OSXMMEXCPT ? Vector.XM : Vector.UD, 0);
  return false;
}
