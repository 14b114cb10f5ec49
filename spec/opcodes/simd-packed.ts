// MMX, and the packed-integer forms that SSE, SSE2 and SSSE3 added for MMX and XMM registers. SDM 2 chapters 3 and 4.
// The same opcode is an MMX-register instruction without prefix and an XMM-register one with 66h.
import type { OpcodeRow } from "./row.ts";

/** "paddb" and "Mm" give the Op member "PaddbMm". */
function opName(mnemonic: string, suffix: string): string {
  return mnemonic.charAt(0).toUpperCase() + mnemonic.slice(1) + suffix;
}

/** Opcode, mnemonic, feature of the MMX form, feature of the XMM form: `dest = dest op source`, lane by lane. */
type Pair = readonly [code: string, mnemonic: string, mm: string, xmm: string];

const TWO_OPERANDS: readonly Pair[] = [
  ["0F 60", "punpcklbw", "Mmx", "Sse2"],
  ["0F 61", "punpcklwd", "Mmx", "Sse2"],
  ["0F 62", "punpckldq", "Mmx", "Sse2"],
  ["0F 63", "packsswb", "Mmx", "Sse2"],
  ["0F 64", "pcmpgtb", "Mmx", "Sse2"],
  ["0F 65", "pcmpgtw", "Mmx", "Sse2"],
  ["0F 66", "pcmpgtd", "Mmx", "Sse2"],
  ["0F 67", "packuswb", "Mmx", "Sse2"],
  ["0F 68", "punpckhbw", "Mmx", "Sse2"],
  ["0F 69", "punpckhwd", "Mmx", "Sse2"],
  ["0F 6A", "punpckhdq", "Mmx", "Sse2"],
  ["0F 6B", "packssdw", "Mmx", "Sse2"],
  ["0F 74", "pcmpeqb", "Mmx", "Sse2"],
  ["0F 75", "pcmpeqw", "Mmx", "Sse2"],
  ["0F 76", "pcmpeqd", "Mmx", "Sse2"],
  ["0F D1", "psrlw", "Mmx", "Sse2"],
  ["0F D2", "psrld", "Mmx", "Sse2"],
  ["0F D3", "psrlq", "Mmx", "Sse2"],
  ["0F D4", "paddq", "Sse2", "Sse2"],
  ["0F D5", "pmullw", "Mmx", "Sse2"],
  ["0F D8", "psubusb", "Mmx", "Sse2"],
  ["0F D9", "psubusw", "Mmx", "Sse2"],
  ["0F DA", "pminub", "Sse", "Sse2"],
  ["0F DB", "pand", "Mmx", "Sse2"],
  ["0F DC", "paddusb", "Mmx", "Sse2"],
  ["0F DD", "paddusw", "Mmx", "Sse2"],
  ["0F DE", "pmaxub", "Sse", "Sse2"],
  ["0F DF", "pandn", "Mmx", "Sse2"],
  ["0F E0", "pavgb", "Sse", "Sse2"],
  ["0F E1", "psraw", "Mmx", "Sse2"],
  ["0F E2", "psrad", "Mmx", "Sse2"],
  ["0F E3", "pavgw", "Sse", "Sse2"],
  ["0F E4", "pmulhuw", "Sse", "Sse2"],
  ["0F E5", "pmulhw", "Mmx", "Sse2"],
  ["0F E8", "psubsb", "Mmx", "Sse2"],
  ["0F E9", "psubsw", "Mmx", "Sse2"],
  ["0F EA", "pminsw", "Sse", "Sse2"],
  ["0F EB", "por", "Mmx", "Sse2"],
  ["0F EC", "paddsb", "Mmx", "Sse2"],
  ["0F ED", "paddsw", "Mmx", "Sse2"],
  ["0F EE", "pmaxsw", "Sse", "Sse2"],
  ["0F EF", "pxor", "Mmx", "Sse2"],
  ["0F F1", "psllw", "Mmx", "Sse2"],
  ["0F F2", "pslld", "Mmx", "Sse2"],
  ["0F F3", "psllq", "Mmx", "Sse2"],
  ["0F F4", "pmuludq", "Sse2", "Sse2"],
  ["0F F5", "pmaddwd", "Mmx", "Sse2"],
  ["0F F6", "psadbw", "Sse", "Sse2"],
  ["0F F8", "psubb", "Mmx", "Sse2"],
  ["0F F9", "psubw", "Mmx", "Sse2"],
  ["0F FA", "psubd", "Mmx", "Sse2"],
  ["0F FB", "psubq", "Sse2", "Sse2"],
  ["0F FC", "paddb", "Mmx", "Sse2"],
  ["0F FD", "paddw", "Mmx", "Sse2"],
  ["0F FE", "paddd", "Mmx", "Sse2"],
  ["0F 38 00", "pshufb", "Ssse3", "Ssse3"],
  ["0F 38 01", "phaddw", "Ssse3", "Ssse3"],
  ["0F 38 02", "phaddd", "Ssse3", "Ssse3"],
  ["0F 38 03", "phaddsw", "Ssse3", "Ssse3"],
  ["0F 38 04", "pmaddubsw", "Ssse3", "Ssse3"],
  ["0F 38 05", "phsubw", "Ssse3", "Ssse3"],
  ["0F 38 06", "phsubd", "Ssse3", "Ssse3"],
  ["0F 38 07", "phsubsw", "Ssse3", "Ssse3"],
  ["0F 38 08", "psignb", "Ssse3", "Ssse3"],
  ["0F 38 09", "psignw", "Ssse3", "Ssse3"],
  ["0F 38 0A", "psignd", "Ssse3", "Ssse3"],
  ["0F 38 0B", "pmulhrsw", "Ssse3", "Ssse3"],
  ["0F 38 1C", "pabsb", "Ssse3", "Ssse3"],
  ["0F 38 1D", "pabsw", "Ssse3", "Ssse3"],
  ["0F 38 1E", "pabsd", "Ssse3", "Ssse3"],
];

