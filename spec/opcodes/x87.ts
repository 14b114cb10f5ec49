// x87 FPU instructions, D8..DF, FWAIT, FXSAVE and FXRSTOR (SDM 2D appendix A.5, "Escape opcode instructions").
// Memory forms are selected by ModRM.reg; register forms also by ModRM.rm where one encoding stands for one operation.
// The aliases that Intel's map leaves blank but every CPU since the 387 executes (FCOM2, FXCH4, FSTP1, FFREEP...) are
// rows of their own operation; the encodings that are #UD on hardware have no row.
import type { OpcodeRow } from "./row.ts";

type Extra = Partial<OpcodeRow>;

/** Memory form: opcode byte and ModRM.reg. */
function memory(
  code: string,
  ext: number,
  mnemonic: string,
  operands: string,
  op: string,
  extra: Extra = {},
): OpcodeRow {
  return { code, ext, mod: "mem", mnemonic, operands, op, family: "x87", feature: "Fpu", ...extra };
}

/** Register form ST(i): opcode byte and ModRM.reg, any ModRM.rm. */
function stack(
  code: string,
  ext: number,
  mnemonic: string,
  operands: string,
  op: string,
  extra: Extra = {},
): OpcodeRow {
  return { code, ext, mod: "reg", mnemonic, operands, op, family: "x87", feature: "Fpu", ...extra };
}

/** One encoding: opcode byte and the whole ModRM byte. */
function single(
  code: string,
  modrm: number,
  mnemonic: string,
  op: string,
  operands = "",
  extra: Extra = {},
): OpcodeRow {
  return {
    code,
    ext: (modrm >> 3) & 7,
    mod: "reg",
    rm: modrm & 7,
    mnemonic,
    operands,
    op,
    family: "x87",
    feature: "Fpu",
    ...extra,
  };
}

const ARITHMETIC = ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"] as const;

/** The eight operations that share one opcode byte, with a memory operand. */
function arithmeticMemory(code: string, integer: boolean, operand: string, suffix: string): OpcodeRow[] {
  return ARITHMETIC.map((name, ext) => {
    const mnemonic = (integer ? "fi" : "f") + name;
    return memory(code, ext, mnemonic, operand, `${mnemonic.toUpperCase()}_${suffix}`);
  });
}

const CMOV: Extra = { feature: "Cmov" };
const COMI: Extra = { feature: "Cmov", flags: "oszapc" };

