// Random machine code: raw bytes, instructions from the opcode table, and pieces of real code with flipped bits.
import { readFileSync } from "node:fs";
import type { OpcodeRow } from "../../../spec/opcodes/row.ts";
import { allRows } from "../../../spec/opcodes/table.ts";
import type { Random } from "../../../tools/oracle/random.ts";

/** Where a generated program may point its operands and branches. */
export interface ProgramSpace {
  readonly codeLinear: number;
  readonly codeBytes: number;
  /** Addresses worth an access: ends of pages, slots and the address space, tables, device memory. */
  readonly addresses: readonly number[];
  readonly selectors: readonly number[];
  readonly use32: boolean;
}

const MODRM = /^[EGMVWPQUNRCDS](?![ISX]$)|^Sw$/;
const rom = (path: string): Buffer => readFileSync(new URL(`../../../roms/${path}`, import.meta.url));
const REAL_CODE = [rom("hello/hello.bin"), rom("system/exceptions.bin")];

const usesModrm = (row: OpcodeRow): boolean =>
  row.ext !== undefined ||
  row.operands.split(",").some((o) => MODRM.test(o) && !["ES", "CS", "SS", "DS", "FS", "GS", "DX"].includes(o));

/** Rows by family, so that the many SSE forms do not crowd out the rest. */
const BY_FAMILY = new Map<string, OpcodeRow[]>();
for (const row of allRows) BY_FAMILY.set(row.family, [...(BY_FAMILY.get(row.family) ?? []), row]);
const WEIGHTED = [
  "int",
  "int",
  "int",
  "int",
  "flow",
  "flow",
  "flow",
  "system",
  "system",
  "x87",
  "mmx",
  "sse",
  "sse2",
  "sse4",
];

class Code {
  readonly out: number[] = [];
  u8(...v: number[]): this {
    for (const b of v) this.out.push(b & 0xff);
    return this;
  }
  u16(v: number): this {
    return this.u8(v, v >>> 8);
  }
  u32(v: number): this {
    return this.u8(v, v >>> 8, v >>> 16, v >>> 24);
  }
}

/** One instruction of the table with random operands and prefixes. */
export function instruction(r: Random, space: ProgramSpace): number[] {
  const family = r.pick(WEIGHTED);
  const rows = BY_FAMILY.get(family) ?? allRows;
  return encode(r, r.pick(rows), space);
}

