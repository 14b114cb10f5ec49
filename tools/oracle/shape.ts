// What single instructions need to be interesting: counts, divisors, stack contents, selectors, branch targets.
// A shaper runs before operands are encoded (`before`: registers, stack contents) or after them (`after`: values that
// depend on where the operand ended up, undefined results).
import { type Builder, EAX, EBP, EBX, ECX, EDI, EDX, ESI, ESP } from "./builder.ts";
import { CASE_ANY_FAULT_ADDRESS, CASE_REPEAT, CASE_UNDEFINED_ON_FAULT } from "./format.ts";
import { undefinedAfterShift } from "./undefined.ts";
import {
  CODE,
  CS,
  DS,
  ES,
  KERNEL_DS,
  ldtSelector,
  SS,
  STACK,
  STACK_SIZE,
  USER_CS,
  USER_DS,
  WORLD_BASE,
} from "./world.ts";

export interface Placed {
  /** Linear address of the memory operand, or -1. */
  linear: number;
  /** Segment number of the memory operand. */
  segment: number;
  /** ModRM.rm of a register form, or the register of the opcode, or -1. */
  rm: number;
  /** ModRM.reg. */
  reg: number;
  /** Bits of the E operand. */
  bits: number;
}

const L = ldtSelector;
/** Selectors that instructions load. Nothing that could enter 64-bit code. */
const SELECTORS = [
  0,
  0,
  1,
  3,
  USER_DS,
  USER_DS,
  USER_CS,
  L(1),
  L(2),
  L(2),
  L(3),
  L(3),
  L(4),
  L(5),
  L(6),
  L(7),
  L(8),
  L(9),
  L(10),
  L(11),
  L(12),
  L(13),
  L(14),
  L(16),
  L(17),
  L(2) & ~3,
  (L(3) & ~3) | 1,
  L(19),
  L(40),
  L(0x1fff),
  KERNEL_DS,
  KERNEL_DS | 3,
  USER_DS & ~3,
] as const;
const STACK_SELECTORS = [USER_DS, L(2), L(3), L(13), L(14), L(7), L(11), L(8), 0, L(2) & ~3, KERNEL_DS, L(16)] as const;
const CODE_SELECTORS = [
  USER_CS,
  USER_CS,
  USER_CS,
  L(1),
  L(1),
  L(8),
  L(8),
  L(9),
  L(15),
  L(18),
  L(10),
  L(12),
  L(2),
  0,
  2,
  L(8) & ~3,
  (L(8) & ~3) | 1,
  USER_CS & ~3,
  L(19),
  KERNEL_DS,
] as const;

function shiftCount(b: Builder): number {
  const { rnd } = b;
  return rnd.chance(75)
    ? rnd.below(34)
    : rnd.chance(50)
      ? rnd.pick([1, 7, 8, 15, 16, 31, 32, 33, 0x80, 0xff])
      : rnd.below(256);
}

/** Bits of the accumulator of an E operand. */
const size = (b: Builder): number => (b.form.operands[0]?.endsWith("b") ? 8 : b.form.operandSize);

/** A value for the byte or word at the top of the stack, if it lies in memory that may be changed. */
function push(b: Builder, values: readonly number[], bytes: number): void {
  let at = b.stackLinear();
  for (const v of values) {
    b.patchValue(at, v, bytes);
    at += bytes;
  }
}

/** Aims ESP so that at least `bytes` can be popped, most of the time. */
function roomToPop(b: Builder, bytes: number): void {
  if (b.rnd.chance(85)) b.stack(64 + 4 * b.rnd.below((STACK_SIZE - 128 - bytes) / 4));
}

function ebpOnStack(b: Builder): void {
  const { rnd } = b;
  const ss = b.segment(SS);
  const at = rnd.chance(85)
    ? 64 + rnd.below(STACK_SIZE - 128)
    : rnd.chance(50)
      ? rnd.below(20)
      : STACK_SIZE - rnd.below(12);
  let ebp = (STACK + at - ss.base) >>> 0;
  if (!ss.big && rnd.chance(60)) ebp = ((rnd.u32() & 0xffff0000) | (ebp & 0xffff)) >>> 0;
  b.setReg(EBP, ebp);
}

/** Where some pushes leave the segment and others the mapped pages, the order of the pushes would show. */
function noWrap(b: Builder): void {
  if (!b.segment(SS).big && (b.reg(ESP) & 0xffff) < 64) b.easyStack();
}

type Shaper = (b: Builder) => void;

