// Test cases for MMX and SSE: for every row of the opcode table the instruction's bytes and register, memory and MXCSR
// contents, all from a fixed seed. The recorder runs them on the real CPU, the test on the core.
import type { OpcodeRow } from "../../spec/opcodes/row.ts";
import { simdRows } from "../../spec/opcodes/simd.ts";

/**
 * Machine state, little endian, as the recorder's `struct state`: what goes in, and (up to STATE_CODE) what comes out.
 * ModRM.reg is always 1 and ModRM.rm 2 (or 1, or [ESI]), so only those registers and implicit ones appear.
 */
export const STATE_XMM = 0; // XMM0..XMM2
export const STATE_MM = 48; // MM1, MM2
export const STATE_EAX = 64;
export const STATE_ECX = 68;
export const STATE_EDX = 72;
export const STATE_EFLAGS = 76;
export const STATE_MXCSR = 80;
/** Abridged x87 tag word after the instruction; it is empty before. */
export const STATE_TAG = 84;
/** Exception vector, or 0. */
export const STATE_TRAP = 88;
/** Offset of ESI and EDI into the memory operand: 0 aligned, else not. */
export const STATE_OFFSET = 92;
export const STATE_MEMORY = 96; // 32 bytes, 16-byte aligned
export const STATE_CODE = 128; // 15 bytes, then their number
export const STATE_SIZE = 144;

export interface SimdCase {
  readonly row: OpcodeRow;
  readonly memory: boolean;
  readonly rm: number;
  readonly imm: number;
  /** 16-bit operand size: CRC32 only, elsewhere 66h belongs to the opcode. */
  readonly word: boolean;
  /** A state record. */
  readonly state: Uint8Array;
}