function encode(r: Random, row: OpcodeRow, space: ProgramSpace): number[] {
  const c = new Code();
  const op16 = r.chance(12);
  const addr16 = r.chance(6);
  if (op16 && row.prefix === undefined) c.u8(0x66);
  if (addr16) c.u8(0x67);
  if (r.chance(8)) c.u8(r.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
  if (r.chance(3) || (row.lock && r.chance(15))) c.u8(0xf0);
  const string = /^(movs|cmps|stos|lods|scas|ins|outs)/.test(row.mnemonic);
  if (r.chance(string ? 50 : 2)) c.u8(r.pick([0xf2, 0xf3]));
  if (row.prefix !== undefined && row.prefix !== "none") c.u8(Number.parseInt(row.prefix, 16));
  const bytes = row.code
    .replace("+", "")
    .split(" ")
    .map((b) => Number.parseInt(b, 16));
  if (row.code.endsWith("+")) bytes[bytes.length - 1] = (bytes.at(-1) as number) + r.below(8);
  c.u8(...bytes);
  const word = space.use32 !== (op16 && row.prefix === undefined);
  const address32 = space.use32 !== addr16;
  if (usesModrm(row)) modrm(r, c, row, space, address32);
  for (const operand of row.operands.split(",")) {
    if (operand === "Ib" || operand === "sIb" || operand === "Jb")
      c.u8(operand === "Jb" && r.chance(70) ? r.below(48) - 24 : r.value(8));
    else if (operand === "Iw") c.u16(r.chance(70) ? r.below(32) : r.value(16));
    else if (operand === "Iz") word ? c.u32(immediate(r, space)) : c.u16(r.value(16));
    else if (operand === "Jz") {
      const target = r.chance(85) ? r.below(200) - 100 : r.value(32);
      word ? c.u32(target) : c.u16(target);
    } else if (operand === "Ob" || operand === "Ov") address32 ? c.u32(r.pick(space.addresses)) : c.u16(r.u32());
    else if (operand === "Ap") {
      const target = space.codeLinear + r.below(space.codeBytes);
      (word ? c.u32(target) : c.u16(target)).u16(r.pick(space.selectors));
    }
  }
  return c.out;
}

function immediate(r: Random, space: ProgramSpace): number {
  return r.chance(25) ? r.pick(space.addresses) : r.value(32);
}

function modrm(r: Random, c: Code, row: OpcodeRow, space: ProgramSpace, address32: boolean): void {
  const reg = row.ext ?? r.below(8);
  const memory = row.mod === "mem" || (row.mod !== "reg" && r.chance(60));
  if (!memory) {
    c.u8(0xc0 | (reg << 3) | (row.rm ?? r.below(8)));
    return;
  }
  if (!address32) {
    const mod = r.below(3);
    const rm = r.below(8);
    c.u8((mod << 6) | (reg << 3) | rm);
    if (mod === 1) c.u8(r.u32());
    else if (mod === 2 || rm === 6) c.u16(r.chance(60) ? space.codeLinear + r.below(space.codeBytes) : r.u32());
    return;
  }
  const kind = r.below(10);
  if (kind < 3) {
    c.u8((reg << 3) | 5).u32(r.pick(space.addresses) + r.below(9) - 4);
    return;
  }
  const mod = r.pick([0, 1, 1, 2]);
  const rm = r.below(8);
  c.u8((mod << 6) | (reg << 3) | rm);
  let base = rm;
  if (rm === 4) {
    const sib = r.u32() & 0xff;
    c.u8(sib);
    base = sib & 7;
  }
  if (mod === 1) c.u8(r.u32());
  else if (mod === 2 || (mod === 0 && base === 5))
    c.u32(mod === 2 && r.chance(80) ? r.below(512) - 256 : immediate(r, space));
}

const PORTS = [
  0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x4d0, 0x4d1, 0x92, 0x60, 0x64, 0x70, 0x71, 0x3f8, 0xcf8, 0xcfc,
  0x80, 0xf4,
];
const MSRS = [
  0x10, 0x1b, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x200, 0x20f, 0x250, 0x268, 0x277, 0x2ff, 0x6e0,
  0xc0000080, 0xc0000103, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x12345,
];
const APIC = [
  0x20, 0x30, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x390,
  0x3e0,
];

/** The idiom that whole programs are made of, too. */
const USER_PAGES = 14;

/** A few instructions that belong together: device programming, system registers, string I/O, loops. */
function idiom(r: Random, space: ProgramSpace, kind = r.below(18)): number[] {
  const c = new Code();
  const imm = (v: number): Code => (space.use32 ? c.u32(v) : c.u16(v));
  const imm32 = (reg: number, v: number): Code => (space.use32 ? c : c.u8(0x66)).u8(0xb8 + reg).u32(v);
  switch (kind) {
    case 0: {
      // PIC: ICW1..4 with random values, then masks
      const base = r.pick([0x20, 0xa0]);
      c.u8(0xb0, 0x10 | r.below(32), 0xe6, base);
      for (let i = 0; i < 3; i++) c.u8(0xb0, r.u32(), 0xe6, base + 1);
      return c.u8(0xb0, r.u32(), 0xe6, base + 1, 0xfb).out;
    }
    case 1: // PIT: control word and count
      c.u8(0xb0, r.u32(), 0xe6, 0x43);
      for (let i = 0; i < 2; i++) c.u8(0xb0, r.chance(50) ? r.below(4) : r.u32(), 0xe6, 0x40 + r.below(3));
      return c.out;
    case 2:
      return c.u8(r.pick([0xe4, 0xe5, 0xe6, 0xe7]), r.pick(PORTS.filter((p) => p < 256))).out;
    case 3:
      c.u8(0xba);
      imm(r.pick(PORTS) + r.below(2));
      return c.u8(r.pick([0xec, 0xed, 0xee, 0xef])).out;
    case 4: // string I/O
      c.u8(0xba);
      imm(r.pick(PORTS));
      c.u8(0xb9);
      imm(r.chance(80) ? r.below(64) : r.value(32));
      if (r.chance(50)) {
        c.u8(0xbf);
        imm(r.pick(space.addresses));
      }
      if (r.chance(10)) c.u8(0xfd);
      return c.u8(r.pick([0xf3, 0xf2]), r.pick([0x6c, 0x6d, 0x6e, 0x6f])).out;
    case 5: // REP string
      c.u8(0xb9);
      imm(r.chance(80) ? r.below(5000) : r.value(32));
      c.u8(0xbe);
      imm(r.pick(space.addresses));
      if (r.chance(70)) {
        c.u8(0xbf);
        imm(r.pick(space.addresses) + r.below(16) - 8);
      }
      if (r.chance(40)) c.u8(r.pick([0xfc, 0xfd]));
      return c.u8(r.pick([0xf3, 0xf2]), r.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf])).out;
    case 6: // MSR
      imm32(1, r.chance(85) ? r.pick(MSRS) : r.u32());
      if (r.chance(50)) return c.u8(0x0f, 0x32).out;
      imm32(0, r.value(32));
      imm32(2, r.chance(70) ? 0 : r.value(32));
      return c.u8(0x0f, 0x30).out;
    case 7: // local APIC or I/O APIC register
      imm32(0, r.chance(50) ? r.below(256) | (r.u32() & 0x60700) : r.value(32));
      return (space.use32 ? c : c.u8(0x67, 0x66))
        .u8(r.pick([0xa3, 0xa1]))
        .u32(r.chance(80) ? 0xfee00000 + r.pick(APIC) : 0xfec00000 + r.pick([0, 0x10, 0x40])).out;
    case 8: // control or debug register, changed by one bit or as it is
      c.u8(0x0f, r.pick([0x20, 0x21]), 0xc0 | (r.pick([0, 0, 2, 3, 4, 6, 7]) << 3));
      if (r.chance(70)) (space.use32 ? c : c.u8(0x66)).u8(0x0f, 0xba, r.pick([0xe8, 0xf0, 0xf8])).u8(r.below(32));
      return c.u8(0x0f, r.pick([0x22, 0x22, 0x23]), 0xc0 | (r.pick([0, 0, 3, 4, 7]) << 3)).out;
    case 9: // counted loop backward
      c.u8(0xb9);
      imm(r.below(40) + 1);
      for (let n = r.below(4); n >= 0; n--) c.u8(...instruction(r, space));
      return c.u8(0xe2, -Math.min(120, c.out.length)).out;
    case 10: // segment register
      c.u8(0xb8);
      imm(r.pick(space.selectors));
      return c.u8(0x8e, 0xc0 | (r.pick([0, 2, 3, 4, 5, 1]) << 3)).out;
    case 11: // self-modifying: a byte of the program
      c.u8(0xc6);
      if (space.use32) c.u8(0x05).u32(space.codeLinear + r.below(space.codeBytes));
      else c.u8(0x06).u16(space.codeLinear + r.below(space.codeBytes));
      return c.u8(r.u32()).out;
    case 12: // pushed frame and return through it
      for (let i = r.below(3) + 2; i > 0; i--) {
        c.u8(0x68);
        imm(r.pick([r.pick(space.selectors), space.codeLinear + r.below(space.codeBytes), r.value(18)]));
      }
      return c.u8(r.pick([0xcf, 0xcb, 0xc3, 0x9d])).out;
    case 13: // descriptor tables, tasks
      return c
        .u8(0x0f, r.pick([0, 1]), (r.below(8) << 3) | (space.use32 ? 5 : 6))
        .u8(...(space.use32 ? [0, 0, 0, 0] : [0, 0]).map((_, i) => r.pick(space.addresses) >>> (8 * i))).out;
    case USER_PAGES:
    case 15:
    case 16: // user pages under SMAP: accesses by one register with AC set, cleared, and as it was
      c.u8(0xbb);
      imm(r.pick(space.addresses));
      for (const open of [r.chance(50), true, false, r.chance(50)]) {
        if (r.chance(80)) c.u8(0x0f, 0x01, open ? 0xcb : 0xca);
        c.u8(r.pick([0x8a, 0x88, 0x8b, 0x89, 0x01]), space.use32 ? 0x03 : 0x07);
      }
      return c.out;
    default:
      return c.u8(r.pick([0xcd, 0xcc, 0xce, 0xf4, 0xfb, 0xfa, 0x9b, 0xf1]), ...(r.chance(50) ? [r.below(256)] : []))
        .out;
  }
}

/** `space.codeBytes` of machine code. */
export function program(r: Random, space: ProgramSpace): Uint8Array {
  const code = new Uint8Array(space.codeBytes);
  const style = r.below(11);
  let at = 0;
  const put = (bytes: readonly number[]): void => {
    for (const b of bytes) if (at < code.length) code[at++] = b;
  };
  while (at < code.length) {
    const k = style < 7 ? r.below(100) : style === 7 ? 99 : style === 8 ? 90 : r.below(40);
    if (style === 10 && k < 36) put(idiom(r, space, USER_PAGES));
    else if (k < 70) put(instruction(r, space));
    else if (k < 88) put(idiom(r, space));
    else if (k < 96) {
      const source = r.pick(REAL_CODE);
      const from = r.below(source.length);
      put([...source.subarray(from, from + 8 + r.below(40))].map((b) => (r.chance(4) ? b ^ (1 << r.below(8)) : b)));
    } else put(Array.from({ length: 1 + r.below(24) }, () => r.u32() & 0xff));
  }
  return code;
}