function divide(b: Builder): void {
  const { rnd } = b;
  const bits = size(b);
  const kind = rnd.below(10);
  const high = bits === 8 ? 4 : EDX;
  if (kind < 4) b.setPart(high, bits, 0);
  else if (kind < 7) b.setPart(high, bits, b.getPart(EAX, bits) >>> (bits - 1) ? 0xffffffff : 0);
  else if (kind === 7) b.setPart(high, bits, rnd.below(20));
  else if (kind === 8) b.setPart(high, bits, 0xffffffff - rnd.below(4));
}

function countInCl(b: Builder): void {
  b.setPart(1, 8, shiftCount(b));
}

function loop(b: Builder): void {
  b.setPart(ECX, b.address16 ? 16 : 32, b.rnd.pick([0, 1, 1, 2, 2, 3, 0xffff, 0x10000, 0x80000000]));
}

function string(b: Builder): void {
  const { rnd, form, c } = b;
  const m = form.row.mnemonic;
  const bytes = m.endsWith("b") ? 1 : form.operandSize / 8;
  const compares = m.startsWith("cmps") || m.startsWith("scas");
  const source = form.operands.some((o) => o.startsWith("X"));
  const destination = form.operands.some((o) => o.startsWith("Y"));
  if (rnd.chance(45)) c.eflags |= 0x400;
  let count = 1;
  if (rnd.chance(65)) {
    b.repeat = compares && rnd.chance(45) ? 0xf2 : 0xf3;
    c.flags |= CASE_REPEAT;
    count = rnd.chance(90) ? rnd.below(9) : rnd.below(48);
    // With a count of 0, INS and OUTS check the I/O permission on AMD and do nothing by the SDM.
    if (count === 0 && form.operands.includes("DX")) count = 1;
    b.setPart(ECX, b.address16 ? 16 : 32, count);
  }
  if (source && rnd.chance(25)) b.override = rnd.below(6);
  let from = b.target(bytes);
  // Overlapping moves now and then.
  let to = source && rnd.chance(15) ? from + rnd.below(9) - 4 : b.target(bytes);
  if (compares && source) {
    // When both operands of CMPS fault, the SDM does not say which comes first.
    c.eflags &= ~0x40000;
    if (rnd.chance(50)) {
      from = b.easyTarget();
      b.override = -1;
      b.easySegment(DS);
    } else {
      to = b.easyTarget();
      b.easySegment(ES);
    }
  }
  if (source) b.pointReg(ESI, b.override >= 0 ? b.override : DS, from);
  if (destination) b.pointReg(EDI, ES, to);
  if (compares) {
    const same = rnd.below(Math.min(count, 12) + 1) * bytes;
    const pattern: number[] = [];
    for (let i = 0; i < same; i++) pattern.push(source ? rnd.u32() & 0xff : (b.reg(EAX) >>> (8 * (i % bytes))) & 0xff);
    const down = c.eflags & 0x400;
    if (same) {
      if (source) b.patch(down ? from + bytes - same : from, pattern);
      b.patch(down ? to + bytes - same : to, pattern);
    }
    if (rnd.chance(40)) b.patchValue(to, rnd.value(32), bytes);
  }
}

function offsetAndSelector(b: Builder, selectors: readonly number[]): { offset: number; selector: number } {
  return { selector: b.rnd.pick(selectors), offset: b.rnd.value(32) };
}

/** A far target: any offset when the selector is refused, bytes that trap when it is not. */
function farTarget(b: Builder): { offset: number; selector: number } {
  const { rnd } = b;
  const selector = rnd.pick(CODE_SELECTORS);
  const flat = selector >> 2 === USER_CS >> 2;
  // Never the instruction itself: it would run again.
  const inCode = (range: number): number => {
    const k = rnd.below(range);
    return (flat ? CODE : CODE - WORLD_BASE) + (Math.abs(CODE + k - b.c.address) < 20 ? k + 64 : k);
  };
  // A target beyond the limit while the stack has no room: by the SDM #GP comes first, on AMD the push does.
  if (b.form.row.mnemonic === "callf" && !b.stackIsEasy) {
    return { offset: inCode(0xf00), selector };
  }
  const offset = rnd.chance(85) ? inCode(0x1f00) : rnd.value(32);
  return { offset, selector };
}

function stopForFar(b: Builder, target: { offset: number; selector: number }): void {
  const offset = b.form.operandSize === 16 ? target.offset & 0xffff : target.offset;
  const known = [USER_CS, L(1), L(8), L(9), L(15), L(18)].includes(target.selector | 3);
  if (!known || b.trapsAt(offset, target.selector | 3)) b.stopAtInt3();
}

