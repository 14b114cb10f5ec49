// Integer instructions: data movement, arithmetic, logic, shifts, bits, strings and near control transfers.
// SDM volume 2; segment, system and I/O instructions are in system.ts.
import type { OpcodeRow } from "./row.ts";

type Extra = Partial<Omit<OpcodeRow, "code" | "mnemonic" | "operands" | "op" | "family">>;

const int = (code: string, mnemonic: string, operands: string, op: string, extra: Extra = {}): OpcodeRow => ({
  code,
  mnemonic,
  operands,
  op,
  family: "int",
  ...extra,
});
const flow = (code: string, mnemonic: string, operands: string, op: string, extra: Extra = {}): OpcodeRow => ({
  code,
  mnemonic,
  operands,
  op,
  family: "flow",
  ...extra,
});

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, "0");
const ALL = "oszapc";

/** The eight operations of opcodes 00..3F and of group 1, in encoding order. */
export const ALU = ["ADD", "OR", "ADC", "SBB", "AND", "SUB", "XOR", "CMP"] as const;

function aluRows(): OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  ALU.forEach((name, i) => {
    const m = name.toLowerCase();
    const logic = name === "OR" || name === "AND" || name === "XOR";
    const flags: Extra = logic ? { flags: "oszpc", undefinedFlags: "a" } : { flags: ALL };
    const lock = name !== "CMP";
    const base = i * 8;
    rows.push(
      int(hex(base), m, "Eb,Gb", `${name}_EG8`, { ...flags, lock }),
      int(hex(base + 1), m, "Ev,Gv", `${name}_EGV`, { ...flags, lock }),
      int(hex(base + 2), m, "Gb,Eb", `${name}_GE8`, flags),
      int(hex(base + 3), m, "Gv,Ev", `${name}_GEV`, flags),
      int("80", m, "Eb,Ib", `${name}_EI8`, { ...flags, ext: i, lock }),
      int("81", m, "Ev,Iz", `${name}_EIV`, { ...flags, ext: i, lock }),
      int(hex(base + 4), m, "AL,Ib", `${name}_EI8`, flags),
      int(hex(base + 5), m, "eAX,Iz", `${name}_EIV`, flags),
      int("82", m, "Eb,Ib", `${name}_EI8`, { ...flags, ext: i, lock }),
      int("83", m, "Ev,sIb", `${name}_EIV`, { ...flags, ext: i, lock }),
    );
  });
  return rows;
}

/** Shift and rotate operations of group 2, in encoding order (6 is an alias of SHL). */
export const SHIFTS = ["ROL", "ROR", "RCL", "RCR", "SHL", "SHR", "SAL", "SAR"] as const;

function shiftRows(): OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  SHIFTS.forEach((name, ext) => {
    const m = name.toLowerCase();
    const op = name === "SAL" ? "SHL" : name;
    const rotate = ext < 4;
    const flags: Extra = rotate ? { flags: "oc" } : { flags: ALL, undefinedFlags: "a" };
    rows.push(
      int("C0", m, "Eb,Ib", `${op}_EI8`, { ...flags, ext }),
      int("C1", m, "Ev,Ib", `${op}_EIV`, { ...flags, ext }),
      int("D0", m, "Eb,1", `${op}_EI8`, { ...flags, ext }),
      int("D1", m, "Ev,1", `${op}_EIV`, { ...flags, ext }),
      int("D2", m, "Eb,CL", `${op}_EC8`, { ...flags, ext }),
      int("D3", m, "Ev,CL", `${op}_ECV`, { ...flags, ext }),
    );
  });
  return rows;
}

const CONDITIONS = [
  "o",
  "no",
  "b",
  "nb",
  "z",
  "nz",
  "be",
  "nbe",
  "s",
  "ns",
  "p",
  "np",
  "l",
  "nl",
  "le",
  "nle",
] as const;

function conditionRows(): OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  CONDITIONS.forEach((cc, i) => {
    rows.push(
      flow(hex(0x70 + i), `j${cc}`, "Jb", "JCC", { end: true }),
      flow(`0F ${hex(0x80 + i)}`, `j${cc}`, "Jz", "JCC", { end: true }),
      int(`0F ${hex(0x90 + i)}`, `set${cc}`, "Eb", "SETCC"),
      int(`0F ${hex(0x40 + i)}`, `cmov${cc}`, "Gv,Ev", "CMOVCC", { feature: "Cmov" }),
    );
  });
  return rows;
}

