// A typed view of one vCPU block: every architectural register by its SDM name, and guest memory by linear address.
// Valid while the vCPU is not inside runVcpu (the VM is paused, or an exit is being handled).
import { STEAL_NS } from "../../spec/chipset.ts";
import {
  ATTR_CODE,
  ATTR_DPL_SHIFT,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  DR0,
  DR6,
  DR7,
  EFER,
  EIP,
  EXIT_REASON,
  FPU_FCW,
  FPU_FOP,
  FPU_FSW,
  FPU_R,
  FPU_R_STRIDE,
  FPU_TAG,
  GDTR_BASE,
  GDTR_LIMIT,
  GPR,
  GPR_STRIDE,
  HALTED,
  IDTR_BASE,
  IDTR_LIMIT,
  LAPIC_PRIVATE,
  MXCSR,
  RETIRED,
  SEG,
  SEG_ATTR,
  SEG_BASE,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_SS,
  SEG_STRIDE,
  SEG_TR,
  XMM,
} from "../../spec/layout.ts";
import { CR0_PE, FLAG_VM } from "../../spec/registers.ts";
import type { SegmentState, StartState } from "../boot/machine.ts";
import type { Core } from "../vmm/core.ts";
import type { GuestMemory } from "../vmm/device.ts";
import { readEflags, writeEflags } from "./eflags.ts";

export type GprName = "eax" | "ecx" | "edx" | "ebx" | "esp" | "ebp" | "esi" | "edi";
export const GPR_NAMES: readonly GprName[] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

export type SegmentName = "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr";
const SEGMENT_INDEX: Readonly<Record<SegmentName, number>> = {
  es: SEG_ES,
  cs: SEG_CS,
  ss: SEG_SS,
  ds: SEG_DS,
  fs: SEG_FS,
  gs: SEG_GS,
  ldtr: SEG_LDTR,
  tr: SEG_TR,
};
export const SEGMENT_NAMES = Object.keys(SEGMENT_INDEX) as readonly SegmentName[];

/** GDTR or IDTR. */
export interface TableRegister {
  readonly base: number;
  readonly limit: number;
}

const PAGE = 4096;

export class Vcpu {
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;
  readonly #bytes: Uint8Array;

