// Encodings that are #UD on every CPU of the models that the machine offers, Intel's and AMD's: holes of the opcode
// maps and of the groups, register forms of memory-only instructions, and a few that only look like them.
import type { OpcodeRow } from "../../spec/opcodes/row.ts";

const hole = (code: string, extra: Partial<OpcodeRow> = {}, operands = ""): OpcodeRow => ({
  code,
  mnemonic: "(invalid)",
  operands,
  op: "INVALID",
  family: "system",
  ...extra,
});
const group = (code: string, exts: readonly number[], operands: string): OpcodeRow[] =>
  exts.map((ext) => hole(code, { ext }, operands));

export const invalidRows: readonly OpcodeRow[] = [
  ...group("FE", [2, 3, 4, 5, 6, 7], "Eb"),
  ...group("FF", [7], "Ev"),
  ...group("C7", [1, 2, 3, 4, 5, 6], "Ev,Iz"),
  ...group("C6", [1, 2, 3, 4, 5, 6], "Eb,Ib"),
  ...group("0F BA", [0, 1, 2, 3], "Ev,Ib"),
  ...group("0F 00", [6, 7], "Ew"),
  hole("FF", { ext: 3, mod: "reg" }),
  hole("FF", { ext: 5, mod: "reg" }),
  hole("8D", { mod: "reg" }, "Gv,Ev"),
  hole("0F B2", { mod: "reg" }, "Gv,Ev"),
  hole("0F B4", { mod: "reg" }, "Gv,Ev"),
  hole("0F B5", { mod: "reg" }, "Gv,Ev"),
  hole("0F C7", { ext: 1, mod: "reg" }),
  hole("0F C7", { ext: 0, mod: "mem" }),
  hole("0F C7", { ext: 2, mod: "mem" }),
  hole("0F B8", { prefix: "none" }, "Gv,Ev"),
  ...[
    "0F 04",
    "0F 0A",
    "0F 0C",
    "0F 25",
    "0F 27",
    "0F 36",
    "0F 39",
    "0F 3B",
    "0F 3C",
    "0F 3D",
    "0F 3E",
    "0F 3F",
    "0F A6",
    "0F A7",
  ].map((code) => hole(code)),
];
