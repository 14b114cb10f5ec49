// Operands of a decoded record: the one way every instruction family reads its registers, addresses and memory.
import {
  EA_CHECKED, EA_INDEX, EA_ADDR16, EA_SCALE, EA_SEG, EA_SEG_SHIFT, PFX_REG, REC_BASE, REC_DISP, REC_EA, REC_INDEX, REC_PFX,
  REC_REG, SEG, SEG_BASE, SEG_STRIDE,
} from "../../spec/layout";
import { faulted } from "../cpu/fault";
import { checkSegment } from "../cpu/segment";
import { Mem } from "../mmu/access";

/** Offset part of a memory operand (what LEA returns before truncation to the operand size). */
export function effectiveOffset(vcpu: i32, rec: i32): u32 {
  const ea = <u32>load<u8>(rec, REC_EA);
  let a = load<u32>(vcpu + <i32>load<u8>(rec, REC_BASE)) + load<u32>(rec, REC_DISP);
  if (ea & EA_INDEX) a += load<u32>(vcpu + <i32>load<u8>(rec, REC_INDEX)) << (ea & EA_SCALE);
  return ea & EA_ADDR16 ? a & 0xffff : a;
}

/** Segment number of a memory operand that is not known to be flat. */
export function operandSegment(rec: i32): i32 {
  return (<i32>load<u8>(rec, REC_EA) & EA_SEG) >> EA_SEG_SHIFT;
}

/**
 * Linear address of a memory operand of `size` bytes, segment limit and rights checked; `extra` is added to the
 * offset (bit strings, far pointers, multi-part operands). Raises #GP or #SS and returns 0 when the check fails.
 */
export function linearAddress(vcpu: i32, rec: i32, extra: u32, size: u32, write: bool): u32 {
  const ea = <u32>load<u8>(rec, REC_EA);
  let a = load<u32>(vcpu + <i32>load<u8>(rec, REC_BASE)) + load<u32>(rec, REC_DISP) + extra;
  if (ea == 0) return a;
  if (ea & EA_INDEX) a += load<u32>(vcpu + <i32>load<u8>(rec, REC_INDEX)) << (ea & EA_SCALE);
  if (ea & EA_ADDR16) a &= 0xffff;
  if (!(ea & EA_CHECKED)) return a;
  const seg = (<i32>ea & EA_SEG) >> EA_SEG_SHIFT;
  if (!checkSegment(vcpu, seg, a, size, write)) return 0;
  return a + load<u32>(vcpu + SEG + seg * SEG_STRIDE, SEG_BASE);
}

/** True for the register form (ModRM.mod = 3). */
export function isRegForm(rec: i32): bool {
  return (<u32>load<u8>(rec, REC_PFX) & PFX_REG) != 0;
}

/** Reads the memory operand at its offset plus `extra`. 0 when it faults: check `faulted`. */
export function readOperand<T>(vcpu: i32, rec: i32, extra: u32 = 0): T {
  const lin = linearAddress(vcpu, rec, extra, sizeof<T>(), false);
  return Mem.read<T>(vcpu, lin);
}

/** Writes the memory operand at its offset plus `extra`. */
export function writeOperand<T>(vcpu: i32, rec: i32, value: T, extra: u32 = 0): void {
  const lin = linearAddress(vcpu, rec, extra, sizeof<T>(), true);
  // A failed segment check gives address 0, which the TLB may hold.
  if (!faulted(vcpu)) Mem.write<T>(vcpu, lin, value);
}

/** E operand of a general-register instruction: register or memory. */
export function readE<T>(vcpu: i32, rec: i32): T {
  if (isRegForm(rec)) return load<T>(vcpu + <i32>load<u8>(rec, REC_BASE));
  return readOperand<T>(vcpu, rec);
}

export function writeE<T>(vcpu: i32, rec: i32, value: T): void {
  if (isRegForm(rec)) store<T>(vcpu + <i32>load<u8>(rec, REC_BASE), value);
  else writeOperand<T>(vcpu, rec, value);
}

/** First half of a read-modify-write of an E operand: faults if it could not be written back. */
export function readForUpdate<T>(vcpu: i32, rec: i32): T {
  if (isRegForm(rec)) return load<T>(vcpu + <i32>load<u8>(rec, REC_BASE));
  const lin = linearAddress(vcpu, rec, 0, sizeof<T>(), true);
  return Mem.readForUpdate<T>(vcpu, lin);
}

/** G operand: the register of ModRM.reg (or of the opcode). */
export function readG<T>(vcpu: i32, rec: i32): T {
  return load<T>(vcpu + <i32>load<u8>(rec, REC_REG));
}

export function writeG<T>(vcpu: i32, rec: i32, value: T): void {
  store<T>(vcpu + <i32>load<u8>(rec, REC_REG), value);
}
