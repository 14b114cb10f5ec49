// IN, OUT, INS, OUTS. SDM 2A IN, INS; 2B OUT, OUTS; volume 1 chapter 19 (I/O permission).
// String forms move a chunk an execution, at most what one page of memory holds: with a count left the instruction asks
// to be executed again, so it is interruptible between chunks and a port access is never repeated.
import {
  ATTR_TYPE, CPL, EAX, ECX, EDI, EDX, EFLAGS_SYS, ESI, PFX_ADDR16, PFX_OP16, PFX_REP, PFX_REPNE, PFX_SEG, REC_IMM, REC_PFX, SEG_ATTR,
  SEG_BASE, SEG_DS, SEG_ES, SEG_LIMIT, SEG_TR, TLB_CURRENT, TLB_WRITE, TLB_READ, TLB_DELTA,
} from "../../../spec/layout";
import { FLAG_DF, FLAG_IOPL, FLAG_TF, FLAG_VM } from "../../../spec/registers";
import { breakpointsEnabled, checkPortBreakpoint } from "../../cpu/debug";
import { again, faulted, raiseGP, recheck } from "../../cpu/fault";
import { ioItem, portIn, portInString, portOut, portOutString, setIoItem } from "../../cpu/port";
import { checkSegment, segAddress } from "../../cpu/segment";
import { Mem, sysRead } from "../../mmu/access";
import { isWritableHost } from "../../mmu/physical";
import { operandSegment } from "../operand";
import { isProtected, TYPE_BUSY, TYPE_TSS32, withinLimit } from "./descriptor";

/** I/O permission: CPL against IOPL, else the bitmap of a 32-bit TSS. Raises #GP(0) and returns false. */
export function checkPort(vcpu: i32, port: u32, size: u32): bool {
  const flags = load<u32>(vcpu, EFLAGS_SYS);
  const vm86 = (flags & FLAG_VM) != 0;
  if (!vm86 && (!isProtected(vcpu) || load<u32>(vcpu, CPL) <= (flags & FLAG_IOPL) >> 12)) return true;
  const tr = segAddress(vcpu, SEG_TR);
  const limit = load<u32>(tr, SEG_LIMIT);
  if ((load<u32>(tr, SEG_ATTR) & ATTR_TYPE & ~TYPE_BUSY) == TYPE_TSS32 && limit >= 0x67) {
    const base = load<u32>(tr, SEG_BASE);
    const map = <u32>sysRead<u16>(vcpu, base + 0x66);
    const at = map + (port >> 3);
    // two bytes are always read: the access may straddle a byte of the map
    if (at + 1 <= limit) {
      const bits = <u32>sysRead<u16>(vcpu, base + at) >> (port & 7);
      if (!(bits & (((<u32>1) << size) - 1))) return !faulted(vcpu);
    }
  }
  raiseGP(vcpu, 0);
  return false;
}

function wideSize(rec: i32): u32 {
  return load<u8>(rec, REC_PFX) & PFX_OP16 ? 2 : 4;
}

/** Port of the immediate and DX forms. */
function portOf(vcpu: i32, rec: i32, immediate: bool): u32 {
  return immediate ? load<u32>(rec, REC_IMM) & 0xff : load<u32>(vcpu, EDX) & 0xffff;
}

/** IN; `wide` is the operand-size form. */
export function input(vcpu: i32, rec: i32, immediate: bool, wide: bool): void {
  const size: u32 = wide ? wideSize(rec) : 1;
  const port = portOf(vcpu, rec, immediate);
  if (!checkPort(vcpu, port, size)) return;
  const value = portIn(vcpu, port, size);
  if (faulted(vcpu)) return;
  if (size == 4) store<u32>(vcpu, value, EAX);
  else if (size == 2) store<u16>(vcpu, <u16>value, EAX);
  else store<u8>(vcpu, <u8>value, EAX);
  checkPortBreakpoint(vcpu, port, size);
  recheck(vcpu);
}

export function output(vcpu: i32, rec: i32, immediate: bool, wide: bool): void {
  const size: u32 = wide ? wideSize(rec) : 1;
  const port = portOf(vcpu, rec, immediate);
  if (!checkPort(vcpu, port, size)) return;
  let value = load<u32>(vcpu, EAX);
  if (size != 4) value &= size == 2 ? 0xffff : 0xff;
  portOut(vcpu, port, size, value);
  if (faulted(vcpu)) return;
  checkPortBreakpoint(vcpu, port, size);
  recheck(vcpu);
}

function isRepeated(rec: i32): bool {
  return (<u32>load<u8>(rec, REC_PFX) & (PFX_REP | PFX_REPNE)) != 0;
}

function addressMask(rec: i32): u32 {
  return <u32>load<u8>(rec, REC_PFX) & PFX_ADDR16 ? 0xffff : 0xffffffff;
}

/** Adds `delta` to the part of a register that the address size uses. */
function advance(vcpu: i32, register: i32, mask: u32, delta: u32): void {
  const p = vcpu + register;
  const old = load<u32>(p);
  store<u32>(p, (old & ~mask) | ((old + delta) & mask));
}

/** REP with a count of zero does nothing, not even a check. */
function noElements(vcpu: i32, rec: i32): bool {
  return isRepeated(rec) && !(load<u32>(vcpu, ECX) & addressMask(rec));
}

/**
 * Elements that one execution moves, starting at linear address `lin` with `offset` in its segment: as many as lie in
 * its page and before the index wraps when they go forward, else one. Where every element may trap, one.
 */
