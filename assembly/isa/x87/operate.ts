// Instructions that compute in the register stack: how each takes its operands, meets stack faults, and stores.
import { FPU_FCW, FPU_FSW } from "../../../spec/layout";
import { faulted } from "../../cpu/fault";
import { FLAG_CF, FLAG_PF, FLAG_ZF } from "../../../spec/registers";
import { condition, setArithFlags } from "../../cpu/flags";
import { readOperand } from "../operand";
import { add, divide, multiply, squareRoot } from "./arith";
import { compare, EQUAL, examine, LESS, UNORDERED } from "./compare";
import { roundToInteger } from "./narrow";
import { NOT_COMMON, noteRounded, quickSquareRoot } from "./quick-functions";
import { quickArithmetic } from "./quick";
import { J_BIT } from "./nan";
import { extract, remainder, scale } from "./remainder";
import {
  begin, beginMemory, C0, C1, C2, C3, commit, IE, masked, PC_FIELD, SE_DENORMAL, W_AUX, W_EXC, W_MEM_SE, W_MEM_SIG,
  W_SE, W_SE2, W_SIG, W_SIG2, waiting,
} from "./status";
import {
  INDEFINITE_SE, INDEFINITE_SIG, isEmpty, pop, push, setResult, setSt, st, stackOverflow, stackUnderflow,
} from "./stack";
import { fromDouble, fromInteger, fromSingle } from "./widen";

// Operation of a group, ModRM.reg of D8; the order of the operands is destination, source.
export const ADD: i32 = 0;
export const MUL: i32 = 1;
export const COM: i32 = 2;
export const COMP: i32 = 3;
export const SUB: i32 = 4;
export const SUBR: i32 = 5;
export const DIV: i32 = 6;
export const DIVR: i32 = 7;

// Kind of a memory operand
export const M32: i32 = 0;
export const M64: i32 = 1;
export const I16: i32 = 2;
export const I32: i32 = 3;

function operate(vcpu: i32, op: i32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const pc = <u32>load<u16>(vcpu, FPU_FCW) & PC_FIELD;
  switch (op) {
    case ADD: add(vcpu, aSig, aSe, bSig, bSe, 0, pc); break;
    case MUL: multiply(vcpu, aSig, aSe, bSig, bSe, pc); break;
    case SUB: add(vcpu, aSig, aSe, bSig, bSe, 0x8000, pc); break;
    case SUBR: add(vcpu, bSig, bSe, aSig, aSe, 0x8000, pc); break;
    case DIV: divide(vcpu, aSig, aSe, bSig, bSe, pc); break;
    default: divide(vcpu, bSig, bSe, aSig, aSe, pc); break;
  }
}

/** Stores W_SIG and W_SE in ST(i) if the exceptions allow it. */
export function finish(vcpu: i32, rec: i32, i: u32): bool {
  if (!commit(vcpu, rec)) return false;
  setSt(vcpu, i, load<u64>(vcpu, W_SIG), load<u32>(vcpu, W_SE));
  return true;
}

/** ST(dst) = ST(dst) op ST(src), then maybe pop. */
export function arithmeticStack(vcpu: i32, rec: i32, op: i32, dst: u32, src: u32, pops: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, dst) || isEmpty(vcpu, src)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, dst);
    const b = st(vcpu, src);
    const aSig = load<u64>(a);
    const aSe = <u32>load<u16>(a, 8);
    const bSig = load<u64>(b);
    const bSe = <u32>load<u16>(b, 8);
    if (quickArithmetic(vcpu, a, op, aSig, aSe, bSig, bSe)) {
      if (pops) pop(vcpu);
      return;
    }
    operate(vcpu, op, aSig, aSe, bSig, bSe);
  }
  if (finish(vcpu, rec, dst) && pops) pop(vcpu);
}

/** Reads a single precision or integer operand into W_MEM; false when it faulted. */
function fetch(vcpu: i32, rec: i32, kind: i32): bool {
  if (kind == M32) {
    const v = readOperand<u32>(vcpu, rec);
    if (faulted(vcpu)) return false;
    fromSingle(vcpu, v);
  } else if (kind == I16) {
    const v = readOperand<i16>(vcpu, rec);
    if (faulted(vcpu)) return false;
    fromInteger(vcpu, v);
  } else {
    const v = readOperand<i32>(vcpu, rec);
    if (faulted(vcpu)) return false;
    fromInteger(vcpu, v);
  }
  return true;
}

