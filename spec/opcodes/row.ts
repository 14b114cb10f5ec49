/**
 * One row of the opcode table: the single description of an instruction form, from which the decoder's tables
 * (tools/gen-opcodes.ts), the disassembler trace and the instruction tests are made.
 */
export interface OpcodeRow {
  /** Opcode bytes without prefixes: "00", "0F A2", "0F 38 00". "40+" stands for 40..47 (register in the opcode). */
  readonly code: string;
  /** ModRM.reg that selects this row (opcode groups, x87). */
  readonly ext?: number;
  /** ModRM.mod restriction: "mem" (mod != 3) or "reg" (mod = 3). Another mod is #UD unless another row has it. */
  readonly mod?: "mem" | "reg";
  /** ModRM.rm that selects this row, only with mod "reg" (0F 01 C1, x87 D9 E0, ...): the handler sees raw ModRM in REC_DISP. */
  readonly rm?: number;
  /** Mandatory prefix. Absent = the prefix does not select. */
  readonly prefix?: "none" | "66" | "F3" | "F2";
  /** Intel mnemonic, lower case. */
  readonly mnemonic: string;
  /** Operands in the notation of SDM 2D appendix A: "Eb,Gb", "Ev,Ib", "Vps,Wps"... "" for none. "sIb" = byte sign-extended. */
  readonly operands: string;
  /** Member of the generated enum Op that executes it. */
  readonly op: string;
  readonly family: Family;
  /** Member of Feature; without it in the CPU model the row is #UD. */
  readonly feature?: string;
  /** LOCK is allowed (memory destination only). */
  readonly lock?: boolean;
  /** Ends a decoded block: it changes CS:EIP, mode, paging or interruptibility, or must see exact time. */
  readonly end?: boolean;
  /** #UD in real and virtual-8086 mode. */
  readonly protectedOnly?: boolean;
  /** Arithmetic flags written (letters of "oszapc") and those the SDM leaves undefined. */
  readonly flags?: string;
  readonly undefinedFlags?: string;
  /** Not executable at CPL 3: the real-hardware oracle skips it. */
  readonly privileged?: boolean;
}

/** Handler families; the number is the high byte of an Op. */
export const FAMILIES = ["hot", "int", "flow", "system", "x87", "mmx", "sse", "sse2", "sse4"] as const;
export type Family = (typeof FAMILIES)[number];
