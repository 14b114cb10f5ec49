// Forms: what one fixture section covers. A row of the opcode table becomes one form for each operand size it can
// have and for each of its register and memory operand kinds.
import type { OpcodeRow } from "../../spec/opcodes/row.ts";

export interface Form {
  /** Stable name: it seeds the form's cases and names its section in a fixture. */
  readonly key: string;
  readonly row: OpcodeRow;
  readonly operands: readonly string[];
  readonly operandSize: 16 | 32;
  /** What ModRM.rm is. */
  readonly rm: "reg" | "mem" | "none";
}

/** Without v, z or p operands, but still with an operand size: stack, far transfers, conversions. */
const SIZED = new Set([
  "pushf",
  "pushfd",
  "popf",
  "popfd",
  "pusha",
  "pushad",
  "popa",
  "popad",
  "iret",
  "ret",
  "retf",
  "leave",
  "enter",
  "cbw",
  "cwd",
  "cwde",
  "cdq",
  "push",
  "pop",
  "call",
  "jmp",
  "retn",
  "ins",
  "outs",
  "in",
  "out",
]);
const RELATIVE = /^J/;

/** True when ModRM follows the opcode. */
export function hasModrm(row: OpcodeRow, operands: readonly string[]): boolean {
  return row.ext !== undefined || row.mod !== undefined || operands.some((o) => /^[EGMRPQVWSCDNU]([a-z]|$)/.test(o));
}

function sized(row: OpcodeRow, operands: readonly string[]): boolean {
  return (
    SIZED.has(row.mnemonic) ||
    operands.some((o) => /^(e[A-Z]{2}|M)$/.test(o) || (/^[A-Z][vzyap]/.test(o) && o !== "Mp0") || RELATIVE.test(o))
  );
}

export function formsOf(rows: readonly OpcodeRow[]): Form[] {
  const forms: Form[] = [];
  const seen = new Set<string>();
  for (const row of rows) {
    const operands = row.operands === "" ? [] : row.operands.split(",");
    const sizes: (16 | 32)[] = sized(row, operands) ? [32, 16] : [32];
    let kinds: Form["rm"][] = ["none"];
    if (hasModrm(row, operands)) {
      kinds = row.mod === "mem" ? ["mem"] : row.mod === "reg" || row.rm !== undefined ? ["reg"] : ["reg", "mem"];
      // MOV to and from control and debug registers treats every mod as 3.
      if (operands.some((o) => /^[CDR]d$/.test(o))) kinds = ["reg"];
    }
    for (const operandSize of sizes) {
      for (const rm of kinds) {
        const place = `${row.prefix && row.prefix !== "none" ? `${row.prefix} ` : ""}${row.code}${row.ext === undefined ? "" : `/${row.ext}`}${row.rm === undefined ? "" : `.${row.rm}`}`;
        const key =
          `${place} ${row.mnemonic} ${row.operands}`.trim() +
          (sizes.length > 1 ? ` o${operandSize}` : "") +
          (rm === "none" ? "" : ` ${rm}`);
        if (seen.has(key)) throw new Error(`two opcode rows make the form ${key}`);
        seen.add(key);
        forms.push({ key, row, operands, operandSize, rm });
      }
    }
  }
  return forms;
}
