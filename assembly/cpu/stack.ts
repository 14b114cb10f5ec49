// PUSH and POP through SS with any stack size, limit and rights checked; the pointer moves only when the access succeeded.
import { ESP, MODE, MODE_SS32, SEG, SEG_BASE, SEG_SS, SEG_STRIDE } from "../../spec/layout";
import { Mem } from "../mmu/access";
import { faulted } from "./fault";
import { checkSegment } from "./segment";

/** ESP or SP. */
export function stackPointer(vcpu: i32): u32 {
  const esp = load<u32>(vcpu, ESP);
  return load<u32>(vcpu, MODE) & MODE_SS32 ? esp : esp & 0xffff;
}

/** Sets ESP or SP, leaving the upper half of ESP alone on a 16-bit stack. */
export function setStackPointer(vcpu: i32, value: u32): void {
  if (load<u32>(vcpu, MODE) & MODE_SS32) store<u32>(vcpu, value, ESP);
  else store<u16>(vcpu, <u16>value, ESP);
}

function wrap(vcpu: i32, offset: u32): u32 {
  return load<u32>(vcpu, MODE) & MODE_SS32 ? offset : offset & 0xffff;
}

/** Reads T at stack offset `offset` (wrapped to the stack size). */
export function stackRead<T>(vcpu: i32, offset: u32): T {
  const o = wrap(vcpu, offset);
  if (!checkSegment(vcpu, SEG_SS, o, sizeof<T>(), false)) return <T>0;
  return Mem.read<T>(vcpu, o + load<u32>(vcpu + SEG + SEG_SS * SEG_STRIDE, SEG_BASE));
}

export function stackWrite<T>(vcpu: i32, offset: u32, value: T): void {
  const o = wrap(vcpu, offset);
  if (!checkSegment(vcpu, SEG_SS, o, sizeof<T>(), true)) return;
  Mem.write<T>(vcpu, o + load<u32>(vcpu + SEG + SEG_SS * SEG_STRIDE, SEG_BASE), value);
}

/** Limit and rights of SS for a write at stack offset `offset`; #SS(0) when they forbid it. */
export function stackSegmentAllows(vcpu: i32, offset: u32, size: u32): bool {
  return checkSegment(vcpu, SEG_SS, wrap(vcpu, offset), size, true);
}

export function push<T>(vcpu: i32, value: T): void {
  const sp = stackPointer(vcpu) - sizeof<T>();
  stackWrite<T>(vcpu, sp, value);
  if (!faulted(vcpu)) setStackPointer(vcpu, sp);
}

/** 0 and the pointer unchanged when it faults. */
export function pop<T>(vcpu: i32): T {
  const sp = stackPointer(vcpu);
  const v = stackRead<T>(vcpu, sp);
  if (!faulted(vcpu)) setStackPointer(vcpu, sp + sizeof<T>());
  return v;
}
