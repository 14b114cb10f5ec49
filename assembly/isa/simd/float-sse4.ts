// ROUNDcc and the dot products of SSE4.1.
import { MXCSR, REC_IMM, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { add32, add64, mul32, mul64 } from "./arithmetic";
import { roundTo } from "./convert";
import { begin, commit, MX_IE, MX_PE, MX_RC, MX_RC_SHIFT, signal } from "./mxcsr";
import { readW, readW32, readW64, regV } from "./operand";
import { daz, Format } from "./softfloat";

/** Immediate of ROUND: take the mode from MXCSR; keep quiet about inexact results. */
const IMM_MXCSR_RC: u32 = 4;
const IMM_QUIET: u32 = 8;

export function execSse4Float(vcpu: i32, rec: i32, op: i32): void {
  begin(vcpu);
  const imm = <u32>load<u8>(rec, REC_IMM);
  const d = regV(vcpu, rec);
  switch (op) {
    case Op.Roundss: {
      const b = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = <u32>round<f32>(vcpu, b, imm);
      if (commit(vcpu)) store<u32>(d, r, XMM);
      return;
    }
    case Op.Roundsd: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = round<f64>(vcpu, b, imm);
      if (commit(vcpu)) store<u64>(d, r, XMM);
      return;
    }
    default: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = packed(vcpu, op, v128.load(d, XMM), b, imm);
      if (commit(vcpu)) v128.store(d, r, XMM);
    }
  }
}

/** To an integral value of the same format. Denormals do not signal. */
function round<T>(vcpu: i32, x: u64, imm: u32): u64 {
  const a = daz<T>(vcpu, x);
  if (Format.isNaN<T>(a)) {
    if (Format.isSNaN<T>(a)) signal(vcpu, MX_IE);
    return a | Format.quietBit<T>();
  }
  const rc = imm & IMM_MXCSR_RC ? (load<u32>(vcpu, MXCSR) & MX_RC) >> MX_RC_SHIFT : imm & 3;
  const value = sizeof<T>() == 4 ? <f64>reinterpret<f32>(<u32>a) : reinterpret<f64>(a);
  const rounded = roundTo(rc, value);
  if (rounded != value && !(imm & IMM_QUIET)) signal(vcpu, MX_PE);
  return sizeof<T>() == 4 ? <u64>reinterpret<u32>(<f32>rounded) : reinterpret<u64>(rounded);
}

/**
 * Between the multiplication and each level of additions of a dot product: an unmasked exception stops it there, and
 * what a finished stage raised stays in MXCSR whatever the next one does.
 */
function stage(vcpu: i32): bool {
  if (!commit(vcpu)) return false;
  begin(vcpu);
  return true;
}

function packed(vcpu: i32, op: i32, a: v128, b: v128, imm: u32): v128 {
  switch (op) {
    case Op.Roundps: {
      let r = i32x4.splat(<u32>round<f32>(vcpu, <u32>i32x4.extract_lane(b, 0), imm));
      r = i32x4.replace_lane(r, 1, <u32>round<f32>(vcpu, <u32>i32x4.extract_lane(b, 1), imm));
      r = i32x4.replace_lane(r, 2, <u32>round<f32>(vcpu, <u32>i32x4.extract_lane(b, 2), imm));
      return i32x4.replace_lane(r, 3, <u32>round<f32>(vcpu, <u32>i32x4.extract_lane(b, 3), imm));
    }
    case Op.Roundpd: {
      const low = round<f64>(vcpu, i64x2.extract_lane(b, 0), imm);
      return i64x2.replace_lane(i64x2.splat(low), 1, round<f64>(vcpu, i64x2.extract_lane(b, 1), imm));
    }
    case Op.Dpps: {
      const p0 = imm & 0x10 ? mul32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)) : 0;
      const p1 = imm & 0x20 ? mul32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)) : 0;
      const p2 = imm & 0x40 ? mul32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)) : 0;
      const p3 = imm & 0x80 ? mul32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)) : 0;
      if (!stage(vcpu)) return b;
      const low = add32(vcpu, p0, p1);
      const high = add32(vcpu, p2, p3);
      if (!stage(vcpu)) return b;
      const sum = add32(vcpu, low, high);
      const lanes = i32x4.ne(v128.and(i32x4.splat(imm), i32x4(1, 2, 4, 8)), i32x4.splat(0));
      return v128.and(i32x4.splat(sum), lanes);
    }
    default: {
      const p0 = imm & 0x10 ? mul64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0)) : 0;
      const p1 = imm & 0x20 ? mul64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)) : 0;
      if (!stage(vcpu)) return b;
      const sum = add64(vcpu, p0, p1);
      const lanes = i64x2.ne(v128.and(i64x2.splat(imm), i64x2(1, 2)), i64x2.splat(0));
      return v128.and(i64x2.splat(sum), lanes);
    }
  }
}
