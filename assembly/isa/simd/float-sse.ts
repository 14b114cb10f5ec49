// Single-precision floating point of family "sse". Every instruction reads its operands, computes while it gathers
// exception flags, and writes its destination only when no unmasked exception came up.
import { REC_IMM, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { setArithFlags } from "../../cpu/flags";
import { isRegForm, readE, writeG } from "../operand";
import { noPending } from "../x87/status";
import { add32, div32, mul32, sqrt32, sub32 } from "./arithmetic";
import { compare, compareFlags, minMax } from "./compare";
import { int32ToF32, reciprocal, reciprocalRoot, toInt32 } from "./convert";
import { begin, commit } from "./mxcsr";
import { readQ, readW, readW32, readW64, regV } from "./operand";
import { addPs, cmpPs, divPs, maxPs, minPs, mulPs, sqrtPs, subPs } from "./packed-float";
import { enterMmx, writeMmx } from "./usable";

export function execSseFloat(vcpu: i32, rec: i32, op: i32): void {
  begin(vcpu);
  switch (op) {
    case Op.Addss: case Op.Subss: case Op.Mulss: case Op.Divss: case Op.Minss: case Op.Maxss: case Op.Sqrtss:
    case Op.Rcpss: case Op.Rsqrtss: case Op.Cmpss: {
      const b = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      const d = regV(vcpu, rec);
      const r = scalar(vcpu, rec, op, load<u32>(d, XMM), b);
      if (commit(vcpu)) store<u32>(d, r, XMM);
      return;
    }
    case Op.Ucomiss: case Op.Comiss: {
      const b = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      const flags = compareFlags<f32>(vcpu, op == Op.Ucomiss, load<u32>(regV(vcpu, rec), XMM), b);
      if (commit(vcpu)) setArithFlags(vcpu, flags);
      return;
    }
    case Op.Cvtsi2ss: {
      const value = readE<u32>(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = int32ToF32(vcpu, value);
      if (commit(vcpu)) store<u32>(regV(vcpu, rec), r, XMM);
      return;
    }
    case Op.Cvtss2si: case Op.Cvttss2si: {
      const b = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = toInt32<f32>(vcpu, b, op == Op.Cvttss2si);
      if (commit(vcpu)) writeG<u32>(vcpu, rec, r);
      return;
    }
    case Op.Cvtpi2ps: {
      // With a memory operand MMX state is not touched: SDM 2 says so of CVTPI2PD only, processors do it for both.
      if (isRegForm(rec) && !noPending(vcpu)) return;
      const value = readQ(vcpu, rec);
      if (faulted(vcpu)) return;
      const low = int32ToF32(vcpu, <i32>value);
      const high = int32ToF32(vcpu, <i32>(value >> 32));
      if (isRegForm(rec)) enterMmx(vcpu);
      if (commit(vcpu)) store<u64>(regV(vcpu, rec), <u64>low | (<u64>high << 32), XMM);
      return;
    }
    case Op.Cvtps2pi: case Op.Cvttps2pi: {
      if (!noPending(vcpu)) return;
      const value = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const low = toInt32<f32>(vcpu, value & 0xffffffff, op == Op.Cvttps2pi);
      const high = toInt32<f32>(vcpu, value >> 32, op == Op.Cvttps2pi);
      enterMmx(vcpu);
      if (commit(vcpu)) writeMmx(regV(vcpu, rec), 0, <u64>low | (<u64>high << 32));
      return;
    }
    default: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const d = regV(vcpu, rec);
      const r = packed(vcpu, rec, op, v128.load(d, XMM), b);
      if (commit(vcpu)) v128.store(d, r, XMM);
    }
  }
}

function scalar(vcpu: i32, rec: i32, op: i32, a: u32, b: u32): u32 {
  switch (op) {
    case Op.Addss: return add32(vcpu, a, b);
    case Op.Subss: return sub32(vcpu, a, b);
    case Op.Mulss: return mul32(vcpu, a, b);
    case Op.Divss: return div32(vcpu, a, b);
    case Op.Minss: return <u32>minMax<f32>(vcpu, false, a, b);
    case Op.Maxss: return <u32>minMax<f32>(vcpu, true, a, b);
    case Op.Sqrtss: return sqrt32(vcpu, b);
    case Op.Rcpss: return reciprocal(b);
    case Op.Rsqrtss: return reciprocalRoot(b);
    default: return compare<f32>(vcpu, load<u8>(rec, REC_IMM), a, b) ? 0xffffffff : 0;
  }
}

function packed(vcpu: i32, rec: i32, op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case Op.Addps: return addPs(vcpu, a, b);
    case Op.Subps: return subPs(vcpu, a, b);
    case Op.Mulps: return mulPs(vcpu, a, b);
    case Op.Divps: return divPs(vcpu, a, b);
    case Op.Sqrtps: return sqrtPs(vcpu, b);
    case Op.Minps: return minPs(vcpu, a, b);
    case Op.Maxps: return maxPs(vcpu, a, b);
    case Op.Cmpps: return cmpPs(vcpu, load<u8>(rec, REC_IMM), a, b);
    case Op.Rcpps: {
      let r = i32x4.splat(reciprocal(i32x4.extract_lane(b, 0)));
      r = i32x4.replace_lane(r, 1, reciprocal(i32x4.extract_lane(b, 1)));
      r = i32x4.replace_lane(r, 2, reciprocal(i32x4.extract_lane(b, 2)));
      return i32x4.replace_lane(r, 3, reciprocal(i32x4.extract_lane(b, 3)));
    }
    case Op.Rsqrtps: {
      let r = i32x4.splat(reciprocalRoot(i32x4.extract_lane(b, 0)));
      r = i32x4.replace_lane(r, 1, reciprocalRoot(i32x4.extract_lane(b, 1)));
      r = i32x4.replace_lane(r, 2, reciprocalRoot(i32x4.extract_lane(b, 2)));
      return i32x4.replace_lane(r, 3, reciprocalRoot(i32x4.extract_lane(b, 3)));
    }
    default: return unreachable();
  }
}
