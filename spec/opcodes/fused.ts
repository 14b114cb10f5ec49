// Pairs that the interpreter executes in one dispatch: a flag-setting operation and the conditional jump behind it.
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

export const fusedOps: readonly string[] = FUSED.flatMap(({ first, conditions }) => conditions.map((c) => `H_${first}_J${c}`));

const CC = ["O", "NO", "B", "NB", "Z", "NZ", "BE", "NBE", "S", "NS", "P", "NP", "L", "NL", "LE", "NLE"];

/** Condition code (low four bits of the opcode) of a condition's name. */
export function conditionCode(name: string): number {
  return CC.indexOf(name);
}
