// EFLAGS of a vCPU at rest. The core keeps the arithmetic flags as a result and its carries (assembly/cpu/flags.ts
// defines the format); between instructions the host may read and set them through here.
import { EFLAGS_SYS, FLAG_AUX, FLAG_RES } from "../../spec/layout.ts";
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_ONE, FLAG_PF, FLAG_SF, FLAG_ZF, FLAGS_ARITH } from "../../spec/registers.ts";

/** Bits of EFLAGS that exist on this machine. */
const EFLAGS_DEFINED = 0x003f7fd5;

export function readEflags(u32: Uint32Array, vcpu: number): number {
  const res = u32[(vcpu + FLAG_RES) >>> 2] ?? 0;
  const aux = u32[(vcpu + FLAG_AUX) >>> 2] ?? 0;
  let flags = (u32[(vcpu + EFLAGS_SYS) >>> 2] ?? 0) & ~FLAGS_ARITH;
  if (aux >>> 31) flags |= FLAG_CF;
  if ((aux ^ (aux << 1)) >>> 31) flags |= FLAG_OF;
  if (aux & 8) flags |= FLAG_AF;
  if (res === 0) flags |= FLAG_ZF;
  if ((res >>> 31) ^ ((aux >>> 16) & 1)) flags |= FLAG_SF;
  if (evenParity((res ^ (aux >>> 8)) & 0xff)) flags |= FLAG_PF;
  return (flags | FLAG_ONE) >>> 0;
}

export function writeEflags(u32: Uint32Array, vcpu: number, flags: number): void {
  const cf = flags & FLAG_CF;
  const of = (flags & FLAG_OF) >>> 11;
  const zf = (flags & FLAG_ZF) !== 0;
  const pf = (flags & FLAG_PF) !== 0;
  let aux = ((cf << 31) | ((cf ^ of) << 30) | ((flags & FLAG_AF) >>> 1)) >>> 0;
  if (flags & FLAG_SF) aux |= 0x10000;
  // The stored result is 0 (even parity) or 1 (odd): correct it where PF says otherwise.
  if (pf !== zf) aux |= 0x100;
  u32[(vcpu + FLAG_RES) >>> 2] = zf ? 0 : 1;
  u32[(vcpu + FLAG_AUX) >>> 2] = aux >>> 0;
  u32[(vcpu + EFLAGS_SYS) >>> 2] = ((flags & ~FLAGS_ARITH & EFLAGS_DEFINED) | FLAG_ONE) >>> 0;
}

function evenParity(byte: number): boolean {
  let b = byte ^ (byte >>> 4);
  b ^= b >>> 2;
  b ^= b >>> 1;
  return (b & 1) === 0;
}
