// Cases for a form: chooses operands for its notation (SDM 2D appendix A), lets shape.ts make them interesting, and
// encodes. The same form and seed always give the same case.
import { Builder } from "./builder.ts";
import type { TestCase } from "./format.ts";
import type { Form } from "./forms.ts";
import { hasModrm } from "./forms.ts";
import { hashText, Random } from "./random.ts";
import { buildSequence } from "./sequence.ts";
import {
  BRANCHES,
  NEEDS_INT3,
  NOT_RECORDED,
  type Placed,
  shapeAfter,
  shapeBefore,
  shapeFarImmediate,
  shapeImmediate,
  shapeRegisters,
} from "./shape.ts";
import { flagBits } from "./undefined.ts";
import { CODE } from "./world.ts";

/** True when the oracle can say what the form does. */
export function recordable(form: Form): boolean {
  const { row, operands, operandSize } = form;
  if (NOT_RECORDED[row.mnemonic] !== undefined) return false;
  // BSWAP of a 16-bit register is undefined (SDM 2A).
  if (row.mnemonic === "bswap" && operandSize === 16) return false;
  // Intel: a reserved NOP; AMD: #UD.
  if (row.mnemonic === "prefetchw" && form.rm === "reg") return false;
  return operands.every((o) => !/^[PQVWNU]/.test(o)) && ["hot", "int", "flow", "system"].includes(row.family);
}

function operandBits(operand: string, form: Form): number {
  switch (operand.slice(1)) {
    case "b":
      return 8;
    case "w":
      return 16;
    case "d":
      return 32;
    case "q":
      return 64;
    case "v":
    case "z":
      return form.operandSize;
    case "y":
      return 32;
    case "p":
      return form.operandSize + 16;
    case "a":
      return form.operandSize * 2;
    case "s":
      return 48;
    default:
      return 32;
  }
}

/** Builds one case into `b.c`. */
export function build(b: Builder, form: Form): void {
  const { rnd, c } = b;
  const { row, operands } = form;
  if (row.op === "SEQUENCE") {
    buildSequence(b, form);
    return;
  }
  b.begin(form);
  chooseLock(b);
  b.place();
  shapeBefore(b);
  const p: Placed = { linear: -1, segment: 0, rm: -1, reg: -1, bits: form.operandSize };
  if (row.code.endsWith("+")) p.rm = rnd.below(8);
  let immediate = 0;
  const modrm = hasModrm(row, operands);
  if (modrm) {
    const e = operands.find((o) => /^[EMRWQ]/.test(o));
    p.bits = e === undefined ? 32 : operandBits(e, form);
    p.reg = row.ext ?? rnd.below(8);
    if (form.rm === "reg") {
      p.rm = row.rm ?? rnd.below(8);
      shapeRegisters(b, p);
      b.modrmReg(p.reg, p.rm);
    } else {
      shapeRegisters(b, p);
      let wanted = row.mnemonic === "lea" ? rnd.value(32) : b.target(Math.max(1, p.bits / 8));
      // A bit offset reaches 4 KiB further, and nothing may write the code region.
      if (row.mnemonic.startsWith("bt") && wanted >= CODE - 0x1100) wanted = b.easyTarget();
      const m = b.modrmMemory(p.reg, wanted);
      p.linear = m.linear;
      p.segment = m.segment;
    }
  } else if (p.rm >= 0 && operands[0] === "Zb") {
    p.bits = 8;
  }
  const emit = (value: number, bytes: number): void => {
    immediate = value;
    b.immediate(value, bytes);
  };
  for (const o of operands) {
    if (o === "Ib" || o === "sIb") emit(shapeImmediate(b, o), 1);
    else if (o === "Iw") emit(shapeImmediate(b, o), 2);
    else if (o === "Iz" || o === "Iv") emit(shapeImmediate(b, o), form.operandSize / 8);
    else if (o === "Jb") emit(rnd.below(256), 1);
    else if (o === "Jz") emit(rnd.chance(85) ? rnd.below(0x1000) : rnd.value(32), form.operandSize / 8);
    else if (o === "Ob" || o === "Ov") {
      p.bits = o === "Ob" ? 8 : form.operandSize;
      p.linear = b.moffs(b.target(p.bits / 8)).linear;
    } else if (o === "Ap") shapeFarImmediate(b);
  }
  c.undefinedFlags = flagBits(row.undefinedFlags);
  shapeAfter(b, p, immediate);
  const relative = operands[0] === "Jb" || operands[0] === "Jz";
  b.encode(Math.max(p.rm, 0));
  if (relative) aim(b, operands[0] as string, form.operandSize);
  else if (NEEDS_INT3.has(row.mnemonic)) b.stopOnlyAtInt3();
  else if (!BRANCHES.has(row.mnemonic)) b.stopAtInt3();
  if (!b.illegal && rnd.chance(0.7)) {
    b.placeAtEnd();
    b.stopAtInt3();
  }
}

/** LOCK where it is allowed, and now and then where it is #UD. */
function chooseLock(b: Builder): void {
  const { row, operands, rm } = b.form;
  const allowed = row.lock === true && rm === "mem";
  // AMD: LOCK MOV CR0 means CR8, and LOCK VERR and VERW are let through.
  const strange =
    /^[CD]d$/.test(operands[0] ?? "") || /^[CD]d$/.test(operands[1] ?? "") || row.mnemonic.startsWith("ver");
  if (allowed) b.lock = b.rnd.chance(14);
  else if (!strange) b.lock = b.rnd.chance(1.5);
  b.illegal = row.op === "UD" || row.mnemonic === "(invalid)" || (b.lock && !allowed);
}

/** A relative branch: single step when a target does not trap. */
function aim(b: Builder, operand: string, operandSize: number): void {
  const { c } = b;
  const n = operand === "Jb" ? 1 : operandSize / 8;
  let d = 0;
  for (let i = n - 1; i >= 0; i--) d = (d << 8) | (c.code[c.code.length - n + i] as number);
  if (n === 1) d = (d << 24) >> 24;
  else if (n === 2) d = (d << 16) >> 16;
  const next = (c.eip + c.code.length) >>> 0;
  const target = ((next + d) & (operandSize === 16 ? 0xffff : 0xffffffff)) >>> 0;
  if (b.trapsAt(target)) b.stopAtInt3();
}

/** Deterministic cases of one form. */
export class Generator {
  readonly #builder: Builder;

  constructor(
    form: Form,
    seed: number,
    readonly testCase: TestCase,
  ) {
    this.#builder = new Builder(new Random(hashText(form.key), seed), testCase);
    this.form = form;
  }

  readonly form: Form;

  next(): TestCase {
    build(this.#builder, this.form);
    return this.testCase;
  }
}
