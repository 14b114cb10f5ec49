// General forms of the integer instructions (family "int"): every operand size and addressing form. The interpreter's
// specialised operations cover the common ones; what they leave over comes here. SDM volume 2.
import {
  EAX, EBX, ECX, EDX, EFLAGS_SYS, PFX_ADDR16, PFX_OP16, REC_IMM, REC_PFX, SEG, SEG_BASE, SEG_STRIDE,
} from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { FLAG_CF, FLAG_DF, FLAGS_ARITH } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { faulted, raise } from "../cpu/fault";
import { arithFlags, condition, Flags, setArithFlags, setCf, setZf } from "../cpu/flags";
import { checkSegment } from "../cpu/segment";
import { Mem } from "../mmu/access";
import { Alu, asciiAdjust, decimalAdjust, mulFlags, shift, shld, shrd } from "./alu";
import { bitTestImmediate, bitTestRegister } from "./bits";
import { effectiveOffset, isRegForm, operandSegment, readE, readForUpdate, readG, readOperand, writeE, writeG, writeOperand } from "./operand";

const ALU_FORMS: u32 = 6;
const CMP: u32 = 7;

function imm(rec: i32): u32 {
  return load<u32>(rec, REC_IMM);
}

/** Arithmetic flags are restored when the write of a read-modify-write needs the host first. */
function writeBack<T>(vcpu: i32, rec: i32, value: u32, flagsBefore: u32): void {
  writeE<T>(vcpu, rec, <T>value);
  if (faulted(vcpu)) setArithFlags(vcpu, flagsBefore);
}

function aluToE<T>(vcpu: i32, rec: i32, k: u32, b: u32): void {
  if (k == CMP) {
    const a = <u32>readE<T>(vcpu, rec);
    if (!faulted(vcpu)) Alu.sub<T>(vcpu, a, b);
    return;
  }
  const a = <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  writeBack<T>(vcpu, rec, Alu.group1<T>(vcpu, k, a, b), before);
}

function aluToG<T>(vcpu: i32, rec: i32, k: u32): void {
  const b = <u32>readE<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const r = Alu.group1<T>(vcpu, k, <u32>readG<T>(vcpu, rec), b);
  if (k != CMP) writeG<T>(vcpu, rec, <T>r);
}

function alu(vcpu: i32, rec: i32, op: u32, op16: bool): void {
  const k = (op - <u32>Op.ADD_EG8) / ALU_FORMS;
  switch ((op - <u32>Op.ADD_EG8) % ALU_FORMS) {
    case 0: aluToE<u8>(vcpu, rec, k, <u32>readG<u8>(vcpu, rec)); break;
    case 1:
      if (op16) aluToE<u16>(vcpu, rec, k, <u32>readG<u16>(vcpu, rec));
      else aluToE<u32>(vcpu, rec, k, readG<u32>(vcpu, rec));
      break;
    case 2: aluToG<u8>(vcpu, rec, k); break;
    case 3:
      if (op16) aluToG<u16>(vcpu, rec, k);
      else aluToG<u32>(vcpu, rec, k);
      break;
    case 4: aluToE<u8>(vcpu, rec, k, imm(rec) & 0xff); break;
    default:
      if (op16) aluToE<u16>(vcpu, rec, k, imm(rec) & 0xffff);
      else aluToE<u32>(vcpu, rec, k, imm(rec));
      break;
  }
}

function shiftE<T>(vcpu: i32, rec: i32, k: u32, count: u32): void {
  const a = <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  writeBack<T>(vcpu, rec, shift<T>(vcpu, k, a, count), before);
}

function shiftAny(vcpu: i32, rec: i32, k: u32, byte: bool, op16: bool, count: u32): void {
  if (byte) shiftE<u8>(vcpu, rec, k, count);
  else if (op16) shiftE<u16>(vcpu, rec, k, count);
  else shiftE<u32>(vcpu, rec, k, count);
}

function doubleShift<T>(vcpu: i32, rec: i32, left: bool, count: u32): void {
  const a = <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  const b = <u32>readG<T>(vcpu, rec);
  writeBack<T>(vcpu, rec, left ? shld<T>(vcpu, a, b, count) : shrd<T>(vcpu, a, b, count), before);
}

const INC: u32 = 0;
const DEC: u32 = 1;
const NOT: u32 = 2;
const NEG: u32 = 3;