function bitTestRows(): OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  const flags: Extra = { flags: "c", undefinedFlags: "osap" };
  (["BT", "BTS", "BTR", "BTC"] as const).forEach((name, i) => {
    const m = name.toLowerCase();
    const lock = i > 0;
    rows.push(
      int(`0F ${hex(0xa3 + i * 8)}`, m, "Ev,Gv", `${name}_EG`, { ...flags, lock }),
      int("0F BA", m, "Ev,Ib", `${name}_EI`, { ...flags, ext: 4 + i, lock }),
    );
  });
  return rows;
}

function stringRows(): OpcodeRow[] {
  const compare: Extra = { flags: ALL };
  return [
    flow("A4", "movsb", "Yb,Xb", "MOVS8"),
    flow("A5", "movs", "Yv,Xv", "MOVSV"),
    flow("A6", "cmpsb", "Xb,Yb", "CMPS8", compare),
    flow("A7", "cmps", "Xv,Yv", "CMPSV", compare),
    flow("AA", "stosb", "Yb,AL", "STOS8"),
    flow("AB", "stos", "Yv,eAX", "STOSV"),
    flow("AC", "lodsb", "AL,Xb", "LODS8"),
    flow("AD", "lods", "eAX,Xv", "LODSV"),
    flow("AE", "scasb", "AL,Yb", "SCAS8", compare),
    flow("AF", "scas", "eAX,Yv", "SCASV", compare),
  ];
}

