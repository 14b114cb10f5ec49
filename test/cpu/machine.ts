// A VM of one vCPU and 1 MiB, without devices of the host, on which a test lays out descriptor tables by hand and runs
// instruction bytes. Every handler is a HLT of its own, so where execution stops tells which vector was delivered.
import { readFileSync } from "node:fs";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { buildCpuid, installCpuModel } from "../../src/vcpu/cpu-model.ts";
import { readEflags, writeEflags } from "../../src/vcpu/eflags.ts";
import { type Core, instantiateCore } from "../../src/vmm/core.ts";
import {
  allocateMemory,
  layOut,
  type MemoryMap,
  type MemoryShape,
  vcpuAddress,
  writeHeader,
} from "../../src/vmm/memory.ts";
import { machineSlots, writeSlots } from "../../src/vmm/slots.ts";

export const GDT = 0x1000;
export const IDT = 0x1800;
export const TSS = 0x2000;
export const TSS2 = 0x2200;
export const LDT = 0x2400;
/** Handler of vector v: a HLT at HANDLERS + 16 * v. */
export const HANDLERS = 0x3000;
export const CODE = 0x8000;
export const STACK0 = 0x7000;
export const STACK3 = 0x6000;

// Selectors of the GDT that `protect` makes
export const CS0 = 0x08;
export const DS0 = 0x10;
export const CS3 = 0x1b;
export const DS3 = 0x23;
export const TR = 0x28;
/** Free entries for a test's own descriptors: 0x30, 0x38, ... 0xf8. */
export const FREE = 0x30;

export const GPRS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
export type Gpr = (typeof GPRS)[number];

/** Raw descriptor: attributes as in SEG_ATTR (bits 40..47, then G D/B L AVL in 12..15). */
export function descriptor(base: number, limit: number, attr: number): [number, number] {
  const raw = attr & L.ATTR_G ? limit >>> 12 : limit;
  return [
    ((base & 0xffff) << 16) | (raw & 0xffff),
    (base & 0xff000000) | ((base >>> 16) & 0xff) | ((attr & 0xf0ff) << 8) | (raw & 0xf0000),
  ];
}

/** Raw gate: type 4 5 6 7 12 14 15. */
export function gate(selector: number, offset: number, type: number, dpl: number, parameters = 0): [number, number] {
  return [(selector << 16) | (offset & 0xffff), (offset & 0xffff0000) | ((0x80 | (dpl << 5) | type) << 8) | parameters];
}

let compiled: WebAssembly.Module | undefined;

export class Machine {
  readonly view: DataView;
  private constructor(
    readonly core: Core,
    readonly memory: WebAssembly.Memory,
    readonly map: MemoryMap,
    readonly vcpu: number,
  ) {
    this.view = new DataView(memory.buffer);
  }

  static async create(
    cpu = "max",
    ramBytes = 1 << 20,
    shape: Pick<MemoryShape, "paging" | "shadowBytes"> = {},
  ): Promise<Machine> {
    compiled ??= new WebAssembly.Module(readFileSync(new URL("../../build/paravane.wasm", import.meta.url)));
    const map = layOut({ ramBytes, romBytes: 0, vcpuCount: 1, ...shape });
    const memory = allocateMemory(map);
    writeHeader(memory, map, { kind: "virtual", psPerInstruction: 1000, tscKhz: 1_000_000, apic: true });
    writeSlots(memory, machineSlots(map, 0));
    const vcpu = vcpuAddress(0);
    installCpuModel(new DataView(memory.buffer), vcpu, buildCpuid(cpu));
    const core = await instantiateCore(compiled, memory, { nowNs: () => 0, fillPage: () => 0 });
    core.initVm();
    core.resetVcpu(vcpu);
    return new Machine(core, memory, map, vcpu);
  }

  // ---- state

  field(offset: number): number {
    return this.view.getUint32(this.vcpu + offset, true);
  }
  setField(offset: number, value: number): void {
    this.view.setUint32(this.vcpu + offset, value >>> 0, true);
  }
  reg(name: Gpr): number {
    return this.field(GPRS.indexOf(name) * 8);
  }
  setReg(name: Gpr, value: number): void {
    this.setField(GPRS.indexOf(name) * 8, value);
  }
  get eip(): number {
    return this.field(L.EIP);
  }
  get eflags(): number {
    return readEflags(new Uint32Array(this.memory.buffer), this.vcpu);
  }
  set eflags(value: number) {
    writeEflags(new Uint32Array(this.memory.buffer), this.vcpu, value);
    this.sync();
  }
  seg(n: number, field: number): number {
    return this.field(L.SEG + n * L.SEG_STRIDE + field);
  }
  selector(n: number): number {
    return this.seg(n, L.SEG_SELECTOR);
  }
  sync(): void {
    this.core.syncVcpu?.(this.vcpu);
  }

  // ---- guest memory