function unary<T>(vcpu: i32, rec: i32, k: u32): void {
  const a = <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  let r: u32;
  if (k == INC) r = Alu.inc<T>(vcpu, a);
  else if (k == DEC) r = Alu.dec<T>(vcpu, a);
  else if (k == NOT) r = ~a;
  else r = Alu.neg<T>(vcpu, a);
  writeBack<T>(vcpu, rec, r, before);
}

function unaryV(vcpu: i32, rec: i32, k: u32, op16: bool): void {
  if (op16) unary<u16>(vcpu, rec, k);
  else unary<u32>(vcpu, rec, k);
}

function multiply8(vcpu: i32, rec: i32, signed: bool): void {
  const b = <u32>readE<u8>(vcpu, rec);
  if (faulted(vcpu)) return;
  const a = <u32>load<u8>(vcpu, EAX);
  const p: u32 = signed ? <u32>(<i32>(<i8>a) * <i32>(<i8>b)) : a * b;
  store<u16>(vcpu, <u16>p, EAX);
  mulFlags<u8>(vcpu, p, signed ? <i32>p != <i32>(<i8>p) : p >> 8 != 0);
}

function multiplyV(vcpu: i32, rec: i32, signed: bool, op16: bool): void {
  if (op16) {
    const b = <u32>readE<u16>(vcpu, rec);
    if (faulted(vcpu)) return;
    const a = <u32>load<u16>(vcpu, EAX);
    const p: u32 = signed ? <u32>(<i32>(<i16>a) * <i32>(<i16>b)) : a * b;
    store<u16>(vcpu, <u16>p, EAX);
    store<u16>(vcpu, <u16>(p >> 16), EDX);
    mulFlags<u16>(vcpu, p, signed ? <i32>p != <i32>(<i16>p) : p >> 16 != 0);
    return;
  }
  const b = readE<u32>(vcpu, rec);
  if (faulted(vcpu)) return;
  const a = load<u32>(vcpu, EAX);
  const p: u64 = signed ? <u64>(<i64>(<i32>a) * <i64>(<i32>b)) : <u64>a * <u64>b;
  store<u32>(vcpu, <u32>p, EAX);
  store<u32>(vcpu, <u32>(p >> 32), EDX);
  mulFlags<u32>(vcpu, <u32>p, signed ? <i64>p != <i64>(<i32>p) : p >> 32 != 0);
}

function imulToG(vcpu: i32, rec: i32, a: i32, b: i32, op16: bool): void {
  const p = <i64>a * <i64>b;
  if (op16) {
    writeG<u16>(vcpu, rec, <u16>p);
    mulFlags<u16>(vcpu, <u32>p, p != <i64>(<i16>p));
  } else {
    writeG<u32>(vcpu, rec, <u32>p);
    mulFlags<u32>(vcpu, <u32>p, p != <i64>(<i32>p));
  }
}

function divide8(vcpu: i32, rec: i32, signed: bool): void {
  const d = <u32>readE<u8>(vcpu, rec);
  if (faulted(vcpu)) return;
  if (d == 0) { raise(vcpu, Vector.DE, 0); return; }
  const n = <u32>load<u16>(vcpu, EAX);
  let q: u32;
  let r: u32;
  if (signed) {
    const sn = <i32>(<i16>n);
    const sd = <i32>(<i8>d);
    const sq = sn / sd;
    if (sq != <i32>(<i8>sq)) { raise(vcpu, Vector.DE, 0); return; }
    q = <u32>sq;
    r = <u32>(sn % sd);
  } else {
    q = n / d;
    if (q > 0xff) { raise(vcpu, Vector.DE, 0); return; }
    r = n % d;
  }
  store<u16>(vcpu, <u16>((q & 0xff) | ((r & 0xff) << 8)), EAX);
}

function divide16(vcpu: i32, rec: i32, signed: bool): void {
  const d = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  if (d == 0) { raise(vcpu, Vector.DE, 0); return; }
  const n = (<u32>load<u16>(vcpu, EDX) << 16) | <u32>load<u16>(vcpu, EAX);
  let q: u32;
  let r: u32;
  if (signed) {
    const sn = <i64>(<i32>n);
    const sd = <i64>(<i16>d);
    const sq = sn / sd;
    if (sq != <i64>(<i16>sq)) { raise(vcpu, Vector.DE, 0); return; }
    q = <u32>sq;
    r = <u32>(sn % sd);
  } else {
    q = n / d;
    if (q > 0xffff) { raise(vcpu, Vector.DE, 0); return; }
    r = n % d;
  }
  store<u16>(vcpu, <u16>q, EAX);
  store<u16>(vcpu, <u16>r, EDX);
}

