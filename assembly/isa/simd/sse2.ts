// Family "sse2": packed integers in XMM registers, double-precision floating point, SSE3 and SSSE3.
//
// The opcode table lists the family's instructions in four runs: moves, floating point, two-operand packed integers,
// other integer instructions. Each has its own switch, dense enough to become a jump table; one switch over all would
// be a chain of comparisons, at 15 ns for the instructions at its end.
import { REC_IMM, REC_OP, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { isRegForm, readG, writeG } from "../operand";
import { execSse2Float } from "./float-sse2";
import { low64, readW, readW64, regV, rmV, writeM } from "./operand";
import { packedXmm } from "./packed-xmm";
import { execSse2Integer } from "./sse2-integer";
import { sseUsable } from "./usable";

const FIRST_FLOAT = Op.Ucomisd;
const FIRST_PACKED = Op.PunpcklbwXmm;
const FIRST_OTHER = Op.PsrlwXmmI;

export function execSse2(vcpu: i32, rec: i32): void {
  const op = <i32>load<u16>(rec, REC_OP);
  if (op == Op.Movnti) {
    // Touches no XMM register: CR0 and CR4 do not matter.
    writeM<u32>(vcpu, rec, readG<u32>(vcpu, rec));
    return;
  }
  if (!sseUsable(vcpu)) return;
  if (op >= FIRST_OTHER) {
    execSse2Integer(vcpu, rec, op);
  } else if (op >= FIRST_PACKED) {
    const b = readW(vcpu, rec);
    if (faulted(vcpu)) return;
    const r = regV(vcpu, rec);
    v128.store(r, packedXmm(op, v128.load(r, XMM), b), XMM);
  } else if (op >= FIRST_FLOAT) {
    execSse2Float(vcpu, rec, op);
  } else {
    execMove(vcpu, rec, op);
  }
}

function execMove(vcpu: i32, rec: i32, op: i32): void {
  switch (op) {
    case Op.MovsdXmmW: {
      const value = readW64(vcpu, rec);
      if (faulted(vcpu)) return;
      if (isRegForm(rec)) store<u64>(regV(vcpu, rec), value, XMM);
      else v128.store(regV(vcpu, rec), low64(value), XMM);
      return;
    }
    case Op.MovsdWXmm: {
      const value = load<u64>(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) store<u64>(rmV(vcpu, rec), value, XMM);
      else writeM<u64>(vcpu, rec, value);
      return;
    }
    case Op.Movmskpd:
      writeG<u32>(vcpu, rec, i64x2.bitmask(v128.load(rmV(vcpu, rec), XMM)));
      return;
    case Op.Movsldup: case Op.Movshdup: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = op == Op.Movsldup ? v128.shuffle<i32>(b, b, 0, 0, 2, 2) : v128.shuffle<i32>(b, b, 1, 1, 3, 3);
      v128.store(regV(vcpu, rec), r, XMM);
      return;
    }
    case Op.Movddup: {
      const value = readW64(vcpu, rec);
      if (!faulted(vcpu)) v128.store(regV(vcpu, rec), i64x2.splat(value), XMM);
      return;
    }
    default: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = regV(vcpu, rec);
      v128.store(r, shuffle(op, v128.load(r, XMM), b, load<u8>(rec, REC_IMM)), XMM);
    }
  }
}

/** UNPCKLPD, UNPCKHPD (as the integer forms) and SHUFPD. */
function shuffle(op: i32, a: v128, b: v128, imm: u32): v128 {
  switch (op) {
    case Op.PunpcklqdqXmm: return v128.shuffle<i64>(a, b, 0, 2);
    case Op.PunpckhqdqXmm: return v128.shuffle<i64>(a, b, 1, 3);
    case Op.Shufpd: {
      const low = imm & 1 ? i64x2.extract_lane(a, 1) : i64x2.extract_lane(a, 0);
      const high = imm & 2 ? i64x2.extract_lane(b, 1) : i64x2.extract_lane(b, 0);
      return i64x2.replace_lane(i64x2.splat(low), 1, high);
    }
    default: return unreachable();
  }
}
