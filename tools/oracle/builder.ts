// Builds one case: registers, prefixes, opcode, ModRM and SIB, displacement, immediates and memory patches. Addresses
// are solved backwards: first where the access shall go, then registers that lead there, so that a case never touches
// anything outside the test world, whatever its registers hold.

import { CASE_INT3, CASE_NO_STEP, type TestCase } from "./format.ts";
import type { Form } from "./forms.ts";
import type { Random } from "./random.ts";
import {
  CODE,
  CODE_SIZE,
  CS,
  DATA,
  DATA_SIZE,
  DS,
  ES,
  FS,
  fillByte,
  GS,
  ldtSelector,
  REGIONS,
  RODATA,
  type Segment,
  SS,
  STACK,
  STACK_SIZE,
  segmentOf,
  USER_CS,
  USER_DS,
  WORLD_BASE,
} from "./world.ts";

export const EAX = 0;
export const ECX = 1;
export const EDX = 2;
export const EBX = 3;
export const ESP = 4;
export const EBP = 5;
export const ESI = 6;
export const EDI = 7;

const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
const L = ldtSelector;
const CODE32 = [USER_CS, USER_CS, USER_CS, USER_CS, USER_CS, USER_CS, USER_CS, L(8), L(9), L(15)] as const;
const CODE16 = [L(1), L(1), L(1), L(18)] as const;
const STACK_FOR_32 = [USER_DS, USER_DS, USER_DS, USER_DS, USER_DS, USER_DS, L(3), L(2), L(13), L(14)] as const;
const STACK_FOR_16 = [L(2), L(2), L(2), L(2), L(2), L(3), USER_DS, L(13), L(14)] as const;
const DATA_SEGMENTS = [L(2), L(3), L(4), L(5), L(6), L(7), L(8), L(16), L(17), L(2), L(3), 0, USER_DS] as const;

export interface MemoryOperand {
  /** Linear address that the access was aimed at. */
  readonly linear: number;
  readonly segment: number;
}

export class Builder {
  readonly rnd: Random;
  readonly c: TestCase;
  form!: Form;
  /** Registers whose value already means something. */
  pinned = 0;
  cs16 = false;
  address16 = false;
  override = -1;
  lock = false;
  /**
   * The encoding is #UD. How many of its bytes are fetched before that, and whether more than 15 are #GP first, is not
   * architectural, so it stays short and away from limits and page ends.
   */
  illegal = false;
  stackIsEasy = false;
  /** F2 or F3, or 0. */
  repeat = 0;
  /** Everything after the opcode. */
  readonly tail: number[] = [];
  #modrm = -1;
  #fixed66: boolean | undefined;

  constructor(rnd: Random, c: TestCase) {
    this.rnd = rnd;
    this.c = c;
  }

  get segments(): Uint16Array {
    return this.c.selectors;
  }

  segment(n: number): Segment {
    return segmentOf(this.c.selectors[n] as number);
  }

  /** Chooses segments, flags, random registers and a stack. */
  begin(form: Form): void {
    const { rnd, c } = this;
    c.reset();
    this.form = form;
    this.pinned = 1 << ESP;
    this.override = -1;
    this.lock = false;
    this.illegal = false;
    this.stackIsEasy = false;
    this.repeat = 0;
    this.tail.length = 0;
    this.#modrm = -1;
    const prefix = form.row.prefix;
    this.#fixed66 = prefix === "none" ? false : prefix === "66" ? true : undefined;
    this.cs16 =
      this.#fixed66 === undefined ? rnd.chance(30) : this.#fixed66 ? form.operandSize === 32 : form.operandSize === 16;
    // Mandatory-prefix rows without an operand size run in either kind of segment.
    const s = c.selectors;
    s[CS] = rnd.pick(this.cs16 ? CODE16 : CODE32);
    s[SS] = rnd.pick(this.cs16 ? STACK_FOR_16 : STACK_FOR_32);
    const usual = this.cs16 ? L(2) : USER_DS;
    s[DS] = rnd.chance(60) ? usual : rnd.pick(DATA_SEGMENTS);
    s[ES] = rnd.chance(60) ? usual : rnd.pick(DATA_SEGMENTS);
    s[FS] = rnd.pick(DATA_SEGMENTS);
    s[GS] = rnd.pick(DATA_SEGMENTS);
    for (let i = 0; i < 8; i++) c.regs[i] = rnd.value(32);
    c.eflags = 0x202 | (rnd.u32() & 0x8d5) | (rnd.chance(10) ? 0x400 : 0) | (rnd.chance(2) ? 0x40000 : 0);
    this.address16 = rnd.chance(12) ? !this.cs16 : this.cs16;
    this.stack(rnd.chance(84) ? 64 + 4 * rnd.below(STACK_SIZE / 4 - 32) : this.#oddStack());
  }

  #oddStack(): number {
    const { rnd } = this;
    const kind = rnd.below(6);
    if (kind < 3) return 64 + rnd.below(STACK_SIZE - 128);
    if (kind === 3) return rnd.below(40);
    if (kind === 4) return STACK_SIZE - rnd.below(40);
    return 0x800 + rnd.below(40) - 20;
  }