function divide32(vcpu: i32, rec: i32, signed: bool): void {
  const d = readE<u32>(vcpu, rec);
  if (faulted(vcpu)) return;
  if (d == 0) { raise(vcpu, Vector.DE, 0); return; }
  const n = (<u64>load<u32>(vcpu, EDX) << 32) | <u64>load<u32>(vcpu, EAX);
  if (signed) {
    const sn = <i64>n;
    const sd = <i64>(<i32>d);
    // the one quotient that does not fit an i64
    if (sn == i64.MIN_VALUE && sd == -1) { raise(vcpu, Vector.DE, 0); return; }
    const sq = sn / sd;
    if (sq != <i64>(<i32>sq)) { raise(vcpu, Vector.DE, 0); return; }
    store<u32>(vcpu, <u32>sq, EAX);
    store<u32>(vcpu, <u32>(sn % sd), EDX);
    return;
  }
  const q = n / <u64>d;
  if (q >> 32) { raise(vcpu, Vector.DE, 0); return; }
  store<u32>(vcpu, <u32>q, EAX);
  store<u32>(vcpu, <u32>(n % <u64>d), EDX);
}

function divideV(vcpu: i32, rec: i32, signed: bool, op16: bool): void {
  if (op16) divide16(vcpu, rec, signed);
  else divide32(vcpu, rec, signed);
}

function exchange<T>(vcpu: i32, rec: i32): void {
  const e = readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const g = readG<T>(vcpu, rec);
  writeE<T>(vcpu, rec, g);
  if (!faulted(vcpu)) writeG<T>(vcpu, rec, e);
}

function compareExchange<T>(vcpu: i32, rec: i32): void {
  const e = readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  const acc = load<T>(vcpu, EAX);
  Alu.sub<T>(vcpu, <u32>acc, <u32>e);
  if (acc == e) writeBack<T>(vcpu, rec, <u32>readG<T>(vcpu, rec), before);
  else {
    // the destination is written in either case (SDM 2A)
    writeBack<T>(vcpu, rec, <u32>e, before);
    if (!faulted(vcpu)) store<T>(vcpu, e, EAX);
  }
}

function exchangeAdd<T>(vcpu: i32, rec: i32): void {
  const e = <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  const before = arithFlags(vcpu);
  const sum = Alu.add<T>(vcpu, e, <u32>readG<T>(vcpu, rec));
  if (isRegForm(rec)) {
    // same register twice: the sum is what stays
    writeG<T>(vcpu, rec, <T>e);
    writeE<T>(vcpu, rec, <T>sum);
    return;
  }
  writeBack<T>(vcpu, rec, sum, before);
  if (!faulted(vcpu)) writeG<T>(vcpu, rec, <T>e);
}

function compareExchange8Bytes(vcpu: i32, rec: i32): void {
  const m = readForUpdate<u64>(vcpu, rec);
  if (faulted(vcpu)) return;
  const expected = (<u64>load<u32>(vcpu, EDX) << 32) | <u64>load<u32>(vcpu, EAX);
  if (m == expected) {
    writeOperand<u64>(vcpu, rec, (<u64>load<u32>(vcpu, ECX) << 32) | <u64>load<u32>(vcpu, EBX));
    if (!faulted(vcpu)) setZf(vcpu, true);
    return;
  }
  writeOperand<u64>(vcpu, rec, m);
  if (faulted(vcpu)) return;
  store<u32>(vcpu, <u32>m, EAX);
  store<u32>(vcpu, <u32>(m >> 32), EDX);
  setZf(vcpu, false);
}

/** BSF and BSR. A zero source leaves the destination alone, as processors do. */
function bitScan(vcpu: i32, rec: i32, reverse: bool, op16: bool): void {
  const v: u32 = op16 ? <u32>readE<u16>(vcpu, rec) : readE<u32>(vcpu, rec);
  if (faulted(vcpu)) return;
  if (v == 0) {
    setZf(vcpu, true);
    return;
  }
  const n: u32 = reverse ? 31 - clz<u32>(v) : ctz<u32>(v);
  setZf(vcpu, false);
  if (op16) writeG<u16>(vcpu, rec, <u16>n);
  else writeG<u32>(vcpu, rec, n);
}

