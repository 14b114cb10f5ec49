// Short programs: what single instructions cannot show. Flags that one instruction leaves and another reads, fused
// compare-and-branch, blocks that are linked, left in the middle or run again, calls, and code that changes the code
// behind it. Every flag that is read is defined, by the SDM; what is undefined at the end is not compared.
// A program ends at UD2, on the CPU as in the core.

import type { OpcodeRow } from "../../spec/opcodes/row.ts";
import { type Builder, EAX, EBP, EBX, ECX, EDI, EDX, ESI } from "./builder.ts";
import { CASE_HOT, CASE_INT3, CASE_SEQUENCE } from "./format.ts";
import type { Form } from "./forms.ts";
import { AF, CF, OF, PF, SF, undefinedAfterShift, ZF } from "./undefined.ts";
import { CODE, CODE_SIZE, CS, DATA, DS, ES, ldtSelector, RODATA, SS, USER_CS, USER_DS, WORLD_BASE } from "./world.ts";

const ALL = OF | SF | ZF | AF | PF | CF;
const SEQUENCE_ROW: OpcodeRow = { code: "", mnemonic: "(sequence)", operands: "", op: "SEQUENCE", family: "flow" };
const kind = (key: string): Form => ({
  key: `(sequence) ${key}`,
  row: SEQUENCE_ROW,
  operands: [],
  operandSize: 32,
  rm: "none",
});
const STRAIGHT = kind("straight");
const LOOPS = kind("loop");
const STRAIGHT16 = kind("straight, 16-bit code");
const LOOPS16 = kind("loop, 16-bit code");
const MODIFYING = kind("self-modifying");
/** Runs often enough for code to count as hot. */
const HOT = kind("hot loop");
/** With a division or a stray access in it, so that it may stop in the middle. */
const FAULTING = kind("faulting");

export const sequenceForms: readonly Form[] = [STRAIGHT, LOOPS, STRAIGHT16, LOOPS16, MODIFYING, HOT, FAULTING];

/** Flags that condition pairs read, by cc >> 1. */
const READ_BY_CONDITION = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF] as const;

type Size = 8 | 16 | 32;

interface Step {
  readonly bytes: number[];
  readonly reads?: number;
  /** Flags written with defined values. */
  readonly writes?: number;
  readonly undefines?: number;
  /** The flags may stay as they are. */
  readonly maybe?: boolean;
  /** A branch over the next `skip` steps; its displacement is the last byte. */
  readonly skip?: number;
  /** Offset of an immediate byte that may be rewritten by code in front of it. */
  readonly immediateAt?: number;
  /** Leaves the stack pointer elsewhere. */
  readonly moves?: boolean;
  /** May fault: what is undefined here may be so at the end. */
  readonly faults?: boolean;
  /** Offset of an immediate that must be the address behind the step. */
  readonly nextAt?: number;
  /** A store into the code: offset of its address, to be filled in. */
  readonly storeAt?: number;
}

class Program {
  readonly steps: Step[] = [];
  readonly cs16: boolean;
  readonly #b: Builder;
  readonly #targets: number[];

  constructor(b: Builder, cs16: boolean, targets: number[]) {
    this.#b = b;
    this.cs16 = cs16;
    this.#targets = targets;
  }

