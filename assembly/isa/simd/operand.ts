// Operands of MMX and SSE instructions: XMM and MMX registers, and memory of 4, 8 and 16 bytes.
// The decoder gives register numbers as offsets of general registers (number * 8); XMM and MMX registers are twice
// as far apart, so their offset is that number doubled.
import { FPU_R, REC_BASE, REC_REG, TLB_CURRENT, TLB_DELTA, TLB_READ, TLB_WRITE, XMM } from "../../../spec/layout";
import { faulted, raiseGP } from "../../cpu/fault";
import { Mem } from "../../mmu/access";
import { probeWrite } from "../../mmu/slow";
import { isRegForm, linearAddress, readOperand } from "../operand";

/** Address of the XMM register of ModRM.reg, less XMM. */
// @ts-ignore: decorator
@inline
export function regV(vcpu: i32, rec: i32): i32 {
  return vcpu + ((<i32>load<u8>(rec, REC_REG)) << 1);
}

/** Address of the XMM or MMX register of ModRM.rm, less XMM or FPU_R. Register form only. */
// @ts-ignore: decorator
@inline
export function rmV(vcpu: i32, rec: i32): i32 {
  return vcpu + ((<i32>load<u8>(rec, REC_BASE)) << 1);
}

/** Reads 16 bytes at a linear address; 0 when it faults. */
// @ts-ignore: decorator
@inline
function readV128(vcpu: i32, lin: u32): v128 {
  const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
  if (((lin + 15) & ~0xfff) == load<u32>(e, TLB_READ)) return v128.load(<i32>(lin + load<u32>(e, TLB_DELTA)));
  return readHalves(vcpu, lin);
}

function readHalves(vcpu: i32, lin: u32): v128 {
  const low = Mem.read<u64>(vcpu, lin);
  const high = Mem.read<u64>(vcpu, lin + 8);
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/**
 * Writes 16 bytes at a linear address, all or (when it faults) nothing. Within one page the first half decides; a
 * write across two pages makes sure of the second page before it changes the first.
 */
// @ts-ignore: decorator
@inline
function writeV128(vcpu: i32, lin: u32, value: v128): void {
  const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
  if (((lin + 15) & ~0xfff) == load<u32>(e, TLB_WRITE)) v128.store(<i32>(lin + load<u32>(e, TLB_DELTA)), value);
  else writeHalves(vcpu, lin, value);
}

function writeHalves(vcpu: i32, lin: u32, value: v128): void {
  if ((lin & 0xfff) > 0xff0) {
    // The first page's fault comes first when both pages fault.
    if (!probeWrite(vcpu, lin, 1) || !probeWrite(vcpu, (lin + 15) & ~0xfff, 1)) return;
  }
  Mem.write<u64>(vcpu, lin, i64x2.extract_lane(value, 0));
  if (faulted(vcpu)) return;
  Mem.write<u64>(vcpu, lin + 8, i64x2.extract_lane(value, 1));
}

/** Linear address of a 16-byte memory operand that must be aligned: else #GP(0). Check `faulted`. */
// @ts-ignore: decorator
@inline
function alignedAddress(vcpu: i32, rec: i32, write: bool): u32 {
  const lin = linearAddress(vcpu, rec, 0, 16, write);
  if (lin & 15) raiseGP(vcpu, 0);
  return lin;
}

/** W operand of 16 bytes, aligned in memory. Check `faulted`. */
// @ts-ignore: decorator
@inline
export function readW(vcpu: i32, rec: i32): v128 {
  if (isRegForm(rec)) return v128.load(rmV(vcpu, rec), XMM);
  return readAligned(vcpu, rec);
}

export function readAligned(vcpu: i32, rec: i32): v128 {
  const lin = alignedAddress(vcpu, rec, false);
  if (faulted(vcpu)) return i64x2.splat(0);
  return readV128(vcpu, lin);
}

export function writeAligned(vcpu: i32, rec: i32, value: v128): void {
  const lin = alignedAddress(vcpu, rec, true);
  if (!faulted(vcpu)) writeV128(vcpu, lin, value);
}

export function readUnaligned(vcpu: i32, rec: i32): v128 {
  const lin = linearAddress(vcpu, rec, 0, 16, false);
  return readV128(vcpu, lin);
}

export function writeUnaligned(vcpu: i32, rec: i32, value: v128): void {
  const lin = linearAddress(vcpu, rec, 0, 16, true);
  if (!faulted(vcpu)) writeV128(vcpu, lin, value);
}

/** Low eight bytes of a W operand; memory of eight bytes, any alignment. */
// @ts-ignore: decorator
@inline
export function readW64(vcpu: i32, rec: i32): u64 {
  if (isRegForm(rec)) return load<u64>(rmV(vcpu, rec), XMM);
  return readOperand<u64>(vcpu, rec);
}

/** Low four bytes of a W operand; memory of four bytes, any alignment. */
// @ts-ignore: decorator
@inline
export function readW32(vcpu: i32, rec: i32): u32 {
  if (isRegForm(rec)) return load<u32>(rmV(vcpu, rec), XMM);
  return readOperand<u32>(vcpu, rec);
}

/** Q operand: MMX register or eight bytes of memory. */
// @ts-ignore: decorator
@inline
export function readQ(vcpu: i32, rec: i32): u64 {
  if (isRegForm(rec)) return load<u64>(rmV(vcpu, rec), FPU_R);
  return readOperand<u64>(vcpu, rec);
}

/** Writes a memory operand of up to eight bytes. A failed segment check must not reach memory. */
export function writeM<T>(vcpu: i32, rec: i32, value: T): void {
  const lin = linearAddress(vcpu, rec, 0, sizeof<T>(), true);
  if (!faulted(vcpu)) Mem.write<T>(vcpu, lin, value);
}

/** `value` with zeros above it. */
// @ts-ignore: decorator
@inline
export function low64(value: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(0), 0, value);
}