function populationCount(vcpu: i32, rec: i32, op16: bool): void {
  const v: u32 = op16 ? <u32>readE<u16>(vcpu, rec) : readE<u32>(vcpu, rec);
  if (faulted(vcpu)) return;
  setArithFlags(vcpu, v == 0 ? 0x40 : 0);
  if (op16) writeG<u16>(vcpu, rec, <u16>popcnt<u32>(v));
  else writeG<u32>(vcpu, rec, popcnt<u32>(v));
}

function move(vcpu: i32, rec: i32, op: u32, op16: bool): void {
  switch (op) {
    case Op.MOV_EG8: writeE<u8>(vcpu, rec, readG<u8>(vcpu, rec)); break;
    case Op.MOV_EI8: writeE<u8>(vcpu, rec, <u8>imm(rec)); break;
    case Op.MOV_EGV:
      if (op16) writeE<u16>(vcpu, rec, readG<u16>(vcpu, rec));
      else writeE<u32>(vcpu, rec, readG<u32>(vcpu, rec));
      break;
    case Op.MOV_EIV:
      if (op16) writeE<u16>(vcpu, rec, <u16>imm(rec));
      else writeE<u32>(vcpu, rec, imm(rec));
      break;
    case Op.MOV_GE8: {
      const v = readE<u8>(vcpu, rec);
      if (!faulted(vcpu)) writeG<u8>(vcpu, rec, v);
      break;
    }
    default:
      if (op16) {
        const v = readE<u16>(vcpu, rec);
        if (!faulted(vcpu)) writeG<u16>(vcpu, rec, v);
      } else {
        const v = readE<u32>(vcpu, rec);
        if (!faulted(vcpu)) writeG<u32>(vcpu, rec, v);
      }
      break;
  }
}

function extend(vcpu: i32, rec: i32, value: i32, op16: bool): void {
  if (faulted(vcpu)) return;
  if (op16) writeG<u16>(vcpu, rec, <u16>value);
  else writeG<i32>(vcpu, rec, value);
}

function testE<T>(vcpu: i32, rec: i32, b: u32): void {
  const a = <u32>readE<T>(vcpu, rec);
  if (!faulted(vcpu)) Alu.and<T>(vcpu, a, b);
}

function xlat(vcpu: i32, rec: i32): void {
  let offset = load<u32>(vcpu, EBX) + <u32>load<u8>(vcpu, EAX);
  if (<u32>load<u8>(rec, REC_PFX) & PFX_ADDR16) offset &= 0xffff;
  const seg = operandSegment(rec);
  if (!checkSegment(vcpu, seg, offset, 1, false)) return;
  const v = Mem.read<u8>(vcpu, offset + load<u32>(vcpu + SEG + seg * SEG_STRIDE, SEG_BASE));
  if (!faulted(vcpu)) store<u8>(vcpu, v, EAX);
}

function aam(vcpu: i32, rec: i32): void {
  const base = imm(rec) & 0xff;
  if (base == 0) { raise(vcpu, Vector.DE, 0); return; }
  const al = <u32>load<u8>(vcpu, EAX);
  const r = al % base;
  store<u16>(vcpu, <u16>(((al / base) << 8) | r), EAX);
  Flags.logic<u8>(vcpu, r);
}

function aad(vcpu: i32, rec: i32): void {
  const ax = <u32>load<u16>(vcpu, EAX);
  const r = ((ax & 0xff) + (ax >> 8) * (imm(rec) & 0xff)) & 0xff;
  store<u16>(vcpu, <u16>r, EAX);
  Flags.logic<u8>(vcpu, r);
}

function movbe(vcpu: i32, rec: i32, toMemory: bool, op16: bool): void {
  if (toMemory) {
    if (op16) writeOperand<u16>(vcpu, rec, bswap<u16>(readG<u16>(vcpu, rec)));
    else writeOperand<u32>(vcpu, rec, bswap<u32>(readG<u32>(vcpu, rec)));
    return;
  }
  if (op16) {
    const v = readOperand<u16>(vcpu, rec);
    if (!faulted(vcpu)) writeG<u16>(vcpu, rec, bswap<u16>(v));
  } else {
    const v = readOperand<u32>(vcpu, rec);
    if (!faulted(vcpu)) writeG<u32>(vcpu, rec, bswap<u32>(v));
  }
}