  get #rnd() {
    return this.#b.rnd;
  }

  #reg(): number {
    return this.#rnd.pick(this.#targets);
  }

  /** A register operand of the size; byte registers come from those of the targets that have them. */
  #sized(size: Size): number {
    if (size !== 8) return this.#reg();
    const low = this.#targets.filter((r) => r < 4);
    const r = this.#rnd.pick(low.length ? low : [EAX]);
    return this.#rnd.chance(35) ? r + 4 : r;
  }

  #prefix(size: Size): number[] {
    return (size === 16) !== this.cs16 && size !== 8 ? [0x66] : [];
  }

  #size(): Size {
    const n = this.#rnd.below(10);
    return n < 6 ? 32 : n < 8 ? 8 : 16;
  }

  #imm(size: Size): number[] {
    const v = this.#rnd.value(size);
    return size === 8
      ? [v]
      : size === 16
        ? [v & 0xff, v >>> 8]
        : [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, v >>> 24];
  }

  /** ModRM of [EBX + disp] or, in 16-bit code, [BX + disp]. */
  #memory(reg: number): number[] {
    const rm = this.cs16 ? 7 : 3;
    if (this.#rnd.chance(20)) return [(reg << 3) | rm];
    if (this.#rnd.chance(60)) return [0x40 | (reg << 3) | rm, this.#rnd.below(256)];
    const d = this.#rnd.below(0x1000) - 0x800;
    const bytes = [0x80 | (reg << 3) | rm, d & 0xff, (d >> 8) & 0xff];
    if (!this.cs16) bytes.push((d >> 16) & 0xff, (d >> 24) & 0xff);
    return bytes;
  }

  /** ModRM with a register that may be written, or memory. */
  #rm(reg: number, size: Size, memory = 40): number[] {
    return this.#rnd.chance(memory) ? this.#memory(reg) : [0xc0 | (reg << 3) | this.#sized(size)];
  }

  /** Any register as a source. */
  #source(size: Size): number {
    return size === 8 ? this.#rnd.below(8) : this.#rnd.pick([EAX, ECX, EDX, EBX, EBP, ESI, EDI]);
  }

  /** A move of an immediate that a store may rewrite. */
  victim(): Step {
    return {
      bytes: [...this.#prefix(32), 0xb8 + this.#reg(), ...this.#imm(32)],
      immediateAt: this.#prefix(32).length + 1,
    };
  }

  step(): Step {
    const rnd = this.#rnd;
    const size = this.#size();
    const p = this.#prefix(size);
    const w = size === 8 ? 0 : 1;
    switch (rnd.below(33)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const op = rnd.below(8);
        const form = rnd.below(4);
        const flags = { reads: op === 2 || op === 3 ? CF : 0, ...aluFlags(op) };
        if (form === 0) return { bytes: [...p, (op << 3) | w, ...this.#rm(this.#source(size), size)], ...flags };
        if (form === 1)
          return { bytes: [...p, (op << 3) | 2 | w, ...this.#rmSource(this.#sized(size), size)], ...flags };
        if (form === 2) return { bytes: [...p, 0x80 | w, ...this.#rm(op, size), ...this.#imm(size)], ...flags };
        return { bytes: [...p, w ? 0x83 : 0x80, ...this.#rm(op, size), ...this.#imm(8)], ...flags };
      }
      case 4:
      case 5: {
        // Compare or test, and right after it something that reads the flags: what interpreters like to fuse.
        const cmp = rnd.chance(60);
        return {
          bytes: [...p, cmp ? 0x38 | w : 0x84 | w, ...this.#rm(this.#source(size), size, 25)],
          ...(cmp ? { writes: ALL } : aluFlags(4)),
        };
      }
      case 6:
        return { bytes: [...p, 0x88 | w, ...this.#rm(this.#source(size), size, 70)] };
      case 7:
        return { bytes: [...p, 0x8a | w, ...this.#rmSource(this.#sized(size), size)] };
      case 8: {
        const bytes =
          size === 8 ? [0xb0 + this.#sized(8), ...this.#imm(8)] : [...p, 0xb8 + this.#reg(), ...this.#imm(size)];
        return { bytes, immediateAt: size === 8 ? 1 : p.length + 1 };
      }
      case 9:
        return { bytes: [...p, 0xc6 | w, ...this.#memory(0), ...this.#imm(size)] };
      case 10:
      case 11: {
        const dec = rnd.below(2);
        const flags = { writes: ALL & ~CF };
        if (size !== 8 && rnd.chance(60)) return { bytes: [...p, (dec ? 0x48 : 0x40) + this.#reg()], ...flags };
        return { bytes: [...p, 0xfe | w, ...this.#rm(dec, size)], ...flags };
      }
      case 12:
      case 13: {
        const op = rnd.pick([0, 1, 2, 3, 4, 5, 7]);
        const name = ["rol", "ror", "rcl", "rcr", "shl", "shr", "", "sar"][op] as string;
        const reads = op === 2 || op === 3 ? CF : 0;
        const written = op < 4 ? OF | CF : ALL;
        const how = rnd.below(3);
        if (how === 2)
          return { bytes: [...p, 0xd2 | w, ...this.#rm(op, size)], reads, undefines: OF | AF | CF, maybe: true };
        const count = how === 0 ? 1 : rnd.chance(80) ? rnd.below(32) : rnd.below(256);
        const undefines = undefinedAfterShift(name, count, size);
        const bytes =
          how === 0 ? [...p, 0xd0 | w, ...this.#rm(op, size)] : [...p, 0xc0 | w, ...this.#rm(op, size), count];
        return (count & 31) === 0 ? { bytes, reads } : { bytes, reads, undefines, writes: written & ~undefines };
      }
      case 14: {
        const p32 = this.#prefix(32);
        const count = rnd.below(32);
        const undefines = undefinedAfterShift("shld", count, 32);
        const bytes = [...p32, 0x0f, rnd.chance(50) ? 0xa4 : 0xac, ...this.#rm(this.#source(32), 32), count];
        return count === 0 ? { bytes } : { bytes, undefines, writes: ALL & ~undefines };
      }
      case 15: {
        const neg = rnd.below(2);
        const bytes = [...p, 0xf6 | w, ...this.#rm(2 + neg, size)];
        return neg ? { bytes, writes: ALL } : { bytes };
      }
      case 16: {
        const flags = { writes: OF | CF, undefines: SF | ZF | AF | PF };
        const wide: Size = size === 8 ? 32 : size;
        const q = this.#prefix(wide);
        if (rnd.chance(50)) return { bytes: [...q, 0x0f, 0xaf, ...this.#rmSource(this.#reg(), wide)], ...flags };
        return { bytes: [...q, 0x6b, ...this.#rmSource(this.#reg(), wide), ...this.#imm(8)], ...flags };
      }
      case 17: {
        const q = this.#prefix(32);
        return { bytes: [...q, 0x0f, rnd.pick([0xb6, 0xb7, 0xbe, 0xbf]), ...this.#memoryOrByte(this.#reg())] };
      }
      case 18: {
        const q = this.#prefix(32);
        return { bytes: [...q, 0x8d, ...this.#memory(this.#reg())] };
      }
      case 19: {
        const cc = rnd.below(16);
        return { bytes: [0x0f, 0x90 | cc, ...this.#rm(0, 8)], reads: READ_BY_CONDITION[cc >> 1] as number };
      }
      case 20: {
        const cc = rnd.below(16);
        const wide: Size = size === 8 ? 32 : size;
        return {
          bytes: [...this.#prefix(wide), 0x0f, 0x40 | cc, ...this.#rmSource(this.#reg(), wide)],
          reads: READ_BY_CONDITION[cc >> 1] as number,
        };
      }
      case 21: {
        const which = rnd.below(3);
        if (which === 0) return { bytes: [...p, 0x86 | w, ...this.#rm(this.#sized(size), size)] };
        if (which === 1) return { bytes: [...p, 0x0f, 0xc0 | w, ...this.#rm(this.#sized(size), size)], writes: ALL };
        return { bytes: [...this.#prefix(32), 0x0f, 0xc8 + this.#reg()] };
      }
      case 22: {
        const wide: Size = size === 8 ? 32 : size;
        const q = this.#prefix(wide);
        const which = rnd.below(4);
        if (which === 0) return { bytes: [...q, 0x50 + this.#source(wide)], moves: true };
        if (which === 1) return { bytes: [...q, 0x58 + this.#reg()], moves: true };
        if (which === 2) return { bytes: [...q, 0x6a, ...this.#imm(8)], moves: true };
        return { bytes: [...q, 0x9c], reads: ALL, moves: true };
      }
      case 23: {
        const which = rnd.below(5);
        if (which === 0) return { bytes: [0xf5], reads: CF, writes: CF };
        if (which === 1) return { bytes: [0xf8], writes: CF };
        if (which === 2) return { bytes: [0xf9], writes: CF };
        if (which === 3) return { bytes: [0x9f], reads: SF | ZF | AF | PF | CF };
        return { bytes: [0x9e], writes: SF | ZF | AF | PF | CF };
      }
      case 24: {
        const wide: Size = size === 8 ? 32 : size;
        const q = this.#prefix(wide);
        if (rnd.chance(50) || !this.#targets.includes(EDX)) return { bytes: [...q, 0x98] };
        return { bytes: [...q, 0x99] };
      }
      case 25: {
        const wide: Size = size === 8 ? 32 : size;
        const q = this.#prefix(wide);
        const op = 4 + rnd.below(4);
        return {
          bytes: [...q, 0x0f, 0xba, 0xc0 | (op << 3) | this.#reg(), rnd.below(40)],
          writes: CF,
          undefines: OF | SF | AF | PF,
        };
      }
      case 26: {
        // A call to the next instruction: the return address is on the stack.
        const near = this.cs16 ? [0xe8, 0, 0] : [0xe8, 0, 0, 0, 0];
        return { bytes: near, moves: true };
      }
      case 27: {
        // Indirect ways to the next instruction: PUSH and RET, a register, a call through memory.
        const wide = this.cs16 ? [0, 0] : [0, 0, 0, 0];
        const r = this.#reg();
        const way = rnd.below(3);
        if (way === 0) return { bytes: [0x68, ...wide, 0xc3], nextAt: 1 };
        if (way === 1) return { bytes: [0xb8 + r, ...wide, 0xff, 0xe0 + r], nextAt: 1 };
        const m = this.#memory(0);
        const call = [...m];
        call[0] = (m[0] as number) | 0x10;
        return { bytes: [0xc7, ...m, ...wide, 0xff, ...call], nextAt: 1 + m.length, moves: true };
      }
      case 28: {
        // String instructions, their pointers set up first.
        const point = (reg: number): number[] =>
          this.cs16 ? [0x8d, 0x40 | (reg << 3) | 7, rnd.below(256)] : [0x8d, 0x43 | (reg << 3), rnd.below(256)];
        if (!this.#targets.includes(ECX)) return { bytes: [...point(EDI), ...p, 0xaa | w] };
        const rep = rnd.chance(60) ? [0xb9, rnd.below(9), 0, ...(this.cs16 ? [] : [0, 0]), 0xf3] : [];
        if (rnd.chance(50)) return { bytes: [...point(EDI), ...rep, ...p, 0xaa | w] };
        return { bytes: [...point(ESI), ...point(EDI), ...rep, ...p, 0xa4 | w] };
      }
      case 29: {
        // CMPS, whose flags are those of a comparison.
        const point = (reg: number): number[] =>
          this.cs16 ? [0x8d, 0x40 | (reg << 3) | 7, rnd.below(256)] : [0x8d, 0x43 | (reg << 3), rnd.below(256)];
        return { bytes: [...point(ESI), ...point(EDI), ...p, 0xa6 | w], writes: ALL };
      }
      case 30:
        return { bytes: [0xeb, 0], skip: 1 + rnd.below(2) };
      default: {
        const cc = rnd.below(16);
        return { bytes: [0x70 | cc, 0], reads: READ_BY_CONDITION[cc >> 1] as number, skip: 1 + rnd.below(3) };
      }
    }
  }

  /** ModRM whose r/m operand is only read. */
  #rmSource(reg: number, size: Size): number[] {
    return this.#rnd.chance(40) ? this.#memory(reg) : [0xc0 | (reg << 3) | this.#source(size)];
  }

  #memoryOrByte(reg: number): number[] {
    return this.#rnd.chance(50) ? this.#memory(reg) : [0xc0 | (reg << 3) | this.#rnd.below(4)];
  }

  /** A division of anything by anything, or an access to a page that is not there or may not be written. */
  fault(): Step {
    const rnd = this.#rnd;
    if (rnd.chance(40)) {
      const size = this.#size();
      const bytes = [...this.#prefix(size), size === 8 ? 0xf6 : 0xf7, ...this.#rm(6 + rnd.below(2), size, 30)];
      return { bytes, undefines: ALL, faults: true };
    }
    const at = rnd.pick([DATA + 0x1fff, DATA + 0x2000, DATA - 2, RODATA + 8, DATA + 0x1ffe, 0x1000]);
    const op = rnd.pick([0x01, 0x03, 0x89, 0x8b, 0x87, 0x39]);
    const flags = op < 0x80 ? { writes: ALL } : {};
    return {
      bytes: [op, (this.#reg() << 3) | 5, at & 0xff, (at >> 8) & 0xff, (at >> 16) & 0xff, at >>> 24],
      faults: true,
      ...flags,
    };
  }

  /** A byte store whose address is filled in later. */
  store(): Step {
    const value = this.#rnd.value(8);
    return this.cs16
      ? { bytes: [0xc6, 0x06, 0, 0, value], storeAt: 2 }
      : { bytes: [0xc6, 0x05, 0, 0, 0, 0, value], storeAt: 2 };
  }
}

function aluFlags(op: number): { writes: number; undefines?: number } {
  return op === 1 || op === 4 || op === 6 ? { writes: ALL & ~AF, undefines: AF } : { writes: ALL };
}

/** Builds a program into `b.c`. */
export function buildSequence(b: Builder, form: Form): void {
  const { rnd, c } = b;
  const cs16 = form === STRAIGHT16 || form === LOOPS16;
  const loop = form === HOT || form === LOOPS || form === LOOPS16 || (form === MODIFYING && rnd.chance(40));
  c.reset();
  c.flags = CASE_SEQUENCE | CASE_INT3 | (form === HOT ? CASE_HOT : 0);
  const data = cs16 ? ldtSelector(2) : USER_DS;
  c.selectors.fill(data);
  c.selectors[CS] = cs16 ? ldtSelector(1) : USER_CS;
  const base = cs16 ? WORLD_BASE : 0;
  for (const s of [SS, DS, ES]) c.selectors[s] = data;
  for (let i = 0; i < 8; i++) c.regs[i] = rnd.value(32);
  c.eflags = 0x202 | (rnd.u32() & ALL);
  c.regs[EBX] = DATA + 0x1000 - base + rnd.below(64) - 32;
  b.form = form;
  c.regs[4] = 0x20008800 - base + 4 * rnd.below(16);
  const targets = [EAX, ECX, EDX, EBP, ESI, EDI].filter((r) => !(loop && r === ECX));
  const program = new Program(b, cs16, targets);

  const steps: Step[] = [];
  const merges: { at: number; undefined: number }[] = [];
  let unknown = loop ? ALL : 0;
  let unknownAtFault = 0;
  const length = form === HOT ? 2 + rnd.below(5) : 3 + rnd.below(11);
  let bytes = 0;
  while (steps.length < length && bytes < 150) {
    let s = program.step();
    // Hundreds of rounds would walk off the stack.
    if (form === HOT && s.moves) continue;
    if (form === MODIFYING && rnd.chance(45)) s = rnd.chance(50) ? program.store() : program.victim();
    if (form === FAULTING && rnd.chance(20)) s = program.fault();
    if ((s.reads ?? 0) & unknown) continue;
    for (const m of merges) if (m.at === steps.length) unknown |= m.undefined;
    if ((s.reads ?? 0) & unknown) continue;
    steps.push(s);
    if (s.faults) unknownAtFault |= unknown | (s.undefines ?? 0);
    bytes += s.bytes.length;
    if (s.skip) merges.push({ at: steps.length + s.skip, undefined: unknown });
    if (s.maybe) unknown |= s.undefines ?? 0;
    else unknown = (unknown & ~(s.writes ?? 0)) | (s.undefines ?? 0);
  }
  for (const m of merges) if (m.at >= steps.length) unknown |= m.undefined;

  const offsets: number[] = [];
  const head = loop
    ? [0xb9, ...(form === HOT ? [rnd.below(256), 2 + rnd.below(3)] : [1 + rnd.below(4), 0]), ...(cs16 ? [] : [0, 0])]
    : [];
  let at = head.length;
  for (const s of steps) {
    offsets.push(at);
    at += s.bytes.length;
  }
  offsets.push(at);
  c.address = CODE + 0x100 + rnd.below(CODE_SIZE - 0x300);
  c.eip = c.address - base;
  const code: number[] = [...head];
  steps.forEach((s, i) => {
    const out = [...s.bytes];
    if (s.skip) {
      const to = offsets[Math.min(i + 1 + s.skip, steps.length)] as number;
      out[out.length - 1] = to - (offsets[i + 1] as number);
    }
    if (s.storeAt !== undefined) {
      const later = steps.findIndex((t, k) => k > i && t.immediateAt !== undefined);
      const victim = steps[later];
      const address = victim
        ? c.eip + (offsets[later] as number) + (victim.immediateAt as number)
        : (DATA + 0x700 - base) >>> 0;
      for (let k = 0; k < (cs16 ? 2 : 4); k++) out[s.storeAt + k] = (address >>> (8 * k)) & 0xff;
    }
    if (s.nextAt !== undefined) {
      const next = c.eip + (offsets[i + 1] as number);
      for (let k = 0; k < (cs16 ? 2 : 4); k++) out[s.nextAt + k] = (next >>> (8 * k)) & 0xff;
    }
    code.push(...out);
  });
  if (loop) {
    const body = head.length;
    const useDec = rnd.chance(50);
    if (useDec) {
      // DEC ECX, in the operand size of the head.
      code.push(0x49, 0x75, (body - (code.length + 3)) & 0xff);
      unknown &= CF;
    } else {
      code.push(0xe2, (body - (code.length + 2)) & 0xff);
    }
    if (cs16) c.regs[ECX] = 0;
  }
  code.push(0x0f, 0x0b);
  c.code.push(...code);
  c.undefinedFlags = unknown | unknownAtFault;
}