/** xorshift32. */
class Random {
  #s: number;
  constructor(seed: number) {
    this.#s = seed >>> 0 || 1;
  }
  next(): number {
    let s = this.#s;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#s = s >>> 0;
    return this.#s;
  }
  below(n: number): number {
    return (this.next() >>> 3) % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

type Lane = "int" | "f32" | "f64";

const F32 = [
  0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001,
  0xffa00000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000, 0x00800001, 0x7f7fffff,
  0xff7fffff, 0x3f000000, 0x40000000, 0x40490fdb, 0x3eaaaaab, 0x4b000000, 0x4b7fffff, 0x4b800000, 0x4f000000,
  0xcf000000, 0x4effffff, 0xcf000001, 0x3fc00000, 0x40200000, 0xbf000000, 0x20000000, 0x1f800000, 0x1fffffff,
  0x5f7fffff, 0x00400000, 0x33800000, 0x33800001,
] as const;

const F64 = [
  0x0000000000000000n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8123456789abcn,
  0x7ff0000000000001n,
  0xfff4000000000000n,
  0x0000000000000001n,
  0x8000000000000001n,
  0x000fffffffffffffn,
  0x800fffffffffffffn,
  0x0010000000000000n,
  0x8010000000000000n,
  0x0010000000000001n,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x3fe0000000000000n,
  0x4000000000000000n,
  0x400921fb54442d18n,
  0x3fd5555555555555n,
  0x4330000000000000n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x41dfffffffc00000n,
  0x41dfffffffe00000n,
  0xc1e0000000200000n,
  0x3ff8000000000000n,
  0x4004000000000000n,
  0x2000000000000000n,
  0x1ff8000000000000n,
  0x5fefffffffffffffn,
  0x47efffffe0000000n,
  0x47efffffefffffffn,
  0x47effffff0000000n,
  0x3810000000000000n,
  0x380fffffffffffffn,
  0x36a0000000000000n,
  0x3690000000000000n,
  0x36a8000000000000n,
  0x3ca0000000000000n,
  0x3ca0000000000001n,
  0x0008000000000000n,
  0x380fffffe0000000n,
  0x380ffffff0000000n,
] as const;

const BYTES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x40] as const;
const WORDS = [0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff, 0x00ff, 0xff80, 0x4000] as const;
const DWORDS = [
  0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x0000ffff, 0xffff8000, 0x01000001, 0x00ffffff,
] as const;

function fillInt(r: Random, v: DataView, at: number, bytes: number): void {
  const kind = r.below(10);
  for (let i = 0; i < bytes; i += 4) v.setUint32(at + i, r.next(), true);
  if (kind < 2) for (let i = 0; i < bytes; i++) v.setUint8(at + i, r.pick(BYTES));
  else if (kind < 4) for (let i = 0; i < bytes; i += 2) v.setUint16(at + i, r.pick(WORDS), true);
  else if (kind < 5) for (let i = 0; i < bytes; i += 4) v.setUint32(at + i, r.pick(DWORDS), true);
  // Shift counts and shuffle indices: small numbers.
  else if (kind < 7) for (let i = 0; i < bytes; i += 8) v.setBigUint64(at + i, BigInt(r.below(70)), true);
  else if (kind < 8) for (let i = 0; i < bytes; i++) v.setUint8(at + i, r.below(32));
}

function fillF32(r: Random, v: DataView, at: number, bytes: number, ordinary: boolean): void {
  for (let i = 0; i < bytes; i += 4) {
    const kind = ordinary ? 4 + r.below(5) : r.below(10);
    let x = r.next();
    if (kind < 4) x = r.pick(F32);
    else if (kind < 5) x = ((((x & 0x80000000) | ((97 + r.below(60)) << 23)) & 0xff800000) >>> 0) | (x & 0x7fffff);
    else if (kind < 7) x = ((x & 0x807fffff) | ((117 + r.below(20)) << 23)) >>> 0;
    else if (kind < 8) x = ((x & 0x80700000) | ((120 + r.below(12)) << 23)) >>> 0;
    else if (kind < 9) x = ((x & 0x807fffff) | ((60 + r.below(8)) << 23)) >>> 0;
    v.setUint32(at + i, x >>> 0, true);
  }
}

function fillF64(r: Random, v: DataView, at: number, bytes: number, ordinary: boolean): void {
  for (let i = 0; i < bytes; i += 8) {
    const kind = ordinary ? 4 + r.below(5) : r.below(10);
    const x = (BigInt(r.next()) << 32n) | BigInt(r.next());
    const sign = x & (1n << 63n);
    const fraction = x & ((1n << 52n) - 1n);
    let y = x;
    if (kind < 4) y = r.pick(F64);
    else if (kind < 6) y = sign | (BigInt(1013 + r.below(24)) << 52n) | fraction;
    else if (kind < 7) y = sign | (BigInt(1019 + r.below(12)) << 52n) | (fraction & ~((1n << 40n) - 1n));
    else if (kind < 8) y = sign | (BigInt(507 + r.below(8)) << 52n) | fraction;
    else if (kind < 9) y = sign | (BigInt(870 + r.below(60)) << 52n) | fraction;
    v.setBigUint64(at + i, y, true);
  }
}

/** Makes some lanes of the second operand equal, or nearly so, to the first's. */
function correlate(r: Random, v: DataView, from: number, to: number, bytes: number, lane: Lane): void {
  const size = lane === "f64" ? 8 : 4;
  for (let i = 0; i < bytes; i += size) {
    if (!r.chance(15)) continue;
    for (let k = 0; k < size; k++) v.setUint8(to + i + k, v.getUint8(from + i + k));
    if (r.chance(50)) v.setUint8(to + i, v.getUint8(to + i) ^ (1 << r.below(3)));
    if (r.chance(30)) v.setUint8(to + i + size - 1, v.getUint8(to + i + size - 1) ^ 0x80);
  }
}

/** Element types of destination and source. */
export function lanesOf(row: OpcodeRow): [Lane, Lane] {
  const m = row.mnemonic;
  const conversion = /^cvtt?(ps|pd|ss|sd|dq|pi|si)2/.exec(m);
  if (conversion) {
    const from = conversion[1] as string;
    const lane: Lane = from === "ps" || from === "ss" ? "f32" : from === "pd" || from === "sd" ? "f64" : "int";
    return [lane, lane];
  }
  if (/(ps|ss)$/.test(m) && row.op !== "Andps") return ["f32", "f32"];
  if (/[a-z](pd|sd)$/.test(m) && !m.startsWith("p")) return ["f64", "f64"];
  return ["int", "int"];
}

/** Whether the row computes in floating point, so that MXCSR matters. */
export function isFloat(row: OpcodeRow): boolean {
  const m = row.mnemonic;
  return /^(add|sub|mul|div|sqrt|min|max|cmp|cvt|comis|ucomis|hadd|hsub|addsub|round|dpp|rcp|rsqrt)/.test(m);
}

/** Rows that say nothing on a user-level CPU, or only about caches. */
function skipped(row: OpcodeRow): boolean {
  return row.op === "Fence" || row.op === "Prefetch" || row.op === "Clflush" || row.op === "Emms";
}

const FLOAT_VECTORS = 280;
const INTEGER_VECTORS = 200;

function instruction(row: OpcodeRow, memory: boolean, rm: number, imm: number, word: boolean): number[] {
  const code: number[] = word ? [0x66] : [];
  if (row.prefix !== undefined && row.prefix !== "none") code.push(Number.parseInt(row.prefix, 16));
  for (const byte of row.code.split(" ")) code.push(Number.parseInt(byte, 16));
  const reg = row.ext ?? 1;
  code.push(memory ? (reg << 3) | 6 : 0xc0 | (reg << 3) | rm);
  if (row.operands.split(",").includes("Ib")) code.push(imm);
  return code;
}

function mxcsr(r: Random): number {
  let value = r.chance(78) ? 0x1f80 : r.below(64) << 7;
  if (!r.chance(40)) value |= r.below(4) << 13;
  if (r.chance(25)) value |= 0x40;
  if (r.chance(25)) value |= 0x8000;
  const flags = r.below(10);
  if (flags < 4) value |= 0x20;
  else if (flags < 6) value |= r.below(64);
  return value;
}

/** All cases, or the first `limit` of each row, in a fixed order. The fixture has those of seed 0. */
export function* simdCases(seed = 0, limit = Number.POSITIVE_INFINITY): Generator<SimdCase> {
  let number = 0;
  for (const row of simdRows) {
    number++;
    if (skipped(row)) continue;
    const r = new Random(Math.imul(number, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b));
    const count = Math.min(limit, isFloat(row) ? FLOAT_VECTORS : INTEGER_VECTORS);
    const [laneA, laneB] = lanesOf(row);
    for (let i = 0; i < count; i++) {
      const memory = row.mod === "mem" || (row.mod === undefined && (i & 1) === 1);
      const rm = i % 16 === 14 && row.ext === undefined ? 1 : 2;
      const state = new Uint8Array(STATE_SIZE);
      const v = new DataView(state.buffer);
      // Packed instructions have their fast path where every element is ordinary.
      const ordinary = r.chance(35);
      const fill = (lane: Lane, at: number, bytes: number): void => {
        if (lane === "f32") fillF32(r, v, at, bytes, ordinary);
        else if (lane === "f64") fillF64(r, v, at, bytes, ordinary);
        else fillInt(r, v, at, bytes);
      };
      fillInt(r, v, STATE_XMM, 16);
      fill(laneA, STATE_XMM + 16, 16);
      fill(laneB, STATE_XMM + 32, 16);
      correlate(r, v, STATE_XMM + 16, STATE_XMM + 32, 16, laneB);
      fillInt(r, v, STATE_MM, 16);
      fillInt(r, v, STATE_EAX, 4);
      fillInt(r, v, STATE_ECX, 4);
      fillInt(r, v, STATE_EDX, 4);
      fill(laneB, STATE_MEMORY, 32);
      correlate(r, v, STATE_XMM + 16, STATE_MEMORY, 16, laneB);
      v.setUint32(STATE_EFLAGS, 2 | (r.next() & 0x8d5), true);
      v.setUint32(STATE_MXCSR, mxcsr(r), true);
      if (memory && i % 32 === 31) v.setUint32(STATE_OFFSET, 1 + r.below(15), true);
      if (row.op === "Ldmxcsr") {
        // Bit 17 is reserved here and an extension of the recording CPU.
        const mask = r.chance(60) ? 0xffff : 0xfffdffff;
        for (let k = 0; k < 32; k += 4)
          v.setUint32(STATE_MEMORY + k, (v.getUint32(STATE_MEMORY + k, true) & mask) >>> 0, true);
        v.setUint32(STATE_OFFSET, v.getUint32(STATE_OFFSET, true) & ~3, true);
      }
      const imm = r.chance(40) ? r.below(256) : r.below(20);
      if (row.mnemonic.startsWith("pcmpestr")) {
        for (const length of [STATE_EAX, STATE_EDX]) if (r.chance(80)) v.setInt32(length, r.below(24) - 4, true);
      }
      const word = row.op === "Crc32Ev" && i % 4 >= 2;
      const code = instruction(row, memory, rm, imm, word);
      state.set(code, STATE_CODE);
      state[STATE_CODE + 15] = code.length;
      yield { row, memory, rm, imm, word, state };
    }
  }
}
