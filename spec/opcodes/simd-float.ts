// SSE, SSE2 and SSE3 floating point, moves between XMM registers and memory, and MXCSR. SDM 2 chapters 3 and 4.
// Instructions that differ only in the name of the data type (MOVAPS, MOVAPD, MOVDQA) share an Op.
import type { Family, OpcodeRow } from "./row.ts";

function opName(mnemonic: string): string {
  return mnemonic.charAt(0).toUpperCase() + mnemonic.slice(1);
}

/** Arithmetic in all four forms: no prefix PS, 66 PD, F3 SS, F2 SD. */
const ARITHMETIC: readonly (readonly [code: string, stem: string])[] = [
  ["0F 51", "sqrt"],
  ["0F 58", "add"],
  ["0F 59", "mul"],
  ["0F 5C", "sub"],
  ["0F 5D", "min"],
  ["0F 5E", "div"],
  ["0F 5F", "max"],
];

function arithmetic(code: string, stem: string, imm: string): OpcodeRow[] {
  const row = (prefix: "none" | "66" | "F3" | "F2", type: string, operands: string, family: Family, feature: string) =>
    ({
      code,
      prefix,
      mnemonic: stem + type,
      operands: operands + imm,
      op: opName(stem + type),
      family,
      feature,
    }) as const;
  return [
    row("none", "ps", "Vps,Wps", "sse", "Sse"),
    row("66", "pd", "Vpd,Wpd", "sse2", "Sse2"),
    row("F3", "ss", "Vss,Wss", "sse", "Sse"),
    row("F2", "sd", "Vsd,Wsd", "sse2", "Sse2"),
  ];
}

type Prefix = "none" | "66" | "F3" | "F2";

function sse(code: string, prefix: Prefix, mnemonic: string, operands: string, op = opName(mnemonic)): OpcodeRow {
  return { code, prefix, mnemonic, operands, op, family: "sse", feature: "Sse" };
}

function sse2(code: string, prefix: Prefix, mnemonic: string, operands: string, op = opName(mnemonic)): OpcodeRow {
  return { code, prefix, mnemonic, operands, op, family: "sse2", feature: "Sse2" };
}

function sse3(code: string, prefix: Prefix, mnemonic: string, operands: string, op = opName(mnemonic)): OpcodeRow {
  return { code, prefix, mnemonic, operands, op, family: "sse2", feature: "Sse3" };
}

/** An SSE2 or SSE3 name of something SSE does as well: same Op, later feature. */
function alias(row: OpcodeRow, feature: string): OpcodeRow {
  return { ...row, family: "sse", feature };
}

const mem = (row: OpcodeRow): OpcodeRow => ({ ...row, mod: "mem" });
const reg = (row: OpcodeRow): OpcodeRow => ({ ...row, mod: "reg" });

