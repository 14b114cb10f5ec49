// MOVS, CMPS, STOS, LODS, SCAS with every repeat prefix (SDM 2A-2B, REP). A repeated instruction works in chunks that end
// at page borders, and gives interrupts a chance between chunks; how far a chunk goes depends on architectural state alone,
// so that the virtual clock counts the same in every run.
import {
  EAX, ECX, EDI, EFLAGS_SYS, ESI, EVENT, EVENT_RECHECK, PFX_ADDR16, PFX_OP16, PFX_REP, PFX_REPNE, REC_PFX, REPLAY_COUNT, SEG, SEG_ACCESS, SEG_BASE, SEG_ES, SEG_LIMIT,
  SEG_STRIDE, SEGA_EXPAND_DOWN, SEGA_READ, SEGA_WRITE, STRING_WORK, TLB_CURRENT,
  TLB_DELTA, TLB_READ, TLB_WRITE, WATCH_HIT,
} from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { FLAG_DF, FLAG_TF } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { breakpointsEnabled } from "../cpu/debug";
import { again, faulted, raise } from "../cpu/fault";
import { Flags } from "../cpu/flags";
import { replayClear } from "../cpu/replay";
import { checkSegment } from "../cpu/segment";
import { Mem } from "../mmu/access";
import { Alu } from "./alu";
import { operandSegment } from "./operand";

const MOVS: u32 = 0;
const CMPS: u32 = 1;
const STOS: u32 = 2;
const LODS: u32 = 3;
const SCAS: u32 = 4;

/** Elements a chunk may have. */
const CHUNK: u32 = 4096;
/** What a chunk done in bulk costs, in elements that go one by one. */
const BULK_WORK: u32 = 64;
/**
 * Elements between two looks at the host: a chunk is one instruction of the budget whatever its length, and a budget of
 * long chunks alone would keep a stop, a timeout or a key waiting for tens of seconds.
 */
export const STRING_WORK_MAX: u32 = 32768;

function index(vcpu: i32, reg: i32, addr16: bool): u32 {
  return addr16 ? <u32>load<u16>(vcpu + reg) : load<u32>(vcpu + reg);
}

function setIndex(vcpu: i32, reg: i32, value: u32, addr16: bool): void {
  if (addr16) store<u16>(vcpu + reg, <u16>value);
  else store<u32>(vcpu + reg, value);
}

function segBase(vcpu: i32, seg: i32): u32 {
  return load<u32>(vcpu + SEG + seg * SEG_STRIDE, SEG_BASE);
}

/** One element. False when it faulted; nothing has changed then. */
function element<T>(vcpu: i32, rec: i32, k: u32, addr16: bool): bool {
  const size: u32 = <u32>sizeof<T>();
  const step: u32 = load<u32>(vcpu, EFLAGS_SYS) & FLAG_DF ? 0 - size : size;
  const si = index(vcpu, ESI, addr16);
  const di = index(vcpu, EDI, addr16);
  const usesSource = k == MOVS || k == CMPS || k == LODS;
  const usesTarget = k != LODS;
  let a: u32 = <u32>load<T>(vcpu, EAX);
  if (usesSource) {
    const seg = operandSegment(rec);
    if (!checkSegment(vcpu, seg, si, size, false)) return false;
    a = <u32>Mem.read<T>(vcpu, si + segBase(vcpu, seg));
    if (faulted(vcpu)) return false;
  }
  if (usesTarget) {
    const write = k == MOVS || k == STOS;
    if (!checkSegment(vcpu, SEG_ES, di, size, write)) return false;
    const lin = di + segBase(vcpu, SEG_ES);
    if (write) {
      Mem.write<T>(vcpu, lin, <T>a);
      if (faulted(vcpu)) return false;
    } else {
      const b = <u32>Mem.read<T>(vcpu, lin);
      if (faulted(vcpu)) return false;
      Alu.sub<T>(vcpu, a, b);
    }
    setIndex(vcpu, EDI, di + step, addr16);
  } else {
    store<T>(vcpu, <T>a, EAX);
  }
  if (usesSource) setIndex(vcpu, ESI, si + step, addr16);
  return true;
}

