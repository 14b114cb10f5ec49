// Opcode rows of privilege and control state: far transfers, interrupts, segment registers, descriptor tables, control
// and debug registers, MSRs, flags and port I/O. SDM volume 2 for the forms, volume 3A chapters 2, 5, 6, 7, 17, 20.
// `end` is set where CS:EIP, the decode mode, paging or interruptibility may change, and where exact time is seen.
import type { OpcodeRow } from "./row.ts";

type Extra = Partial<Omit<OpcodeRow, "code" | "mnemonic" | "operands" | "op" | "family">>;

const sys = (code: string, mnemonic: string, operands: string, op: string, extra: Extra = {}): OpcodeRow => ({
  code,
  mnemonic,
  operands,
  op,
  family: "system",
  ...extra,
});

const END: Extra = { end: true };
/** Privileged and the end of a block. */
const RING0: Extra = { end: true, privileged: true };
const PROTECTED: Extra = { protectedOnly: true };

const farRows: readonly OpcodeRow[] = [
  sys("9A", "callf", "Ap", "CALLF_AP", END),
  sys("EA", "jmpf", "Ap", "JMPF_AP", END),
  sys("FF", "callf", "Mp", "CALLF_M", { ...END, ext: 3, mod: "mem" }),
  sys("FF", "jmpf", "Mp", "JMPF_M", { ...END, ext: 5, mod: "mem" }),
  sys("CA", "retf", "Iw", "RETF_I", END),
  sys("CB", "retf", "", "RETF", END),
  sys("CF", "iret", "", "IRET", END),
  sys("CD", "int", "Ib", "INT_I", END),
  sys("CC", "int3", "", "INT3", END),
  sys("CE", "into", "", "INTO", END),
  sys("F1", "int1", "", "INT1", END),
  sys("62", "bound", "Gv,Ma", "BOUND", { mod: "mem" }),
  sys("0F 34", "sysenter", "", "SYSENTER", { ...END, feature: "Sep" }),
  sys("0F 35", "sysexit", "", "SYSEXIT", { ...RING0, feature: "Sep" }),
];

const segmentRows: readonly OpcodeRow[] = [
  sys("8C", "mov", "Ev,Sw", "MOV_E_SREG"),
  sys("8E", "mov", "Sw,Ew", "MOV_SREG_E", END),
  sys("06", "push", "ES", "PUSH_ES"),
  sys("0E", "push", "CS", "PUSH_CS"),
  sys("16", "push", "SS", "PUSH_SS"),
  sys("1E", "push", "DS", "PUSH_DS"),
  sys("0F A0", "push", "FS", "PUSH_FS"),
  sys("0F A8", "push", "GS", "PUSH_GS"),
  sys("07", "pop", "ES", "POP_ES", END),
  sys("17", "pop", "SS", "POP_SS", END),
  sys("1F", "pop", "DS", "POP_DS", END),
  sys("0F A1", "pop", "FS", "POP_FS", END),
  sys("0F A9", "pop", "GS", "POP_GS", END),
  sys("C4", "les", "Gv,Mp", "LES", { ...END, mod: "mem" }),
  sys("C5", "lds", "Gv,Mp", "LDS", { ...END, mod: "mem" }),
  sys("0F B2", "lss", "Gv,Mp", "LSS", { ...END, mod: "mem" }),
  sys("0F B4", "lfs", "Gv,Mp", "LFS", { ...END, mod: "mem" }),
  sys("0F B5", "lgs", "Gv,Mp", "LGS", { ...END, mod: "mem" }),
];

const descriptorRows: readonly OpcodeRow[] = [
  sys("0F 00", "sldt", "Ev", "SLDT", { ...PROTECTED, ext: 0 }),
  sys("0F 00", "str", "Ev", "STR", { ...PROTECTED, ext: 1 }),
  sys("0F 00", "lldt", "Ew", "LLDT", { ...PROTECTED, ext: 2, privileged: true }),
  sys("0F 00", "ltr", "Ew", "LTR", { ...PROTECTED, ext: 3, privileged: true }),
  sys("0F 00", "verr", "Ew", "VERR", { ...PROTECTED, ext: 4, flags: "z" }),
  sys("0F 00", "verw", "Ew", "VERW", { ...PROTECTED, ext: 5, flags: "z" }),
  sys("0F 02", "lar", "Gv,Ew", "LAR", { ...PROTECTED, flags: "z" }),
  sys("0F 03", "lsl", "Gv,Ew", "LSL", { ...PROTECTED, flags: "z" }),
  sys("63", "arpl", "Ew,Gw", "ARPL", { ...PROTECTED, flags: "z" }),
  sys("0F 01", "sgdt", "Ms", "SGDT", { ext: 0, mod: "mem" }),
  sys("0F 01", "sidt", "Ms", "SIDT", { ext: 1, mod: "mem" }),
  sys("0F 01", "lgdt", "Ms", "LGDT", { ext: 2, mod: "mem", privileged: true }),
  sys("0F 01", "lidt", "Ms", "LIDT", { ext: 3, mod: "mem", privileged: true }),
];

