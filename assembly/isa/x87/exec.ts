// Dispatch of the x87 family: one case an operation of spec/opcodes/x87.ts.
//
// Behaviour is that of a Pentium 4. test/isa/x87 compares it with recordings of an AMD FPU, which agrees but for this:
//  - An unmasked #I in a comparison: the SDM leaves condition codes and EFLAGS alone (followed here), AMD sets them.
//  - FCOMI and FUCOMI: the SDM clears C1 (followed here), AMD keeps it.
//  - FXSAVE with no exception pending: AMD leaves FIP, FDP and FOP out, Intel always stores them (followed here).
//  - Operands for which the SDM calls a result undefined (F2XM1 beyond +-1, FYL2XP1 below -1, BCD digits above 9), the
//    condition codes it calls undefined, and the aliases that it leaves out: as AMD does it.
//  - Transcendental functions: both promise one unit in the last place; ours are within 0.501 when rounding to nearest.
import { Op } from "../../../spec/op.gen";
import { REC_DISP, REC_OP } from "../../../spec/layout";
import {
  fldcw, fldenv, fnclex, fninit, fnsave, fnstcw, fnstenv, fnstsw, fnstswAx, frstor, fxrstor, fxsave, rotate,
} from "./environment";
import {
  ADD, arithmeticMemory, arithmeticStack, changeSign, COM, COMP, compareStack, compareToEflags, conditionalMove, DIV,
  DIVR, exchange, fprem, fscale, fxam, fxtract, I16, I32, M32, M64, MUL, RNDINT, SQRT, SUB, SUBR, test, unary,
} from "./operate";
import { available, begin, fwait, waiting } from "./status";
import {
  freeRegister, loadBcd, loadConstant, loadDouble, loadExact, loadExtended, loadInteger, loadSingle, loadStack,
  storeBcd, storeDouble, storeExtended, storeInteger, storeSingle, storeStack, storeStackUnchecked,
} from "./transfer";
import { f2xm1, fyl2x, fyl2xp1 } from "./exponential";
import { fcos, fpatan, fptan, fsin, fsincos } from "./trigonometric";

// Conditions of FCMOVcc, as those of Jcc
const CC_B: u32 = 2;
const CC_NB: u32 = 3;
const CC_E: u32 = 4;
const CC_NE: u32 = 5;
const CC_BE: u32 = 6;
const CC_NBE: u32 = 7;
const CC_U: u32 = 10;
const CC_NU: u32 = 11;