  /** Points ESP at a byte of the stack region (offset may leave it by a little). */
  stack(offset: number): void {
    const ss = this.segment(SS);
    let esp = (STACK + offset - ss.base) >>> 0;
    // Now and then where SP wraps.
    if (!ss.big && this.rnd.chance(2)) esp = this.rnd.below(10) & 0xffff;
    if (!ss.big && this.rnd.chance(60)) esp = ((this.rnd.u32() & 0xffff0000) | (esp & 0xffff)) >>> 0;
    this.c.regs[ESP] = esp;
  }

  /** A stack that takes pushes. */
  easyStack(): void {
    this.stackIsEasy = true;
    const segment = this.cs16 ? L(2) : USER_DS;
    this.segments[SS] = segment;
    this.c.regs[ESP] = (STACK + 0x400 + 4 * this.rnd.below(0x200) - segmentOf(segment).base) >>> 0;
  }

  /** Linear address of the top of the stack plus `offset`. */
  stackLinear(offset = 0): number {
    const ss = this.segment(SS);
    const sp = (this.c.regs[ESP] as number) + offset;
    return (ss.base + (ss.big ? sp : sp & 0xffff)) >>> 0;
  }

  reg(n: number): number {
    return this.c.regs[n] as number;
  }

  /** Sets a register for the rest of the case. */
  setReg(n: number, value: number): void {
    this.c.regs[n] = value >>> 0;
    this.pinned |= 1 << n;
  }

  /** Sets the low 8 bits (byte register numbering: 4..7 are AH..BH), 16 or 32 bits of a register. */
  setPart(n: number, bits: number, value: number): void {
    if (bits === 32) this.setReg(n, value);
    else if (bits === 16) this.setReg(n, (this.reg(n) & 0xffff0000) | (value & 0xffff));
    else if (n < 4) this.setReg(n, (this.reg(n) & 0xffffff00) | (value & 0xff));
    else this.setReg(n - 4, (this.reg(n - 4) & 0xffff00ff) | ((value & 0xff) << 8));
  }

  getPart(n: number, bits: number): number {
    if (bits === 32) return this.reg(n);
    if (bits === 16) return this.reg(n) & 0xffff;
    return n < 4 ? this.reg(n) & 0xff : (this.reg(n - 4) >>> 8) & 0xff;
  }

  isPinned(n: number): boolean {
    return (this.pinned & (1 << n)) !== 0;
  }

  // ---------------------------------------------------------------- memory contents

  /** True when [linear, linear + size) can be patched. */
  patchable(linear: number, size: number): boolean {
    for (const r of REGIONS)
      if (r.filled && r.address !== RODATA && linear >= r.address && linear + size <= r.address + r.size) return true;
    return false;
  }

  /** Puts bytes into memory before the instruction, where that is possible. */
  patch(linear: number, bytes: readonly number[]): boolean {
    if (!this.patchable(linear, bytes.length)) return false;
    this.c.patches.push({ address: linear, bytes });
    return true;
  }

  patchValue(linear: number, value: number, size: number): boolean {
    const bytes: number[] = [];
    for (let i = 0; i < size; i++) bytes.push((value >>> (8 * i)) & 0xff);
    return this.patch(linear, bytes);
  }