const controlRows: readonly OpcodeRow[] = [
  sys("0F 01", "smsw", "Ev", "SMSW", { ext: 4 }),
  sys("0F 01", "lmsw", "Ew", "LMSW", { ...RING0, ext: 6 }),
  sys("0F 01", "invlpg", "M", "INVLPG", { ...RING0, ext: 7, mod: "mem" }),
  // ModRM.mod is ignored: the operand is always a register
  sys("0F 20", "mov", "Rd,Cd", "MOV_R_CR", { privileged: true, undefinedFlags: "oszapc" }),
  sys("0F 21", "mov", "Rd,Dd", "MOV_R_DR", { privileged: true, undefinedFlags: "oszapc" }),
  sys("0F 22", "mov", "Cd,Rd", "MOV_CR_R", { ...RING0, undefinedFlags: "oszapc" }),
  sys("0F 23", "mov", "Dd,Rd", "MOV_DR_R", { ...RING0, undefinedFlags: "oszapc" }),
  sys("0F 06", "clts", "", "CLTS", { privileged: true }),
  sys("0F 08", "invd", "", "WBINVD", { privileged: true }),
  sys("0F 09", "wbinvd", "", "WBINVD", { privileged: true }),
  sys("F4", "hlt", "", "HLT", RING0),
  sys("FA", "cli", "", "CLI", END),
  sys("FB", "sti", "", "STI", END),
  sys("9C", "pushf", "", "PUSHF"),
  sys("9D", "popf", "", "POPF", { ...END, flags: "oszapc" }),
  sys("0F 01", "clac", "", "CLAC", { privileged: true, ext: 1, mod: "reg", rm: 2, feature: "Smap" }),
  sys("0F 01", "stac", "", "STAC", { privileged: true, ext: 1, mod: "reg", rm: 3, feature: "Smap" }),
  sys("0F 01", "monitor", "", "MONITOR", { ext: 1, mod: "reg", rm: 0, feature: "Monitor", privileged: true }),
  sys("0F 01", "mwait", "", "MWAIT", { ...RING0, ext: 1, mod: "reg", rm: 1, feature: "Monitor" }),
];

const modelSpecificRows: readonly OpcodeRow[] = [
  sys("0F A2", "cpuid", "", "CPUID"),
  sys("0F 30", "wrmsr", "", "WRMSR", { ...RING0, feature: "Msr" }),
  sys("0F 31", "rdtsc", "", "RDTSC", { ...END, feature: "Tsc" }),
  sys("0F 32", "rdmsr", "", "RDMSR", { ...RING0, feature: "Msr" }),
  sys("0F 33", "rdpmc", "", "RDPMC", { privileged: true }),
  sys("0F 01", "rdtscp", "", "RDTSCP", { ...END, ext: 7, mod: "reg", rm: 1, feature: "Rdtscp" }),
  sys("0F 01", "vmcall", "", "VMCALL", { ...RING0, ext: 0, mod: "reg", rm: 1, feature: "Hypervisor" }),
  sys("0F 01", "vmmcall", "", "VMCALL", { ...RING0, ext: 3, mod: "reg", rm: 1, feature: "Hypervisor" }),
  // outside system management mode, and the opcodes that promise #UD
  sys("0F AA", "rsm", "", "UD", END),
  sys("0F 0B", "ud2", "", "UD", END),
  sys("0F B9", "ud1", "Gv,Ev", "UD", END),
  sys("0F FF", "ud0", "Gv,Ev", "UD", END),
];

const portRows: readonly OpcodeRow[] = [
  sys("E4", "in", "AL,Ib", "IN_I8", RING0),
  sys("E5", "in", "eAX,Ib", "IN_IV", RING0),
  sys("E6", "out", "Ib,AL", "OUT_I8", RING0),
  sys("E7", "out", "Ib,eAX", "OUT_IV", RING0),
  sys("EC", "in", "AL,DX", "IN_D8", RING0),
  sys("ED", "in", "eAX,DX", "IN_DV", RING0),
  sys("EE", "out", "DX,AL", "OUT_D8", RING0),
  sys("EF", "out", "DX,eAX", "OUT_DV", RING0),
  sys("6C", "insb", "Yb,DX", "INS8", RING0),
  sys("6D", "ins", "Yv,DX", "INSV", RING0),
  sys("6E", "outsb", "DX,Xb", "OUTS8", RING0),
  sys("6F", "outs", "DX,Xv", "OUTSV", RING0),
];

export const systemRows: readonly OpcodeRow[] = [
  ...farRows,
  ...segmentRows,
  ...descriptorRows,
  ...controlRows,
  ...modelSpecificRows,
  ...portRows,
];
