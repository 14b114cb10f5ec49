// Makes spec/op.gen.ts (enum Op, for both sides) and assembly/isa/decode-table.gen.ts (the decoder's tables) from the
// opcode table in spec/opcodes. `--check` fails when a regeneration would change a file.
import * as featureModule from "../spec/features.ts";
import * as A from "../spec/opcodes/attributes.ts";
import { hotOps } from "../spec/opcodes/hot.ts";
import { FAMILIES, type OpcodeRow } from "../spec/opcodes/row.ts";
import { allRows } from "../spec/opcodes/table.ts";
import { writeGenerated } from "./generated.ts";

const MAX_OPS = 256;

const ids = new Map<string, number>();
const names: string[][] = FAMILIES.map(() => []);
function define(family: number, name: string): void {
  const known = ids.get(name);
  if (known !== undefined) {
    if (known >> 8 !== family) throw new Error(`op ${name} is in two families`);
    return;
  }
  const list = names[family] as string[];
  if (list.length >= MAX_OPS) throw new Error(`family ${FAMILIES[family]} has more than ${MAX_OPS} ops`);
  ids.set(name, (family << 8) | list.length);
  list.push(name);
}
for (const name of hotOps) define(0, name);
for (const row of allRows) define(FAMILIES.indexOf(row.family), row.op);

function immKind(operands: readonly string[]): number {
  if (operands.includes("Iw") && operands.includes("Ib")) return A.IMM_WB;
  for (const o of operands) {
    switch (o) {
      case "Ib":
        return A.IMM_B;
      case "sIb":
        return A.IMM_SB;
      case "Iw":
        return A.IMM_W;
      case "Iz":
      case "Iv":
        return A.IMM_Z;
      case "Jb":
        return A.IMM_JB;
      case "Jz":
        return A.IMM_JZ;
      case "Ob":
      case "Ov":
        return A.IMM_MOFFS;
      case "Ap":
        return A.IMM_FAR;
      case "1":
        return A.IMM_ONE;
    }
  }
  return A.IMM_NONE;
}

function entry(row: OpcodeRow): number {
  const operands = row.operands === "" ? [] : row.operands.split(",");
  const modrm =
    row.ext !== undefined || row.mod !== undefined || operands.some((o) => /^[EGMRPQVWSCDNU]([a-z]|$)/.test(o));
  let e = ids.get(row.op) as number;
  e |= immKind(operands) << A.ATTR_IMM_SHIFT;
  if (modrm) e |= A.ATTR_MODRM;
  if (operands.some((o) => o === "Eb" || o === "Zb" || o === "AL" || o === "Ob" || o === "Mb")) e |= A.ATTR_E8;
  if (operands.some((o) => o === "Gb" || o === "AL" || o === "Rb")) e |= A.ATTR_G8;
  if (row.end) e |= A.ATTR_END;
  if (row.lock) e |= A.ATTR_LOCK;
  if (row.protectedOnly) e |= A.ATTR_PROTECTED;
  if (operands.includes("Rd")) e |= A.ATTR_REG_ALWAYS;
  if (row.code.endsWith("+") || /^e[A-D]X,eAX$|^e[SBD][PI],eAX$/.test(row.operands)) e |= A.ATTR_OPREG;
  else if (/^(AL|eAX),|,(AL|eAX)$/.test(row.operands) && !modrm) e |= A.ATTR_ACC;
  e |= (row.feature === undefined ? 0 : featureBit(row)) << A.ATTR_FEATURE_SHIFT;
  return e >>> 0;
}

function featureBit(row: OpcodeRow): number {
  const bit = (featureModule as unknown as { Feature: Record<string, number> }).Feature[row.feature as string];
  if (bit === undefined) throw new Error(`${row.code} ${row.mnemonic}: no feature ${row.feature}`);
  return bit;
}

