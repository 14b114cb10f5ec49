// The whole opcode table.
import { integerRows } from "./integer.ts";
import type { OpcodeRow } from "./row.ts";
import { simdRows } from "./simd.ts";
import { systemRows } from "./system.ts";
import { x87Rows } from "./x87.ts";

export const allRows: readonly OpcodeRow[] = [...integerRows, ...systemRows, ...x87Rows, ...simdRows];