export const integerRows: readonly OpcodeRow[] = [
  ...aluRows(),
  ...shiftRows(),
  ...conditionRows(),
  ...bitTestRows(),
  ...stringRows(),
  // decimal adjust
  int("27", "daa", "", "DAA", { flags: ALL, undefinedFlags: "o" }),
  int("2F", "das", "", "DAS", { flags: ALL, undefinedFlags: "o" }),
  int("37", "aaa", "", "AAA", { flags: ALL, undefinedFlags: "oszp" }),
  int("3F", "aas", "", "AAS", { flags: ALL, undefinedFlags: "oszp" }),
  int("D4", "aam", "Ib", "AAM", { flags: ALL, undefinedFlags: "oac" }),
  int("D5", "aad", "Ib", "AAD", { flags: ALL, undefinedFlags: "oac" }),
  int("D6", "salc", "", "SALC"),
  // increment, decrement, push, pop by register
  int("40+", "inc", "Zv", "INC_EV", { flags: "oszap" }),
  int("48+", "dec", "Zv", "DEC_EV", { flags: "oszap" }),
  flow("50+", "push", "Zv", "PUSH_ZV"),
  flow("58+", "pop", "Zv", "POP_ZV"),
  flow("60", "pusha", "", "PUSHA"),
  flow("61", "popa", "", "POPA"),
  flow("68", "push", "Iz", "PUSH_I"),
  flow("6A", "push", "sIb", "PUSH_I"),
  int("69", "imul", "Gv,Ev,Iz", "IMUL_GEI", { flags: ALL, undefinedFlags: "szap" }),
  int("6B", "imul", "Gv,Ev,sIb", "IMUL_GEI", { flags: ALL, undefinedFlags: "szap" }),
  int("0F AF", "imul", "Gv,Ev", "IMUL_GE", { flags: ALL, undefinedFlags: "szap" }),
  int("84", "test", "Eb,Gb", "TEST_EG8", { flags: "oszpc", undefinedFlags: "a" }),
  int("85", "test", "Ev,Gv", "TEST_EGV", { flags: "oszpc", undefinedFlags: "a" }),
  int("A8", "test", "AL,Ib", "TEST_EI8", { flags: "oszpc", undefinedFlags: "a" }),
  int("A9", "test", "eAX,Iz", "TEST_EIV", { flags: "oszpc", undefinedFlags: "a" }),
  int("86", "xchg", "Eb,Gb", "XCHG_EG8", { lock: true }),
  int("87", "xchg", "Ev,Gv", "XCHG_EGV", { lock: true }),
  int("90", "nop", "", "NOP"),
  int("91", "xchg", "eCX,eAX", "XCHG_ZA"),
  int("92", "xchg", "eDX,eAX", "XCHG_ZA"),
  int("93", "xchg", "eBX,eAX", "XCHG_ZA"),
  int("94", "xchg", "eSP,eAX", "XCHG_ZA"),
  int("95", "xchg", "eBP,eAX", "XCHG_ZA"),
  int("96", "xchg", "eSI,eAX", "XCHG_ZA"),
  int("97", "xchg", "eDI,eAX", "XCHG_ZA"),
  int("88", "mov", "Eb,Gb", "MOV_EG8"),
  int("89", "mov", "Ev,Gv", "MOV_EGV"),
  int("8A", "mov", "Gb,Eb", "MOV_GE8"),
  int("8B", "mov", "Gv,Ev", "MOV_GEV"),
  int("8D", "lea", "Gv,M", "LEA", { mod: "mem" }),
  flow("8F", "pop", "Ev", "POP_E", { ext: 0 }),
  int("A0", "mov", "AL,Ob", "MOV_GE8"),
  int("A1", "mov", "eAX,Ov", "MOV_GEV"),
  int("A2", "mov", "Ob,AL", "MOV_EG8"),
  int("A3", "mov", "Ov,eAX", "MOV_EGV"),
  int("B0+", "mov", "Zb,Ib", "MOV_EI8"),
  int("B8+", "mov", "Zv,Iz", "MOV_EIV"),
  int("C6", "mov", "Eb,Ib", "MOV_EI8", { ext: 0 }),
  int("C7", "mov", "Ev,Iz", "MOV_EIV", { ext: 0 }),
  int("98", "cbw", "", "CBW"),
  int("99", "cwd", "", "CWD"),
  int("9E", "sahf", "", "SAHF", { flags: "szapc" }),
  int("9F", "lahf", "", "LAHF"),
  int("D7", "xlat", "", "XLAT"),
  int("F5", "cmc", "", "CMC", { flags: "c" }),
  int("F8", "clc", "", "CLC", { flags: "c" }),
  int("F9", "stc", "", "STC", { flags: "c" }),
  int("FC", "cld", "", "CLD"),
  int("FD", "std", "", "STD"),
  // group 3
  int("F6", "test", "Eb,Ib", "TEST_EI8", { ext: 0, flags: "oszpc", undefinedFlags: "a" }),
  int("F6", "test", "Eb,Ib", "TEST_EI8", { ext: 1, flags: "oszpc", undefinedFlags: "a" }),
  int("F6", "not", "Eb", "NOT_E8", { ext: 2, lock: true }),
  int("F6", "neg", "Eb", "NEG_E8", { ext: 3, lock: true, flags: ALL }),
  int("F6", "mul", "Eb", "MUL_E8", { ext: 4, flags: ALL, undefinedFlags: "szap" }),
  int("F6", "imul", "Eb", "IMUL_E8", { ext: 5, flags: ALL, undefinedFlags: "szap" }),
  int("F6", "div", "Eb", "DIV_E8", { ext: 6, undefinedFlags: ALL }),
  int("F6", "idiv", "Eb", "IDIV_E8", { ext: 7, undefinedFlags: ALL }),
  int("F7", "test", "Ev,Iz", "TEST_EIV", { ext: 0, flags: "oszpc", undefinedFlags: "a" }),
  int("F7", "test", "Ev,Iz", "TEST_EIV", { ext: 1, flags: "oszpc", undefinedFlags: "a" }),
  int("F7", "not", "Ev", "NOT_EV", { ext: 2, lock: true }),
  int("F7", "neg", "Ev", "NEG_EV", { ext: 3, lock: true, flags: ALL }),
  int("F7", "mul", "Ev", "MUL_EV", { ext: 4, flags: ALL, undefinedFlags: "szap" }),
  int("F7", "imul", "Ev", "IMUL_EV", { ext: 5, flags: ALL, undefinedFlags: "szap" }),
  int("F7", "div", "Ev", "DIV_EV", { ext: 6, undefinedFlags: ALL }),
  int("F7", "idiv", "Ev", "IDIV_EV", { ext: 7, undefinedFlags: ALL }),
  // groups 4 and 5
  int("FE", "inc", "Eb", "INC_E8", { ext: 0, lock: true, flags: "oszap" }),
  int("FE", "dec", "Eb", "DEC_E8", { ext: 1, lock: true, flags: "oszap" }),
  int("FF", "inc", "Ev", "INC_EV", { ext: 0, lock: true, flags: "oszap" }),
  int("FF", "dec", "Ev", "DEC_EV", { ext: 1, lock: true, flags: "oszap" }),
  flow("FF", "call", "Ev", "CALL_E", { ext: 2, end: true }),
  flow("FF", "jmp", "Ev", "JMP_E", { ext: 4, end: true }),
  flow("FF", "push", "Ev", "PUSH_E", { ext: 6 }),
  // near control transfers
  flow("C2", "ret", "Iw", "RET_I", { end: true }),
  flow("C3", "ret", "", "RET", { end: true }),
  flow("C8", "enter", "Iw,Ib", "ENTER"),
  flow("C9", "leave", "", "LEAVE"),
  flow("E0", "loopne", "Jb", "LOOPNE", { end: true }),
  flow("E1", "loope", "Jb", "LOOPE", { end: true }),
  flow("E2", "loop", "Jb", "LOOP", { end: true }),
  flow("E3", "jcxz", "Jb", "JCXZ", { end: true }),
  flow("E8", "call", "Jz", "CALL_J", { end: true }),
  flow("E9", "jmp", "Jz", "JMP_J", { end: true }),
  flow("EB", "jmp", "Jb", "JMP_J", { end: true }),
  // two-byte
  int("0F A4", "shld", "Ev,Gv,Ib", "SHLD_I", { flags: ALL, undefinedFlags: "a" }),
  int("0F A5", "shld", "Ev,Gv,CL", "SHLD_C", { flags: ALL, undefinedFlags: "a" }),
  int("0F AC", "shrd", "Ev,Gv,Ib", "SHRD_I", { flags: ALL, undefinedFlags: "a" }),
  int("0F AD", "shrd", "Ev,Gv,CL", "SHRD_C", { flags: ALL, undefinedFlags: "a" }),
  int("0F B0", "cmpxchg", "Eb,Gb", "CMPXCHG8", { flags: ALL, lock: true }),
  int("0F B1", "cmpxchg", "Ev,Gv", "CMPXCHGV", { flags: ALL, lock: true }),
  int("0F B6", "movzx", "Gv,Eb", "MOVZX8"),
  int("0F B7", "movzx", "Gv,Ew", "MOVZX16"),
  int("0F BE", "movsx", "Gv,Eb", "MOVSX8"),
  int("0F BF", "movsx", "Gv,Ew", "MOVSX16"),
  int("0F B8", "popcnt", "Gv,Ev", "POPCNT", { prefix: "F3", feature: "Popcnt", flags: ALL }),
  int("0F BC", "bsf", "Gv,Ev", "BSF", { flags: "z", undefinedFlags: "osapc" }),
  int("0F BD", "bsr", "Gv,Ev", "BSR", { flags: "z", undefinedFlags: "osapc" }),
  int("0F C0", "xadd", "Eb,Gb", "XADD8", { flags: ALL, lock: true }),
  int("0F C1", "xadd", "Ev,Gv", "XADDV", { flags: ALL, lock: true }),
  int("0F C7", "cmpxchg8b", "Mq", "CMPXCHG8B", { ext: 1, mod: "mem", flags: "z", lock: true, feature: "Cx8" }),
  int("0F C8+", "bswap", "Zv", "BSWAP"),
  int("0F 0D", "prefetchw", "Ev", "NOP"),
  int("0F 19", "nop", "Ev", "NOP"),
  int("0F 1A", "nop", "Ev", "NOP"),
  int("0F 1B", "nop", "Ev", "NOP"),
  int("0F 1C", "nop", "Ev", "NOP"),
  int("0F 1D", "nop", "Ev", "NOP"),
  int("0F 1E", "nop", "Ev", "NOP"),
  int("0F 1F", "nop", "Ev", "NOP"),
  int("0F 38 F0", "movbe", "Gv,Mv", "MOVBE_GM", { prefix: "none", mod: "mem", feature: "Movbe" }),
  int("0F 38 F1", "movbe", "Mv,Gv", "MOVBE_MG", { prefix: "none", mod: "mem", feature: "Movbe" }),
  int("0F 38 F0", "movbe", "Gv,Mv", "MOVBE_GM", { prefix: "66", mod: "mem", feature: "Movbe" }),
  int("0F 38 F1", "movbe", "Mv,Gv", "MOVBE_MG", { prefix: "66", mod: "mem", feature: "Movbe" }),
];
