// SSE4.1 and SSE4.2: family "sse4". SDM 2 chapters 3 and 4. POPCNT is with the integer instructions.
import type { OpcodeRow } from "./row.ts";

function sse41(code: string, mnemonic: string, operands: string): OpcodeRow {
  const op = mnemonic.charAt(0).toUpperCase() + mnemonic.slice(1);
  return { code, prefix: "66", mnemonic, operands, op, family: "sse4", feature: "Sse41" };
}

function sse42(code: string, mnemonic: string, operands: string): OpcodeRow {
  return { ...sse41(code, mnemonic, operands), feature: "Sse42" };
}

/** Opcode and mnemonic of what has operands Vdq,Wdq. */
const TWO_OPERANDS: readonly (readonly [code: string, mnemonic: string])[] = [
  ["0F 38 10", "pblendvb"],
  ["0F 38 14", "blendvps"],
  ["0F 38 15", "blendvpd"],
  ["0F 38 28", "pmuldq"],
  ["0F 38 29", "pcmpeqq"],
  ["0F 38 2B", "packusdw"],
  ["0F 38 38", "pminsb"],
  ["0F 38 39", "pminsd"],
  ["0F 38 3A", "pminuw"],
  ["0F 38 3B", "pminud"],
  ["0F 38 3C", "pmaxsb"],
  ["0F 38 3D", "pmaxsd"],
  ["0F 38 3E", "pmaxuw"],
  ["0F 38 3F", "pmaxud"],
  ["0F 38 40", "pmulld"],
  ["0F 38 41", "phminposuw"],
];

/** Opcode, mnemonic and bytes of the source of the widening moves. */
const WIDENING: readonly (readonly [code: string, type: string, operand: string])[] = [
  ["0", "bw", "Wq"],
  ["1", "bd", "Wd"],
  ["2", "bq", "Ww"],
  ["3", "wd", "Wq"],
  ["4", "wq", "Wd"],
  ["5", "dq", "Wq"],
];

export const sse4Rows: readonly OpcodeRow[] = [
  ...TWO_OPERANDS.map(([code, mnemonic]) => sse41(code, mnemonic, "Vdq,Wdq")),
  sse42("0F 38 37", "pcmpgtq", "Vdq,Wdq"),
  ...WIDENING.map(([digit, type, operand]) => sse41(`0F 38 2${digit}`, `pmovsx${type}`, `Vdq,${operand}`)),
  ...WIDENING.map(([digit, type, operand]) => sse41(`0F 38 3${digit}`, `pmovzx${type}`, `Vdq,${operand}`)),
  { ...sse41("0F 38 17", "ptest", "Vdq,Wdq"), flags: "oszapc" },
  { ...sse41("0F 38 2A", "movntdqa", "Vdq,Mdq"), mod: "mem", op: "LoadAligned", family: "sse" },
  sse41("0F 3A 08", "roundps", "Vps,Wps,Ib"),
  sse41("0F 3A 09", "roundpd", "Vpd,Wpd,Ib"),
  sse41("0F 3A 0A", "roundss", "Vss,Wss,Ib"),
  sse41("0F 3A 0B", "roundsd", "Vsd,Wsd,Ib"),
  sse41("0F 3A 0C", "blendps", "Vps,Wps,Ib"),
  sse41("0F 3A 0D", "blendpd", "Vpd,Wpd,Ib"),
  sse41("0F 3A 0E", "pblendw", "Vdq,Wdq,Ib"),
  sse41("0F 3A 14", "pextrb", "Ed,Vdq,Ib"),
  { ...sse41("0F 3A 15", "pextrw", "Ed,Vdq,Ib"), op: "PextrwE" },
  sse41("0F 3A 16", "pextrd", "Ed,Vdq,Ib"),
  sse41("0F 3A 17", "extractps", "Ed,Vdq,Ib"),
  sse41("0F 3A 20", "pinsrb", "Vdq,Ed,Ib"),
  sse41("0F 3A 21", "insertps", "Vdq,Wd,Ib"),
  sse41("0F 3A 22", "pinsrd", "Vdq,Ed,Ib"),
  sse41("0F 3A 40", "dpps", "Vps,Wps,Ib"),
  sse41("0F 3A 41", "dppd", "Vpd,Wpd,Ib"),
  sse41("0F 3A 42", "mpsadbw", "Vdq,Wdq,Ib"),
  { ...sse42("0F 3A 60", "pcmpestrm", "Vdq,Wdq,Ib"), flags: "oszapc" },
  { ...sse42("0F 3A 61", "pcmpestri", "Vdq,Wdq,Ib"), flags: "oszapc" },
  { ...sse42("0F 3A 62", "pcmpistrm", "Vdq,Wdq,Ib"), flags: "oszapc" },
  { ...sse42("0F 3A 63", "pcmpistri", "Vdq,Wdq,Ib"), flags: "oszapc" },
  { ...sse42("0F 38 F0", "crc32", "Gd,Eb"), prefix: "F2", op: "Crc32Eb" },
  { ...sse42("0F 38 F1", "crc32", "Gd,Ev"), prefix: "F2", op: "Crc32Ev" },
];