const moves: readonly OpcodeRow[] = [
  sse("0F 10", "none", "movups", "Vps,Wps", "LoadUnaligned"),
  sse("0F 11", "none", "movups", "Wps,Vps", "StoreUnaligned"),
  sse("0F 10", "F3", "movss", "Vss,Wss", "MovssXmmW"),
  sse("0F 11", "F3", "movss", "Wss,Vss", "MovssWXmm"),
  reg(sse("0F 12", "none", "movhlps", "Vq,Uq")),
  mem(sse("0F 12", "none", "movlps", "Vq,Mq", "LoadLow")),
  mem(sse("0F 13", "none", "movlps", "Mq,Vq", "StoreLow")),
  sse("0F 14", "none", "unpcklps", "Vps,Wps"),
  sse("0F 15", "none", "unpckhps", "Vps,Wps"),
  reg(sse("0F 16", "none", "movlhps", "Vq,Uq")),
  mem(sse("0F 16", "none", "movhps", "Vq,Mq", "LoadHigh")),
  mem(sse("0F 17", "none", "movhps", "Mq,Vq", "StoreHigh")),
  sse("0F 28", "none", "movaps", "Vps,Wps", "LoadAligned"),
  sse("0F 29", "none", "movaps", "Wps,Vps", "StoreAligned"),
  mem(sse("0F 2B", "none", "movntps", "Mps,Vps", "StoreAligned")),
  reg(sse("0F 50", "none", "movmskps", "Gd,Ups")),
  sse("0F C6", "none", "shufps", "Vps,Wps,Ib"),
  alias(sse("0F 10", "66", "movupd", "Vpd,Wpd", "LoadUnaligned"), "Sse2"),
  alias(sse("0F 11", "66", "movupd", "Wpd,Vpd", "StoreUnaligned"), "Sse2"),
  sse2("0F 10", "F2", "movsd", "Vsd,Wsd", "MovsdXmmW"),
  sse2("0F 11", "F2", "movsd", "Wsd,Vsd", "MovsdWXmm"),
  mem(alias(sse("0F 12", "66", "movlpd", "Vq,Mq", "LoadLow"), "Sse2")),
  mem(alias(sse("0F 13", "66", "movlpd", "Mq,Vq", "StoreLow"), "Sse2")),
  sse2("0F 14", "66", "unpcklpd", "Vpd,Wpd", "PunpcklqdqXmm"),
  sse2("0F 15", "66", "unpckhpd", "Vpd,Wpd", "PunpckhqdqXmm"),
  mem(alias(sse("0F 16", "66", "movhpd", "Vq,Mq", "LoadHigh"), "Sse2")),
  mem(alias(sse("0F 17", "66", "movhpd", "Mq,Vq", "StoreHigh"), "Sse2")),
  alias(sse("0F 28", "66", "movapd", "Vpd,Wpd", "LoadAligned"), "Sse2"),
  alias(sse("0F 29", "66", "movapd", "Wpd,Vpd", "StoreAligned"), "Sse2"),
  mem(alias(sse("0F 2B", "66", "movntpd", "Mpd,Vpd", "StoreAligned"), "Sse2")),
  reg(sse2("0F 50", "66", "movmskpd", "Gd,Upd")),
  sse2("0F C6", "66", "shufpd", "Vpd,Wpd,Ib"),
  alias(sse("0F 6F", "66", "movdqa", "Vdq,Wdq", "LoadAligned"), "Sse2"),
  alias(sse("0F 7F", "66", "movdqa", "Wdq,Vdq", "StoreAligned"), "Sse2"),
  alias(sse("0F 6F", "F3", "movdqu", "Vdq,Wdq", "LoadUnaligned"), "Sse2"),
  alias(sse("0F 7F", "F3", "movdqu", "Wdq,Vdq", "StoreUnaligned"), "Sse2"),
  mem(alias(sse("0F E7", "66", "movntdq", "Mdq,Vdq", "StoreAligned"), "Sse2")),
  mem(alias(sse("0F F0", "F2", "lddqu", "Vdq,Mdq", "LoadUnaligned"), "Sse3")),
  sse3("0F 12", "F2", "movddup", "Vpd,Wq"),
  sse3("0F 12", "F3", "movsldup", "Vps,Wps"),
  sse3("0F 16", "F3", "movshdup", "Vps,Wps"),
];

const logic: readonly OpcodeRow[] = [
  sse("0F 54", "none", "andps", "Vps,Wps"),
  sse("0F 55", "none", "andnps", "Vps,Wps"),
  sse("0F 56", "none", "orps", "Vps,Wps"),
  sse("0F 57", "none", "xorps", "Vps,Wps"),
  alias(sse("0F 54", "66", "andpd", "Vpd,Wpd", "Andps"), "Sse2"),
  alias(sse("0F 55", "66", "andnpd", "Vpd,Wpd", "Andnps"), "Sse2"),
  alias(sse("0F 56", "66", "orpd", "Vpd,Wpd", "Orps"), "Sse2"),
  alias(sse("0F 57", "66", "xorpd", "Vpd,Wpd", "Xorps"), "Sse2"),
];

const compareFlags: readonly OpcodeRow[] = [
  { ...sse("0F 2E", "none", "ucomiss", "Vss,Wss"), flags: "oszapc" },
  { ...sse("0F 2F", "none", "comiss", "Vss,Wss"), flags: "oszapc" },
  { ...sse2("0F 2E", "66", "ucomisd", "Vsd,Wsd"), flags: "oszapc" },
  { ...sse2("0F 2F", "66", "comisd", "Vsd,Wsd"), flags: "oszapc" },
];