  /** Memory as the instruction will find it (up to 4 bytes). */
  peek(linear: number, size: number): number {
    let v = 0;
    for (let i = size - 1; i >= 0; i--) {
      const at = linear + i;
      let b = fillByte(at);
      for (const p of this.c.patches) {
        const k = at - p.address;
        if (k >= 0 && k < p.bytes.length) b = p.bytes[k] as number;
      }
      v = ((v << 8) | b) >>> 0;
    }
    return v;
  }

  // ---------------------------------------------------------------- targets

  /** Where a data access of `size` bytes shall go. */
  target(size: number): number {
    const { rnd } = this;
    const r = rnd.below(100);
    if (r < 40) return DATA + 4 * rnd.below(DATA_SIZE / 4 - 16);
    if (r < 68) return DATA + rnd.below(DATA_SIZE - 64);
    if (r < 78) return DATA + 0x1000 - rnd.below(size + 2);
    if (r < 83) return DATA + DATA_SIZE - rnd.below(size + 3);
    if (r < 86) return DATA - rnd.below(size + 2);
    if (r < 91) return RODATA + rnd.below(0x1000 - size);
    if (r < 93) return STACK + rnd.below(STACK_SIZE - size);
    // Limits of the small and the expand-down segments, and the end of 64 KiB.
    if (r < 95) return DATA + 0x1800 - rnd.below(size + 2);
    if (r < 96) return DATA + 0x800 - rnd.below(size + 2);
    if (r < 98) return WORLD_BASE + 0x10000 - rnd.below(size + 2);
    return WORLD_BASE + rnd.below(CODE - WORLD_BASE - 0x400);
  }

  /** Memory that can be read and written, with room in both directions. */
  easyTarget(): number {
    return DATA + 0x400 + this.rnd.below(DATA_SIZE - 0x800);
  }

  /** Gives a data segment register a segment that reaches all of the world. */
  easySegment(segment: number): void {
    this.segments[segment] = this.address16 || this.rnd.chance(40) ? L(2) : USER_DS;
  }

  /** An offset in the current code segment where a near branch may go; mostly bytes that trap. */
  codeTarget(): number {
    const { rnd } = this;
    const cs = this.segment(CS);
    if (rnd.chance(88)) return (CODE + rnd.below(CODE_SIZE - 8) - cs.base) >>> 0;
    return rnd.value(32);
  }

  /** True when a branch to `offset` in the code segment of `selector` meets an INT3 byte. */
  trapsAt(offset: number, selector = this.segments[CS] as number): boolean {
    const cs = segmentOf(selector);
    const linear = (cs.base + offset) >>> 0;
    if (linear >= this.c.address - 1 && linear < this.c.address + 16) return false;
    return linear >= CODE && linear < CODE + CODE_SIZE && offset >= cs.low && offset <= cs.high;
  }

  // ---------------------------------------------------------------- encoding

  immediate(value: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.tail.push((value >>> (8 * i)) & 0xff);
  }

  /** ModRM with a register operand. */
  modrmReg(reg: number, rm: number): void {
    this.#modrm = 0xc0 | (reg << 3) | rm;
  }

  /** Chooses an addressing form and registers for an access at `linear` (through the segment that the form implies). */
  modrmMemory(reg: number, linear: number): MemoryOperand {
    if (this.override < 0 && this.rnd.chance(15)) this.override = this.rnd.below(6);
    return this.address16 ? this.#memory16(reg, linear) : this.#memory32(reg, linear);
  }