/** Executes an instruction of the x87 family. EIP points after it. */
export function execX87(vcpu: i32, rec: i32): void {
  // Register forms keep the raw ModRM byte here; memory forms do not look at i.
  const i = load<u32>(rec, REC_DISP) & 7;
  switch (<i32>load<u16>(rec, REC_OP)) {
    // ---- arithmetic
    case Op.FADD_M32: arithmeticMemory(vcpu, rec, ADD, M32); break;
    case Op.FMUL_M32: arithmeticMemory(vcpu, rec, MUL, M32); break;
    case Op.FCOM_M32: arithmeticMemory(vcpu, rec, COM, M32); break;
    case Op.FCOMP_M32: arithmeticMemory(vcpu, rec, COMP, M32); break;
    case Op.FSUB_M32: arithmeticMemory(vcpu, rec, SUB, M32); break;
    case Op.FSUBR_M32: arithmeticMemory(vcpu, rec, SUBR, M32); break;
    case Op.FDIV_M32: arithmeticMemory(vcpu, rec, DIV, M32); break;
    case Op.FDIVR_M32: arithmeticMemory(vcpu, rec, DIVR, M32); break;
    case Op.FADD_M64: arithmeticMemory(vcpu, rec, ADD, M64); break;
    case Op.FMUL_M64: arithmeticMemory(vcpu, rec, MUL, M64); break;
    case Op.FCOM_M64: arithmeticMemory(vcpu, rec, COM, M64); break;
    case Op.FCOMP_M64: arithmeticMemory(vcpu, rec, COMP, M64); break;
    case Op.FSUB_M64: arithmeticMemory(vcpu, rec, SUB, M64); break;
    case Op.FSUBR_M64: arithmeticMemory(vcpu, rec, SUBR, M64); break;
    case Op.FDIV_M64: arithmeticMemory(vcpu, rec, DIV, M64); break;
    case Op.FDIVR_M64: arithmeticMemory(vcpu, rec, DIVR, M64); break;
    case Op.FIADD_M32: arithmeticMemory(vcpu, rec, ADD, I32); break;
    case Op.FIMUL_M32: arithmeticMemory(vcpu, rec, MUL, I32); break;
    case Op.FICOM_M32: arithmeticMemory(vcpu, rec, COM, I32); break;
    case Op.FICOMP_M32: arithmeticMemory(vcpu, rec, COMP, I32); break;
    case Op.FISUB_M32: arithmeticMemory(vcpu, rec, SUB, I32); break;
    case Op.FISUBR_M32: arithmeticMemory(vcpu, rec, SUBR, I32); break;
    case Op.FIDIV_M32: arithmeticMemory(vcpu, rec, DIV, I32); break;
    case Op.FIDIVR_M32: arithmeticMemory(vcpu, rec, DIVR, I32); break;
    case Op.FIADD_M16: arithmeticMemory(vcpu, rec, ADD, I16); break;
    case Op.FIMUL_M16: arithmeticMemory(vcpu, rec, MUL, I16); break;
    case Op.FICOM_M16: arithmeticMemory(vcpu, rec, COM, I16); break;
    case Op.FICOMP_M16: arithmeticMemory(vcpu, rec, COMP, I16); break;
    case Op.FISUB_M16: arithmeticMemory(vcpu, rec, SUB, I16); break;
    case Op.FISUBR_M16: arithmeticMemory(vcpu, rec, SUBR, I16); break;
    case Op.FIDIV_M16: arithmeticMemory(vcpu, rec, DIV, I16); break;
    case Op.FIDIVR_M16: arithmeticMemory(vcpu, rec, DIVR, I16); break;
    case Op.FADD_ST0_STI: arithmeticStack(vcpu, rec, ADD, 0, i, false); break;
    case Op.FMUL_ST0_STI: arithmeticStack(vcpu, rec, MUL, 0, i, false); break;
    case Op.FCOM_ST0_STI: compareStack(vcpu, rec, i, false, 0); break;
    case Op.FCOMP_ST0_STI: compareStack(vcpu, rec, i, false, 1); break;
    case Op.FSUB_ST0_STI: arithmeticStack(vcpu, rec, SUB, 0, i, false); break;
    case Op.FSUBR_ST0_STI: arithmeticStack(vcpu, rec, SUBR, 0, i, false); break;
    case Op.FDIV_ST0_STI: arithmeticStack(vcpu, rec, DIV, 0, i, false); break;
    case Op.FDIVR_ST0_STI: arithmeticStack(vcpu, rec, DIVR, 0, i, false); break;
    case Op.FADD_STI_ST0: arithmeticStack(vcpu, rec, ADD, i, 0, false); break;
    case Op.FADDP_STI_ST0: arithmeticStack(vcpu, rec, ADD, i, 0, true); break;
    case Op.FMUL_STI_ST0: arithmeticStack(vcpu, rec, MUL, i, 0, false); break;
    case Op.FMULP_STI_ST0: arithmeticStack(vcpu, rec, MUL, i, 0, true); break;
    case Op.FSUB_STI_ST0: arithmeticStack(vcpu, rec, SUB, i, 0, false); break;
    case Op.FSUBP_STI_ST0: arithmeticStack(vcpu, rec, SUB, i, 0, true); break;
    case Op.FSUBR_STI_ST0: arithmeticStack(vcpu, rec, SUBR, i, 0, false); break;
    case Op.FSUBRP_STI_ST0: arithmeticStack(vcpu, rec, SUBR, i, 0, true); break;
    case Op.FDIV_STI_ST0: arithmeticStack(vcpu, rec, DIV, i, 0, false); break;
    case Op.FDIVP_STI_ST0: arithmeticStack(vcpu, rec, DIV, i, 0, true); break;
    case Op.FDIVR_STI_ST0: arithmeticStack(vcpu, rec, DIVR, i, 0, false); break;
    case Op.FDIVRP_STI_ST0: arithmeticStack(vcpu, rec, DIVR, i, 0, true); break;
    case Op.FSQRT: unary(vcpu, rec, SQRT); break;
    case Op.FRNDINT: unary(vcpu, rec, RNDINT); break;
    case Op.FSCALE: fscale(vcpu, rec); break;
    case Op.FPREM: fprem(vcpu, rec, false); break;
    case Op.FPREM1: fprem(vcpu, rec, true); break;
    case Op.FXTRACT: fxtract(vcpu, rec); break;
    case Op.FCHS: changeSign(vcpu, rec, 0xffff, 0x8000); break;
    case Op.FABS: changeSign(vcpu, rec, 0x7fff, 0); break;

    // ---- comparison
    case Op.FCOM2_STI: compareStack(vcpu, rec, i, false, 0); break;
    case Op.FCOMP3_STI:
    case Op.FCOMP5_STI: compareStack(vcpu, rec, i, false, 1); break;
    case Op.FCOMPP: compareStack(vcpu, rec, 1, false, 2); break;
    case Op.FUCOM_STI: compareStack(vcpu, rec, i, true, 0); break;
    case Op.FUCOMP_STI: compareStack(vcpu, rec, i, true, 1); break;
    case Op.FUCOMPP: compareStack(vcpu, rec, 1, true, 2); break;
    case Op.FCOMI: compareToEflags(vcpu, rec, i, false, false); break;
    case Op.FCOMIP: compareToEflags(vcpu, rec, i, false, true); break;
    case Op.FUCOMI: compareToEflags(vcpu, rec, i, true, false); break;
    case Op.FUCOMIP: compareToEflags(vcpu, rec, i, true, true); break;
    case Op.FTST: test(vcpu, rec); break;
    case Op.FXAM: fxam(vcpu, rec); break;

    // ---- transfer
    case Op.FLD_M32: loadSingle(vcpu, rec); break;
    case Op.FLD_M64: loadDouble(vcpu, rec); break;
    case Op.FLD_M80: loadExtended(vcpu, rec); break;
    case Op.FLD_STI: loadStack(vcpu, rec, i); break;
    case Op.FILD_M16: loadInteger(vcpu, rec, 16); break;
    case Op.FILD_M32: loadInteger(vcpu, rec, 32); break;
    case Op.FILD_M64: loadInteger(vcpu, rec, 64); break;
    case Op.FBLD: loadBcd(vcpu, rec); break;
    case Op.FST_M32: storeSingle(vcpu, rec, false); break;
    case Op.FSTP_M32: storeSingle(vcpu, rec, true); break;
    case Op.FST_M64: storeDouble(vcpu, rec, false); break;
    case Op.FSTP_M64: storeDouble(vcpu, rec, true); break;
    case Op.FSTP_M80: storeExtended(vcpu, rec); break;
    case Op.FIST_M16: storeInteger(vcpu, rec, 16, false, false); break;
    case Op.FISTP_M16: storeInteger(vcpu, rec, 16, false, true); break;
    case Op.FISTTP_M16: storeInteger(vcpu, rec, 16, true, true); break;
    case Op.FIST_M32: storeInteger(vcpu, rec, 32, false, false); break;
    case Op.FISTP_M32: storeInteger(vcpu, rec, 32, false, true); break;
    case Op.FISTTP_M32: storeInteger(vcpu, rec, 32, true, true); break;
    case Op.FISTP_M64: storeInteger(vcpu, rec, 64, false, true); break;
    case Op.FISTTP_M64: storeInteger(vcpu, rec, 64, true, true); break;
    case Op.FBSTP: storeBcd(vcpu, rec); break;
    case Op.FST_STI: storeStack(vcpu, rec, i, false); break;
    case Op.FSTP_STI:
    case Op.FSTP8_STI:
    case Op.FSTP9_STI: storeStack(vcpu, rec, i, true); break;
    case Op.FSTP1_STI: storeStackUnchecked(vcpu, rec, i); break;
    case Op.FXCH_STI:
    case Op.FXCH4_STI:
    case Op.FXCH7_STI: exchange(vcpu, rec, i); break;
    case Op.FLD1: loadExact(vcpu, rec, 0x3fff, 0x8000000000000000); break;
    case Op.FLDZ: loadExact(vcpu, rec, 0, 0); break;
    case Op.FLDL2T: loadConstant(vcpu, rec, 0x4000, 0xd49a784bcd1b8afe, 0xd49a784bcd1b8afe); break;
    case Op.FLDL2E: loadConstant(vcpu, rec, 0x3fff, 0xb8aa3b295c17f0bb, 0xb8aa3b295c17f0bc); break;
    case Op.FLDPI: loadConstant(vcpu, rec, 0x4000, 0xc90fdaa22168c234, 0xc90fdaa22168c235); break;
    case Op.FLDLG2: loadConstant(vcpu, rec, 0x3ffd, 0x9a209a84fbcff798, 0x9a209a84fbcff799); break;
    case Op.FLDLN2: loadConstant(vcpu, rec, 0x3ffe, 0xb17217f7d1cf79ab, 0xb17217f7d1cf79ac); break;
    case Op.FCMOVB: conditionalMove(vcpu, rec, i, CC_B); break;
    case Op.FCMOVE: conditionalMove(vcpu, rec, i, CC_E); break;
    case Op.FCMOVBE: conditionalMove(vcpu, rec, i, CC_BE); break;
    case Op.FCMOVU: conditionalMove(vcpu, rec, i, CC_U); break;
    case Op.FCMOVNB: conditionalMove(vcpu, rec, i, CC_NB); break;
    case Op.FCMOVNE: conditionalMove(vcpu, rec, i, CC_NE); break;
    case Op.FCMOVNBE: conditionalMove(vcpu, rec, i, CC_NBE); break;
    case Op.FCMOVNU: conditionalMove(vcpu, rec, i, CC_NU); break;

    // ---- transcendental
    case Op.F2XM1: f2xm1(vcpu, rec); break;
    case Op.FYL2X: fyl2x(vcpu, rec); break;
    case Op.FYL2XP1: fyl2xp1(vcpu, rec); break;
    case Op.FPTAN: fptan(vcpu, rec); break;
    case Op.FPATAN: fpatan(vcpu, rec); break;
    case Op.FSIN: fsin(vcpu, rec); break;
    case Op.FCOS: fcos(vcpu, rec); break;
    case Op.FSINCOS: fsincos(vcpu, rec); break;

    // ---- control
    case Op.FWAIT: fwait(vcpu); break;
    case Op.FNINIT: fninit(vcpu); break;
    case Op.FNCLEX: fnclex(vcpu); break;
    case Op.FLDCW: fldcw(vcpu, rec); break;
    case Op.FNSTCW: fnstcw(vcpu, rec); break;
    case Op.FNSTSW_M16: fnstsw(vcpu, rec); break;
    case Op.FNSTSW_AX: fnstswAx(vcpu); break;
    case Op.FLDENV: fldenv(vcpu, rec); break;
    case Op.FNSTENV: fnstenv(vcpu, rec); break;
    case Op.FRSTOR: frstor(vcpu, rec); break;
    case Op.FNSAVE: fnsave(vcpu, rec); break;
    case Op.FXSAVE: fxsave(vcpu, rec); break;
    case Op.FXRSTOR: fxrstor(vcpu, rec); break;
    case Op.FINCSTP: rotate(vcpu, rec, 1); break;
    case Op.FDECSTP: rotate(vcpu, rec, 7); break;
    case Op.FFREE_STI: freeRegister(vcpu, rec, i, false); break;
    case Op.FFREEP_STI: freeRegister(vcpu, rec, i, true); break;
    case Op.FNOP:
      if (waiting(vcpu)) begin(vcpu, rec);
      break;
    // The 8087 and 287 instructions that do nothing since the 387.
    case Op.FNENI:
    case Op.FNDISI:
    case Op.FNSETPM:
      available(vcpu);
      break;
    default:
      break;
  }
}