/** Elements from `offset` on that stay in its page (of linear addresses) and below the wrap of a 16-bit index. */
function elementsInPage(lin: u32, offset: u32, size: u32, down: bool, addr16: bool): u32 {
  const inPage = lin & 0xfff;
  let n: u32 = down ? inPage / size + 1 : (0x1000 - inPage) / size;
  if (down && inPage + size > 0x1000) n = 0;
  if (addr16) {
    const room: u32 = down ? offset / size + 1 : (0x10000 - offset) / size;
    if (room < n) n = room;
  }
  return n == 0 ? 1 : n;
}

/** Wasm address behind a linear address with a TLB hit, else 0. */
function hit(vcpu: i32, lin: u32, tag: u32): u32 {
  const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
  return load<u32>(e + <i32>tag) == (lin & ~0xfff) ? lin + load<u32>(e, TLB_DELTA) : 0;
}

function copyForward(to: u32, from: u32, bytes: u32, size: u32): void {
  // an overlap ahead of the source repeats its pattern, element by element
  if (to - from >= bytes || to == from) {
    memory.copy(<usize>to, <usize>from, <usize>bytes);
    return;
  }
  if (size == 4) for (let i: u32 = 0; i < bytes; i += 4) store<u32>(<i32>(to + i), load<u32>(<i32>(from + i)));
  else if (size == 2) for (let i: u32 = 0; i < bytes; i += 2) store<u16>(<i32>(to + i), load<u16>(<i32>(from + i)));
  else for (let i: u32 = 0; i < bytes; i++) store<u8>(<i32>(to + i), load<u8>(<i32>(from + i)));
}

function fill(to: u32, n: u32, value: u32, size: u32): void {
  const b = value & 0xff;
  if (size == 1 || (size == 2 && value == b * 0x101) || (size == 4 && value == b * 0x1010101)) {
    memory.fill(<usize>to, <u8>b, <usize>(n * size));
  } else if (size == 4) {
    for (let i: u32 = 0; i < n; i++) store<u32>(<i32>(to + (i << 2)), value);
  } else {
    for (let i: u32 = 0; i < n; i++) store<u16>(<i32>(to + (i << 1)), <u16>value);
  }
}

/** Forward MOVS or STOS of `n` elements of one page each side, past the per-element checks. False: not possible here. */
function bulk<T>(vcpu: i32, rec: i32, k: u32, n: u32, addr16: bool): bool {
  const size: u32 = <u32>sizeof<T>();
  const bytes = n * size;
  const di = index(vcpu, EDI, addr16);
  const lin = di + segBase(vcpu, SEG_ES);
  const to = hit(vcpu, lin, TLB_WRITE);
  if (to == 0 || (lin & 0xfff) + bytes > 0x1000) return false;
  if (k == MOVS) {
    const seg = operandSegment(rec);
    const si = index(vcpu, ESI, addr16);
    const source = si + segBase(vcpu, seg);
    const from = hit(vcpu, source, TLB_READ);
    if (from == 0 || (source & 0xfff) + bytes > 0x1000) return false;
    if (!quietCheck(vcpu, seg, si, bytes, false) || !quietCheck(vcpu, SEG_ES, di, bytes, true)) return false;
    copyForward(to, from, bytes, size);
    setIndex(vcpu, ESI, si + bytes, addr16);
  } else {
    if (!quietCheck(vcpu, SEG_ES, di, bytes, true)) return false;
    fill(to, n, <u32>load<T>(vcpu, EAX), size);
  }
  setIndex(vcpu, EDI, di + bytes, addr16);
  return true;
}

/** checkSegment without raising: elements then find the fault themselves. */
function quietCheck(vcpu: i32, seg: i32, offset: u32, bytes: u32, write: bool): bool {
  const s = vcpu + SEG + seg * SEG_STRIDE;
  const access = load<u32>(s, SEG_ACCESS);
  if (!(access & (write ? SEGA_WRITE : SEGA_READ)) || access & SEGA_EXPAND_DOWN) return false;
  const last = offset + (bytes - 1);
  return last <= load<u32>(s, SEG_LIMIT) && last >= offset;
}

