// A vCPU block with one page of guest memory, enough to execute single x87 instructions.
import { readFileSync } from "node:fs";
import * as L from "../../../spec/layout.ts";
import type { OpcodeRow } from "../../../spec/opcodes/row.ts";
import { x87Rows } from "../../../spec/opcodes/x87.ts";

const VCPU = L.VCPU_BASE;
const TLB = L.DERIVED_BASE;
const RAM = 0x100000;
/** Linear address of the page that is mapped. */
export const PAGE = 0x00405000;
const REC = RAM + 0x2000;

/** Op.* by name. The generated enum is a const enum, which has no existence of its own: read its text. */
const opNumbers = new Map<string, number>();
for (const [, name, value] of readFileSync(new URL("../../../spec/op.gen.ts", import.meta.url), "utf8").matchAll(
  /^ {2}(\w+) = (0x[0-9a-f]+),$/gm,
)) {
  opNumbers.set(name as string, Number(value));
}

export class X87Machine {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly #exec: (vcpu: number, rec: number) => void;

  constructor(binary: Uint8Array) {
    const memory = new WebAssembly.Memory({ initial: 32 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(binary as BufferSource), { env: { memory } });
    this.#exec = instance.exports.execX87 as (vcpu: number, rec: number) => void;
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < L.TLB_ENTRIES; i++)
      for (let f = 0; f < 12; f += 4) this.view.setUint32(TLB + i * L.TLB_STRIDE + f, 1, true);
    this.set32(L.TLB_CURRENT, TLB);
    this.map(PAGE, true);
    this.set32(L.CR0, 0x31);
    this.set32(L.CR4, 0x600);
    this.set32(L.MODE, L.MODE_CS32 | L.MODE_SS32 | L.MODE_FLAT_DATA | L.MODE_FLAT_CODE | L.MODE_PROTECTED);
    this.set32(L.MXCSR, 0x1f80);
    this.set32(L.SEG + L.SEG_CS * L.SEG_STRIDE, 0x08);
    this.set32(L.SEG + L.SEG_DS * L.SEG_STRIDE, 0x10);
    this.set32(L.SEG + L.SEG_SS * L.SEG_STRIDE, 0x18);
    this.set32(L.SEG + L.SEG_ES * L.SEG_STRIDE, 0x20);
  }

  /** Gives the linear page a readable, maybe writable, TLB entry; even and odd pages have one page of storage each. */
  map(lin: number, writable: boolean): void {
    const e = TLB + (((lin >>> 8) ^ (lin >>> 17)) & 0xfff0);
    this.view.setUint32(e, lin, true);
    this.view.setUint32(e + 4, writable ? lin : 1, true);
    this.view.setUint32(e + 12, RAM + (lin & 0x1000) - lin, true);
  }

  set32(field: number, value: number): void {
    this.view.setUint32(VCPU + field, value, true);
  }
  get32(field: number): number {
    return this.view.getUint32(VCPU + field, true);
  }
  set16(field: number, value: number): void {
    this.view.setUint16(VCPU + field, value, true);
  }
  get16(field: number): number {
    return this.view.getUint16(VCPU + field, true);
  }
  get8(field: number): number {
    return this.view.getUint8(VCPU + field);
  }
  set8(field: number, value: number): void {
    this.view.setUint8(VCPU + field, value);
  }

  /** Guest memory at a mapped linear address. */
  guest(lin: number, size: number): Uint8Array {
    const at = RAM + (lin & 0x1fff);
    return this.bytes.subarray(at, at + size);
  }

  /** ST(i). */
  st(i: number): Uint8Array {
    return this.register(((this.get16(L.FPU_FSW) >> 11) + i) & 7);
  }

  /** The whole architectural FPU state as bytes. */
  state(): Uint8Array {
    return this.bytes.slice(VCPU + L.FPU_R, VCPU + L.FPU_FERR);
  }

  /** Sets the arithmetic flags from their EFLAGS positions, in the lazy form of assembly/cpu/flags.ts. */
  setFlags(f: number): void {
    const bit = (n: number): number => (f >>> n) & 1;
    let aux = ((bit(0) << 31) | ((bit(0) ^ bit(11)) << 30) | (bit(4) << 3)) >>> 0;
    if (bit(7)) aux |= 0x10000;
    if (bit(2) !== bit(6)) aux |= 0x100;
    this.set32(L.FLAG_RES, bit(6) ? 0 : 1);
    this.set32(L.FLAG_AUX, aux >>> 0);
  }

