// Control and status words of the x87 FPU, its scratch area, and how an instruction reports its exceptions.
// SDM 1 chapter 8 (environment) and 8.4-8.5 (exceptions).
//
// A handler calls `waiting` (or `available`), fetches its memory operands, then `begin`, computes with W_EXC collecting
// exception bits, and ends with `commit`, which says whether the result may be stored.
import {
  CR0, EIP, FERR_ASSERTED, FERR_IGNNE, FPU_FCS, FPU_FCW, FPU_FDP, FPU_FDS, FPU_FERR, FPU_FIP, FPU_FOP, FPU_FSW,
  FPU_WORK, EBP, ESP, PFX_SEG, REC_BASE, REC_EA, REC_IMM, REC_END, REC_STRIDE, REC_PFX, PFX_REG, REC_DISP, SEG,
  SEG_CS, SEG_DS, SEG_SELECTOR, SEG_SS, SEG_STRIDE,
} from "../../../spec/layout";
import { CR0_EM, CR0_MP, CR0_NE, CR0_TS } from "../../../spec/registers";
import { Exit } from "../../../spec/exits";
import { Vector } from "../../../spec/vectors";
import { exitBefore, raise } from "../../cpu/fault";
import { effectiveOffset, operandSegment } from "../operand";

// Status word bits; the six exception bits are also the mask bits of the control word.
export const IE: u32 = 0x01;
export const DE: u32 = 0x02;
export const ZE: u32 = 0x04;
export const OE: u32 = 0x08;
export const UE: u32 = 0x10;
export const PE: u32 = 0x20;
export const SF: u32 = 0x40;
export const ES: u32 = 0x80;
export const C0: u32 = 0x100;
export const C1: u32 = 0x200;
export const C2: u32 = 0x400;
export const TOP: u32 = 0x3800;
export const C3: u32 = 0x4000;
export const BUSY: u32 = 0x8000;
export const EXCEPTIONS: u32 = 0x3f;
/** Exceptions that are seen before anything is computed: unmasked, they leave every register as it was. */
const PRE_COMPUTATION: u32 = IE | DE | ZE;

// Control word fields
export const PC_FIELD: u32 = 0x300;
export const PC_24: u32 = 0x000;
export const PC_53: u32 = 0x200;
export const PC_64: u32 = 0x300;
export const RC_NEAREST: u32 = 0;
export const RC_DOWN: u32 = 1;
export const RC_UP: u32 = 2;
export const RC_ZERO: u32 = 3;

// Scratch (offsets in the vCPU block)
/** u64 significand of the result. */
export const W_SIG = FPU_WORK + 0x00;
/** u32 sign (bit 15) and biased exponent of the result. */
export const W_SE = FPU_WORK + 0x08;
/** u32 exceptions of this instruction, as status word bits, with C1 and the stack fault bit. */
export const W_EXC = FPU_WORK + 0x0c;
/** u64 low half of a 128-bit result whose high half was returned. */
export const W_LO = FPU_WORK + 0x10;
/** Memory operand converted to extended precision: u64 significand, u32 sign and exponent (and SE_DENORMAL). */
export const W_MEM_SIG = FPU_WORK + 0x18;
export const W_MEM_SE = FPU_WORK + 0x20;
/** u32 quotient bits of FPREM, and other small results. */
export const W_AUX = FPU_WORK + 0x24;
/** Second result: the sine of FSINCOS, the exponent of FXTRACT. */
export const W_SIG2 = FPU_WORK + 0x28;
export const W_SE2 = FPU_WORK + 0x30;
/** Wide numbers of the transcendental functions, see wide.ts. */
export const W_WIDE = FPU_WORK + 0x40;

/** The value came from a denormal of a narrower format: normal as an extended number, yet #D is due. */
export const SE_DENORMAL: u32 = 0x10000;

export function roundingControl(vcpu: i32): u32 {
  return (<u32>load<u16>(vcpu, FPU_FCW) >> 10) & 3;
}

/** True when every exception in `exc` is masked. */
export function masked(vcpu: i32, exc: u32): bool {
  return (exc & ~<u32>load<u16>(vcpu, FPU_FCW)) == 0;
}

/** Adds exception bits to those of the current instruction. */
// @ts-ignore: decorator
@inline
export function signal(vcpu: i32, exc: u32): void {
  store<u32>(vcpu, load<u32>(vcpu, W_EXC) | exc, W_EXC);
}

/** #NM when the FPU is not there or holds another task's state. For instructions that do not wait. */
export function available(vcpu: i32): bool {
  if (load<u32>(vcpu, CR0) & (CR0_EM | CR0_TS)) {
    raise(vcpu, Vector.NM, 0);
    return false;
  }
  return true;
}

/**
 * Reports an unmasked exception left by an earlier instruction: #MF with CR0.NE = 1, else FERR# and an exit so that
 * the host can raise IRQ 13, unless it answered with IGNNE#. Returns false when there is one.
 */