function repeat<T>(vcpu: i32, rec: i32, k: u32, pfx: u32): void {
  const addr16 = (pfx & PFX_ADDR16) != 0;
  if (!(pfx & (PFX_REP | PFX_REPNE))) {
    element<T>(vcpu, rec, k, addr16);
    return;
  }
  const count = index(vcpu, ECX, addr16);
  if (count == 0) return;
  const down = (load<u32>(vcpu, EFLAGS_SYS) & FLAG_DF) != 0;
  const compares = k == CMPS || k == SCAS;
  let n = count < CHUNK ? count : CHUNK;
  // a single-step trap follows every element, and a data breakpoint's the element that hit it
  if (load<u32>(vcpu, EFLAGS_SYS) & FLAG_TF || breakpointsEnabled(vcpu)) n = 1;
  if (k == MOVS || k == CMPS || k == LODS) {
    const si = index(vcpu, ESI, addr16);
    const room = elementsInPage(si + segBase(vcpu, operandSegment(rec)), si, sizeof<T>(), down, addr16);
    if (room < n) n = room;
  }
  if (k != LODS) {
    const di = index(vcpu, EDI, addr16);
    const room = elementsInPage(di + segBase(vcpu, SEG_ES), di, sizeof<T>(), down, addr16);
    if (room < n) n = room;
  }
  // the first element goes the long way and fills the TLB for the rest
  let done: u32 = 0;
  let work: u32 = 1;
  let ended = false;
  while (done < n) {
    if (!element<T>(vcpu, rec, k, addr16)) break;
    done++;
    if (load<u32>(vcpu, REPLAY_COUNT) != 0) replayClear(vcpu); // the host's answers were this element's
    if (compares && Flags.zf(vcpu) == ((pfx & PFX_REPNE) != 0)) {
      ended = true;
      break;
    }
    if (done == 1 && n > 4 && !down && (k == MOVS || k == STOS) && bulk<T>(vcpu, rec, k, n - 1, addr16)) {
      done = n;
      work += BULK_WORK;
    } else work++;
    if (load<u32>(vcpu, WATCH_HIT) != 0) break;
  }
  work += load<u32>(vcpu, STRING_WORK);
  store<u32>(vcpu, work, STRING_WORK);
  if (work >= STRING_WORK_MAX) store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_RECHECK, EVENT);
  const left = count - done;
  setIndex(vcpu, ECX, left, addr16);
  if (left != 0 && !ended) again(vcpu);
}

function repeatV(vcpu: i32, rec: i32, k: u32, pfx: u32): void {
  if (pfx & PFX_OP16) repeat<u16>(vcpu, rec, k, pfx);
  else repeat<u32>(vcpu, rec, k, pfx);
}

export function execString(vcpu: i32, rec: i32, op: u32): void {
  const pfx = <u32>load<u8>(rec, REC_PFX);
  switch (op) {
    case Op.MOVS8: repeat<u8>(vcpu, rec, MOVS, pfx); break;
    case Op.MOVSV: repeatV(vcpu, rec, MOVS, pfx); break;
    case Op.CMPS8: repeat<u8>(vcpu, rec, CMPS, pfx); break;
    case Op.CMPSV: repeatV(vcpu, rec, CMPS, pfx); break;
    case Op.STOS8: repeat<u8>(vcpu, rec, STOS, pfx); break;
    case Op.STOSV: repeatV(vcpu, rec, STOS, pfx); break;
    case Op.LODS8: repeat<u8>(vcpu, rec, LODS, pfx); break;
    case Op.LODSV: repeatV(vcpu, rec, LODS, pfx); break;
    case Op.SCAS8: repeat<u8>(vcpu, rec, SCAS, pfx); break;
    case Op.SCASV: repeatV(vcpu, rec, SCAS, pfx); break;
    default: raise(vcpu, Vector.UD, 0); break;
  }
}