  getFlags(): number {
    const res = this.get32(L.FLAG_RES);
    const aux = this.get32(L.FLAG_AUX);
    let parity = 1;
    for (let b = (res ^ (aux >>> 8)) & 0xff; b; b >>= 1) parity ^= b & 1;
    const sign = (res >>> 31) ^ ((aux >>> 16) & 1);
    return (
      (aux >>> 31) |
      (parity << 2) |
      (((aux >>> 3) & 1) << 4) |
      (res === 0 ? 0x40 : 0) |
      (sign << 7) |
      (((aux ^ (aux << 1)) >>> 31) << 11)
    );
  }

  /** Register of the block at the physical index. */
  register(index: number): Uint8Array {
    return this.bytes.subarray(VCPU + L.FPU_R + index * L.FPU_R_STRIDE, VCPU + L.FPU_R + index * L.FPU_R_STRIDE + 10);
  }

  /** FNINIT, `turns` times FINCSTP, then `depth` values pushed so that stack[0] is ST(0); `fsw` is added to the status. */
  reset(fcw: number, stack: readonly Uint8Array[], depth: number, turns = 0, fsw = 0): void {
    this.set16(L.FPU_FCW, fcw);
    const top = (turns + 8 - depth) & 7;
    this.set16(L.FPU_FSW, (top << 11) | fsw);
    let tags = 0;
    for (let i = 0; i < depth; i++) {
      this.register((top + i) & 7).set(stack[i] as Uint8Array);
      tags |= 1 << ((top + i) & 7);
    }
    this.set8(L.FPU_TAG, tags);
    this.set32(L.FPU_FERR, 0);
    this.set32(L.FAULT, 0);
  }

  /** Executes one instruction; `address` is the linear address of a memory operand. Returns the FAULT field. */
  run(row: OpcodeRow, modrm: number, address = PAGE, prefixes = 0): number {
    const v = this.view;
    const op = opNumbers.get(row.op);
    if (op === undefined) throw new Error(`no Op.${row.op}`);
    v.setUint16(REC + L.REC_OP, op, true);
    v.setUint8(REC + L.REC_END, 2);
    v.setUint8(REC + L.REC_REG, ((modrm >> 3) & 7) << 3);
    const memory = row.mod === "mem";
    v.setUint8(REC + L.REC_BASE, memory ? L.GPR_ZERO : (modrm & 7) << 3);
    v.setUint8(REC + L.REC_INDEX, L.GPR_ZERO);
    v.setUint8(REC + L.REC_EA, 0);
    v.setUint8(REC + L.REC_PFX, prefixes | (memory ? 0 : L.PFX_REG));
    v.setUint32(REC + L.REC_DISP, memory ? address : modrm, true);
    v.setUint32(REC + L.REC_IMM, Number.parseInt(row.code, 16) | (modrm << 8), true);
    // What a recorded fault turned off, as clearFault does
    this.set32(L.FAULT, 0);
    this.set32(L.TLB_CURRENT, TLB);
    this.set32(L.EIP, 0x1002);
    this.#exec(VCPU, REC);
    return this.get32(L.FAULT);
  }
}

const byEncoding = new Map<string, OpcodeRow>();
for (const row of x87Rows) {
  const regs = row.mod === "reg" && row.rm === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : [row.rm ?? 0];
  for (const rm of regs) byEncoding.set(`${row.code} ${row.mod} ${row.ext} ${rm}`, row);
}

/** The opcode row that an encoding selects. */
export function rowOf(opcode: number, modrm: number): OpcodeRow {
  const code = opcode.toString(16).toUpperCase().padStart(2, "0");
  const memory = modrm < 0xc0;
  const row = byEncoding.get(`${code} ${memory ? "mem" : "reg"} ${(modrm >> 3) & 7} ${memory ? 0 : modrm & 7}`);
  if (!row) throw new Error(`no row for ${code} ${modrm.toString(16)}`);
  return row;
}

/** The row with the operation name. */
export function rowNamed(op: string): OpcodeRow {
  const row = x87Rows.find((r) => r.op === op);
  if (!row) throw new Error(`no row ${op}`);
  return row;
}