/** ST(0) = ST(0) op memory, or a comparison with memory. */
export function arithmeticMemory(vcpu: i32, rec: i32, op: i32, kind: i32): void {
  if (!waiting(vcpu)) return;
  let bSig: u64, bSe: u32;
  if (kind == M64) {
    const v = readOperand<u64>(vcpu, rec);
    if (faulted(vcpu)) return;
    const exp = <u32>(v >> 52) & 0x7ff;
    bSig = (v << 11) | J_BIT;
    bSe = (<u32>(v >> 48) & 0x8000) | (exp + (0x3fff - 0x3ff));
    if (exp - 1 >= 0x7fe) {
      fromDouble(vcpu, v);
      bSig = load<u64>(vcpu, W_MEM_SIG);
      bSe = load<u32>(vcpu, W_MEM_SE);
    }
  } else {
    if (!fetch(vcpu, rec, kind)) return;
    bSig = load<u64>(vcpu, W_MEM_SIG);
    bSe = load<u32>(vcpu, W_MEM_SE);
  }
  beginMemory(vcpu, rec);
  const a = st(vcpu, 0);
  const empty = isEmpty(vcpu, 0);
  if (op == COM || op == COMP) {
    let codes = UNORDERED;
    if (empty) stackUnderflow(vcpu);
    else codes = compare(vcpu, load<u64>(a), <u32>load<u16>(a, 8), bSig, bSe, false);
    if (setCodes(vcpu, rec, codes) && op == COMP) pop(vcpu);
    return;
  }
  if (empty) stackUnderflow(vcpu);
  else {
    const aSig = load<u64>(a);
    const aSe = <u32>load<u16>(a, 8);
    if (!(bSe & SE_DENORMAL) && quickArithmetic(vcpu, a, op, aSig, aSe, bSig, bSe)) return;
    operate(vcpu, op, aSig, aSe, bSig, bSe);
  }
  finish(vcpu, rec, 0);
}

/**
 * Commits and sets C3 C2 C0, but not under an unmasked #I (SDM 2A, FCOM). An unmasked #D sets them, and like #I keeps
 * the operands on the stack: returns false.
 */
function setCodes(vcpu: i32, rec: i32, codes: u32): bool {
  const pops = commit(vcpu, rec);
  if (!pops && !masked(vcpu, load<u32>(vcpu, W_EXC) & IE)) return false;
  store<u16>(vcpu, <u16>((<u32>load<u16>(vcpu, FPU_FSW) & ~(C0 | C2 | C3)) | codes), FPU_FSW);
  return pops;
}

/** FCOM, FUCOM with ST(i), popping `pops` times. */
export function compareStack(vcpu: i32, rec: i32, i: u32, quiet: bool, pops: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const codes = relation(vcpu, i, quiet);
  if (!setCodes(vcpu, rec, codes)) return;
  if (pops > 0) pop(vcpu);
  if (pops > 1) pop(vcpu);
}

function relation(vcpu: i32, i: u32, quiet: bool): u32 {
  if (isEmpty(vcpu, 0) || isEmpty(vcpu, i)) {
    stackUnderflow(vcpu);
    return UNORDERED;
  }
  const a = st(vcpu, 0);
  const b = st(vcpu, i);
  return compare(vcpu, load<u64>(a), <u32>load<u16>(a, 8), load<u64>(b), <u32>load<u16>(b, 8), quiet);
}

/** FCOMI, FUCOMI: the relation goes to ZF, PF, CF; OF, SF and AF are cleared. */
export function compareToEflags(vcpu: i32, rec: i32, i: u32, quiet: bool, pops: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const codes = relation(vcpu, i, quiet);
  const completed = commit(vcpu, rec);
  if (!completed && !masked(vcpu, load<u32>(vcpu, W_EXC) & IE)) return;
  let flags: u32 = 0;
  if (codes == UNORDERED) flags = FLAG_ZF | FLAG_PF | FLAG_CF;
  else if (codes == LESS) flags = FLAG_CF;
  else if (codes == EQUAL) flags = FLAG_ZF;
  setArithFlags(vcpu, flags);
  if (completed && pops) pop(vcpu);
}

export function test(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  let codes = UNORDERED;
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    codes = compare(vcpu, load<u64>(a), <u32>load<u16>(a, 8), 0, 0, false);
  }
  setCodes(vcpu, rec, codes);
}

export function fxam(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const a = st(vcpu, 0);
  const codes = examine(load<u64>(a), <u32>load<u16>(a, 8), isEmpty(vcpu, 0));
  store<u16>(vcpu, <u16>((<u32>load<u16>(vcpu, FPU_FSW) & ~(C0 | C1 | C2 | C3)) | codes), FPU_FSW);
}

/** FCHS and FABS work on any encoding and signal nothing but an empty register. */
export function changeSign(vcpu: i32, rec: i32, keep: u32, flip: u32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const a = st(vcpu, 0);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else setResult(vcpu, load<u64>(a), (<u32>load<u16>(a, 8) & keep) ^ flip);
  finish(vcpu, rec, 0);
}

