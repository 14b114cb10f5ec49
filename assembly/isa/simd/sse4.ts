// Family "sse4": SSE4.1 and SSE4.2.
import { REC_BASE, REC_IMM, REC_OP, REC_PFX, PFX_OP16, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { FLAG_CF, FLAG_ZF } from "../../../spec/registers";
import { faulted } from "../../cpu/fault";
import { setArithFlags } from "../../cpu/flags";
import { isRegForm, readE, readG, readOperand, writeG } from "../operand";
import { crc32c } from "./crc32";
import { execSse4Float } from "./float-sse4";
import { bytesRight, mulEvenS32 } from "./lanes";
import { readUnaligned, readW, readW32, readW64, regV, rmV, writeM } from "./operand";
import { execStringCompare } from "./string-compare";
import { sseUsable } from "./usable";

export function execSse4(vcpu: i32, rec: i32): void {
  const op = <i32>load<u16>(rec, REC_OP);
  if (op == Op.Crc32Eb || op == Op.Crc32Ev) {
    // General registers only: CR0 and CR4 do not matter.
    crc32(vcpu, rec, op);
    return;
  }
  if (!sseUsable(vcpu)) return;
  const imm = <u32>load<u8>(rec, REC_IMM);
  const r = regV(vcpu, rec);
  switch (op) {
    case Op.Pmovsxbw: case Op.Pmovsxwd: case Op.Pmovsxdq: case Op.Pmovzxbw: case Op.Pmovzxwd: case Op.Pmovzxdq: {
      const b = readW64(vcpu, rec);
      if (!faulted(vcpu)) v128.store(r, widen(op, i64x2.splat(b)), XMM);
      return;
    }
    case Op.Pmovsxbd: case Op.Pmovsxwq: case Op.Pmovzxbd: case Op.Pmovzxwq: {
      const b = readW32(vcpu, rec);
      if (!faulted(vcpu)) v128.store(r, widen(op, i32x4.splat(b)), XMM);
      return;
    }
    case Op.Pmovsxbq: case Op.Pmovzxbq: {
      const b = isRegForm(rec) ? load<u16>(rmV(vcpu, rec), XMM) : readOperand<u16>(vcpu, rec);
      if (!faulted(vcpu)) v128.store(r, widen(op, i16x8.splat(b)), XMM);
      return;
    }
    case Op.Ptest: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const a = v128.load(r, XMM);
      const zf = v128.any_true(v128.and(a, b)) ? 0 : FLAG_ZF;
      setArithFlags(vcpu, zf | (v128.any_true(v128.andnot(b, a)) ? 0 : FLAG_CF));
      return;
    }
    case Op.Pextrb: {
      const value = load<u8>(r + <i32>(imm & 15), XMM);
      if (isRegForm(rec)) writeRm(vcpu, rec, value);
      else writeM<u8>(vcpu, rec, value);
      return;
    }
    case Op.PextrwE: {
      const value = load<u16>(r + <i32>((imm & 7) << 1), XMM);
      if (isRegForm(rec)) writeRm(vcpu, rec, value);
      else writeM<u16>(vcpu, rec, value);
      return;
    }
    case Op.Pextrd: case Op.Extractps: {
      const value = load<u32>(r + <i32>((imm & 3) << 2), XMM);
      if (isRegForm(rec)) writeRm(vcpu, rec, value);
      else writeM<u32>(vcpu, rec, value);
      return;
    }
    case Op.Pinsrb: {
      const value = isRegForm(rec) ? load<u8>(vcpu + <i32>load<u8>(rec, REC_BASE)) : readOperand<u8>(vcpu, rec);
      if (!faulted(vcpu)) store<u8>(r + <i32>(imm & 15), value, XMM);
      return;
    }
    case Op.Pinsrd: {
      const value = readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) store<u32>(r + <i32>((imm & 3) << 2), value, XMM);
      return;
    }
    case Op.Insertps: {
      const value = isRegForm(rec) ? load<u32>(rmV(vcpu, rec) + <i32>((imm >> 6) << 2), XMM) : readOperand<u32>(vcpu, rec);
      if (faulted(vcpu)) return;
      store<u32>(r + <i32>(((imm >> 4) & 3) << 2), value, XMM);
      for (let i = 0; i < 4; i++) {
        if ((imm >> i) & 1) store<u32>(r + (i << 2), 0, XMM);
      }
      return;
    }
    case Op.Pcmpestrm: case Op.Pcmpestri: case Op.Pcmpistrm: case Op.Pcmpistri: {
      // The one 16-byte source that need not be aligned.
      const b = isRegForm(rec) ? v128.load(rmV(vcpu, rec), XMM) : readUnaligned(vcpu, rec);
      if (!faulted(vcpu)) execStringCompare(vcpu, op, v128.load(r, XMM), b, imm);
      return;
    }
    case Op.Roundps: case Op.Roundpd: case Op.Roundss: case Op.Roundsd: case Op.Dpps: case Op.Dppd:
      execSse4Float(vcpu, rec, op);
      return;
    default: {
      const b = readW(vcpu, rec);
      if (!faulted(vcpu)) v128.store(r, packed(vcpu, op, v128.load(r, XMM), b, imm), XMM);
    }
  }
}

// @ts-ignore: decorator
@inline
function writeRm(vcpu: i32, rec: i32, value: u32): void {
  store<u32>(vcpu + <i32>load<u8>(rec, REC_BASE), value);
}

