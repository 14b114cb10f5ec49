// Double-precision floating point, conversions, and the horizontal operations of SSE3: family "sse2".
import { FPU_R, REC_IMM, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { setArithFlags } from "../../cpu/flags";
import { isRegForm, readE, readOperand, writeG } from "../operand";
import { noPending } from "../x87/status";
import { add32, add64, div64, mul64, sqrt64, sub32, sub64 } from "./arithmetic";
import { compare, compareFlags, minMax } from "./compare";
import { f32ToF64, f64ToF32, int32ToF64, toInt32 } from "./convert";
import { evenDwords, oddDwords } from "./lanes";
import { begin, commit } from "./mxcsr";
import { readW, readW32, readW64, regV, rmV } from "./operand";
import {
  addPd, addPs, cmpPd, convertDq2ps, convertPs2dq, divPd, maxPd, minPd, mulPd, sqrtPd, subPd, subPs,
} from "./packed-float";
import { enterMmx, writeMmx } from "./usable";

export function execSse2Float(vcpu: i32, rec: i32, op: i32): void {
  begin(vcpu);
  switch (op) {
    case Op.Addsd: case Op.Subsd: case Op.Mulsd: case Op.Divsd: case Op.Minsd: case Op.Maxsd: case Op.Sqrtsd:
    case Op.Cmpsd: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const d = regV(vcpu, rec);
      const r = scalar(vcpu, rec, op, load<u64>(d, XMM), b);
      if (commit(vcpu)) store<u64>(d, r, XMM);
      return;
    }
    case Op.Ucomisd: case Op.Comisd: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const flags = compareFlags<f64>(vcpu, op == Op.Ucomisd, load<u64>(regV(vcpu, rec), XMM), b);
      if (commit(vcpu)) setArithFlags(vcpu, flags);
      return;
    }
    case Op.Cvtsi2sd: {
      const value = readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) store<u64>(regV(vcpu, rec), int32ToF64(value), XMM);
      return;
    }
    case Op.Cvtsd2si: case Op.Cvttsd2si: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = toInt32<f64>(vcpu, b, op == Op.Cvttsd2si);
      if (commit(vcpu)) writeG<u32>(vcpu, rec, r);
      return;
    }
    case Op.Cvtss2sd: {
      const b = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = f32ToF64(vcpu, b);
      if (commit(vcpu)) store<u64>(regV(vcpu, rec), r, XMM);
      return;
    }
    case Op.Cvtsd2ss: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = f64ToF32(vcpu, b);
      if (commit(vcpu)) store<u32>(regV(vcpu, rec), r, XMM);
      return;
    }
    case Op.Cvtps2pd: case Op.Cvtdq2pd: {
      const b = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      let low: u64;
      let high: u64;
      if (op == Op.Cvtdq2pd) {
        low = int32ToF64(<i32>b);
        high = int32ToF64(<i32>(b >> 32));
      } else {
        low = f32ToF64(vcpu, <u32>b);
        high = f32ToF64(vcpu, <u32>(b >> 32));
      }
      if (commit(vcpu)) v128.store(regV(vcpu, rec), pair(low, high), XMM);
      return;
    }
    case Op.Cvtpi2pd: {
      let value: u64;
      if (isRegForm(rec)) {
        if (!noPending(vcpu)) return;
        value = load<u64>(rmV(vcpu, rec), FPU_R);
        enterMmx(vcpu);
      } else {
        // With a memory operand MMX state is not touched (SDM 2, CVTPI2PD).
        value = readOperand<u64>(vcpu, rec);
        if (faulted(vcpu)) return;
      }
      v128.store(regV(vcpu, rec), pair(int32ToF64(<i32>value), int32ToF64(<i32>(value >> 32))), XMM);
      return;
    }
    case Op.Cvtpd2pi: case Op.Cvttpd2pi: {
      if (!noPending(vcpu)) return;
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = toInt32Pair(vcpu, b, op == Op.Cvttpd2pi);
      enterMmx(vcpu);
      if (commit(vcpu)) writeMmx(regV(vcpu, rec), 0, r);
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

// @ts-ignore: decorator
@inline
function pair(low: u64, high: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

function scalar(vcpu: i32, rec: i32, op: i32, a: u64, b: u64): u64 {
  switch (op) {
    case Op.Addsd: return add64(vcpu, a, b);
    case Op.Subsd: return sub64(vcpu, a, b);
    case Op.Mulsd: return mul64(vcpu, a, b);
    case Op.Divsd: return div64(vcpu, a, b);
    case Op.Minsd: return minMax<f64>(vcpu, false, a, b);
    case Op.Maxsd: return minMax<f64>(vcpu, true, a, b);
    case Op.Sqrtsd: return sqrt64(vcpu, b);
    default: return compare<f64>(vcpu, load<u8>(rec, REC_IMM), a, b) ? -1 : 0;
  }
}

/** Two binary64 to two 32-bit integers. */
function toInt32Pair(vcpu: i32, b: v128, truncate: bool): u64 {
  const low = toInt32<f64>(vcpu, i64x2.extract_lane(b, 0), truncate);
  const high = toInt32<f64>(vcpu, i64x2.extract_lane(b, 1), truncate);
  return <u64>low | (<u64>high << 32);
}

function packed(vcpu: i32, rec: i32, op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case Op.Addpd: return addPd(vcpu, a, b);
    case Op.Subpd: return subPd(vcpu, a, b);
    case Op.Mulpd: return mulPd(vcpu, a, b);
    case Op.Divpd: return divPd(vcpu, a, b);
    case Op.Sqrtpd: return sqrtPd(vcpu, b);
    case Op.Minpd: return minPd(vcpu, a, b);
    case Op.Maxpd: return maxPd(vcpu, a, b);
    case Op.Cmppd: return cmpPd(vcpu, load<u8>(rec, REC_IMM), a, b);
    case Op.Haddps: return addPs(vcpu, evenDwords(a, b), oddDwords(a, b));
    case Op.Hsubps: return subPs(vcpu, evenDwords(a, b), oddDwords(a, b));
    case Op.Haddpd: return addPd(vcpu, v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
    case Op.Hsubpd: return subPd(vcpu, v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
    case Op.Addsubpd: {
      const low = sub64(vcpu, i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0));
      return pair(low, add64(vcpu, i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1)));
    }
    case Op.Addsubps: {
      let r = i32x4.splat(sub32(vcpu, i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
      r = i32x4.replace_lane(r, 1, add32(vcpu, i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
      r = i32x4.replace_lane(r, 2, sub32(vcpu, i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
      return i32x4.replace_lane(r, 3, add32(vcpu, i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
    }
    case Op.Cvtpd2ps: {
      const low = f64ToF32(vcpu, i64x2.extract_lane(b, 0));
      return pair(<u64>low | (<u64>f64ToF32(vcpu, i64x2.extract_lane(b, 1)) << 32), 0);
    }
    case Op.Cvtpd2dq: return pair(toInt32Pair(vcpu, b, false), 0);
    case Op.Cvttpd2dq: return pair(toInt32Pair(vcpu, b, true), 0);
    case Op.Cvtdq2ps: return convertDq2ps(vcpu, b);
    case Op.Cvtps2dq: return convertPs2dq(vcpu, b, false);
    case Op.Cvttps2dq: return convertPs2dq(vcpu, b, true);
    default: return unreachable();
  }
}
