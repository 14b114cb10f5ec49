// The instruction forms that tools/oracle/x87.c runs, from the opcode table: opcode, ModRM, operand kind. Prints them.
// State images, FXSAVE and FWAIT have tests of their own. The commands that record fixtures are in x87.c.
import { fileURLToPath } from "node:url";
import { x87Rows } from "../../spec/opcodes/x87.ts";

const SKIPPED = new Set(["FWAIT", "FLDENV", "FNSTENV", "FRSTOR", "FNSAVE", "FXSAVE", "FXRSTOR"]);
const INTEGER: Record<string, string> = { Mw: "w", Md: "l", Mq: "q" };
const REAL: Record<string, string> = { Md: "f", Mq: "d", Mt: "t" };

/** A line a form. */
export function x87Forms(): string[] {
  const lines: string[] = [];
  for (const row of x87Rows) {
    if (SKIPPED.has(row.op)) continue;
    let modrm = (row.ext ?? 0) << 3;
    let kind = "r";
    if (row.mod === "mem") {
      const bcd = row.mnemonic === "fbld" || row.mnemonic === "fbstp";
      const integer = /^fi|^fld?cw|^fn/.test(row.mnemonic);
      kind = bcd ? "b" : ((integer ? INTEGER : REAL)[row.operands] as string);
      if (/^f(b|i)?stt?p?$|^fn/.test(row.mnemonic)) kind = kind.toUpperCase();
    } else {
      modrm |= 0xc0 | (row.rm ?? 0);
      if (row.rm === undefined) kind = "i";
    }
    lines.push(`${row.code.toLowerCase()} ${modrm.toString(16).padStart(2, "0")} ${kind}`);
  }
  return lines;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(x87Forms().join("\n"));
