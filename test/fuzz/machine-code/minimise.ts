// A failing case made smaller: as few instructions as possible, and NOPs for every byte of the program that does not matter.
import { type Failure, runCase } from "./case.ts";
import type { FuzzMachine } from "./machine.ts";

export interface Minimal {
  readonly failure: Failure;
  readonly limit: number;
  /** The program, NOPs where anything will do. */
  readonly code: string;
}

const NOP = 0x90;
const MOST = 3000;

export function minimise(m: FuzzMachine, failure: Failure): Minimal {
  const { seed, kind } = failure;
  const blank = new Set<number>();
  let code: Uint8Array = new Uint8Array();
  const edit = (bytes: Uint8Array): void => {
    for (const i of blank) if (i < bytes.length) bytes[i] = NOP;
    code = bytes;
  };
  const fails = (limit: number): Failure | undefined => {
    const found = runCase(m, seed, limit, edit).failure;
    return found?.kind === kind ? found : undefined;
  };
  let limit = 1;
  let smallest: Failure | undefined = fails(limit);
  while (!smallest && limit < MOST) smallest = fails(++limit);
  if (smallest === undefined) return { failure, limit: MOST, code: Buffer.from(code).toString("hex") };
  const { length } = code;
  for (let size = Math.ceil(length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < length; at += size) {
      const added = [];
      for (let i = at; i < Math.min(length, at + size); i++) if (!blank.has(i)) added.push(i);
      for (const i of added) blank.add(i);
      const still: Failure | undefined = added.length > 0 ? fails(limit) : smallest;
      if (still) smallest = still;
      else for (const i of added) blank.delete(i);
    }
  }
  fails(limit);
  let end = length;
  while (end > 0 && code[end - 1] === NOP) end--;
  return { failure: smallest ?? failure, limit, code: Buffer.from(code.subarray(0, end)).toString("hex") };
}