  constructor(
    memory: WebAssembly.Memory,
    private readonly core: Core,
    /** Wasm address of the block. */
    readonly address: number,
    private readonly guest: GuestMemory,
  ) {
    this.#u32 = new Uint32Array(memory.buffer);
    this.#u64 = new BigUint64Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  // ---- fields of the block by layout offset

  getU32(offset: number): number {
    return this.#u32[(this.address + offset) >>> 2] ?? 0;
  }
  setU32(offset: number, value: number): void {
    this.#u32[(this.address + offset) >>> 2] = value >>> 0;
  }
  getU64(offset: number): bigint {
    return this.#u64[(this.address + offset) >>> 3] ?? 0n;
  }
  /** A 64-bit field that holds a 32-bit value: no BigInt on the way. */
  setLow64(offset: number, value: number): void {
    const at = (this.address + offset) >>> 2;
    this.#u32[at] = value >>> 0;
    this.#u32[at + 1] = 0;
  }
  setU64(offset: number, value: bigint): void {
    this.#u64[(this.address + offset) >>> 3] = value;
  }
  /** A view, not a copy. */
  bytes(offset: number, size: number): Uint8Array {
    return this.#bytes.subarray(this.address + offset, this.address + offset + size);
  }
  #u16(offset: number): number {
    return (this.getU32(offset & ~3) >>> ((offset & 2) * 8)) & 0xffff;
  }
  #setU16(offset: number, value: number): void {
    const shift = (offset & 2) * 8;
    this.setU32(offset & ~3, (this.getU32(offset & ~3) & ~(0xffff << shift)) | ((value & 0xffff) << shift));
  }

  // ---- general registers

  gpr(index: number): number {
    return this.getU32(GPR + (index & 7) * GPR_STRIDE);
  }
  setGpr(index: number, value: number): void {
    this.setU32(GPR + (index & 7) * GPR_STRIDE, value);
  }
  get(name: GprName): number {
    return this.gpr(GPR_NAMES.indexOf(name));
  }
  set(name: GprName, value: number): void {
    this.setGpr(GPR_NAMES.indexOf(name), value);
  }
  get eip(): number {
    return this.getU32(EIP);
  }
  set eip(value: number) {
    this.setU64(EIP, BigInt(value >>> 0));
  }
  get eflags(): number {
    return readEflags(this.#u32, this.address);
  }
  set eflags(value: number) {
    writeEflags(this.#u32, this.address, value);
    this.sync();
  }
  /** Sets EFLAGS alone; the caller calls the core's syncVcpu when it has set everything else. */
  restoreEflags(value: number): void {
    writeEflags(this.#u32, this.address, value);
  }
  get cpl(): number {
    return this.getU32(CPL);
  }
  /** Linear address of the next instruction. */
  get pc(): number {
    return (this.segment("cs").base + this.eip) >>> 0;
  }
  get halted(): boolean {
    return this.getU32(HALTED) !== 0;
  }
  /** Instructions retired since power-on. */
  get retired(): number {
    return this.getU32(RETIRED + 4) * 0x100000000 + this.getU32(RETIRED);
  }
  /** Nanoseconds that the vCPU could have run and did not: what a guest with steal time sees. */
  get stealNs(): number {
    return Number(this.getU64(LAPIC_PRIVATE + STEAL_NS));
  }
  /**
   * Adds to it (whole nanoseconds, from 0), before the vCPU runs again. With a virtual clock no guest time passes while a
   * vCPU waits, and there is nothing to add: a host that did would make two runs differ.
   */
  addStealNs(ns: number): void {
    this.core.addStealNs(this.address, BigInt(Math.round(ns)));
  }
  /** The vCPU lost its pCPU while it could run, or has one again. */
  setPreempted(preempted: boolean): void {
    this.core.setPreempted(this.address, preempted ? 1 : 0);
  }
  get exitReason(): number {
    return this.getU32(EXIT_REASON);
  }

  // ---- segments and tables

  segment(name: SegmentName): SegmentState {
    const at = SEG + SEGMENT_INDEX[name] * SEG_STRIDE;
    return {
      selector: this.getU32(at + SEG_SELECTOR),
      base: this.getU32(at + SEG_BASE),
      limit: this.getU32(at + SEG_LIMIT),
      attr: this.getU32(at + SEG_ATTR),
    };
  }
  /** Loads the hidden part directly, as VM entry does: nothing is checked. */
  setSegment(name: SegmentName, state: SegmentState): void {
    this.#storeSegment(name, state);
    this.sync();
  }
  get gdtr(): TableRegister {
    return { base: this.getU32(GDTR_BASE), limit: this.getU32(GDTR_LIMIT) };
  }
  set gdtr(table: TableRegister) {
    this.setU32(GDTR_BASE, table.base);
    this.setU32(GDTR_LIMIT, table.limit & 0xffff);
  }
  get idtr(): TableRegister {
    return { base: this.getU32(IDTR_BASE), limit: this.getU32(IDTR_LIMIT) };
  }
  set idtr(table: TableRegister) {
    this.setU32(IDTR_BASE, table.base);
    this.setU32(IDTR_LIMIT, table.limit & 0xffff);
  }

  // ---- control, debug and model-specific registers

  get cr0(): number {
    return this.getU32(CR0);
  }
  set cr0(value: number) {
    this.setU32(CR0, value);
    this.sync();
  }
  get cr2(): number {
    return this.getU32(CR2);
  }
  set cr2(value: number) {
    this.setU32(CR2, value);
  }
  get cr3(): number {
    return this.getU32(CR3);
  }
  set cr3(value: number) {
    this.setU32(CR3, value);
    this.sync();
  }
  get cr4(): number {
    return this.getU32(CR4);
  }
  set cr4(value: number) {
    this.setU32(CR4, value);
    this.sync();
  }
  get efer(): bigint {
    return this.getU64(EFER);
  }
  /** DR0..DR3, DR6 (also as 4) or DR7 (also as 5). */
  dr(index: number): number {
    return this.getU32(debugRegister(index));
  }
  setDr(index: number, value: number): void {
    this.setU32(debugRegister(index), value);
    this.sync();
  }

  // ---- x87 and SSE

  /** ST(i) as the 10 bytes of FSAVE: significand, then sign and exponent. */
  st(index: number): Uint8Array {
    const physical = (((this.fsw >>> 11) & 7) + index) & 7;
    return this.bytes(FPU_R + physical * FPU_R_STRIDE, 10).slice();
  }
  setSt(index: number, value: Uint8Array): void {
    const physical = (((this.fsw >>> 11) & 7) + index) & 7;
    this.bytes(FPU_R + physical * FPU_R_STRIDE, 10).set(value.subarray(0, 10));
  }
  get fcw(): number {
    return this.#u16(FPU_FCW);
  }
  set fcw(value: number) {
    this.#setU16(FPU_FCW, value);
  }
  get fsw(): number {
    return this.#u16(FPU_FSW);
  }
  set fsw(value: number) {
    this.#setU16(FPU_FSW, value);
  }
  /** Abridged tag word, as FXSAVE stores it: bit i set = physical register i in use. */
  get ftw(): number {
    return this.getU32(FPU_TAG) & 0xff;
  }
  set ftw(value: number) {
    this.bytes(FPU_TAG, 1)[0] = value;
  }
  get fop(): number {
    return this.#u16(FPU_FOP);
  }
  get mxcsr(): number {
    return this.getU32(MXCSR);
  }
  set mxcsr(value: number) {
    this.setU32(MXCSR, value);
  }
  xmm(index: number): Uint8Array {
    return this.bytes(XMM + (index & 15) * 16, 16).slice();
  }
  setXmm(index: number, value: Uint8Array): void {
    this.bytes(XMM + (index & 15) * 16, 16).set(value.subarray(0, 16));
  }

  // ---- the whole state at once

  /** Sets what is given and leaves the rest; derived state (CPL, decode mode, TLB) follows. */
  setRegisters(state: Partial<StartState>): void {
    for (const name of GPR_NAMES) if (state[name] !== undefined) this.set(name, state[name]);
    if (state.eip !== undefined) this.eip = state.eip;
    if (state.cr0 !== undefined) this.setU32(CR0, state.cr0);
    if (state.cr3 !== undefined) this.setU32(CR3, state.cr3);
    if (state.cr4 !== undefined) this.setU32(CR4, state.cr4);
    if (state.eflags !== undefined) writeEflags(this.#u32, this.address, state.eflags);
    if (state.gdtr !== undefined) this.gdtr = state.gdtr;
    if (state.idtr !== undefined) this.idtr = state.idtr;
    for (const name of SEGMENT_NAMES) {
      const segment = state[name];
      if (segment !== undefined) this.#storeSegment(name, segment);
    }
    this.sync();
  }

  registers(): StartState {
    const gprs = Object.fromEntries(GPR_NAMES.map((n) => [n, this.get(n)])) as Record<GprName, number>;
    const segments = Object.fromEntries(SEGMENT_NAMES.map((n) => [n, this.segment(n)])) as Record<
      SegmentName,
      SegmentState
    >;
    const { eip, eflags, cr0, cr3, cr4, gdtr, idtr } = this;
    return { ...gprs, ...segments, eip, eflags, cr0, cr3, cr4, gdtr, idtr };
  }

  /** CPL, decode mode and TLB from the registers, after the host changed some of them. */
  sync(): void {
    const ss = this.getU32(SEG + SEG_SS * SEG_STRIDE + SEG_ATTR);
    const cs = this.getU32(SEG + SEG_CS * SEG_STRIDE + SEG_ATTR);
    // As VM entry: CPL is SS.DPL (conforming code makes CS.DPL no guide); 0 in real mode, 3 in virtual-8086 mode.
    let cpl = (ss >>> ATTR_DPL_SHIFT) & 3;
    if (!(this.cr0 & CR0_PE)) cpl = 0;
    else if (this.eflags & FLAG_VM) cpl = 3;
    else if (!(cs & ATTR_CODE)) cpl = 0;
    this.setU32(CPL, cpl);
    this.core.syncVcpu(this.address);
  }

  // ---- memory

  /** Guest-physical address behind a linear one, undefined where the page is not present. Sets no accessed bits. */
  translate(linear: number): number | undefined {
    const gpa = this.core.translateGva(this.address, linear >>> 0);
    return gpa < 0n ? undefined : Number(gpa);
  }

  /** Reads linear memory; returns how many bytes were read before a page that is not present. */
  readLinear(linear: number, into: Uint8Array): number {
    return this.#byPage(linear, into.length, (gpa, at, size) => this.guest.read(gpa, into.subarray(at, at + size)));
  }

  /** Writes linear memory whatever its protection; returns how many bytes were written. */
  writeLinear(linear: number, from: Uint8Array): number {
    return this.#byPage(linear, from.length, (gpa, at, size) => this.guest.write(gpa, from.subarray(at, at + size)));
  }

  #byPage(linear: number, length: number, move: (gpa: number, at: number, size: number) => void): number {
    let at = 0;
    while (at < length) {
      const here = (linear + at) >>> 0;
      const size = Math.min(length - at, PAGE - (here & (PAGE - 1)));
      const gpa = this.translate(here);
      if (gpa === undefined) break;
      move(gpa, at, size);
      at += size;
    }
    return at;
  }

  #storeSegment(name: SegmentName, state: SegmentState): void {
    const at = SEG + SEGMENT_INDEX[name] * SEG_STRIDE;
    this.setU32(at + SEG_SELECTOR, state.selector & 0xffff);
    this.setU32(at + SEG_BASE, state.base);
    this.setU32(at + SEG_LIMIT, state.limit);
    this.setU32(at + SEG_ATTR, state.attr);
  }
}

function debugRegister(index: number): number {
  if (index >= 0 && index <= 3) return DR0 + index * 4;
  return index === 6 || index === 4 ? DR6 : DR7;
}
