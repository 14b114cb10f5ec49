// Every MMX, SSE, SSE2, SSE3, SSSE3, SSE4.1 and SSE4.2 row of the opcode table.
import type { OpcodeRow } from "./row.ts";
import { floatRows } from "./simd-float.ts";
import { mmxRows, packedRows } from "./simd-packed.ts";
import { sse4Rows } from "./simd-sse4.ts";

export const simdRows: readonly OpcodeRow[] = [...mmxRows, ...floatRows, ...packedRows, ...sse4Rows];
