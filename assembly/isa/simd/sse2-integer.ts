// Packed-integer instructions of family "sse2" that are not `dest = dest op source`, and moves of integers.
import { FPU_R, REC_BASE, REC_IMM, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { isRegForm, readE, readOperand, writeE, writeG } from "../operand";
import { noPending } from "../x87/status";
import {
  alignRight, bytesLeft, bytesRight, dwordSelector, shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32,
  shiftLeft64, shiftRight16, shiftRight32, shiftRight64, shuffleWords,
} from "./lanes";
import { maskAddress, probeMasked, storeMasked } from "./masked";
import { low64, readW, readW64, regV, rmV, writeM } from "./operand";
import { enterMmx, writeMmx } from "./usable";

export function execSse2Integer(vcpu: i32, rec: i32, op: i32): void {
  switch (op) {
    case Op.MovqXmmW: {
      const value = readW64(vcpu, rec);
      if (!faulted(vcpu)) v128.store(regV(vcpu, rec), low64(value), XMM);
      return;
    }
    case Op.MovqWXmm: {
      const value = load<u64>(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) v128.store(rmV(vcpu, rec), low64(value), XMM);
      else writeM<u64>(vcpu, rec, value);
      return;
    }
    case Op.MovdXmmE: {
      const value = readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) v128.store(regV(vcpu, rec), low64(<u64>value), XMM);
      return;
    }
    case Op.MovdEXmm: {
      const value = load<u32>(regV(vcpu, rec), XMM);
      if (isRegForm(rec)) writeE<u32>(vcpu, rec, value);
      else writeM<u32>(vcpu, rec, value);
      return;
    }
    case Op.Movq2dq:
      if (!noPending(vcpu)) return;
      v128.store(regV(vcpu, rec), low64(load<u64>(rmV(vcpu, rec), FPU_R)), XMM);
      enterMmx(vcpu);
      return;
    case Op.Movdq2q:
      if (!noPending(vcpu)) return;
      writeMmx(regV(vcpu, rec), 0, load<u64>(rmV(vcpu, rec), XMM));
      enterMmx(vcpu);
      return;
    case Op.PmovmskbXmm:
      writeG<u32>(vcpu, rec, i8x16.bitmask(v128.load(rmV(vcpu, rec), XMM)));
      return;
    case Op.PextrwXmm:
      writeG<u32>(vcpu, rec, load<u16>(rmV(vcpu, rec) + ((<i32>load<u8>(rec, REC_IMM) & 7) << 1), XMM));
      return;
    case Op.PinsrwXmm: {
      const word = isRegForm(rec) ? load<u16>(vcpu + <i32>load<u8>(rec, REC_BASE)) : readOperand<u16>(vcpu, rec);
      if (!faulted(vcpu)) store<u16>(regV(vcpu, rec) + ((<i32>load<u8>(rec, REC_IMM) & 7) << 1), word, XMM);
      return;
    }
    case Op.PsrlwXmmI: case Op.PsrawXmmI: case Op.PsllwXmmI: case Op.PsrldXmmI: case Op.PsradXmmI: case Op.PslldXmmI:
    case Op.PsrlqXmmI: case Op.PsllqXmmI: case Op.PsrldqXmmI: case Op.PslldqXmmI: {
      const r = rmV(vcpu, rec);
      v128.store(r, shiftImmediate(op, v128.load(r, XMM), load<u8>(rec, REC_IMM)), XMM);
      return;
    }
    case Op.Maskmovdqu: {
      const lin = maskAddress(vcpu, rec, 16);
      if (faulted(vcpu)) return;
      const low = load<u64>(rmV(vcpu, rec), XMM);
      const high = load<u64>(rmV(vcpu, rec), XMM + 8);
      if (!probeMasked(vcpu, lin, low) || !probeMasked(vcpu, lin + 8, high)) return;
      storeMasked(vcpu, lin, load<u64>(regV(vcpu, rec), XMM), low);
      storeMasked(vcpu, lin + 8, load<u64>(regV(vcpu, rec), XMM + 8), high);
      return;
    }
    case Op.Pshufd: case Op.Pshufhw: case Op.Pshuflw: case Op.PalignrXmm: {
      const b = readW(vcpu, rec);
      if (faulted(vcpu)) return;
      const r = regV(vcpu, rec);
      v128.store(r, shuffleImmediate(op, v128.load(r, XMM), b, load<u8>(rec, REC_IMM)), XMM);
      return;
    }
    default: unreachable();
  }
}

function shiftImmediate(op: i32, a: v128, count: u32): v128 {
  switch (op) {
    case Op.PsrlwXmmI: return shiftRight16(a, count);
    case Op.PsrawXmmI: return shiftArithmetic16(a, count);
    case Op.PsllwXmmI: return shiftLeft16(a, count);
    case Op.PsrldXmmI: return shiftRight32(a, count);
    case Op.PsradXmmI: return shiftArithmetic32(a, count);
    case Op.PslldXmmI: return shiftLeft32(a, count);
    case Op.PsrlqXmmI: return shiftRight64(a, count);
    case Op.PsllqXmmI: return shiftLeft64(a, count);
    case Op.PsrldqXmmI: return bytesRight(a, min<i32>(count, 16));
    default: return bytesLeft(a, min<i32>(count, 16));
  }
}

function shuffleImmediate(op: i32, a: v128, b: v128, imm: u32): v128 {
  switch (op) {
    case Op.Pshufd: return i8x16.swizzle(b, dwordSelector(imm));
    case Op.Pshufhw: return i64x2.replace_lane(b, 1, shuffleWords(i64x2.extract_lane(b, 1), imm));
    case Op.Pshuflw: return i64x2.replace_lane(b, 0, shuffleWords(i64x2.extract_lane(b, 0), imm));
    default: return alignRight(a, b, imm);
  }
}