const conversions: readonly OpcodeRow[] = [
  sse("0F 2A", "none", "cvtpi2ps", "Vps,Qpi"),
  sse("0F 2A", "F3", "cvtsi2ss", "Vss,Ed"),
  sse("0F 2C", "none", "cvttps2pi", "Pq,Wq"),
  sse("0F 2C", "F3", "cvttss2si", "Gd,Wss"),
  sse("0F 2D", "none", "cvtps2pi", "Pq,Wq"),
  sse("0F 2D", "F3", "cvtss2si", "Gd,Wss"),
  sse2("0F 2A", "66", "cvtpi2pd", "Vpd,Qpi"),
  sse2("0F 2A", "F2", "cvtsi2sd", "Vsd,Ed"),
  sse2("0F 2C", "66", "cvttpd2pi", "Pq,Wpd"),
  sse2("0F 2C", "F2", "cvttsd2si", "Gd,Wsd"),
  sse2("0F 2D", "66", "cvtpd2pi", "Pq,Wpd"),
  sse2("0F 2D", "F2", "cvtsd2si", "Gd,Wsd"),
  sse2("0F 5A", "none", "cvtps2pd", "Vpd,Wq"),
  sse2("0F 5A", "66", "cvtpd2ps", "Vps,Wpd"),
  sse2("0F 5A", "F3", "cvtss2sd", "Vsd,Wss"),
  sse2("0F 5A", "F2", "cvtsd2ss", "Vss,Wsd"),
  sse2("0F 5B", "none", "cvtdq2ps", "Vps,Wdq"),
  sse2("0F 5B", "66", "cvtps2dq", "Vdq,Wps"),
  sse2("0F 5B", "F3", "cvttps2dq", "Vdq,Wps"),
  sse2("0F E6", "66", "cvttpd2dq", "Vdq,Wpd"),
  sse2("0F E6", "F3", "cvtdq2pd", "Vpd,Wq"),
  sse2("0F E6", "F2", "cvtpd2dq", "Vdq,Wpd"),
];

const arithmeticRows: readonly OpcodeRow[] = [
  ...ARITHMETIC.flatMap(([code, stem]) => arithmetic(code, stem, "")),
  ...arithmetic("0F C2", "cmp", ",Ib"),
  sse("0F 52", "none", "rsqrtps", "Vps,Wps"),
  sse("0F 52", "F3", "rsqrtss", "Vss,Wss"),
  sse("0F 53", "none", "rcpps", "Vps,Wps"),
  sse("0F 53", "F3", "rcpss", "Vss,Wss"),
  sse3("0F D0", "66", "addsubpd", "Vpd,Wpd"),
  sse3("0F D0", "F2", "addsubps", "Vps,Wps"),
  sse3("0F 7C", "66", "haddpd", "Vpd,Wpd"),
  sse3("0F 7C", "F2", "haddps", "Vps,Wps"),
  sse3("0F 7D", "66", "hsubpd", "Vpd,Wpd"),
  sse3("0F 7D", "F2", "hsubps", "Vps,Wps"),
];

/** MXCSR, fences and cacheability. PREFETCHh has no effect here; its unnamed encodings are hints as well. */
const control: readonly OpcodeRow[] = [
  { ...mem(sse("0F AE", "none", "ldmxcsr", "Md")), ext: 2 },
  { ...mem(sse("0F AE", "none", "stmxcsr", "Md")), ext: 3 },
  { ...reg(sse("0F AE", "none", "sfence", "", "Fence")), ext: 7 },
  { ...reg(alias(sse("0F AE", "none", "lfence", "", "Fence"), "Sse2")), ext: 5 },
  { ...reg(alias(sse("0F AE", "none", "mfence", "", "Fence"), "Sse2")), ext: 6 },
  { ...mem(alias(sse("0F AE", "none", "clflush", "M"), "Clflush")), ext: 7 },
  ...["prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2", "nop", "nop", "nop", "nop"].map(
    (mnemonic, ext): OpcodeRow => {
      return { code: "0F 18", ext, mod: "mem", mnemonic, operands: "M", op: "Prefetch", family: "sse", feature: "Sse" };
    },
  ),
  { code: "0F 18", mod: "reg", mnemonic: "nop", operands: "Ev", op: "Prefetch", family: "sse", feature: "Sse" },
];

export const floatRows: readonly OpcodeRow[] = [
  ...moves,
  ...logic,
  ...compareFlags,
  ...conversions,
  ...arithmeticRows,
  ...control,
];