export function noPending(vcpu: i32): bool {
  if (!(<u32>load<u16>(vcpu, FPU_FSW) & ES)) return true;
  if (load<u32>(vcpu, CR0) & CR0_NE) {
    raise(vcpu, Vector.MF, 0);
    return false;
  }
  const ferr = load<u32>(vcpu, FPU_FERR);
  if (ferr & FERR_IGNNE) return true;
  store<u32>(vcpu, ferr | FERR_ASSERTED, FPU_FERR);
  exitBefore(vcpu, Exit.Ferr);
  return false;
}

/** Start of a waiting instruction. */
// @ts-ignore: decorator
@inline
export function waiting(vcpu: i32): bool {
  if (load<u32>(vcpu, CR0) & (CR0_EM | CR0_TS)) {
    raise(vcpu, Vector.NM, 0);
    return false;
  }
  if (<u32>load<u16>(vcpu, FPU_FSW) & ES) return noPending(vcpu);
  return true;
}

/** FWAIT is stopped by TS only when MP says that it belongs to the FPU. */
export function fwait(vcpu: i32): void {
  const cr0 = load<u32>(vcpu, CR0);
  if ((cr0 & CR0_MP) != 0 && (cr0 & CR0_TS) != 0) {
    raise(vcpu, Vector.NM, 0);
    return;
  }
  noPending(vcpu);
}

/** Records the instruction pointer of a non-control instruction and clears its exceptions. */
// @ts-ignore: decorator
@inline
export function begin(vcpu: i32, rec: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, EIP) - (<u32>load<u8>(rec, REC_END) - <u32>load<u8>(rec - REC_STRIDE, REC_END)), FPU_FIP);
  store<u16>(vcpu, load<u16>(vcpu, SEG + SEG_CS * SEG_STRIDE + SEG_SELECTOR), FPU_FCS);
  store<u32>(vcpu, 0, W_EXC);
}

/** The same for an instruction with a memory operand: the operand pointer too. */
export function beginMemory(vcpu: i32, rec: i32): void {
  begin(vcpu, rec);
  store<u32>(vcpu, effectiveOffset(vcpu, rec), FPU_FDP);
  let seg = SEG_DS;
  if (load<u8>(rec, REC_EA)) seg = operandSegment(rec);
  else if (!(<u32>load<u8>(rec, REC_PFX) & PFX_SEG)) {
    // The record of the simplest flat operand does not name its segment: it is the default one.
    const base = <i32>load<u8>(rec, REC_BASE);
    if (base == EBP || base == ESP) seg = SEG_SS;
  }
  store<u16>(vcpu, load<u16>(vcpu + SEG + seg * SEG_STRIDE, SEG_SELECTOR), FPU_FDS);
}

/**
 * Moves the exceptions of the instruction into the status word, C1 with them. Returns true when the result may be
 * stored: false when an unmasked invalid operation, denormal operand or division by zero stopped the instruction.
 */
export function commit(vcpu: i32, rec: i32): bool {
  let exc = load<u32>(vcpu, W_EXC);
  let fsw = <u32>load<u16>(vcpu, FPU_FSW) & ~C1;
  if (!exc) {
    store<u16>(vcpu, <u16>fsw, FPU_FSW);
    return true;
  }
  const unmasked = exc & ~<u32>load<u16>(vcpu, FPU_FCW) & EXCEPTIONS;
  if (unmasked) {
    if (unmasked & PRE_COMPUTATION) {
      // Nothing was computed, so nothing was rounded. C1 still tells a stack overflow from an underflow.
      exc &= exc & SF ? IE | SF | C1 : PRE_COMPUTATION;
    }
    fsw |= ES | BUSY;
    // From the Pentium 4 on, the opcode is kept only for instructions with an unmasked exception (SDM 1 8.1.9.1).
    store<u16>(vcpu, <u16>fpuOpcode(rec), FPU_FOP);
  }
  store<u16>(vcpu, <u16>(fsw | exc), FPU_FSW);
  return !(unmasked & PRE_COMPUTATION);
}

/** True when the exceptions so far forbid a store to memory: there, unmasked overflow and underflow stop it too. */
export function stopsStore(vcpu: i32): bool {
  return (load<u32>(vcpu, W_EXC) & ~<u32>load<u16>(vcpu, FPU_FCW) & (PRE_COMPUTATION | OE | UE)) != 0;
}

/** Low three bits of the first opcode byte and the ModRM byte: FOP. */
function fpuOpcode(rec: i32): u32 {
  const bytes = load<u32>(rec, REC_IMM);
  const modrm = <u32>load<u8>(rec, REC_PFX) & PFX_REG ? load<u32>(rec, REC_DISP) : bytes >> 8;
  return ((bytes & 7) << 8) | (modrm & 0xff);
}

/** Makes the summary bits follow the flags and masks after either was loaded. */
export function updateSummary(vcpu: i32): void {
  const fsw = <u32>load<u16>(vcpu, FPU_FSW);
  if (fsw & EXCEPTIONS & ~<u32>load<u16>(vcpu, FPU_FCW)) {
    store<u16>(vcpu, <u16>(fsw | ES | BUSY), FPU_FSW);
  } else {
    store<u16>(vcpu, <u16>(fsw & ~(ES | BUSY)), FPU_FSW);
    // With no error pending FERR# and IGNNE# fall.
    store<u32>(vcpu, 0, FPU_FERR);
  }
}
