// The whole opcode table.
import { integerRows } from "./integer.ts";
import type { OpcodeRow } from "./row.ts";

export const allRows: readonly OpcodeRow[] = [...integerRows];
