// Runs a case of tools/oracle/simd-cases.ts on the core and compares the state after it with the CPU's.
import * as L from "../../spec/layout.ts";
import * as op from "../../spec/op.gen.ts";
import type { OpcodeRow } from "../../spec/opcodes/row.ts";
import * as S from "../../tools/oracle/simd-cases.ts";
import { DATA, type SimdCore } from "./simd-core.ts";

const { Op } = op as unknown as { Op: Record<string, number> };
const ARITHMETIC_FLAGS = 0x8d5;
/** Where the memory operand lies in the test page. */
const OPERAND = 0x100;

export interface Failure {
  readonly at: number;
  readonly got: number;
  readonly want: number;
}

export function rowName(row: OpcodeRow): string {
  const prefix = row.prefix === undefined || row.prefix === "none" ? "" : `${row.prefix} `;
  return `${row.mnemonic} ${row.operands} (${prefix}${row.code}${row.ext === undefined ? "" : `/${row.ext}`})`;
}

/** Runs a case on the core and returns the state after it, laid out as the recorder's. */
function execute(core: SimdCore, c: S.SimdCase): DataView {
  core.reset();
  const { bytes, view, vcpu } = core;
  const s = new DataView(c.state.buffer);
  bytes.set(c.state.subarray(S.STATE_XMM, S.STATE_XMM + 48), vcpu + L.XMM);
  for (let i = 0; i < 2; i++) {
    bytes.set(c.state.subarray(S.STATE_MM + 8 * i, S.STATE_MM + 8 * i + 8), vcpu + L.FPU_R + L.FPU_R_STRIDE * (i + 1));
    view.setUint16(vcpu + L.FPU_R + L.FPU_R_STRIDE * (i + 1) + 8, 0xffff, true);
  }
  core.set(L.EAX, s.getUint32(S.STATE_EAX, true));
  core.set(L.ECX, s.getUint32(S.STATE_ECX, true));
  core.set(L.EDX, s.getUint32(S.STATE_EDX, true));
  const pointer = DATA + OPERAND + s.getUint32(S.STATE_OFFSET, true);
  core.set(L.ESI, pointer);
  core.set(L.EDI, pointer);
  core.set(L.MXCSR, s.getUint32(S.STATE_MXCSR, true));
  setFlags(core, s.getUint32(S.STATE_EFLAGS, true));
  bytes.set(c.state.subarray(S.STATE_MEMORY, S.STATE_MEMORY + 32), core.data + OPERAND);
  const id = core.decode(c.state.subarray(S.STATE_CODE, S.STATE_CODE + (c.state[S.STATE_CODE + 15] as number)));
  if (id !== Op[c.row.op])
    throw new Error(`${c.row.mnemonic} decodes to op ${id}, not to ${c.row.op} (${Op[c.row.op]})`);
  const trap = core.run();
  const out = new Uint8Array(c.state);
  const o = new DataView(out.buffer);
  out.set(bytes.subarray(vcpu + L.XMM, vcpu + L.XMM + 48), S.STATE_XMM);
  for (let i = 0; i < 2; i++) {
    const r = vcpu + L.FPU_R + L.FPU_R_STRIDE * (i + 1);
    out.set(bytes.subarray(r, r + 8), S.STATE_MM + 8 * i);
  }
  o.setUint32(S.STATE_EAX, core.get(L.EAX), true);
  o.setUint32(S.STATE_ECX, core.get(L.ECX), true);
  o.setUint32(S.STATE_EDX, core.get(L.EDX), true);
  o.setUint32(S.STATE_EFLAGS, 2 | flags(core), true);
  o.setUint32(S.STATE_MXCSR, core.get(L.MXCSR), true);
  o.setUint32(S.STATE_TAG, view.getUint8(vcpu + L.FPU_TAG), true);
  o.setUint32(S.STATE_TRAP, trap, true);
  out.set(bytes.subarray(core.data + OPERAND, core.data + OPERAND + 32), S.STATE_MEMORY);
  return o;
}