/** Shifts by an immediate: opcode group, ModRM.reg, mnemonic. The operand is a register. */
const SHIFTS: readonly (readonly [code: string, ext: number, mnemonic: string])[] = [
  ["0F 71", 2, "psrlw"],
  ["0F 71", 4, "psraw"],
  ["0F 71", 6, "psllw"],
  ["0F 72", 2, "psrld"],
  ["0F 72", 4, "psrad"],
  ["0F 72", 6, "pslld"],
  ["0F 73", 2, "psrlq"],
  ["0F 73", 6, "psllq"],
];

/** MMX-register rows: family "mmx". */
export const mmxRows: readonly OpcodeRow[] = [
  ...TWO_OPERANDS.map(([code, mnemonic, feature]): OpcodeRow => {
    // PUNPCKL reads four bytes of memory, PUNPCKH and the others eight.
    const operands = mnemonic.startsWith("punpckl") ? "Pq,Qd" : "Pq,Qq";
    return { code, prefix: "none", mnemonic, operands, op: opName(mnemonic, "Mm"), family: "mmx", feature };
  }),
  ...SHIFTS.map(([code, ext, mnemonic]): OpcodeRow => {
    const op = opName(mnemonic, "MmI");
    return { code, ext, mod: "reg", prefix: "none", mnemonic, operands: "Nq,Ib", op, family: "mmx", feature: "Mmx" };
  }),
  { code: "0F 6E", prefix: "none", mnemonic: "movd", operands: "Pd,Ed", op: "MovdMmE", family: "mmx", feature: "Mmx" },
  { code: "0F 7E", prefix: "none", mnemonic: "movd", operands: "Ed,Pd", op: "MovdEMm", family: "mmx", feature: "Mmx" },
  { code: "0F 6F", prefix: "none", mnemonic: "movq", operands: "Pq,Qq", op: "MovqMmQ", family: "mmx", feature: "Mmx" },
  { code: "0F 7F", prefix: "none", mnemonic: "movq", operands: "Qq,Pq", op: "MovqQMm", family: "mmx", feature: "Mmx" },
  { code: "0F 77", prefix: "none", mnemonic: "emms", operands: "", op: "Emms", family: "mmx", feature: "Mmx" },
  { code: "0F 70", prefix: "none", mnemonic: "pshufw", operands: "Pq,Qq,Ib", op: "Pshufw", family: "mmx", feature: "Sse" },
  { code: "0F C4", prefix: "none", mnemonic: "pinsrw", operands: "Pq,Ew,Ib", op: "PinsrwMm", family: "mmx", feature: "Sse" },
  { code: "0F C5", mod: "reg", prefix: "none", mnemonic: "pextrw", operands: "Gd,Nq,Ib", op: "PextrwMm", family: "mmx", feature: "Sse" },
  { code: "0F D7", mod: "reg", prefix: "none", mnemonic: "pmovmskb", operands: "Gd,Nq", op: "PmovmskbMm", family: "mmx", feature: "Sse" },
  { code: "0F E7", mod: "mem", prefix: "none", mnemonic: "movntq", operands: "Mq,Pq", op: "MovqQMm", family: "mmx", feature: "Sse" },
  { code: "0F F7", mod: "reg", prefix: "none", mnemonic: "maskmovq", operands: "Pq,Nq", op: "Maskmovq", family: "mmx", feature: "Sse" },
  { code: "0F 3A 0F", prefix: "none", mnemonic: "palignr", operands: "Pq,Qq,Ib", op: "PalignrMm", family: "mmx", feature: "Ssse3" },
];