// One-operand functions in place
export const SQRT: i32 = 0;
export const RNDINT: i32 = 1;

export function unary(vcpu: i32, rec: i32, op: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    const sig = load<u64>(a);
    const se = <u32>load<u16>(a, 8);
    if (op == SQRT) {
      const c1 = quickSquareRoot(vcpu, a, sig, se);
      if (c1 != NOT_COMMON) {
        noteRounded(vcpu, c1);
        return;
      }
      squareRoot(vcpu, sig, se, <u32>load<u16>(vcpu, FPU_FCW) & PC_FIELD);
    } else roundToInteger(vcpu, sig, se);
  }
  finish(vcpu, rec, 0);
}

export function fscale(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0) || isEmpty(vcpu, 1)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    const b = st(vcpu, 1);
    scale(vcpu, load<u64>(a), <u32>load<u16>(a, 8), load<u64>(b), <u32>load<u16>(b, 8));
  }
  finish(vcpu, rec, 0);
}

export function fprem(vcpu: i32, rec: i32, nearest: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  let codes: u32 = 0;
  // Without a quotient only C2 is cleared.
  let written = C2;
  if (isEmpty(vcpu, 0) || isEmpty(vcpu, 1)) stackUnderflow(vcpu);
  else {
    const a = st(vcpu, 0);
    const b = st(vcpu, 1);
    const reduced = remainder(vcpu, load<u64>(a), <u32>load<u16>(a, 8), load<u64>(b), <u32>load<u16>(b, 8), nearest);
    if (reduced) {
      codes = load<u32>(vcpu, W_AUX);
      written = C0 | C1 | C2 | C3;
    }
  }
  if (!finish(vcpu, rec, 0)) {
    codes = 0;
    written = C2;
  }
  store<u16>(vcpu, <u16>((<u32>load<u16>(vcpu, FPU_FSW) & ~written) | codes), FPU_FSW);
}

export function fxtract(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0)) bothIndefinite(vcpu, false);
  else if (!isEmpty(vcpu, 7)) bothIndefinite(vcpu, true);
  else {
    const a = st(vcpu, 0);
    extract(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
  }
  replaceAndPush(vcpu, rec);
}

/** Stack fault of an instruction with two results. */
export function bothIndefinite(vcpu: i32, overflow: bool): void {
  if (overflow) stackOverflow(vcpu);
  else stackUnderflow(vcpu);
  store<u64>(vcpu, INDEFINITE_SIG, W_SIG2);
  store<u32>(vcpu, INDEFINITE_SE, W_SE2);
}

/** The second result replaces ST(0) and the first is pushed. */
export function replaceAndPush(vcpu: i32, rec: i32): void {
  if (!commit(vcpu, rec)) return;
  setSt(vcpu, 0, load<u64>(vcpu, W_SIG2), load<u32>(vcpu, W_SE2));
  push(vcpu, load<u64>(vcpu, W_SIG), load<u32>(vcpu, W_SE));
}

/** FCMOVcc: cc is the condition of Jcc. Both registers must be in use whether or not the move happens. */
export function conditionalMove(vcpu: i32, rec: i32, i: u32, cc: u32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (isEmpty(vcpu, 0) || isEmpty(vcpu, i)) {
    stackUnderflow(vcpu);
    finish(vcpu, rec, 0);
  } else if (condition(vcpu, cc)) {
    // C1 belongs to the stack fault only and stays.
    const from = st(vcpu, i);
    setSt(vcpu, 0, load<u64>(from), <u32>load<u16>(from, 8));
  }
}

export function exchange(vcpu: i32, rec: i32, i: u32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const emptyA = isEmpty(vcpu, 0);
  const emptyB = isEmpty(vcpu, i);
  const a = st(vcpu, 0);
  const b = st(vcpu, i);
  if (!emptyA && !emptyB) {
    const sig = load<u64>(a);
    const se = load<u16>(a, 8);
    store<u64>(a, load<u64>(b));
    store<u16>(a, load<u16>(b, 8), 8);
    store<u64>(b, sig);
    store<u16>(b, se, 8);
    store<u16>(vcpu, load<u16>(vcpu, FPU_FSW) & <u16>~C1, FPU_FSW);
    return;
  }
  stackUnderflow(vcpu);
  const aSig = emptyA ? INDEFINITE_SIG : load<u64>(a);
  const aSe = emptyA ? INDEFINITE_SE : <u32>load<u16>(a, 8);
  const bSig = emptyB ? INDEFINITE_SIG : load<u64>(b);
  const bSe = emptyB ? INDEFINITE_SE : <u32>load<u16>(b, 8);
  if (!commit(vcpu, rec)) return;
  setSt(vcpu, 0, bSig, bSe);
  setSt(vcpu, i, aSig, aSe);
}
