// Loads and stores: FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP, the constants, and moves inside the stack.
import { FPU_FSW } from "../../../spec/layout";
import { faulted } from "../../cpu/fault";
import { Mem } from "../../mmu/access";
import { linearAddress, readOperand, writeOperand } from "../operand";
import { isSignaling, J_BIT, QUIET_BIT } from "./nan";
import { toBcd, toDouble, toInteger, toSingle } from "./narrow";
import { finishQuickStore, NOT_QUICK, quickNarrow, quickPush } from "./quick";
import {
  begin, beginMemory, C1, commit, DE, IE, RC_NEAREST, RC_UP, roundingControl, SE_DENORMAL, signal, stopsStore, W_EXC,
  W_LO, W_MEM_SE, W_MEM_SIG, W_SE, W_SIG, waiting,
} from "./status";
import { free, isEmpty, pop, push, setResult, setSt, st, stackOverflow, stackUnderflow } from "./stack";
import { fromBcd, fromDouble, fromInteger, fromSingle } from "./widen";

/** Pushes W_SIG and W_SE if the exceptions allow it. */
function pushResult(vcpu: i32, rec: i32): void {
  if (commit(vcpu, rec)) push(vcpu, load<u64>(vcpu, W_SIG), load<u32>(vcpu, W_SE));
}

/** Pushes the number in W_MEM that came from single or double precision. */
function pushReal(vcpu: i32, rec: i32): void {
  beginMemory(vcpu, rec);
  if (!isEmpty(vcpu, 7)) stackOverflow(vcpu);
  else {
    let sig = load<u64>(vcpu, W_MEM_SIG);
    const se = load<u32>(vcpu, W_MEM_SE);
    if (se & SE_DENORMAL) {
      // Unlike in arithmetic, an unmasked #D does not keep the number out: it is loaded and the exception is pending.
      signal(vcpu, DE);
      setResult(vcpu, sig, se & 0xffff);
      commit(vcpu, rec);
      push(vcpu, sig, se & 0xffff);
      return;
    }
    if (isSignaling(sig, se)) {
      signal(vcpu, IE);
      sig |= QUIET_BIT;
    }
    setResult(vcpu, sig, se & 0xffff);
  }
  pushResult(vcpu, rec);
}

export function loadSingle(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const v = readOperand<u32>(vcpu, rec);
  if (faulted(vcpu)) return;
  const exp = (v >> 23) & 0xff;
  if (exp - 1 < 0xfe) {
    beginMemory(vcpu, rec);
    if (quickPush(vcpu, (<u64>v << 40) | J_BIT, ((v >> 16) & 0x8000) | (exp + (0x3fff - 0x7f)))) return;
  }
  fromSingle(vcpu, v);
  pushReal(vcpu, rec);
}

export function loadDouble(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const v = readOperand<u64>(vcpu, rec);
  if (faulted(vcpu)) return;
  const exp = <u32>(v >> 52) & 0x7ff;
  if (exp - 1 < 0x7fe) {
    beginMemory(vcpu, rec);
    if (quickPush(vcpu, (v << 11) | J_BIT, (<u32>(v >> 48) & 0x8000) | (exp + (0x3fff - 0x3ff)))) return;
  }
  fromDouble(vcpu, v);
  pushReal(vcpu, rec);
}

/** Any encoding goes in as it is: FLD m80fp signals nothing but a stack overflow. */
export function loadExtended(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const lin = linearAddress(vcpu, rec, 0, 10, false);
  const sig = Mem.read<u64>(vcpu, lin);
  const se = Mem.read<u16>(vcpu, lin + 8);
  if (faulted(vcpu)) return;
  pushMemory(vcpu, rec, sig, se);
}

function pushMemory(vcpu: i32, rec: i32, sig: u64, se: u32): void {
  beginMemory(vcpu, rec);
  if (quickPush(vcpu, sig, se)) return;
  stackOverflow(vcpu);
  pushResult(vcpu, rec);
}

/** FILD of 16, 32 or 64 bits. */
export function loadInteger(vcpu: i32, rec: i32, bits: i32): void {
  if (!waiting(vcpu)) return;
  let v: i64;
  if (bits == 16) v = <i64>readOperand<i16>(vcpu, rec);
  else if (bits == 32) v = <i64>readOperand<i32>(vcpu, rec);
  else v = readOperand<i64>(vcpu, rec);
  if (faulted(vcpu)) return;
  fromInteger(vcpu, v);
  pushMemory(vcpu, rec, load<u64>(vcpu, W_MEM_SIG), load<u32>(vcpu, W_MEM_SE));
}