/** XMM-register rows of the same instructions and the integer ones that only XMM registers have: family "sse2". */
export const packedRows: readonly OpcodeRow[] = [
  ...TWO_OPERANDS.map(([code, mnemonic, , feature]): OpcodeRow => {
    return { code, prefix: "66", mnemonic, operands: "Vdq,Wdq", op: opName(mnemonic, "Xmm"), family: "sse2", feature };
  }),
  { code: "0F 6C", prefix: "66", mnemonic: "punpcklqdq", operands: "Vdq,Wdq", op: "PunpcklqdqXmm", family: "sse2", feature: "Sse2" },
  { code: "0F 6D", prefix: "66", mnemonic: "punpckhqdq", operands: "Vdq,Wdq", op: "PunpckhqdqXmm", family: "sse2", feature: "Sse2" },
  ...SHIFTS.map(([code, ext, mnemonic]): OpcodeRow => {
    const op = opName(mnemonic, "XmmI");
    return { code, ext, mod: "reg", prefix: "66", mnemonic, operands: "Udq,Ib", op, family: "sse2", feature: "Sse2" };
  }),
  { code: "0F 73", ext: 3, mod: "reg", prefix: "66", mnemonic: "psrldq", operands: "Udq,Ib", op: "PsrldqXmmI", family: "sse2", feature: "Sse2" },
  { code: "0F 73", ext: 7, mod: "reg", prefix: "66", mnemonic: "pslldq", operands: "Udq,Ib", op: "PslldqXmmI", family: "sse2", feature: "Sse2" },
  { code: "0F 70", prefix: "66", mnemonic: "pshufd", operands: "Vdq,Wdq,Ib", op: "Pshufd", family: "sse2", feature: "Sse2" },
  { code: "0F 70", prefix: "F3", mnemonic: "pshufhw", operands: "Vdq,Wdq,Ib", op: "Pshufhw", family: "sse2", feature: "Sse2" },
  { code: "0F 70", prefix: "F2", mnemonic: "pshuflw", operands: "Vdq,Wdq,Ib", op: "Pshuflw", family: "sse2", feature: "Sse2" },
  { code: "0F C4", prefix: "66", mnemonic: "pinsrw", operands: "Vdq,Ew,Ib", op: "PinsrwXmm", family: "sse2", feature: "Sse2" },
  { code: "0F C5", mod: "reg", prefix: "66", mnemonic: "pextrw", operands: "Gd,Udq,Ib", op: "PextrwXmm", family: "sse2", feature: "Sse2" },
  { code: "0F D7", mod: "reg", prefix: "66", mnemonic: "pmovmskb", operands: "Gd,Udq", op: "PmovmskbXmm", family: "sse2", feature: "Sse2" },
  { code: "0F F7", mod: "reg", prefix: "66", mnemonic: "maskmovdqu", operands: "Vdq,Udq", op: "Maskmovdqu", family: "sse2", feature: "Sse2" },
  { code: "0F 3A 0F", prefix: "66", mnemonic: "palignr", operands: "Vdq,Wdq,Ib", op: "PalignrXmm", family: "sse2", feature: "Ssse3" },
  { code: "0F 6E", prefix: "66", mnemonic: "movd", operands: "Vd,Ed", op: "MovdXmmE", family: "sse2", feature: "Sse2" },
  { code: "0F 7E", prefix: "66", mnemonic: "movd", operands: "Ed,Vd", op: "MovdEXmm", family: "sse2", feature: "Sse2" },
  { code: "0F 7E", prefix: "F3", mnemonic: "movq", operands: "Vq,Wq", op: "MovqXmmW", family: "sse2", feature: "Sse2" },
  { code: "0F D6", prefix: "66", mnemonic: "movq", operands: "Wq,Vq", op: "MovqWXmm", family: "sse2", feature: "Sse2" },
  { code: "0F D6", mod: "reg", prefix: "F3", mnemonic: "movq2dq", operands: "Vdq,Nq", op: "Movq2dq", family: "sse2", feature: "Sse2" },
  { code: "0F D6", mod: "reg", prefix: "F2", mnemonic: "movdq2q", operands: "Pq,Uq", op: "Movdq2q", family: "sse2", feature: "Sse2" },
  { code: "0F C3", mod: "mem", prefix: "none", mnemonic: "movnti", operands: "Md,Gd", op: "Movnti", family: "sse2", feature: "Sse2" },
];
