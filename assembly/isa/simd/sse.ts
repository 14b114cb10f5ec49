// Family "sse": moves between XMM registers and memory of every data type, bitwise logic, MXCSR, fences and
// prefetches, and single-precision floating point.
import { MXCSR, REC_IMM, REC_OP, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted, raiseGP } from "../../cpu/fault";
import { isRegForm, linearAddress, readOperand, writeG } from "../operand";
import { probeRead } from "../../mmu/slow";
import { execSseFloat } from "./float-sse";
import { dwordSelector } from "./lanes";
import { MXCSR_MASK } from "./mxcsr";
import { readUnaligned, readW, readW32, regV, rmV, writeAligned, writeM, writeUnaligned } from "./operand";
import { sseUsable } from "./usable";

export function execSse(vcpu: i32, rec: i32): void {
  const op = <i32>load<u16>(rec, REC_OP);
  // Hints and orderings: every access of this core is in program order already.
  if (op == Op.Fence || op == Op.Prefetch) return;
  if (op == Op.Clflush) {
    // Faults as a byte load does, without being one for a device.
    probeRead(vcpu, linearAddress(vcpu, rec, 0, 1, false), 1);
    return;
  }
  if (!sseUsable(vcpu)) return;
  switch (op) {
    case Op.LoadAligned: {
      const value = readW(vcpu, rec);
      if (!faulted(vcpu)) v128.store(regV(vcpu, rec), value, XMM);
      return;
    }
    case Op.LoadUnaligned: {
      const value = isRegForm(rec) ? v128.load(rmV(vcpu, rec), XMM) : readUnaligned(vcpu, rec);
      if (!faulted(vcpu)) v128.store(regV(vcpu, rec), value, XMM);
      return;
    }
    case Op.StoreAligned: {
      const value = v128.load(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) v128.store(rmV(vcpu, rec), value, XMM);
      else writeAligned(vcpu, rec, value);
      return;
    }
    case Op.StoreUnaligned: {
      const value = v128.load(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) v128.store(rmV(vcpu, rec), value, XMM);
      else writeUnaligned(vcpu, rec, value);
      return;
    }
    case Op.MovssXmmW: {
      const value = readW32(vcpu, rec);
      if (faulted(vcpu)) return;
      if (!isRegForm(rec)) v128.store(regV(vcpu, rec), i64x2.splat(0), XMM);
      store<u32>(regV(vcpu, rec), value, XMM);
      return;
    }
    case Op.MovssWXmm: {
      const value = load<u32>(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) store<u32>(rmV(vcpu, rec), value, XMM);
      else writeM<u32>(vcpu, rec, value);
      return;
    }
    case Op.LoadLow: {
      const value = readOperand<u64>(vcpu, rec);
      if (!faulted(vcpu)) store<u64>(regV(vcpu, rec), value, XMM);
      return;
    }
    case Op.LoadHigh: {
      const value = readOperand<u64>(vcpu, rec);
      if (!faulted(vcpu)) store<u64>(regV(vcpu, rec), value, XMM + 8);
      return;
    }
    case Op.StoreLow: writeM<u64>(vcpu, rec, load<u64>(regV(vcpu, rec), XMM)); return;
    case Op.StoreHigh: writeM<u64>(vcpu, rec, load<u64>(regV(vcpu, rec), XMM + 8)); return;
    case Op.Movhlps: store<u64>(regV(vcpu, rec), load<u64>(rmV(vcpu, rec), XMM + 8), XMM); return;
    case Op.Movlhps: store<u64>(regV(vcpu, rec), load<u64>(rmV(vcpu, rec), XMM), XMM + 8); return;
    case Op.Movmskps: writeG<u32>(vcpu, rec, i32x4.bitmask(v128.load(rmV(vcpu, rec), XMM))); return;
    case Op.Andps: case Op.Andnps: case Op.Orps: case Op.Xorps: case Op.Unpcklps: case Op.Unpckhps: case Op.Shufps: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = regV(vcpu, rec);
      v128.store(r, bitwise(op, v128.load(r, XMM), b, rec), XMM);
      return;
    }
    case Op.Ldmxcsr: {
      const value = readOperand<u32>(vcpu, rec);
      if (faulted(vcpu)) return;
      if (value & ~MXCSR_MASK) raiseGP(vcpu, 0);
      else store<u32>(vcpu, value, MXCSR);
      return;
    }
    case Op.Stmxcsr: writeM<u32>(vcpu, rec, load<u32>(vcpu, MXCSR)); return;
    default:
      execSseFloat(vcpu, rec, op);
  }
}

function bitwise(op: i32, a: v128, b: v128, rec: i32): v128 {
  switch (op) {
    case Op.Andps: return v128.and(a, b);
    case Op.Andnps: return v128.andnot(b, a);
    case Op.Orps: return v128.or(a, b);
    case Op.Xorps: return v128.xor(a, b);
    case Op.Unpcklps: return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case Op.Unpckhps: return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    default: {
      const selector = dwordSelector(load<u8>(rec, REC_IMM));
      return v128.shuffle<i32>(i8x16.swizzle(a, selector), i8x16.swizzle(b, selector), 0, 1, 6, 7);
    }
  }
}