/** AMD reads the stack of the outer level before it refuses a selector with another RPL: let that be there. */
function farStack(b: Builder, selector: number): void {
  b.c.flags |= CASE_ANY_FAULT_ADDRESS;
  if ((selector & 3) !== 3 || b.rnd.chance(70)) b.stack(64 + 4 * b.rnd.below(0x600 / 4));
}

function farReturn(b: Builder): void {
  const t = farTarget(b);
  const bytes = b.form.operandSize / 8;
  farStack(b, t.selector);
  push(b, [t.offset, t.selector | (b.rnd.u32() << 16)], bytes);
  stopForFar(b, t);
}

function popFlags(b: Builder): void {
  // Every bit but the ones that would stop the harness from getting control back.
  roomToPop(b, 8);
  push(b, [b.rnd.u32() & 0x003f_fed7], b.form.operandSize / 8);
}

function popSelector(b: Builder, selectors: readonly number[]): void {
  roomToPop(b, 8);
  push(b, [b.rnd.pick(selectors) | (b.rnd.u32() << 16)], b.form.operandSize / 8);
}

const before: Record<string, Shaper> = {
  div: divide,
  idiv: divide,
  loop,
  loope: loop,
  loopne: loop,
  jcxz: loop,
  movsb: string,
  movs: string,
  cmpsb: string,
  cmps: string,
  stosb: string,
  stos: string,
  lodsb: string,
  lods: string,
  scasb: string,
  scas: string,
  insb: string,
  ins: string,
  outsb: string,
  outs: string,
  xlat: (b) => {
    const linear = b.target(1);
    if (b.rnd.chance(25)) b.override = b.rnd.below(6);
    const al = b.reg(EAX) & 0xff;
    b.pointReg(EBX, b.override >= 0 ? b.override : DS, linear - al);
  },
  enter: (b) => {
    noWrap(b);
    ebpOnStack(b);
  },
  leave: ebpOnStack,
  ret: (b) => {
    roomToPop(b, 8);
    const offset = b.codeTarget();
    push(b, [offset], b.form.operandSize / 8);
    if (b.trapsAt(b.form.operandSize === 16 ? offset & 0xffff : offset)) b.stopAtInt3();
  },
  retf: farReturn,
  iret: (b) => {
    const t = farTarget(b);
    farStack(b, t.selector);
    push(b, [t.offset, t.selector | (b.rnd.u32() << 16), b.rnd.u32() & 0x003f_fed7], b.form.operandSize / 8);
    stopForFar(b, t);
  },
  popf: popFlags,
  pop: (b) => {
    const operand = b.form.operands[0] as string;
    if (/^[A-Z]S$/.test(operand)) {
      popSelector(b, operand === "SS" ? STACK_SELECTORS : SELECTORS);
      if (operand === "SS") b.stopOnlyAtInt3();
      return;
    }
    roomToPop(b, 4);
    if (b.rnd.chance(50)) b.patchValue(b.stackLinear(), b.rnd.value(32), 4);
  },
  pusha: noWrap,
  popa: (b) => {
    roomToPop(b, 32);
    // A fault may come after some registers are loaded; ESP is what makes it restartable.
    b.c.undefinedRegs = 0xff & ~(1 << ESP);
    b.c.flags |= CASE_UNDEFINED_ON_FAULT | CASE_ANY_FAULT_ADDRESS;
  },
  callf: (b) => {
    if (b.rnd.chance(60)) b.easyStack();
    else noWrap(b);
  },
  call: (b) => {
    // A target beyond the limit and a full stack at once: #GP first by the SDM, #SS first on AMD.
    if (b.segment(CS).high !== 0xffffffff) b.easyStack();
  },
  into: (b) => {
    if (b.rnd.chance(50)) b.c.eflags |= 0x800;
  },
};

/** Runs the shaper of the form's mnemonic, before operands are chosen. */
export function shapeBefore(b: Builder): void {
  const { operands, row } = b.form;
  before[row.mnemonic]?.(b);
  if (operands.includes("CL")) countInCl(b);
}