/** Executes operation `op` (family "int") with the operands of `rec`. */
export function execInt(vcpu: i32, rec: i32, op: u32): void {
  const op16 = (<u32>load<u8>(rec, REC_PFX) & PFX_OP16) != 0;
  if (op < <u32>Op.ADD_EG8 + 8 * ALU_FORMS) {
    alu(vcpu, rec, op, op16);
    return;
  }
  switch (op) {
    case Op.ROL_EI8: shiftAny(vcpu, rec, 0, true, op16, imm(rec)); break;
    case Op.ROR_EI8: shiftAny(vcpu, rec, 1, true, op16, imm(rec)); break;
    case Op.RCL_EI8: shiftAny(vcpu, rec, 2, true, op16, imm(rec)); break;
    case Op.RCR_EI8: shiftAny(vcpu, rec, 3, true, op16, imm(rec)); break;
    case Op.SHL_EI8: shiftAny(vcpu, rec, 4, true, op16, imm(rec)); break;
    case Op.SHR_EI8: shiftAny(vcpu, rec, 5, true, op16, imm(rec)); break;
    case Op.SAR_EI8: shiftAny(vcpu, rec, 7, true, op16, imm(rec)); break;
    case Op.ROL_EIV: shiftAny(vcpu, rec, 0, false, op16, imm(rec)); break;
    case Op.ROR_EIV: shiftAny(vcpu, rec, 1, false, op16, imm(rec)); break;
    case Op.RCL_EIV: shiftAny(vcpu, rec, 2, false, op16, imm(rec)); break;
    case Op.RCR_EIV: shiftAny(vcpu, rec, 3, false, op16, imm(rec)); break;
    case Op.SHL_EIV: shiftAny(vcpu, rec, 4, false, op16, imm(rec)); break;
    case Op.SHR_EIV: shiftAny(vcpu, rec, 5, false, op16, imm(rec)); break;
    case Op.SAR_EIV: shiftAny(vcpu, rec, 7, false, op16, imm(rec)); break;
    case Op.ROL_EC8: shiftAny(vcpu, rec, 0, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.ROR_EC8: shiftAny(vcpu, rec, 1, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.RCL_EC8: shiftAny(vcpu, rec, 2, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.RCR_EC8: shiftAny(vcpu, rec, 3, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SHL_EC8: shiftAny(vcpu, rec, 4, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SHR_EC8: shiftAny(vcpu, rec, 5, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SAR_EC8: shiftAny(vcpu, rec, 7, true, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.ROL_ECV: shiftAny(vcpu, rec, 0, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.ROR_ECV: shiftAny(vcpu, rec, 1, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.RCL_ECV: shiftAny(vcpu, rec, 2, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.RCR_ECV: shiftAny(vcpu, rec, 3, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SHL_ECV: shiftAny(vcpu, rec, 4, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SHR_ECV: shiftAny(vcpu, rec, 5, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SAR_ECV: shiftAny(vcpu, rec, 7, false, op16, <u32>load<u8>(vcpu, ECX)); break;
    case Op.SHLD_I: if (op16) doubleShift<u16>(vcpu, rec, true, imm(rec)); else doubleShift<u32>(vcpu, rec, true, imm(rec)); break;
    case Op.SHRD_I: if (op16) doubleShift<u16>(vcpu, rec, false, imm(rec)); else doubleShift<u32>(vcpu, rec, false, imm(rec)); break;
    case Op.SHLD_C:
      if (op16) doubleShift<u16>(vcpu, rec, true, <u32>load<u8>(vcpu, ECX));
      else doubleShift<u32>(vcpu, rec, true, <u32>load<u8>(vcpu, ECX));
      break;
    case Op.SHRD_C:
      if (op16) doubleShift<u16>(vcpu, rec, false, <u32>load<u8>(vcpu, ECX));
      else doubleShift<u32>(vcpu, rec, false, <u32>load<u8>(vcpu, ECX));
      break;
    case Op.SETCC: writeE<u8>(vcpu, rec, condition(vcpu, imm(rec) & 15) ? 1 : 0); break;
    case Op.CMOVCC: {
      // the source is read, and may fault, whether or not it is moved
      const v: u32 = op16 ? <u32>readE<u16>(vcpu, rec) : readE<u32>(vcpu, rec);
      if (faulted(vcpu) || !condition(vcpu, imm(rec) & 15)) break;
      if (op16) writeG<u16>(vcpu, rec, <u16>v);
      else writeG<u32>(vcpu, rec, v);
      break;
    }
    case Op.BT_EG: bitTestRegister(vcpu, rec, 0, op16); break;
    case Op.BTS_EG: bitTestRegister(vcpu, rec, 1, op16); break;
    case Op.BTR_EG: bitTestRegister(vcpu, rec, 2, op16); break;
    case Op.BTC_EG: bitTestRegister(vcpu, rec, 3, op16); break;
    case Op.BT_EI: bitTestImmediate(vcpu, rec, 0, op16); break;
    case Op.BTS_EI: bitTestImmediate(vcpu, rec, 1, op16); break;
    case Op.BTR_EI: bitTestImmediate(vcpu, rec, 2, op16); break;
    case Op.BTC_EI: bitTestImmediate(vcpu, rec, 3, op16); break;
    case Op.DAA: store<u8>(vcpu, <u8>decimalAdjust(vcpu, <u32>load<u8>(vcpu, EAX), false), EAX); break;
    case Op.DAS: store<u8>(vcpu, <u8>decimalAdjust(vcpu, <u32>load<u8>(vcpu, EAX), true), EAX); break;
    case Op.AAA: store<u16>(vcpu, <u16>asciiAdjust(vcpu, <u32>load<u16>(vcpu, EAX), false), EAX); break;
    case Op.AAS: store<u16>(vcpu, <u16>asciiAdjust(vcpu, <u32>load<u16>(vcpu, EAX), true), EAX); break;
    case Op.AAM: aam(vcpu, rec); break;
    case Op.AAD: aad(vcpu, rec); break;
    case Op.SALC: store<u8>(vcpu, Flags.cf(vcpu) ? 0xff : 0, EAX); break;
    case Op.INC_E8: unary<u8>(vcpu, rec, INC); break;
    case Op.DEC_E8: unary<u8>(vcpu, rec, DEC); break;
    case Op.NOT_E8: unary<u8>(vcpu, rec, NOT); break;
    case Op.NEG_E8: unary<u8>(vcpu, rec, NEG); break;
    case Op.INC_EV: unaryV(vcpu, rec, INC, op16); break;
    case Op.DEC_EV: unaryV(vcpu, rec, DEC, op16); break;
    case Op.NOT_EV: unaryV(vcpu, rec, NOT, op16); break;
    case Op.NEG_EV: unaryV(vcpu, rec, NEG, op16); break;
    case Op.MUL_E8: multiply8(vcpu, rec, false); break;
    case Op.IMUL_E8: multiply8(vcpu, rec, true); break;
    case Op.MUL_EV: multiplyV(vcpu, rec, false, op16); break;
    case Op.IMUL_EV: multiplyV(vcpu, rec, true, op16); break;
    case Op.DIV_E8: divide8(vcpu, rec, false); break;
    case Op.IDIV_E8: divide8(vcpu, rec, true); break;
    case Op.DIV_EV: divideV(vcpu, rec, false, op16); break;
    case Op.IDIV_EV: divideV(vcpu, rec, true, op16); break;
    case Op.IMUL_GE: {
      const b: i32 = op16 ? <i32>(<i16>readE<u16>(vcpu, rec)) : readE<i32>(vcpu, rec);
      if (!faulted(vcpu)) imulToG(vcpu, rec, op16 ? <i32>readG<i16>(vcpu, rec) : readG<i32>(vcpu, rec), b, op16);
      break;
    }
    case Op.IMUL_GEI: {
      const a: i32 = op16 ? <i32>(<i16>readE<u16>(vcpu, rec)) : readE<i32>(vcpu, rec);
      if (!faulted(vcpu)) imulToG(vcpu, rec, a, op16 ? <i32>(<i16>imm(rec)) : <i32>imm(rec), op16);
      break;
    }
    case Op.TEST_EG8: testE<u8>(vcpu, rec, <u32>readG<u8>(vcpu, rec)); break;
    case Op.TEST_EGV:
      if (op16) testE<u16>(vcpu, rec, <u32>readG<u16>(vcpu, rec));
      else testE<u32>(vcpu, rec, readG<u32>(vcpu, rec));
      break;
    case Op.TEST_EI8: testE<u8>(vcpu, rec, imm(rec) & 0xff); break;
    case Op.TEST_EIV:
      if (op16) testE<u16>(vcpu, rec, imm(rec) & 0xffff);
      else testE<u32>(vcpu, rec, imm(rec));
      break;
    case Op.XCHG_EG8: exchange<u8>(vcpu, rec); break;
    case Op.XCHG_EGV: if (op16) exchange<u16>(vcpu, rec); else exchange<u32>(vcpu, rec); break;
    case Op.XCHG_ZA:
      if (op16) {
        const x = readG<u16>(vcpu, rec);
        writeG<u16>(vcpu, rec, load<u16>(vcpu, EAX));
        store<u16>(vcpu, x, EAX);
      } else {
        const x = readG<u32>(vcpu, rec);
        writeG<u32>(vcpu, rec, load<u32>(vcpu, EAX));
        store<u32>(vcpu, x, EAX);
      }
      break;
    case Op.MOV_EG8:
    case Op.MOV_EGV:
    case Op.MOV_GE8:
    case Op.MOV_GEV:
    case Op.MOV_EI8:
    case Op.MOV_EIV: move(vcpu, rec, op, op16); break;
    case Op.LEA:
      if (op16) writeG<u16>(vcpu, rec, <u16>effectiveOffset(vcpu, rec));
      else writeG<u32>(vcpu, rec, effectiveOffset(vcpu, rec));
      break;
    case Op.CBW:
      if (op16) store<i16>(vcpu, <i16>load<i8>(vcpu, EAX), EAX);
      else store<i32>(vcpu, <i32>load<i16>(vcpu, EAX), EAX);
      break;
    case Op.CWD:
      if (op16) store<i16>(vcpu, load<i16>(vcpu, EAX) >> 15, EDX);
      else store<i32>(vcpu, load<i32>(vcpu, EAX) >> 31, EDX);
      break;
    case Op.SAHF: {
      const f = arithFlags(vcpu) & (FLAGS_ARITH & ~0xff);
      setArithFlags(vcpu, f | <u32>load<u8>(vcpu, EAX + 1));
      break;
    }
    case Op.LAHF: store<u8>(vcpu, <u8>(arithFlags(vcpu) | 2), EAX + 1); break;
    case Op.XLAT: xlat(vcpu, rec); break;
    case Op.CMC: setCf(vcpu, (arithFlags(vcpu) & FLAG_CF) ^ 1); break;
    case Op.CLC: setCf(vcpu, 0); break;
    case Op.STC: setCf(vcpu, 1); break;
    case Op.CLD: store<u32>(vcpu, load<u32>(vcpu, EFLAGS_SYS) & ~FLAG_DF, EFLAGS_SYS); break;
    case Op.STD: store<u32>(vcpu, load<u32>(vcpu, EFLAGS_SYS) | FLAG_DF, EFLAGS_SYS); break;
    case Op.CMPXCHG8: compareExchange<u8>(vcpu, rec); break;
    case Op.CMPXCHGV: if (op16) compareExchange<u16>(vcpu, rec); else compareExchange<u32>(vcpu, rec); break;
    case Op.CMPXCHG8B: compareExchange8Bytes(vcpu, rec); break;
    case Op.XADD8: exchangeAdd<u8>(vcpu, rec); break;
    case Op.XADDV: if (op16) exchangeAdd<u16>(vcpu, rec); else exchangeAdd<u32>(vcpu, rec); break;
    case Op.MOVZX8: extend(vcpu, rec, <i32>readE<u8>(vcpu, rec), op16); break;
    case Op.MOVZX16: extend(vcpu, rec, <i32>readE<u16>(vcpu, rec), op16); break;
    case Op.MOVSX8: extend(vcpu, rec, <i32>(<i8>readE<u8>(vcpu, rec)), op16); break;
    case Op.MOVSX16: extend(vcpu, rec, <i32>(<i16>readE<u16>(vcpu, rec)), op16); break;
    case Op.POPCNT: populationCount(vcpu, rec, op16); break;
    case Op.BSF: bitScan(vcpu, rec, false, op16); break;
    case Op.BSR: bitScan(vcpu, rec, true, op16); break;
    case Op.BSWAP:
      // the 16-bit form is undefined; processors store zero
      if (op16) writeG<u16>(vcpu, rec, 0);
      else writeG<u32>(vcpu, rec, bswap<u32>(readG<u32>(vcpu, rec)));
      break;
    case Op.MOVBE_GM: movbe(vcpu, rec, false, op16); break;
    case Op.MOVBE_MG: movbe(vcpu, rec, true, op16); break;
    case Op.NOP: break;
    default: raise(vcpu, Vector.UD, 0); break;
  }
}