export const x87Rows: readonly OpcodeRow[] = [
  { code: "9B", mnemonic: "fwait", operands: "", op: "FWAIT", family: "x87", feature: "Fpu" },

  // ---- D8: single precision, and ST(0) with ST(i)
  ...arithmeticMemory("D8", false, "Md", "M32"),
  ...ARITHMETIC.map((name, ext) => stack("D8", ext, `f${name}`, "ST0,STi", `F${name.toUpperCase()}_ST0_STI`)),

  // ---- D9
  memory("D9", 0, "fld", "Md", "FLD_M32"),
  memory("D9", 2, "fst", "Md", "FST_M32"),
  memory("D9", 3, "fstp", "Md", "FSTP_M32"),
  memory("D9", 4, "fldenv", "M", "FLDENV"),
  memory("D9", 5, "fldcw", "Mw", "FLDCW"),
  memory("D9", 6, "fnstenv", "M", "FNSTENV"),
  memory("D9", 7, "fnstcw", "Mw", "FNSTCW"),
  stack("D9", 0, "fld", "STi", "FLD_STI"),
  stack("D9", 1, "fxch", "STi", "FXCH_STI"),
  single("D9", 0xd0, "fnop", "FNOP"),
  stack("D9", 3, "fstp", "STi", "FSTP1_STI"),
  single("D9", 0xe0, "fchs", "FCHS"),
  single("D9", 0xe1, "fabs", "FABS"),
  single("D9", 0xe4, "ftst", "FTST"),
  single("D9", 0xe5, "fxam", "FXAM"),
  single("D9", 0xe8, "fld1", "FLD1"),
  single("D9", 0xe9, "fldl2t", "FLDL2T"),
  single("D9", 0xea, "fldl2e", "FLDL2E"),
  single("D9", 0xeb, "fldpi", "FLDPI"),
  single("D9", 0xec, "fldlg2", "FLDLG2"),
  single("D9", 0xed, "fldln2", "FLDLN2"),
  single("D9", 0xee, "fldz", "FLDZ"),
  single("D9", 0xf0, "f2xm1", "F2XM1"),
  single("D9", 0xf1, "fyl2x", "FYL2X"),
  single("D9", 0xf2, "fptan", "FPTAN"),
  single("D9", 0xf3, "fpatan", "FPATAN"),
  single("D9", 0xf4, "fxtract", "FXTRACT"),
  single("D9", 0xf5, "fprem1", "FPREM1"),
  single("D9", 0xf6, "fdecstp", "FDECSTP"),
  single("D9", 0xf7, "fincstp", "FINCSTP"),
  single("D9", 0xf8, "fprem", "FPREM"),
  single("D9", 0xf9, "fyl2xp1", "FYL2XP1"),
  single("D9", 0xfa, "fsqrt", "FSQRT"),
  single("D9", 0xfb, "fsincos", "FSINCOS"),
  single("D9", 0xfc, "frndint", "FRNDINT"),
  single("D9", 0xfd, "fscale", "FSCALE"),
  single("D9", 0xfe, "fsin", "FSIN"),
  single("D9", 0xff, "fcos", "FCOS"),

  // ---- DA: 32-bit integers
  ...arithmeticMemory("DA", true, "Md", "M32"),
  stack("DA", 0, "fcmovb", "ST0,STi", "FCMOVB", CMOV),
  stack("DA", 1, "fcmove", "ST0,STi", "FCMOVE", CMOV),
  stack("DA", 2, "fcmovbe", "ST0,STi", "FCMOVBE", CMOV),
  stack("DA", 3, "fcmovu", "ST0,STi", "FCMOVU", CMOV),
  single("DA", 0xe9, "fucompp", "FUCOMPP"),

  // ---- DB
  memory("DB", 0, "fild", "Md", "FILD_M32"),
  memory("DB", 1, "fisttp", "Md", "FISTTP_M32", { feature: "Sse3" }),
  memory("DB", 2, "fist", "Md", "FIST_M32"),
  memory("DB", 3, "fistp", "Md", "FISTP_M32"),
  memory("DB", 5, "fld", "Mt", "FLD_M80"),
  memory("DB", 7, "fstp", "Mt", "FSTP_M80"),
  stack("DB", 0, "fcmovnb", "ST0,STi", "FCMOVNB", CMOV),
  stack("DB", 1, "fcmovne", "ST0,STi", "FCMOVNE", CMOV),
  stack("DB", 2, "fcmovnbe", "ST0,STi", "FCMOVNBE", CMOV),
  stack("DB", 3, "fcmovnu", "ST0,STi", "FCMOVNU", CMOV),
  single("DB", 0xe0, "fneni", "FNENI"),
  single("DB", 0xe1, "fndisi", "FNDISI"),
  single("DB", 0xe2, "fnclex", "FNCLEX"),
  single("DB", 0xe3, "fninit", "FNINIT"),
  single("DB", 0xe4, "fnsetpm", "FNSETPM"),
  stack("DB", 5, "fucomi", "ST0,STi", "FUCOMI", COMI),
  stack("DB", 6, "fcomi", "ST0,STi", "FCOMI", COMI),

  // ---- DC: double precision, and ST(i) with ST(0). In the register forms SUB and SUBR, DIV and DIVR change places.
  ...arithmeticMemory("DC", false, "Mq", "M64"),
  stack("DC", 0, "fadd", "STi,ST0", "FADD_STI_ST0"),
  stack("DC", 1, "fmul", "STi,ST0", "FMUL_STI_ST0"),
  stack("DC", 2, "fcom", "ST0,STi", "FCOM2_STI"),
  stack("DC", 3, "fcomp", "ST0,STi", "FCOMP3_STI"),
  stack("DC", 4, "fsubr", "STi,ST0", "FSUBR_STI_ST0"),
  stack("DC", 5, "fsub", "STi,ST0", "FSUB_STI_ST0"),
  stack("DC", 6, "fdivr", "STi,ST0", "FDIVR_STI_ST0"),
  stack("DC", 7, "fdiv", "STi,ST0", "FDIV_STI_ST0"),

  // ---- DD
  memory("DD", 0, "fld", "Mq", "FLD_M64"),
  memory("DD", 1, "fisttp", "Mq", "FISTTP_M64", { feature: "Sse3" }),
  memory("DD", 2, "fst", "Mq", "FST_M64"),
  memory("DD", 3, "fstp", "Mq", "FSTP_M64"),
  memory("DD", 4, "frstor", "M", "FRSTOR"),
  memory("DD", 6, "fnsave", "M", "FNSAVE"),
  memory("DD", 7, "fnstsw", "Mw", "FNSTSW_M16"),
  stack("DD", 0, "ffree", "STi", "FFREE_STI"),
  stack("DD", 1, "fxch", "STi", "FXCH4_STI"),
  stack("DD", 2, "fst", "STi", "FST_STI"),
  stack("DD", 3, "fstp", "STi", "FSTP_STI"),
  stack("DD", 4, "fucom", "STi", "FUCOM_STI"),
  stack("DD", 5, "fucomp", "STi", "FUCOMP_STI"),

  // ---- DE: 16-bit integers, and ST(i) with ST(0), then pop
  ...arithmeticMemory("DE", true, "Mw", "M16"),
  stack("DE", 0, "faddp", "STi,ST0", "FADDP_STI_ST0"),
  stack("DE", 1, "fmulp", "STi,ST0", "FMULP_STI_ST0"),
  stack("DE", 2, "fcomp", "ST0,STi", "FCOMP5_STI"),
  single("DE", 0xd9, "fcompp", "FCOMPP"),
  stack("DE", 4, "fsubrp", "STi,ST0", "FSUBRP_STI_ST0"),
  stack("DE", 5, "fsubp", "STi,ST0", "FSUBP_STI_ST0"),
  stack("DE", 6, "fdivrp", "STi,ST0", "FDIVRP_STI_ST0"),
  stack("DE", 7, "fdivp", "STi,ST0", "FDIVP_STI_ST0"),

  // ---- DF
  memory("DF", 0, "fild", "Mw", "FILD_M16"),
  memory("DF", 1, "fisttp", "Mw", "FISTTP_M16", { feature: "Sse3" }),
  memory("DF", 2, "fist", "Mw", "FIST_M16"),
  memory("DF", 3, "fistp", "Mw", "FISTP_M16"),
  memory("DF", 4, "fbld", "Mt", "FBLD"),
  memory("DF", 5, "fild", "Mq", "FILD_M64"),
  memory("DF", 6, "fbstp", "Mt", "FBSTP"),
  memory("DF", 7, "fistp", "Mq", "FISTP_M64"),
  stack("DF", 0, "ffreep", "STi", "FFREEP_STI"),
  stack("DF", 1, "fxch", "STi", "FXCH7_STI"),
  stack("DF", 2, "fstp", "STi", "FSTP8_STI"),
  stack("DF", 3, "fstp", "STi", "FSTP9_STI"),
  single("DF", 0xe0, "fnstsw", "FNSTSW_AX", "AX"),
  stack("DF", 5, "fucomip", "ST0,STi", "FUCOMIP", COMI),
  stack("DF", 6, "fcomip", "ST0,STi", "FCOMIP", COMI),

  // ---- 0F AE: the whole FPU and SSE state
  memory("0F AE", 0, "fxsave", "M", "FXSAVE", { feature: "Fxsr" }),
  memory("0F AE", 1, "fxrstor", "M", "FXRSTOR", { feature: "Fxsr" }),
];