// Tables: one-byte map, then 0F, 0F 38 and 0F 3A with one column a mandatory prefix (none 66 F3 F2).
const primary = new Array<number>(256 * 13).fill(0);
const groups: number[][] = [];
const groupOf = new Map<string, number>();
const PREFIXES = ["none", "66", "F3", "F2"] as const;

function slots(row: OpcodeRow): { map: number; opcode: number }[] {
  const bytes = row.code.replace("+", "").split(" ");
  const opcode = Number.parseInt(bytes[bytes.length - 1] as string, 16);
  const map = bytes.length === 1 ? 0 : bytes.length === 2 ? 1 : bytes[1] === "38" ? 2 : 3;
  const span = row.code.endsWith("+") ? 8 : 1;
  return Array.from({ length: span }, (_, i) => ({ map, opcode: opcode + i }));
}

function group(key: string, size: number): number {
  let g = groupOf.get(key);
  if (g === undefined) {
    g = groups.length;
    groups.push(new Array<number>(size).fill(0));
    groupOf.set(key, g);
  }
  return g;
}

function place(at: number, row: OpcodeRow): void {
  const e = entry(row);
  if (row.ext === undefined && row.mod === undefined) {
    primary[at] = e;
    return;
  }
  // groups are keyed by their slot, so prefix columns never share one
  const g = group(`${at}`, 16);
  primary[at] = (A.ATTR_GROUP | A.ATTR_MODRM | g) >>> 0;
  const members = groups[g] as number[];
  const exts = row.ext === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : [row.ext];
  for (const ext of exts) {
    if (row.mod !== "reg") members[ext * 2] = e;
    if (row.mod !== "mem") {
      if (row.rm === undefined) {
        members[ext * 2 + 1] = e;
      } else {
        const before = members[ext * 2 + 1] as number;
        const rg = group(`${at}/${ext}`, 16);
        const list = groups[rg] as number[];
        if (!(before & A.ATTR_GROUP)) list.fill(before, 0, 8);
        list[row.rm] = e;
        members[ext * 2 + 1] = (A.ATTR_GROUP | A.ATTR_MODRM | rg) >>> 0;
      }
    }
  }
}

// Rows without a mandatory prefix first, so that the specific ones replace them in their column. A general register
// row of a group is placed before rows that single out an rm.
const specificity = (r: OpcodeRow): number => (r.prefix === undefined ? 0 : 2) + (r.rm === undefined ? 0 : 1);
for (const row of [...allRows].sort((a, b) => specificity(a) - specificity(b))) {
  for (const { map, opcode } of slots(row)) {
    if (map === 0) {
      place(opcode, row);
      continue;
    }
    PREFIXES.forEach((p, i) => {
      if (row.prefix === undefined || row.prefix === p) place(256 + ((map - 1) * 4 + i) * 256 + opcode, row);
    });
  }
}

const enumLines: string[] = [];
names.forEach((list, family) => {
  enumLines.push(`  // ${FAMILIES[family]}`);
  for (const name of list) enumLines.push(`  ${name} = 0x${(ids.get(name) as number).toString(16)},`);
});
const opFile = `// Generated by tools/gen-opcodes.ts from spec/opcodes: do not edit.\nexport const enum Op {\n${enumLines.join("\n")}\n}\n`;

const rows = (list: readonly number[]): string => {
  const out: string[] = [];
  for (let i = 0; i < list.length; i += 8)
    out.push(
      `  ${list
        .slice(i, i + 8)
        .map((n) => `0x${n.toString(16)}`)
        .join(", ")},`,
    );
  return out.join("\n");
};
const tableFile = `// Generated by tools/gen-opcodes.ts from spec/opcodes: do not edit.
// Entry layout: spec/opcodes/attributes.ts.
export const PRIMARY = memory.data<u32>([
${rows(primary)}
]);
export const GROUPS = memory.data<u32>([
${rows(groups.flat())}
]);
`;

writeGenerated("spec/op.gen.ts", opFile);
writeGenerated("assembly/isa/decode-table.gen.ts", tableFile);