/** The immediate operand of the current instruction. */
export function shapeImmediate(b: Builder, operand: string): number {
  const { rnd, form } = b;
  switch (form.row.mnemonic) {
    case "rol":
    case "ror":
    case "rcl":
    case "rcr":
    case "shl":
    case "shr":
    case "sal":
    case "sar":
    case "shld":
    case "shrd":
      return shiftCount(b);
    case "enter":
      if (operand === "Iw") return rnd.chance(85) ? rnd.below(0x180) : rnd.value(16);
      return rnd.chance(80) ? rnd.below(5) : rnd.below(256);
    case "int": {
      // Not the system call of Linux, and not those that CPL 3 may call: they are delivered.
      const n = rnd.below(256);
      return n === 0x80 || n === 3 || n === 4 ? 0x81 : n;
    }
    case "retf":
      // AMD touches the stack behind the parameters before it looks at the selector.
      return 4 * rnd.below(32);
    case "ret":
      return rnd.chance(80) ? rnd.below(64) : rnd.value(16);
    default:
      return rnd.value(operand === "Iw" ? 16 : operand.endsWith("b") ? 8 : form.operandSize);
  }
}

/** Registers of a register form before encoding: selectors, bit offsets, branch targets. */
export function shapeRegisters(b: Builder, p: Placed): void {
  const { rnd, form } = b;
  switch (form.row.mnemonic) {
    case "bt":
    case "bts":
    case "btr":
    case "btc":
      if (form.operands[1] === "Gv" && form.rm === "mem") {
        // The bit offset moves the access; small enough to stay in the world.
        const range = form.operandSize === 16 ? 0x8000 : 0x10000;
        if (p.reg === ESP) p.reg = EDI;
        b.setPart(p.reg, form.operandSize, rnd.below(range) - range / 2);
      }
      return;
    case "lar":
    case "lsl":
      if (p.rm >= 0) b.setPart(p.rm, 16, rnd.pick(SELECTORS));
      return;
    case "verr":
    case "verw":
      if (p.rm >= 0) b.setPart(p.rm, 16, rnd.pick(SELECTORS));
      return;
    case "mov":
      if (form.operands[0] === "Sw" && p.rm >= 0)
        b.setPart(p.rm, 16, rnd.pick(p.reg === SS ? STACK_SELECTORS : SELECTORS));
      return;
    case "bound":
      return;
    case "call":
    case "jmp":
      if (p.rm >= 0 && p.rm !== ESP && form.operands[0]?.startsWith("E")) {
        b.setPart(p.rm, form.operandSize, b.codeTarget());
      }
      return;
  }
}

function patchEqual(b: Builder, p: Placed, bytes: number): void {
  if (p.linear >= 0) b.patchValue(p.linear, b.getPart(EAX, bytes * 8), bytes);
  else if (!b.isPinned(p.rm & (bytes === 1 ? 3 : 7))) b.setPart(p.rm, bytes * 8, b.getPart(EAX, bytes * 8));
}

/** An instruction that pushes more than once: a fault may leave some of it below ESP, at whichever push comes first. */
function halfPushed(b: Builder, bytes: number): void {
  b.c.undefine(b.stackLinear(-bytes), bytes);
  b.c.flags |= CASE_UNDEFINED_ON_FAULT | CASE_ANY_FAULT_ADDRESS;
}

