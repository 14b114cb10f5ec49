// One vector of a real FPU against the core, bit for bit: status, tags, control word, EFLAGS, AX, registers and memory; the
// transcendental functions within one unit in the last place (their C1 follows the last bit and is left out).
import * as L from "../../../spec/layout.ts";
import type { Vector } from "./fixture.ts";
import { PAGE, rowNamed, rowOf, type X87Machine } from "./machine.ts";
import { text, ulps } from "./values.ts";

const APPROXIMATE = new Set(["F2XM1", "FYL2X", "FYL2XP1", "FPTAN", "FPATAN", "FSIN", "FCOS", "FSINCOS"]);
const C1 = 0x200;
const CODES = 0x4500;
// Where this oracle's vendor departs from Intel's manual, the manual decides:
//  - with an unmasked #I, comparisons leave C3 C2 C0 and EFLAGS as they were (SDM 2A, FCOM, FUCOM, FCOMI)
//  - FCOMI and FUCOMI clear C1 (SDM 2A, FCOMI)
function intel(v: Vector, op: string): { fsw: number; eflags: number } {
  let { fsw, eflags } = v.out;
  if (/^F(U|I)?COM|^FTST/.test(op)) {
    const invalid = (v.fcw & 1) === 0 && (fsw & 1) !== 0;
    if (invalid) {
      fsw = (fsw & ~CODES) | (v.fsw & CODES);
      eflags = v.eflags & 0x8d5;
    }
    if (/COMI/.test(op)) fsw &= ~C1;
  }
  return { fsw, eflags };
}

const FNSAVE = rowNamed("FNSAVE");

/** What differs from the recording, as text; empty when nothing does. */
export function differences(machine: X87Machine, v: Vector): string[] {
  const row = rowOf(v.opcode, v.modrm);
  const approximate = APPROXIMATE.has(row.op);
  const stores = v.out.memory !== undefined;
  machine.reset(v.fcw, v.stack, v.depth, v.turns, v.fsw);
  machine.guest(PAGE, 16).fill(0xcc);
  if (!stores) machine.guest(PAGE, 10).set(v.operand);
  machine.set32(L.GPR + L.EAX, 0x55aa55aa);
  machine.setFlags(v.eflags);
  const fault = machine.run(row, v.modrm);
  const memory = Uint8Array.from(machine.guest(PAGE, 10));
  const eflags = machine.getFlags();
  const ax = machine.get16(L.GPR + L.EAX);
  machine.run(FNSAVE, 0x30, PAGE + 64);
  const image = machine.guest(PAGE + 64, 108);
  const field = (at: number): number => (image[at] as number) | ((image[at + 1] as number) << 8);

  const expected = intel(v, row.op);
  const out: string[] = [];
  const compare = (name: string, got: number, want: number): void => {
    if (got !== want) out.push(`${name} ${got.toString(16)}, hardware ${want.toString(16)}`);
  };
  compare("fault", fault, 0);
  compare("FCW", field(0), v.out.fcw);
  compare("FSW", field(4) & (approximate ? ~C1 : ~0), expected.fsw & (approximate ? ~C1 : ~0));
  compare("FTW", field(8), v.out.ftw);
  compare("EFLAGS", eflags, expected.eflags);
  compare("AX", ax, v.out.ax);
  const top = (v.out.fsw >> 11) & 7;
  for (const i of [0, 1]) {
    if (((v.out.ftw >> (2 * ((top + i) & 7))) & 3) === 3) continue;
    const got = image.subarray(28 + 10 * i, 38 + 10 * i);
    const want = i ? v.out.st1 : v.out.st0;
    if (approximate ? ulps(got, want) > 1n : text(got) !== text(want))
      out.push(`ST${i} ${text(got)}, hardware ${text(want)}`);
  }
  if (stores && text(memory) !== text(v.out.memory as Uint8Array)) {
    out.push(`memory ${text(memory)}, hardware ${text(v.out.memory as Uint8Array)}`);
  }
  return out;
}

export function describeVector(v: Vector): string {
  const stack = v.stack.slice(0, Math.min(v.depth, 2)).map(text).join(" ");
  return `${rowOf(v.opcode, v.modrm).op} modrm ${v.modrm.toString(16)} FCW ${v.fcw.toString(16)} FSW ${v.fsw.toString(16)} depth ${v.depth} turns ${v.turns} stack ${stack} operand ${text(v.operand)}`;
}