function chunkLength(vcpu: i32, rec: i32, lin: u32, offset: u32, size: u32): u32 {
  if (!isRepeated(rec) || load<u32>(vcpu, EFLAGS_SYS) & (FLAG_DF | FLAG_TF) || breakpointsEnabled(vcpu)) return 1;
  const mask = addressMask(rec);
  const inPage = (0x1000 - (lin & 0xfff)) / size;
  const beforeWrap = (mask - offset) / size;
  return max<u32>(min<u32>(min<u32>(load<u32>(vcpu, ECX) & mask, inPage), beforeWrap), 1);
}

/** Last step of a chunk: the index register, the count, and another round when there is one. */
function chunkDone(vcpu: i32, rec: i32, register: i32, size: u32, count: u32): void {
  const mask = addressMask(rec);
  advance(vcpu, register, mask, load<u32>(vcpu, EFLAGS_SYS) & FLAG_DF ? 0 - size : size * count);
  if (!isRepeated(rec)) return;
  advance(vcpu, ECX, mask, 0 - count);
  if (load<u32>(vcpu, ECX) & mask) again(vcpu);
}

/** Makes sure that an element can be written before the port is read: a read cannot be taken back. */
function probe(vcpu: i32, lin: u32, size: u32): void {
  if (size == 4) Mem.readForUpdate<u32>(vcpu, lin);
  else if (size == 2) Mem.readForUpdate<u16>(vcpu, lin);
  else Mem.readForUpdate<u8>(vcpu, lin);
}

/** True when the TLB covers reads of the element, which has just been read: its page is memory. */
function isMemory(vcpu: i32, lin: u32): bool {
  return load<u32>(Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin), TLB_READ) == (lin & ~0xfff);
}

/**
 * True when the element, which may be written, lies in plain RAM. The write tag alone does not tell: a page that holds
 * decoded code has none, and how long a chunk is must not depend on what happens to be decoded.
 */
function isPlainRam(vcpu: i32, lin: u32): bool {
  const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
  if (load<u32>(e, TLB_WRITE) == (lin & ~0xfff)) return true;
  return load<u32>(e, TLB_READ) == (lin & ~0xfff) && isWritableHost(lin + load<u32>(e, TLB_DELTA));
}

function writeItem(vcpu: i32, lin: u32, size: u32, value: u32): void {
  if (size == 4) Mem.write<u32>(vcpu, lin, value);
  else if (size == 2) Mem.write<u16>(vcpu, lin, <u16>value);
  else Mem.write<u8>(vcpu, lin, <u8>value);
}

function readItem(vcpu: i32, lin: u32, size: u32): u32 {
  if (size == 4) return Mem.read<u32>(vcpu, lin);
  return size == 2 ? <u32>Mem.read<u16>(vcpu, lin) : <u32>Mem.read<u8>(vcpu, lin);
}

export function inputString(vcpu: i32, rec: i32, wide: bool): void {
  recheck(vcpu);
  if (noElements(vcpu, rec)) return;
  const size: u32 = wide ? wideSize(rec) : 1;
  const port = load<u32>(vcpu, EDX) & 0xffff;
  if (!checkPort(vcpu, port, size)) return;
  const offset = load<u32>(vcpu, EDI) & addressMask(rec);
  const lin = load<u32>(segAddress(vcpu, SEG_ES), SEG_BASE) + offset;
  let count = chunkLength(vcpu, rec, lin, offset, size);
  // a chunk that the limit cuts short is done element by element, up to the one that faults
  if (count > 1 && !withinLimit(segAddress(vcpu, SEG_ES), offset, size * count)) count = 1;
  if (!checkSegment(vcpu, SEG_ES, offset, size * count, true)) return;
  probe(vcpu, lin, size);
  if (faulted(vcpu)) return;
  if (count > 1 && !isPlainRam(vcpu, lin)) count = 1;
  count = portInString(vcpu, port, size, count);
  if (faulted(vcpu)) return;
  for (let i: u32 = 0; i < count; i++) writeItem(vcpu, lin + i * size, size, ioItem(vcpu, i, size));
  if (faulted(vcpu)) return;
  checkPortBreakpoint(vcpu, port, size);
  chunkDone(vcpu, rec, EDI, size, count);
}

export function outputString(vcpu: i32, rec: i32, wide: bool): void {
  recheck(vcpu);
  if (noElements(vcpu, rec)) return;
  const size: u32 = wide ? wideSize(rec) : 1;
  const port = load<u32>(vcpu, EDX) & 0xffff;
  if (!checkPort(vcpu, port, size)) return;
  const seg = load<u8>(rec, REC_PFX) & PFX_SEG ? operandSegment(rec) : SEG_DS;
  const offset = load<u32>(vcpu, ESI) & addressMask(rec);
  const lin = load<u32>(segAddress(vcpu, seg), SEG_BASE) + offset;
  let count = chunkLength(vcpu, rec, lin, offset, size);
  if (count > 1 && !withinLimit(segAddress(vcpu, seg), offset, size * count)) count = 1;
  if (!checkSegment(vcpu, seg, offset, size * count, false)) return;
  for (let i: u32 = 0; i < count; i++) {
    const value = readItem(vcpu, lin + i * size, size);
    if (faulted(vcpu)) return;
    setIoItem(vcpu, i, size, value);
    // from a device one at a time: the host's answers are kept only for so many accesses
    if (i == 0 && count > 1 && !isMemory(vcpu, lin)) count = 1;
  }
  portOutString(vcpu, port, size, count);
  checkPortBreakpoint(vcpu, port, size);
  chunkDone(vcpu, rec, ESI, size, count);
}