export function loadBcd(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const lin = linearAddress(vcpu, rec, 0, 10, false);
  const low = Mem.read<u64>(vcpu, lin);
  const high = Mem.read<u16>(vcpu, lin + 8);
  if (faulted(vcpu)) return;
  fromBcd(vcpu, low, high);
  pushMemory(vcpu, rec, load<u64>(vcpu, W_MEM_SIG), load<u32>(vcpu, W_MEM_SE));
}

/** Pushes a constant whose infinite expansion lies between `below` and `below` + 1; `nearest` is the closer one. */
export function loadConstant(vcpu: i32, rec: i32, se: u32, below: u64, nearest: u64): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (!isEmpty(vcpu, 7)) stackOverflow(vcpu);
  else {
    const rc = roundingControl(vcpu);
    setResult(vcpu, rc == RC_NEAREST ? nearest : rc == RC_UP ? below + 1 : below, se);
  }
  pushResult(vcpu, rec);
}

export function loadExact(vcpu: i32, rec: i32, se: u32, sig: u64): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  if (quickPush(vcpu, sig, se)) return;
  stackOverflow(vcpu);
  pushResult(vcpu, rec);
}

export function loadStack(vcpu: i32, rec: i32, i: u32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const a = st(vcpu, i);
  if (isEmpty(vcpu, i)) stackUnderflow(vcpu);
  else if (quickPush(vcpu, load<u64>(a), <u32>load<u16>(a, 8))) return;
  else stackOverflow(vcpu);
  pushResult(vcpu, rec);
}

/** FST ST(i) and FSTP ST(i). */
export function storeStack(vcpu: i32, rec: i32, i: u32, pops: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  const a = st(vcpu, 0);
  if (isEmpty(vcpu, 0)) {
    stackUnderflow(vcpu);
    if (!commit(vcpu, rec)) return;
    setSt(vcpu, i, load<u64>(vcpu, W_SIG), load<u32>(vcpu, W_SE));
  } else {
    store<u16>(vcpu, load<u16>(vcpu, FPU_FSW) & <u16>~C1, FPU_FSW);
    setSt(vcpu, i, load<u64>(a), <u32>load<u16>(a, 8));
  }
  if (pops) pop(vcpu);
}

/** FSTP1, the alias at D9 D8: an empty ST(0) is popped without a stack fault and nothing is stored. */
export function storeStackUnchecked(vcpu: i32, rec: i32, i: u32): void {
  if (!isEmpty(vcpu, 0)) {
    storeStack(vcpu, rec, i, true);
    return;
  }
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  commit(vcpu, rec);
  pop(vcpu);
}

/** End of a store to memory: with an unmasked exception nothing was written and nothing is popped. */
function finishStore(vcpu: i32, rec: i32, pops: bool): void {
  const stopped = stopsStore(vcpu);
  commit(vcpu, rec);
  if (pops && !stopped) pop(vcpu);
}