/** Contents of the operands once they have their places, how the case stops, and what it leaves undefined. */
export function shapeAfter(b: Builder, p: Placed, immediate: number): void {
  const { rnd, form, c } = b;
  const bytes = p.bits / 8;
  const m = form.row.mnemonic;
  if (p.linear >= 0 && rnd.chance(75)) {
    if (bytes <= 4) b.patchValue(p.linear, rnd.value(p.bits), bytes);
    else {
      b.patchValue(p.linear, rnd.value(32), 4);
      b.patchValue(p.linear + 4, rnd.value(32), bytes - 4);
    }
  }
  const value = (): number => (p.linear >= 0 ? b.peek(p.linear, bytes) : b.getPart(p.rm, p.bits));
  switch (m) {
    case "rol":
    case "ror":
    case "rcl":
    case "rcr":
    case "shl":
    case "shr":
    case "sal":
    case "sar":
    case "shld":
    case "shrd": {
      const count = form.operands.includes("CL") ? b.reg(ECX) & 0xff : form.operands.includes("1") ? 1 : immediate;
      c.undefinedFlags = undefinedAfterShift(m, count, p.bits);
      if (m.length === 4 && m !== "sal" && (count & 31) > p.bits) {
        // SHLD and SHRD by more than the operand size: the destination is undefined too.
        if (p.linear >= 0) c.undefine(p.linear, bytes);
        else c.undefinedRegs |= 1 << p.rm;
      }
      return;
    }
    case "bsf":
    case "bsr":
      if (value() === 0) c.undefinedRegs |= 1 << p.reg;
      return;
    case "cmpxchg":
      if (rnd.chance(50)) patchEqual(b, p, bytes);
      return;
    case "cmpxchg8b":
      if (rnd.chance(50)) {
        b.patchValue(p.linear, b.reg(EAX), 4);
        b.patchValue(p.linear + 4, b.reg(EDX), 4);
      }
      return;
    case "bound": {
      const v = b.getPart(p.reg, form.operandSize);
      const n = form.operandSize / 8;
      if (rnd.chance(80)) {
        b.patchValue(p.linear, v - rnd.below(4) + 1, n);
        b.patchValue(p.linear + n, v + rnd.below(4) - 1, n);
      }
      return;
    }
    case "les":
    case "lds":
    case "lss":
    case "lfs":
    case "lgs": {
      const t = offsetAndSelector(b, m === "lss" ? STACK_SELECTORS : SELECTORS);
      const n = form.operandSize / 8;
      // What cannot be patched must still not be an arbitrary selector: it may name 64-bit code, but as data.
      b.patchValue(p.linear, t.offset, n);
      b.patchValue(p.linear + n, t.selector, 2);
      if (m === "lss") b.stopOnlyAtInt3();
      return;
    }
    case "lar":
    case "lsl":
    case "verr":
    case "verw":
      if (p.linear >= 0 && rnd.chance(95)) b.patchValue(p.linear, rnd.pick(SELECTORS), 2);
      return;
    case "mov":
      if (form.operands[0] === "Sw") {
        if (p.linear >= 0) b.patchValue(p.linear, rnd.pick(p.reg === SS ? STACK_SELECTORS : SELECTORS), 2);
        if (p.reg === SS) b.stopOnlyAtInt3();
      }
      return;
    case "push":
      // A 32-bit push of a segment register either zero-extends or leaves the upper half alone (SDM 2B, PUSH).
      if (/^[A-Z]S$/.test(form.operands[0] as string) && form.operandSize === 32) {
        c.undefine(b.stackLinear(-2), 2);
        // So its alignment is either that of two bytes or of four.
        c.eflags &= ~0x40000;
      }
      return;
    case "call":
    case "jmp": {
      if (m === "call") halfPushed(b, 4);
      if (!form.operands[0]?.startsWith("E")) return;
      if (p.linear >= 0) b.patchValue(p.linear, b.codeTarget(), bytes);
      if (b.trapsAt(value())) b.stopAtInt3();
      return;
    }
    case "enter":
    case "pusha":
      halfPushed(b, m === "pusha" ? 32 : 128);
      return;
    case "callf":
    case "jmpf": {
      if (m === "callf") halfPushed(b, 8);
      if (p.linear < 0) return;
      const t = farTarget(b);
      const n = form.operandSize / 8;
      if (b.patchValue(p.linear, t.offset, n) && b.patchValue(p.linear + n, t.selector, 2)) stopForFar(b, t);
      return;
    }
  }
}

/** Far pointer in the instruction. */
export function shapeFarImmediate(b: Builder): void {
  const t = farTarget(b);
  b.immediate(t.offset, b.form.operandSize / 8);
  b.immediate(t.selector, 2);
  stopForFar(b, t);
}

/** Mnemonics whose case cannot stop by single step: TF would be seen, changed or held off. */
export const NEEDS_INT3 = new Set(["pushf", "popf", "iret"]);
/** Mnemonics that leave for an address which is not the next instruction. */
export const BRANCHES = new Set(["call", "jmp", "ret", "retf", "iret", "callf", "jmpf", "int", "int3", "into"]);

/**
 * Instructions whose result belongs to the machine rather than to the case, or that Linux answers in the CPU's
 * place: they have their own tests.
 */
export const NOT_RECORDED: Record<string, string> = {
  int1: "the hypervisor of the recording machine gives its own EIP",
  cpuid: "the CPU model's own answer",
  rdtsc: "time",
  rdtscp: "time",
  rdpmc: "time",
  sgdt: "UMIP: emulated by the kernel",
  sidt: "UMIP: emulated by the kernel",
  sldt: "UMIP: emulated by the kernel",
  str: "UMIP: emulated by the kernel",
  smsw: "UMIP: emulated by the kernel",
  sysenter: "enters the kernel",
  syscall: "enters the kernel",
  vmcall: "leaves for the hypervisor",
  vmmcall: "leaves for the hypervisor",
  monitor: "depends on the hypervisor",
  mwait: "depends on the hypervisor",
};