  w8(gpa: number, value: number): void {
    this.view.setUint8(this.map.ramBase + gpa, value);
    this.core.guestWritten(gpa, 1);
  }
  w16(gpa: number, value: number): void {
    this.w8(gpa, value & 0xff);
    this.w8(gpa + 1, (value >>> 8) & 0xff);
  }
  w32(gpa: number, value: number): void {
    this.w16(gpa, value & 0xffff);
    this.w16(gpa + 2, value >>> 16);
  }
  r8(gpa: number): number {
    return this.view.getUint8(this.map.ramBase + gpa);
  }
  r16(gpa: number): number {
    return this.view.getUint16(this.map.ramBase + gpa, true);
  }
  r32(gpa: number): number {
    return this.view.getUint32(this.map.ramBase + gpa, true);
  }
  /** `count` items of `size` bytes from `gpa` up. */
  items(gpa: number, size: 2 | 4, count: number): number[] {
    return Array.from({ length: count }, (_, i) => (size === 4 ? this.r32(gpa + i * 4) : this.r16(gpa + i * 2)));
  }
  code(bytes: readonly number[], at = CODE): void {
    bytes.forEach((b, i) => this.w8(at + i, b));
  }
  setDescriptor(selector: number, raw: [number, number], table = GDT): void {
    this.w32(table + (selector & ~7), raw[0]);
    this.w32(table + (selector & ~7) + 4, raw[1]);
  }
  setGate(vector: number, raw: [number, number]): void {
    this.w32(IDT + vector * 8, raw[0]);
    this.w32(IDT + vector * 8 + 4, raw[1]);
  }

  // ---- set-ups

  loadCache(n: number, selector: number, base: number, limit: number, attr: number): void {
    const at = L.SEG + n * L.SEG_STRIDE;
    this.setField(at + L.SEG_SELECTOR, selector);
    this.setField(at + L.SEG_BASE, base);
    this.setField(at + L.SEG_LIMIT, limit);
    this.setField(at + L.SEG_ATTR, attr);
  }

  /** Real mode at 0:CODE with the vector table at 0, whose entries point to HLTs. */
  real(): this {
    for (let v = 0; v < 256; v++) {
      this.w16(v * 4, HANDLERS + v * 16);
      this.w16(v * 4 + 2, 0);
      this.w8(HANDLERS + v * 16, 0xf4);
    }
    for (let n = 0; n < 6; n++) this.loadCache(n, 0, 0, 0xffff, n === L.SEG_CS ? 0x9b : 0x93);
    this.setReg("esp", STACK0);
    this.setField(L.EIP, CODE);
    this.sync();
    return this;
  }

  /** 32-bit protected mode at privilege `cpl` (0 or 3), flat, with GDT, IDT of interrupt gates of DPL 0 and a TSS. */
  protect(cpl: 0 | 3 = 0): this {
    this.setDescriptor(CS0, descriptor(0, 0xffffffff, 0xc09b));
    this.setDescriptor(DS0, descriptor(0, 0xffffffff, 0xc093));
    this.setDescriptor(CS3, descriptor(0, 0xffffffff, 0xc0fb));
    this.setDescriptor(DS3, descriptor(0, 0xffffffff, 0xc0f3));
    this.setDescriptor(TR, descriptor(TSS, 0x67, 0x8b));
    for (let v = 0; v < 64; v++) {
      this.setGate(v, gate(CS0, HANDLERS + v * 16, 14, 0));
      this.w8(HANDLERS + v * 16, 0xf4);
    }
    this.w32(TSS + 4, STACK0);
    this.w32(TSS + 8, DS0);
    this.w16(TSS + 0x66, 0x68);
    this.setField(L.GDTR_BASE, GDT);
    this.setField(L.GDTR_LIMIT, 0xff);
    this.setField(L.IDTR_BASE, IDT);
    this.setField(L.IDTR_LIMIT, 64 * 8 - 1);
    this.setField(L.CR0, 0x11);
    const cs = cpl === 0 ? CS0 : CS3;
    const ds = cpl === 0 ? DS0 : DS3;
    for (let n = 0; n < 6; n++) {
      if (n === L.SEG_CS) this.loadCache(n, cs, 0, 0xffffffff, cpl === 0 ? 0xc09b : 0xc0fb);
      else this.loadCache(n, ds, 0, 0xffffffff, cpl === 0 ? 0xc093 : 0xc0f3);
    }
    this.loadCache(L.SEG_LDTR, 0, 0, 0, L.ATTR_UNUSABLE);
    this.loadCache(L.SEG_TR, TR, TSS, 0x67, 0x8b);
    this.setField(L.CPL, cpl);
    this.setReg("esp", cpl === 0 ? STACK0 : STACK3);
    this.setField(L.EIP, CODE);
    this.sync();
    return this;
  }

  /** Virtual-8086 mode at 0:CODE on top of the protected-mode tables. */
  vm86(iopl: number): this {
    this.protect(3);
    for (let n = 0; n < 6; n++) this.loadCache(n, 0, 0, 0xffff, 0xf3);
    this.setReg("esp", STACK3);
    this.eflags = 0x20002 | (iopl << 12);
    return this;
  }

  // ---- execution

  /** Runs until something other than the budget stops it, or for `budget` instructions. */
  run(budget = 50): Exit {
    return this.core.runVcpu(this.vcpu, BigInt(budget));
  }

  /** Runs to a HLT and returns the vector whose handler that was. */
  runToHandler(): number {
    const reason = this.run();
    if (reason !== Exit.Hlt) throw new Error(`exit ${reason} at ${this.eip.toString(16)} instead of a handler's HLT`);
    const at = this.eip - 1 - HANDLERS;
    if (at < 0 || at % 16 !== 0) throw new Error(`HLT at ${(this.eip - 1).toString(16)}, which is no handler`);
    return at / 16;
  }
}