function crc32(vcpu: i32, rec: i32, op: i32): void {
  let value: u32;
  let bytes = 1;
  if (op == Op.Crc32Eb) {
    value = readE<u8>(vcpu, rec);
  } else if (<u32>load<u8>(rec, REC_PFX) & PFX_OP16) {
    value = readE<u16>(vcpu, rec);
    bytes = 2;
  } else {
    value = readE<u32>(vcpu, rec);
    bytes = 4;
  }
  if (!faulted(vcpu)) writeG<u32>(vcpu, rec, crc32c(readG<u32>(vcpu, rec), value, bytes));
}

/** PMOVSX and PMOVZX: the source is in the low lanes of b. */
function widen(op: i32, b: v128): v128 {
  switch (op) {
    case Op.Pmovsxbw: return i16x8.extend_low_i8x16_s(b);
    case Op.Pmovsxbd: return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b));
    case Op.Pmovsxbq: return i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b)));
    case Op.Pmovsxwd: return i32x4.extend_low_i16x8_s(b);
    case Op.Pmovsxwq: return i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(b));
    case Op.Pmovsxdq: return i64x2.extend_low_i32x4_s(b);
    case Op.Pmovzxbw: return i16x8.extend_low_i8x16_u(b);
    case Op.Pmovzxbd: return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b));
    case Op.Pmovzxbq: return i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b)));
    case Op.Pmovzxwd: return i32x4.extend_low_i16x8_u(b);
    case Op.Pmovzxwq: return i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(b));
    default: return i64x2.extend_low_i32x4_u(b);
  }
}

function packed(vcpu: i32, op: i32, a: v128, b: v128, imm: u32): v128 {
  switch (op) {
    case Op.Pblendvb: return v128.bitselect(b, a, i8x16.shr_s(v128.load(vcpu, XMM), 7));
    case Op.Blendvps: return v128.bitselect(b, a, i32x4.shr_s(v128.load(vcpu, XMM), 31));
    case Op.Blendvpd: return v128.bitselect(b, a, i64x2.shr_s(v128.load(vcpu, XMM), 63));
    case Op.Blendps: return v128.bitselect(b, a, i32x4.ne(v128.and(i32x4.splat(imm), i32x4(1, 2, 4, 8)), i32x4.splat(0)));
    case Op.Blendpd: return v128.bitselect(b, a, i64x2.ne(v128.and(i64x2.splat(imm), i64x2(1, 2)), i64x2.splat(0)));
    case Op.Pblendw: {
      const lanes = v128.and(i16x8.splat(<i16>imm), i16x8(1, 2, 4, 8, 16, 32, 64, 128));
      return v128.bitselect(b, a, i16x8.ne(lanes, i16x8.splat(0)));
    }
    case Op.Pmuldq: return mulEvenS32(a, b);
    case Op.Pcmpeqq: return i64x2.eq(a, b);
    case Op.Pcmpgtq: return i64x2.gt_s(a, b);
    case Op.Packusdw: return i16x8.narrow_i32x4_u(a, b);
    case Op.Pminsb: return i8x16.min_s(a, b);
    case Op.Pminsd: return i32x4.min_s(a, b);
    case Op.Pminuw: return i16x8.min_u(a, b);
    case Op.Pminud: return i32x4.min_u(a, b);
    case Op.Pmaxsb: return i8x16.max_s(a, b);
    case Op.Pmaxsd: return i32x4.max_s(a, b);
    case Op.Pmaxuw: return i16x8.max_u(a, b);
    case Op.Pmaxud: return i32x4.max_u(a, b);
    case Op.Pmulld: return i32x4.mul(a, b);
    case Op.Phminposuw: return minPosition(b);
    case Op.Mpsadbw: return multipleSad(a, b, imm);
    default: return unreachable();
  }
}

/** PHMINPOSUW: the smallest word in word 0, the lowest index that has it in word 1. */
function minPosition(b: v128): v128 {
  // Value and index in one number, so that the minimum picks the lowest index among equals.
  const low = v128.or(i32x4.shl(i32x4.extend_low_i16x8_u(b), 3), i32x4(0, 1, 2, 3));
  const high = v128.or(i32x4.shl(i32x4.extend_high_i16x8_u(b), 3), i32x4(4, 5, 6, 7));
  let m = i32x4.min_u(low, high);
  m = i32x4.min_u(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  m = i32x4.min_u(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  const best = <u32>i32x4.extract_lane(m, 0);
  return i32x4.replace_lane(i32x4.splat(0), 0, (best >> 3) | ((best & 7) << 16));
}

/** MPSADBW: eight sums of four absolute differences, of sliding bytes of a against one doubleword of b. */
function multipleSad(a: v128, b: v128, imm: u32): v128 {
  const block = bytesRight(b, <i32>((imm & 3) << 2));
  const window = bytesRight(a, <i32>(imm & 4));
  let sum = i16x8.splat(0);
  sum = i16x8.add(sum, byteDifferences(window, i8x16.splat(i8x16.extract_lane_u(block, 0))));
  sum = i16x8.add(sum, byteDifferences(bytesRight(window, 1), i8x16.splat(i8x16.extract_lane_u(block, 1))));
  sum = i16x8.add(sum, byteDifferences(bytesRight(window, 2), i8x16.splat(i8x16.extract_lane_u(block, 2))));
  return i16x8.add(sum, byteDifferences(bytesRight(window, 3), i8x16.splat(i8x16.extract_lane_u(block, 3))));
}

/** Absolute differences of the low eight bytes, as words. */
function byteDifferences(a: v128, b: v128): v128 {
  return i16x8.extend_low_i8x16_u(v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a)));
}