  #offset(linear: number, segment: number): number {
    return (linear - this.segment(segment).base) >>> 0;
  }

  #memory16(reg: number, linear: number): MemoryOperand {
    const { rnd } = this;
    const rm = rnd.below(8);
    let mod = rnd.below(3);
    const direct = mod === 0 && rm === 6;
    const usesBp = rm === 2 || rm === 3 || (rm === 6 && !direct);
    const segment = this.override >= 0 ? this.override : usesBp ? SS : DS;
    const offset = this.#offset(linear, segment) & 0xffff;
    const bases = direct
      ? []
      : ([[EBX, ESI], [EBX, EDI], [EBP, ESI], [EBP, EDI], [ESI], [EDI], [EBP], [EBX]][rm] as number[]);
    const free = bases.find((b) => !this.isPinned(b));
    if (!direct && free === undefined) mod = 2;
    let disp = 0;
    if (mod === 1) disp = (rnd.value(8) << 24) >> 24;
    else if (mod === 2) disp = rnd.value(16);
    let sum = disp;
    for (const b of bases) if (b !== free) sum += this.reg(b);
    if (free !== undefined) this.setPart(free, 16, offset - sum);
    else disp += direct ? offset : offset - sum;
    for (const b of bases) this.pinned |= 1 << b;
    this.#modrm = (mod << 6) | (reg << 3) | rm;
    if (mod === 1) this.immediate(disp, 1);
    else if (mod === 2 || direct) this.immediate(disp, 2);
    return { linear, segment };
  }

  #memory32(reg: number, linear: number): MemoryOperand {
    const { rnd } = this;
    const form = rnd.below(8);
    if (form === 0) {
      const segment = this.override >= 0 ? this.override : DS;
      this.#modrm = (reg << 3) | 5;
      this.immediate(this.#offset(linear, segment), 4);
      return { linear, segment };
    }
    const sib = form >= 4;
    let base = rnd.below(8);
    if (!sib) while (base === ESP) base = rnd.below(8);
    let mod = rnd.below(3);
    const noBase = sib && mod === 0 && base === EBP;
    if (!sib && mod === 0 && base === EBP) mod = 1;
    const index = sib ? rnd.below(8) : ESP;
    const hasIndex = index !== ESP;
    const shift = sib ? rnd.below(4) : 0;
    const segment = this.override >= 0 ? this.override : !noBase && (base === ESP || base === EBP) ? SS : DS;
    let target = linear;
    let offset = this.#offset(linear, segment);
    // Sum of everything but the displacement has to be chosen, unless the displacement takes up the slack.
    const baseFree = !noBase && !this.isPinned(base);
    const indexFree = hasIndex && !this.isPinned(index);
    let disp = mod === 1 ? (rnd.value(8) << 24) >> 24 : mod === 2 ? rnd.value(32) | 0 : 0;
    const indexValue = () => (hasIndex ? Math.imul(this.reg(index), 1 << shift) : 0);
    if (noBase) {
      disp = (offset - indexValue()) | 0;
    } else if (baseFree && base !== index) {
      this.c.regs[base] = (offset - disp - indexValue()) >>> 0;
    } else if (baseFree) {
      const factor = 1 + (1 << shift);
      if (factor === 2) {
        if ((offset - disp) & 1) {
          if (mod === 0) {
            target = (target & ~1) >>> 0;
            offset = this.#offset(target, segment);
            if (offset & 1) offset = (offset + 1) >>> 0;
            target = (offset + this.segment(segment).base) >>> 0;
          } else {
            disp ^= 1;
          }
        }
        this.c.regs[base] = (((offset - disp) >>> 1) | (rnd.u32() & 0x80000000)) >>> 0;
      } else {
        // 1/3, 1/5 and 1/9 modulo 2^32
        const inverse = factor === 3 ? 0xaaaaaaab : factor === 5 ? 0xcccccccd : 0x38e38e39;
        this.c.regs[base] = Math.imul(offset - disp, inverse) >>> 0;
      }
    } else if (indexFree) {
      // The nearest address that the scale can reach; the index bits that the scale loses are free.
      const fixed = this.reg(base) + disp;
      const lost = shift === 0 ? 0 : (rnd.u32() << (32 - shift)) >>> 0;
      this.c.regs[index] = (((offset - fixed) >>> shift) | lost) >>> 0;
      target = (fixed + indexValue() + this.segment(segment).base) >>> 0;
    } else if (mod === 2) {
      disp = (offset - this.reg(base) - indexValue()) | 0;
    } else if (base === ESP && !hasIndex && segment === SS) {
      // The stack pointer decides where this goes.
      disp = mod === 0 ? 0 : disp & 0x3f;
      target = (this.segment(SS).base + this.reg(ESP) + disp) >>> 0;
    } else {
      mod = 2;
      disp = (offset - this.reg(base) - indexValue()) | 0;
    }
    if (!noBase) this.pinned |= 1 << base;
    if (hasIndex) this.pinned |= 1 << index;
    this.#modrm = (mod << 6) | (reg << 3) | (sib ? 4 : base);
    if (sib) this.tail.push((shift << 6) | (index << 3) | base);
    if (mod === 1) this.immediate(disp, 1);
    else if (mod === 2 || noBase) this.immediate(disp, 4);
    return { linear: target, segment };
  }

  /** An absolute offset of the address size in the instruction (MOV moffs). */
  moffs(linear: number): MemoryOperand {
    if (this.rnd.chance(25)) this.override = this.rnd.below(6);
    const segment = this.override >= 0 ? this.override : DS;
    this.immediate(this.#offset(linear, segment), this.address16 ? 2 : 4);
    return { linear, segment };
  }

  /** Sets an index register of a string instruction, in the address size. */
  pointReg(n: number, segment: number, linear: number): void {
    this.setPart(n, this.address16 ? 16 : 32, this.#offset(linear, segment));
  }

  get needs66(): boolean {
    return this.#fixed66 ?? (this.form.operandSize === 16) !== this.cs16;
  }

  /** The tail starts with whatever ModRM brought; call once, last. */
  encode(opcodeRegister: number): void {
    const { rnd, c, form } = this;
    const prefixes: number[] = [];
    if (this.needs66) prefixes.push(0x66);
    if (this.address16 !== this.cs16) prefixes.push(0x67);
    if (this.override >= 0) prefixes.push(SEGMENT_PREFIX[this.override] as number);
    if (this.lock) prefixes.push(0xf0);
    if (this.repeat) prefixes.push(this.repeat);
    if (form.row.prefix === "F3") prefixes.push(0xf3);
    else if (form.row.prefix === "F2") prefixes.push(0xf2);
    for (let i = prefixes.length - 1; i > 0; i--) {
      const k = rnd.below(i + 1);
      const t = prefixes[i] as number;
      prefixes[i] = prefixes[k] as number;
      prefixes[k] = t;
    }
    // A segment prefix before another one has no effect.
    if (rnd.chance(1)) prefixes.unshift(this.override >= 0 ? rnd.pick(SEGMENT_PREFIX) : 0);
    const code = c.code;
    for (const p of prefixes) if (p) code.push(p);
    const text = form.row.code;
    // More than 15 bytes are #GP(0), however they come about.
    if (!this.illegal && rnd.chance(0.6))
      this.#lengthen(prefixes.length + 1 + this.tail.length + text.split(" ").length);
    const bytes = text.replace("+", "").split(" ");
    for (const b of bytes) code.push(Number.parseInt(b, 16));
    if (text.endsWith("+")) (code[code.length - 1] as number) += opcodeRegister;
    if (this.#modrm >= 0) code.push(this.#modrm);
    for (const b of this.tail) code.push(b);
  }

  /** Repeats prefixes that the instruction has, or that change nothing, up to 14, 15 or 16 bytes. */
  #lengthen(length: number): void {
    const { rnd, c } = this;
    const wanted = 14 + rnd.below(3);
    const repeated = this.needs66 ? 0x66 : this.address16 !== this.cs16 ? 0x67 : 0;
    const segment = this.override >= 0 ? (SEGMENT_PREFIX[this.override] as number) : 0;
    const usable = repeated || segment;
    if (usable === 0) return;
    for (let n = length; n < wanted; n++) c.code.push(usable);
  }

  /** Chooses where the instruction lies, before branches are aimed. */
  place(): void {
    const { rnd, c } = this;
    const at = rnd.below(100);
    let offset = 0x100 + rnd.below(0xe00);
    if (at < 12 && !this.illegal) offset = 0x1000 - 1 - rnd.below(8);
    c.address = CODE + offset;
    c.eip = (c.address - this.segment(CS).base) >>> 0;
  }

  /** Moves the instruction so that it runs into the unmapped page behind the code. */
  placeAtEnd(): void {
    const { rnd, c } = this;
    const fit = rnd.below(c.code.length);
    c.address = CODE + CODE_SIZE - fit;
    c.eip = (c.address - this.segment(CS).base) >>> 0;
    c.code.length = fit;
  }

  /** Stops at INT3 bytes; without it by single step. */
  stopAtInt3(): void {
    this.c.flags |= CASE_INT3;
  }

  /** For instructions to which EFLAGS.TF makes a difference. */
  stopOnlyAtInt3(): void {
    this.c.flags |= CASE_INT3 | CASE_NO_STEP;
  }
}