export function storeSingle(vcpu: i32, rec: i32, pops: bool): void {
  if (!waiting(vcpu)) return;
  const a = st(vcpu, 0);
  if (!isEmpty(vcpu, 0)) {
    const sig = load<u64>(a);
    const bits = quickNarrow(vcpu, sig, <u32>load<u16>(a, 8), 40, 0x3f80);
    if (bits != NOT_QUICK) {
      writeOperand<u32>(vcpu, rec, <u32>bits);
      if (faulted(vcpu)) return;
      beginMemory(vcpu, rec);
      finishQuickStore(vcpu, sig, bits, 40, pops);
      return;
    }
  }
  store<u32>(vcpu, 0, W_EXC);
  let v: u32 = 0xffc00000;
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else v = toSingle(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
  if (!stopsStore(vcpu)) writeOperand<u32>(vcpu, rec, v);
  if (faulted(vcpu)) return;
  keepExceptions(vcpu, rec);
  finishStore(vcpu, rec, pops);
}

export function storeDouble(vcpu: i32, rec: i32, pops: bool): void {
  if (!waiting(vcpu)) return;
  const a = st(vcpu, 0);
  if (!isEmpty(vcpu, 0)) {
    const sig = load<u64>(a);
    const bits = quickNarrow(vcpu, sig, <u32>load<u16>(a, 8), 11, 0x3c00);
    if (bits != NOT_QUICK) {
      writeOperand<u64>(vcpu, rec, <u64>bits);
      if (faulted(vcpu)) return;
      beginMemory(vcpu, rec);
      finishQuickStore(vcpu, sig, bits, 11, pops);
      return;
    }
  }
  store<u32>(vcpu, 0, W_EXC);
  let v: u64 = 0xfff8000000000000;
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else v = toDouble(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
  if (!stopsStore(vcpu)) writeOperand<u64>(vcpu, rec, v);
  if (faulted(vcpu)) return;
  keepExceptions(vcpu, rec);
  finishStore(vcpu, rec, pops);
}

/** Pointers are recorded only after the memory write, so that a page fault leaves them alone. */
function keepExceptions(vcpu: i32, rec: i32): void {
  const exc = load<u32>(vcpu, W_EXC);
  beginMemory(vcpu, rec);
  store<u32>(vcpu, exc, W_EXC);
}

/** Writes ten bytes, all or none. */
function writeTen(vcpu: i32, rec: i32, low: u64, high: u32): void {
  const lin = linearAddress(vcpu, rec, 0, 10, true);
  if (faulted(vcpu)) return;
  if ((lin & 0xfff) > 0xff6) {
    // Over a page boundary: both pages must be writable before either is written.
    Mem.readForUpdate<u8>(vcpu, lin);
    Mem.readForUpdate<u8>(vcpu, (lin + 9) & ~0xfff); // CR2 is the first byte of the second page
    if (faulted(vcpu)) return;
  }
  Mem.write<u64>(vcpu, lin, low);
  Mem.write<u16>(vcpu, lin + 8, <u16>high);
}

/** FSTP m80fp: any encoding, no exception but a stack underflow. */
export function storeExtended(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  store<u32>(vcpu, 0, W_EXC);
  const a = st(vcpu, 0);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else setResult(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
  if (!stopsStore(vcpu)) writeTen(vcpu, rec, load<u64>(vcpu, W_SIG), load<u32>(vcpu, W_SE));
  if (faulted(vcpu)) return;
  keepExceptions(vcpu, rec);
  finishStore(vcpu, rec, true);
}

/** FIST, FISTP and FISTTP of 16, 32 or 64 bits. */
export function storeInteger(vcpu: i32, rec: i32, bits: i32, truncate: bool, pops: bool): void {
  if (!waiting(vcpu)) return;
  store<u32>(vcpu, 0, W_EXC);
  const a = st(vcpu, 0);
  let v: i64 = (<i64>1) << (bits - 1);
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else v = toInteger(vcpu, load<u64>(a), <u32>load<u16>(a, 8), bits, truncate);
  if (!stopsStore(vcpu)) {
    if (bits == 16) writeOperand<u16>(vcpu, rec, <u16>v);
    else if (bits == 32) writeOperand<u32>(vcpu, rec, <u32>v);
    else writeOperand<u64>(vcpu, rec, <u64>v);
  }
  if (faulted(vcpu)) return;
  keepExceptions(vcpu, rec);
  finishStore(vcpu, rec, pops);
}

export function storeBcd(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  store<u32>(vcpu, 0, W_EXC);
  const a = st(vcpu, 0);
  let low: u64 = 0xc000000000000000;
  let high: u32 = 0xffff;
  if (isEmpty(vcpu, 0)) stackUnderflow(vcpu);
  else {
    low = toBcd(vcpu, load<u64>(a), <u32>load<u16>(a, 8));
    high = <u32>load<u64>(vcpu, W_LO);
  }
  if (!stopsStore(vcpu)) writeTen(vcpu, rec, low, high);
  if (faulted(vcpu)) return;
  keepExceptions(vcpu, rec);
  finishStore(vcpu, rec, true);
}

/** FFREE and FFREEP (the latter pops too). */
export function freeRegister(vcpu: i32, rec: i32, i: u32, pops: bool): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  commit(vcpu, rec);
  free(vcpu, i);
  if (pops) pop(vcpu);
}
