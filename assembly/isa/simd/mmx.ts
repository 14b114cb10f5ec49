// Family "mmx": everything whose destination is an MMX register, and EMMS, PEXTRW, PMOVMSKB, MOVNTQ, MASKMOVQ.
import { FPU_R, REC_BASE, REC_IMM, REC_OP } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { faulted } from "../../cpu/fault";
import { isRegForm, readE, readOperand, writeE, writeG } from "../operand";
import {
  bytesRight, shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32, shiftLeft64, shiftRight16, shiftRight32,
  shiftRight64, shuffleWords,
} from "./lanes";
import { maskAddress, probeMasked, storeMasked } from "./masked";
import { readQ, regV, rmV, writeM } from "./operand";
import { packedMmx } from "./packed-mmx";
import { emptyMmx, enterMmx, mmxUsable, writeMmx } from "./usable";

/** The two-operand instructions come first in the opcode table, so that both switches are jump tables. */
const FIRST_OTHER = Op.PsrlwMmI;

export function execMmx(vcpu: i32, rec: i32): void {
  if (!mmxUsable(vcpu)) return;
  const op = <i32>load<u16>(rec, REC_OP);
  if (op < FIRST_OTHER) {
    execTwoOperand(vcpu, rec, op);
    return;
  }
  switch (op) {
    case Op.Emms: emptyMmx(vcpu); return;
    case Op.MovqMmQ: {
      const value = readQ(vcpu, rec);
      if (!faulted(vcpu)) result(vcpu, rec, value);
      return;
    }
    case Op.MovqQMm: {
      const value = load<u64>(regV(vcpu, rec), FPU_R);
      if (isRegForm(rec)) {
        writeMmx(rmV(vcpu, rec), 0, value);
      } else {
        writeM<u64>(vcpu, rec, value);
        if (faulted(vcpu)) return;
      }
      enterMmx(vcpu);
      return;
    }
    case Op.MovdMmE: {
      const value = <u64>readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) result(vcpu, rec, value);
      return;
    }
    case Op.MovdEMm: {
      const value = load<u32>(regV(vcpu, rec), FPU_R);
      if (isRegForm(rec)) {
        writeE<u32>(vcpu, rec, value);
      } else {
        writeM<u32>(vcpu, rec, value);
        if (faulted(vcpu)) return;
      }
      enterMmx(vcpu);
      return;
    }
    case Op.PsrlwMmI: case Op.PsrawMmI: case Op.PsllwMmI: case Op.PsrldMmI: case Op.PsradMmI: case Op.PslldMmI:
    case Op.PsrlqMmI: case Op.PsllqMmI: {
      const r = rmV(vcpu, rec);
      const shifted = shiftImmediate(op, i64x2.splat(load<u64>(r, FPU_R)), <u64>load<u8>(rec, REC_IMM));
      writeMmx(r, 0, i64x2.extract_lane(shifted, 0));
      enterMmx(vcpu);
      return;
    }
    case Op.Pshufw: {
      const value = readQ(vcpu, rec);
      if (!faulted(vcpu)) result(vcpu, rec, shuffleWords(value, load<u8>(rec, REC_IMM)));
      return;
    }
    case Op.PalignrMm: {
      const value = readQ(vcpu, rec);
      if (faulted(vcpu)) return;
      const both = i64x2.replace_lane(i64x2.splat(value), 1, load<u64>(regV(vcpu, rec), FPU_R));
      const bytes = <i32>min<u32>(load<u8>(rec, REC_IMM), 16);
      result(vcpu, rec, i64x2.extract_lane(bytesRight(both, bytes), 0));
      return;
    }
    case Op.PinsrwMm: {
      const word = <u64>(isRegForm(rec) ? load<u16>(vcpu + <i32>load<u8>(rec, REC_BASE)) : readOperand<u16>(vcpu, rec));
      if (faulted(vcpu)) return;
      const shift = <u64>(load<u8>(rec, REC_IMM) & 3) << 4;
      result(vcpu, rec, (load<u64>(regV(vcpu, rec), FPU_R) & ~(<u64>0xffff << shift)) | (word << shift));
      return;
    }
    case Op.PextrwMm:
      writeG<u32>(vcpu, rec, load<u16>(rmV(vcpu, rec) + ((<i32>load<u8>(rec, REC_IMM) & 3) << 1), FPU_R));
      enterMmx(vcpu);
      return;
    case Op.PmovmskbMm:
      writeG<u32>(vcpu, rec, i8x16.bitmask(i64x2.splat(load<u64>(rmV(vcpu, rec), FPU_R))) & 0xff);
      enterMmx(vcpu);
      return;
    case Op.Maskmovq: {
      const lin = maskAddress(vcpu, rec, 8);
      if (faulted(vcpu)) return;
      const mask = load<u64>(rmV(vcpu, rec), FPU_R);
      if (!probeMasked(vcpu, lin, mask)) return;
      storeMasked(vcpu, lin, load<u64>(regV(vcpu, rec), FPU_R), mask);
      enterMmx(vcpu);
      return;
    }
    default: unreachable();
  }
}

/** `dest = dest op source`. PUNPCKL has the only sources of four bytes. */
function execTwoOperand(vcpu: i32, rec: i32, op: i32): void {
  const half = op <= Op.PunpckldqMm && !isRegForm(rec);
  const b = half ? <u64>readOperand<u32>(vcpu, rec) : readQ(vcpu, rec);
  if (faulted(vcpu)) return;
  const a = i64x2.splat(load<u64>(regV(vcpu, rec), FPU_R));
  result(vcpu, rec, i64x2.extract_lane(packedMmx(op, a, i64x2.splat(b)), 0));
}

function result(vcpu: i32, rec: i32, value: u64): void {
  writeMmx(regV(vcpu, rec), 0, value);
  enterMmx(vcpu);
}

function shiftImmediate(op: i32, a: v128, count: u64): v128 {
  switch (op) {
    case Op.PsrlwMmI: return shiftRight16(a, count);
    case Op.PsrawMmI: return shiftArithmetic16(a, count);
    case Op.PsllwMmI: return shiftLeft16(a, count);
    case Op.PsrldMmI: return shiftRight32(a, count);
    case Op.PsradMmI: return shiftArithmetic32(a, count);
    case Op.PslldMmI: return shiftLeft32(a, count);
    case Op.PsrlqMmI: return shiftRight64(a, count);
    default: return shiftLeft64(a, count);
  }
}
