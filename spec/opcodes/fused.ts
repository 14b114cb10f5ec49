// Pairs that the interpreter executes in one dispatch: a flag-setting operation and the conditional jump behind it, and
// the plain operations that compiled code has most often in a row.
// Chosen by how often compiled code has them; the order of conditions is that of the generated operations.
const COMPARE = ["B", "NB", "Z", "NZ", "BE", "NBE", "L", "NL", "LE", "NLE"] as const;

export interface FusedRow {
  /** The specialised operation (without H_) that comes first. */
  readonly first: string;
  readonly conditions: readonly string[];
}

export const FUSED: readonly FusedRow[] = [
  { first: "CMP_RR32", conditions: COMPARE },
  { first: "CMP_RI32", conditions: COMPARE },
  { first: "CMP_RI8", conditions: ["Z", "NZ", "BE", "NBE"] },
  { first: "CMP_RM32", conditions: ["B", "NB", "Z", "NZ"] },
  { first: "CMP_MI32", conditions: ["Z", "NZ"] },
  { first: "TEST_RR32", conditions: ["Z", "NZ", "S", "NS", "LE", "NLE"] },
  { first: "TEST_RI8", conditions: ["Z", "NZ"] },
  { first: "TEST_MI8", conditions: ["Z", "NZ"] },
  { first: "ADD_RI32", conditions: ["Z", "NZ"] },
  { first: "SUB_RI32", conditions: ["Z", "NZ"] },
  { first: "DEC_R32", conditions: ["Z", "NZ"] },
];

/** Pairs of plain operations, most frequent first (measured over a Linux boot, weighted by execution). */
export const PAIRS: readonly (readonly [string, string])[] = [
  ["MOV_BR32", "MOV_RB32"],
  ["MOV_RB32", "MOV_RB32"],
  ["MOV_BR32", "MOV_BR32"],
  ["MOV_RB32", "MOV_BR32"],
  ["MOV_RB32", "ADD_RR32"],
  ["MOV_RB32", "XOR_RR32"],
  ["MOV_RB32", "MOV_RR32"],
  ["MOV_RR32", "MOV_RB32"],
  ["MOV_RR32", "MOV_BR32"],
  ["MOV_RR32", "MOV_RR32"],
  ["MOV_BR32", "MOV_RR32"],
  ["MOV_BR32", "XOR_RR32"],
  ["MOV_BR32", "ADD_RR32"],
  ["ADD_RR32", "XOR_RR32"],
  ["ADD_RR32", "MOV_RB32"],
  ["ADD_RR32", "MOV_BR32"],
  ["ADD_RR32", "MOV_RR32"],
  ["ADD_RR32", "ADD_RR32"],
  ["XOR_RR32", "MOV_BR32"],
  ["XOR_RR32", "MOV_RB32"],
  ["XOR_RR32", "MOV_RR32"],
  ["ROR_RI32", "ADD_RR32"],
  ["ROL_RI32", "ADD_RR32"],
  ["MOV_RB32", "ROR_RI32"],
  ["MOV_RB32", "ROL_RI32"],
  ["XOR_RR32", "ROR_RI32"],
  ["LEA", "MOV_RB32"],
  ["MOV_RR32", "SHR_RI32"],
  ["IMUL_RR32", "IMUL_RR32"],
  ["POP_R32", "POP_R32"],
  ["PUSH_R32", "PUSH_R32"],
  ["PUSH_R32", "MOV_RR32"],
];

export const fusedOps: readonly string[] = [
  ...FUSED.flatMap(({ first, conditions }) => conditions.map((c) => `H_${first}_J${c}`)),
  ...PAIRS.map(([a, b]) => `H2_${a}_${b}`),
];

const CC = ["O", "NO", "B", "NB", "Z", "NZ", "BE", "NBE", "S", "NS", "P", "NP", "L", "NL", "LE", "NLE"];

/** Condition code (low four bits of the opcode) of a condition's name. */
export function conditionCode(name: string): number {
  return CC.indexOf(name);
}
