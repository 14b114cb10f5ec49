// Numbers as one writes them to a debugger: 0x10, 16, eip, esp+8, cs.base+eip, 0x1000-4.
import { VmError } from "../vmm/error.ts";
import type { Debugger } from "./debugger.ts";

/** Sum of terms: numbers and registers. Throws VmError("bad-config") with the term that is neither. */
export function evaluate(debug: Debugger, text: string): bigint {
  const terms = text.replace(/\s+/g, "").match(/[+-]?[^+-]+/g);
  if (!terms || terms.join("") !== text.replace(/\s+/g, ""))
    throw new VmError("bad-config", `"${text}" is not a number, a register, or a sum of them.`);
  let sum = 0n;
  for (const term of terms) {
    const negative = term.startsWith("-");
    const name = term.replace(/^[+-]/, "").replace(/^[$%]/, "");
    const value = /^(0x[0-9a-f]+|0b[01]+|\d+)$/i.test(name) ? BigInt(name) : debug.get(name);
    sum += negative ? -value : value;
  }
  return sum;
}

/** As a 32-bit address. */
export function evaluateAddress(debug: Debugger, text: string): number {
  return Number(BigInt.asUintN(32, evaluate(debug, text)));
}
