// Stack frames of far calls, interrupts and returns. A frame is built on the current stack or, with a change of
// privilege, on one that is still a draft; room is checked before the first byte is written.
import {
  ATTR_DB, ESP, FRAME, SEG_ATTR, SEG_BASE, SEG_SS,
} from "../../../spec/layout";
import { Vector } from "../../../spec/vectors";
import { faulted, raise } from "../../cpu/fault";
import { checkSegment, segAddress } from "../../cpu/segment";
import { Mem, sysRead, sysWrite } from "../../mmu/access";
import { withinLimit } from "./descriptor";

const FRAME_SEG = FRAME; // u32 address of the stack segment's cache or draft
const FRAME_SP = FRAME + 4; // u32 stack pointer so far
const FRAME_CPL = FRAME + 8; // u32 privilege of the accesses

/** Bits of the stack pointer that a stack segment uses. */
export function stackMask(segment: i32): u32 {
  return load<u32>(segment, SEG_ATTR) & ATTR_DB ? 0xffffffff : 0xffff;
}

/** Begins a frame in `segment` (a cache or a draft) with stack pointer `sp`, written with privilege `cpl`. */
export function frameBegin(vcpu: i32, segment: i32, sp: u32, cpl: u32): void {
  store<i32>(vcpu, segment, FRAME_SEG);
  store<u32>(vcpu, sp, FRAME_SP);
  store<u32>(vcpu, cpl, FRAME_CPL);
}

/** Makes sure that `count` items of `size` bytes fit. Raises #SS(`error`) and returns false when they do not. */
export function frameRoom(vcpu: i32, count: u32, size: u32, error: u32): bool {
  const segment = load<i32>(vcpu, FRAME_SEG);
  const mask = stackMask(segment);
  let sp = load<u32>(vcpu, FRAME_SP);
  for (let i: u32 = 0; i < count; i++) {
    sp -= size;
    if (!withinLimit(segment, sp & mask, size)) {
      raise(vcpu, Vector.SS, error);
      return false;
    }
  }
  return true;
}

/** Pushes an item of 2 or 4 bytes. */
export function framePush(vcpu: i32, size: u32, value: u32): void {
  const segment = load<i32>(vcpu, FRAME_SEG);
  const mask = stackMask(segment);
  const old = load<u32>(vcpu, FRAME_SP);
  const sp = (old & ~mask) | ((old - size) & mask);
  const lin = load<u32>(segment, SEG_BASE) + (sp & mask);
  if (load<u32>(vcpu, FRAME_CPL) == 3) {
    if (size == 4) Mem.write<u32>(vcpu, lin, value);
    else Mem.write<u16>(vcpu, lin, <u16>value);
  } else {
    if (size == 4) sysWrite<u32>(vcpu, lin, value);
    else sysWrite<u16>(vcpu, lin, <u16>value);
  }
  store<u32>(vcpu, sp, FRAME_SP);
}

/** The stack pointer after the pushes so far. */
export function framePointer(vcpu: i32): u32 {
  return load<u32>(vcpu, FRAME_SP);
}

/** Reads an item of 2 or 4 bytes, `offset` bytes above the top of the current stack. Raises #SS(0). */
export function stackPeek(vcpu: i32, offset: u32, size: u32): u32 {
  const ss = segAddress(vcpu, SEG_SS);
  const at = (load<u32>(vcpu, ESP) + offset) & stackMask(ss);
  if (!checkSegment(vcpu, SEG_SS, at, size, false)) return 0;
  const lin = load<u32>(ss, SEG_BASE) + at;
  return size == 4 ? Mem.read<u32>(vcpu, lin) : <u32>Mem.read<u16>(vcpu, lin);
}

/** Adds to SP or ESP, as the current stack segment's size says. */
export function stackAdjust(vcpu: i32, delta: u32): void {
  const mask = stackMask(segAddress(vcpu, SEG_SS));
  const old = load<u32>(vcpu, ESP);
  store<u32>(vcpu, (old & ~mask) | ((old + delta) & mask), ESP);
}

/** Pushes one item on the current stack with the current privilege. False when it faulted and no register changed. */
export function pushValue(vcpu: i32, size: u32, value: u32): bool {
  const ss = segAddress(vcpu, SEG_SS);
  const mask = stackMask(ss);
  const old = load<u32>(vcpu, ESP);
  const at = (old - size) & mask;
  if (!checkSegment(vcpu, SEG_SS, at, size, true)) return false;
  const lin = load<u32>(ss, SEG_BASE) + at;
  if (size == 4) Mem.write<u32>(vcpu, lin, value);
  else Mem.write<u16>(vcpu, lin, <u16>value);
  if (faulted(vcpu)) return false;
  store<u32>(vcpu, (old & ~mask) | at, ESP);
  return true;
}

/** Reads 2 or 4 bytes of system memory (TSS, tables). */
export function sysItem(vcpu: i32, lin: u32, size: u32): u32 {
  return size == 4 ? sysRead<u32>(vcpu, lin) : <u32>sysRead<u16>(vcpu, lin);
}