/** EFLAGS into the core's lazy form: see assembly/cpu/flags.ts. */
function setFlags(core: SimdCore, f: number): void {
  const cf = f & 1;
  const of = (f >>> 11) & 1;
  const zf = (f >>> 6) & 1;
  const pf = (f >>> 2) & 1;
  let aux = (cf * 0x80000000 + ((cf ^ of) << 30) + ((f & 0x10) >> 1)) >>> 0;
  if (f & 0x80) aux |= 0x10000;
  if (pf !== zf) aux |= 0x100;
  core.set(L.FLAG_RES, zf ? 0 : 1);
  core.set(L.FLAG_AUX, aux >>> 0);
}

function flags(core: SimdCore): number {
  const res = core.get(L.FLAG_RES);
  const aux = core.get(L.FLAG_AUX);
  let parity = (res ^ (aux >>> 8)) & 0xff;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  const f =
    (aux >>> 31) |
    ((~parity & 1) << 2) |
    (((aux >>> 3) & 1) << 4) |
    ((res === 0 ? 1 : 0) << 6) |
    (((res >>> 31) ^ ((aux >>> 16) & 1)) << 7) |
    (((aux >>> 31) ^ ((aux >>> 30) & 1)) << 11);
  return f & ARITHMETIC_FLAGS;
}

/** RCP and RSQRT: specials as recorded, else the true value within 1.5 * 2^-12. */
function approximates(c: S.SimdCase, got: DataView, want: DataView, at: number): boolean {
  if (at < S.STATE_XMM + 16 || at >= S.STATE_XMM + 32) return false;
  const lane = at - (S.STATE_XMM + 16);
  const state = new DataView(c.state.buffer);
  const at0 = c.memory ? S.STATE_MEMORY + state.getUint32(S.STATE_OFFSET, true) : S.STATE_XMM + 16 * c.rm;
  const source = state.getFloat32(at0 + lane, true);
  const exact = c.row.op.startsWith("Rcp") ? 1 / source : 1 / Math.sqrt(source);
  const bound = 1.5 * 2 ** -12;
  const value = got.getFloat32(at, true);
  const other = want.getFloat32(at, true);
  if (!Number.isFinite(other) || other === 0 || Math.abs(other) < 2 ** -126 || Math.abs(exact) < 2 ** -125.99) {
    // Near the bottom of the range the SDM lets results be flushed or not.
    return (
      Math.abs(exact) < 2 ** -125.9 && Math.abs(exact) > 0 && (value === 0 || Math.abs(value / exact - 1) <= bound)
    );
  }
  return Math.abs(value / exact - 1) <= bound;
}

/** The words that differ; none when the core did what the CPU did. */
export function failures(core: SimdCore, c: S.SimdCase, want: DataView): Failure[] {
  const got = execute(core, c);
  const list: Failure[] = [];
  for (let at = 0; at < S.STATE_CODE; at += 4) {
    if (at === S.STATE_OFFSET) continue;
    const g = got.getUint32(at, true);
    const w = want.getUint32(at, true);
    if (g === w) continue;
    if (/^(Rcp|Rsqrt)/.test(c.row.op) && approximates(c, got, want, at)) continue;
    list.push({ at, got: g, want: w });
  }
  return list;
}

function hex(n: number): string {
  return n.toString(16).padStart(8, "0");
}

export function describeFailure(c: S.SimdCase, list: Failure[]): string {
  const s = new DataView(c.state.buffer);
  const words = (at: number, n: number): string =>
    Array.from({ length: n }, (_, i) => hex(s.getUint32(at + 4 * i, true))).join(" ");
  const out = list.map((f) => `  at ${f.at}: got ${hex(f.got)}, the CPU ${hex(f.want)}`);
  return [
    `${c.memory ? "mem" : `rm=${c.rm}`} imm=${c.imm} mxcsr=${hex(s.getUint32(S.STATE_MXCSR, true))} offset=${s.getUint32(S.STATE_OFFSET, true)}`,
    `  xmm0 ${words(0, 4)} xmm1 ${words(16, 4)} xmm2 ${words(32, 4)}`,
    `  mm ${words(48, 4)} eax ecx edx ${words(64, 3)} mem ${words(96, 8)}`,
    ...out,
  ].join("\n");
}
