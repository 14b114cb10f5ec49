// A VM laid out to give away whoever reaches outside the guest: small memory slots apart from each other, guard areas
// around every structure, ROM at the top of the 32-bit address space, and the last slot flush with the end of Wasm
// memory, so that one byte too far is a trap.
import { readFileSync } from "node:fs";
import * as L from "../../../spec/layout.ts";
import * as R from "../../../spec/registers.ts";
import { buildCpuid, installCpuModel } from "../../../src/vcpu/cpu-model.ts";
import { readEflags, writeEflags } from "../../../src/vcpu/eflags.ts";
import type { Core } from "../../../src/vmm/core.ts";

const CORE = new URL("../../../build/paravane.wasm", import.meta.url);
const WASM_PAGE = 65536;
const PAGE = 4096;
const GUARD = 0x4000;
const ARENA_BYTES = 0x40000;
/** What guard areas are filled with; no page of them looks like a block, a tag or a pointer into RAM. */
const GUARD_BYTE = 0xa5;

export interface Slot {
  readonly gpa: number;
  readonly size: number;
  readonly host: number;
  readonly readonly: boolean;
}

/** Guest-physical memory: low RAM, RAM above 1 MiB (A20), ROM up to 4 GiB, RAM across the sign of an address. */
export const LOW_RAM = 0x20000;
export const HIGH_RAM_GPA = 0x100000;
export const HIGH_RAM = 0x4000;
export const ROM_GPA = 0xffff0000;
export const ROM_BYTES = 0x10000;
export const SIGN_RAM_GPA = 0x7ffff000;
export const SIGN_RAM = 0x2000;

interface Area {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export class FuzzMachine {
  readonly vcpu = L.VCPU_BASE;
  readonly core: Core;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly u32: Uint32Array;
  readonly slots: readonly Slot[];
  readonly ram: Slot;
  readonly rom: Slot;
  /** Areas that no guest may change, and what they must hold. */
  readonly #guards: Area[] = [];
  readonly #pristine: Buffer;
  readonly #arena: Area;
  readonly #blockMap: number;
  readonly #pageFlags: number;
  /** Header to the end of the vCPU block, as initVm and resetVcpu leave it. */
  readonly #blank: Buffer;
  /** Header to the end of the vCPU block and all slots, as the case begins. */
  readonly #start = Buffer.alloc(L.VCPU_BASE + L.VCPU_STRIDE - L.VM_BASE);
  readonly #startSlots: Buffer[] = [];
  /** Contents of absent pages by Wasm address. */
  readonly #hidden = new Map<number, Buffer>();
  nowNs = 0;

  constructor(module: WebAssembly.Module = new WebAssembly.Module(readFileSync(CORE)), cpu = "max") {
    let at = L.DERIVED_BASE;
    const place = (size: number): number => {
      const here = at;
      at += Math.ceil(size / PAGE) * PAGE + GUARD;
      this.#guards.push({ name: `after 0x${here.toString(16)}`, start: at - GUARD, end: at });
      return here;
    };
    const tlb = place(L.TLB_TABLES * L.TLB_SIZE);
    this.#blockMap = place(L.BLOCK_MAP_ENTRIES * 4);
    const blocksGone = place(L.BLOCK_MAP_ENTRIES / 8);
    // the per-page tables cover 16 MiB
    this.#pageFlags = place(0x1000);
    const codeBits = place(0x1000 * 8);
    const pageBlocks = place(0x1000 * 4);
    const arena = place(ARENA_BYTES);
    this.#arena = { name: "arena", start: arena, end: arena + ARENA_BYTES };
    const romHost = place(ROM_BYTES);
    const lowHost = place(LOW_RAM);
    const highHost = place(HIGH_RAM);
    const total = Math.ceil((at + SIGN_RAM) / WASM_PAGE) * WASM_PAGE;
    const signHost = total - SIGN_RAM;
    this.#guards.push({ name: "before the last slot", start: at, end: signHost });
    this.ram = { gpa: 0, size: LOW_RAM, host: lowHost, readonly: false };
    this.rom = { gpa: ROM_GPA, size: ROM_BYTES, host: romHost, readonly: true };
    this.slots = [
      this.ram,
      { gpa: HIGH_RAM_GPA, size: HIGH_RAM, host: highHost, readonly: false },
      { gpa: SIGN_RAM_GPA, size: SIGN_RAM, host: signHost, readonly: false },
      this.rom,
    ];
    const pages = total / WASM_PAGE;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.bytes = Buffer.from(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    const instance = new WebAssembly.Instance(module, {
      env: { memory },
      host: { nowNs: () => this.nowNs, fillPage: (address: number) => this.#show(address & -PAGE) },
    });
    this.core = instance.exports as unknown as Core;
    const header: readonly (readonly [number, number])[] = [
      [L.VM_FORMAT, 1],
      [L.VM_VCPU_COUNT, 1],
      [L.VM_RAM_BASE, lowHost],
      [L.VM_RAM_SIZE, LOW_RAM],
      [L.VM_SLOT_COUNT, this.slots.length],
      [L.VM_A20_MASK, 0xffffffff],
      [L.VM_PAGE_FLAGS, this.#pageFlags],
      [L.VM_CODE_BITS, codeBits],
      [L.VM_PAGE_BLOCKS, pageBlocks],
      [L.VM_BLOCK_MAP, this.#blockMap],
      [L.VM_ARENA_BASE, arena],
      [L.VM_ARENA_END, arena + ARENA_BYTES],
      [L.VM_ARENA_LIMIT, arena + ARENA_BYTES],
      [L.VM_ARENA_NEXT, arena],
      [L.VM_ARENA_GONE, blocksGone],
      [L.VM_CLOCK_MODE, L.CLOCK_VIRTUAL],
      [L.VM_TSC_KHZ, 1_000_000],
      [L.VM_PS_PER_INSTRUCTION, 10_000],
      [L.VM_KERNEL_DEVICES, L.KDEV_PIC | L.KDEV_PIT | L.KDEV_IOAPIC | L.KDEV_LAPIC],
    ];
    for (const [offset, value] of header) this.view.setUint32(L.VM_BASE + offset, value, true);
    this.view.setBigInt64(L.VM_BASE + L.VM_HOST_DEADLINE_NS, 0x7fffffffffffffffn, true);
    this.slots.forEach((slot, i) => {
      const s = L.SLOTS_BASE + i * L.SLOT_STRIDE;
      this.view.setUint32(s + L.SLOT_GPA, slot.gpa, true);
      this.view.setUint32(s + L.SLOT_SIZE, slot.size, true);
      this.view.setUint32(s + L.SLOT_HOST, slot.host, true);
      this.view.setUint32(s + L.SLOT_FLAGS, slot.readonly ? L.SLOTF_READONLY : 0, true);
      this.#startSlots.push(Buffer.alloc(slot.size));
    });
    this.set(L.TLB_USER, tlb);
    this.set(L.TLB_SUPER, tlb + L.TLB_SIZE);
    this.set(L.TLB_SUPER_AC, tlb + 2 * L.TLB_SIZE);
    this.set(L.TLB_CURRENT, tlb + L.TLB_SIZE);
    installCpuModel(this.view, this.vcpu, buildCpuid(cpu));
    this.core.initVm();
    this.core.resetVcpu(this.vcpu);
    this.#guards.push(
      { name: "behind the VM header", start: L.VM_BASE + L.VM_SIZE, end: L.CHIPSET_BASE },
      { name: "behind the slots", start: L.SLOTS_BASE + L.SLOTS_MAX * L.SLOT_STRIDE, end: L.PINS_BASE },
      { name: "behind the root tables", start: L.PINS_BASE + L.PINS_SIZE, end: L.VCPU_BASE },
      { name: "blocks of other vCPUs", start: L.VCPU_BASE + L.VCPU_STRIDE, end: L.DERIVED_BASE },
      { name: "below the static data", start: 0, end: L.STATIC_DATA_BASE },
    );
    for (const g of this.#guards) this.bytes.fill(GUARD_BYTE, g.start, g.end);
    this.#blank = Buffer.from(this.bytes.subarray(L.VM_BASE, L.VCPU_BASE + L.VCPU_STRIDE));
    this.#guards.push(
      { name: "static data and the empty TLB", start: L.STATIC_DATA_BASE, end: L.VM_BASE },
      { name: "slots", start: L.SLOTS_BASE, end: L.SLOTS_BASE + L.SLOTS_MAX * L.SLOT_STRIDE },
    );
    this.#pristine = Buffer.from(this.bytes);
  }

  get(offset: number): number {
    return this.view.getUint32(this.vcpu + offset, true);
  }
  set(offset: number, value: number): void {
    this.view.setUint32(this.vcpu + offset, value >>> 0, true);
  }
  get retired(): number {
    return this.get(L.RETIRED + 4) * 0x100000000 + this.get(L.RETIRED);
  }
  get eflags(): number {
    return readEflags(this.u32, this.vcpu);
  }
  set eflags(value: number) {
    writeEflags(this.u32, this.vcpu, value);
  }

  /** Wasm address of a guest-physical byte that a slot backs. */
  host(gpa: number): number {
    const slot = this.slots.find((s) => gpa >= s.gpa && gpa < s.gpa + s.size);
    if (!slot) throw new Error(`no slot at ${gpa.toString(16)}`);
    return gpa - slot.gpa + slot.host;
  }

  /** Power-on, all memory zero: the state in which a case is built. */
  clear(): void {
    this.showAll();
    this.bytes.set(this.#blank, L.VM_BASE);
    for (const slot of this.slots) this.bytes.fill(0, slot.host, slot.host + slot.size);
    this.core.initVm();
  }

  /** Keeps what has been built as the beginning of the case. */
  keep(): void {
    this.core.syncVcpu(this.vcpu);
    this.bytes.copy(this.#start, 0, L.VM_BASE, L.VCPU_BASE + L.VCPU_STRIDE);
    this.slots.forEach((slot, i) => {
      this.bytes.copy(this.#startSlots[i] as Buffer, 0, slot.host, slot.host + slot.size);
    });
  }

  /** Takes some pages of RAM away until the core asks for them. */
  #hide(isHidden: () => boolean): void {
    for (const slot of this.slots) {
      for (let host = slot.host; !slot.readonly && host < slot.host + slot.size; host += PAGE) {
        if (!isHidden()) continue;
        this.#hidden.set(host, Buffer.from(this.bytes.subarray(host, host + PAGE)));
        this.bytes.fill(GUARD_BYTE, host, host + PAGE);
        this.bytes[this.#pageFlags + (host >>> 12)] = L.PAGE_ABSENT;
      }
    }
  }

  #show(host: number): number {
    const page = this.#hidden.get(host);
    if (page === undefined) throw new Error(`the core asks for a page at ${host.toString(16)} that is not absent`);
    this.#hidden.delete(host);
    this.bytes.set(page, host);
    const flag = this.#pageFlags + (host >>> 12);
    this.bytes[flag] = (this.bytes[flag] as number) & ~L.PAGE_ABSENT;
    return 1;
  }

  /** Pages that are absent come back. Returns how many there were. */
  showAll(): number {
    const hosts = [...this.#hidden.keys()];
    for (const host of hosts) this.#show(host);
    return hosts.length;
  }

  /** Back to the beginning of the case; all derived state empty. `isHidden` is asked for each page of RAM: is it absent? */
  rewind(isHidden?: () => boolean): void {
    this.showAll();
    this.core.initVm();
    this.bytes.set(this.#start, L.VM_BASE);
    this.slots.forEach((slot, i) => {
      this.bytes.set(this.#startSlots[i] as Buffer, slot.host);
    });
    if (isHidden !== undefined) this.#hide(isHidden);
    this.core.syncVcpu(this.vcpu);
  }

  /** The first thing that was touched outside the guest, or undefined. Repairs it, so that the next case begins sound. */
  damage(): string | undefined {
    let found: string | undefined;
    for (const g of this.#guards) {
      if (this.bytes.compare(this.#pristine, g.start, g.end, g.start, g.end) === 0) continue;
      let at = g.start;
      while (this.bytes[at] === this.#pristine[at]) at++;
      found ??= `${g.name}: byte 0x${at.toString(16)} is 0x${this.bytes[at]?.toString(16)}`;
      this.#pristine.copy(this.bytes, g.start, g.start, g.end);
    }
    const { rom } = this;
    const romStart = this.#startSlots[this.slots.indexOf(rom)] as Buffer;
    if (romStart.compare(this.bytes, rom.host, rom.host + rom.size) !== 0) found ??= "ROM was written";
    for (const offset of HEADER_CONSTANTS)
      if (this.u32[(L.VM_BASE + offset) >>> 2] !== this.#start.readUint32LE(offset))
        found ??= `VM header field 0x${offset.toString(16)} changed`;
    for (const [start, end] of BLOCK_CONSTANTS) {
      const a = L.VCPU_BASE - L.VM_BASE + start;
      const b = this.vcpu + start;
      if (this.#start.compare(this.bytes, b, b + end - start, a, a + end - start) !== 0)
        found ??= `vCPU block field 0x${start.toString(16)} changed`;
    }
    return found;
  }

  #slotOf(host: number): Slot | undefined {
    return this.slots.find((s) => host >= s.host && host < s.host + s.size);
  }

  /** The TLB that privilege, alignment checks and SMAP ask for. */
  #currentTlb(): number {
    const ac = (this.get(L.EFLAGS_SYS) & R.FLAG_AC) !== 0;
    if (this.get(L.CPL) === 3) return ac && this.get(L.CR0) & R.CR0_AM ? L.TLB_NULL : this.get(L.TLB_USER);
    return this.get(ac && this.get(L.CR4) & R.CR4_SMAP ? L.TLB_SUPER_AC : L.TLB_SUPER);
  }

  /** Derived state that would lead outside the guest, or undefined. */
  unsound(): string | undefined {
    const { u32, vcpu } = this;
    const word = (address: number): number => u32[address >>> 2] as number;
    const tables = [L.TLB_USER, L.TLB_SUPER, L.TLB_SUPER_AC].map((field) => this.get(field));
    const current = this.get(L.TLB_CURRENT);
    const due = this.#currentTlb();
    if (current !== due && !(current === L.TLB_NULL && this.get(L.FAULT) !== L.FAULT_NONE))
      return `TLB_CURRENT is 0x${current.toString(16)}, not 0x${due.toString(16)}`;
    const count = this.get(L.TLB_JOURNAL_COUNT);
    if (count > L.TLB_JOURNAL_MAX) return `TLB journal has ${count} entries`;
    const journal = new Set<number>();
    for (let i = 0; i < count; i++) journal.add(word(vcpu + L.TLB_JOURNAL + i * 4) & ~15);
    const check = (e: number, where: string, journalled: boolean): string | undefined => {
      for (const tag of [L.TLB_READ, L.TLB_WRITE, L.TLB_EXEC]) {
        const linear = word(e + tag);
        if (linear & 0xfff) {
          if (linear !== L.TLB_NO_TAG) return `${where} entry 0x${e.toString(16)} has tag 0x${linear.toString(16)}`;
          continue;
        }
        const host = (linear + word(e + L.TLB_DELTA)) >>> 0;
        const slot = this.#slotOf(host);
        const text = `${where} entry 0x${e.toString(16)} tag ${tag >> 2} linear 0x${linear.toString(16)}`;
        if (slot === undefined || host & 0xfff)
          return `${text} leads to 0x${host.toString(16)}, which is no guest page`;
        if (tag === L.TLB_WRITE && slot.readonly) return `${text} makes ROM writable`;
        if (tag === L.TLB_WRITE && (this.bytes[this.#pageFlags + (host >>> 12)] ?? 0) & L.PAGE_CODE)
          return `${text} makes a page with decoded code writable`;
        if (journalled && !journal.has(e)) return `${text} is not in the journal`;
      }
      return undefined;
    };
    for (const table of tables) {
      for (let w = table >>> 2; w < (table + L.TLB_SIZE) >>> 2; w += L.TLB_STRIDE / 4) {
        if ((u32[w] as number) & (u32[w + 1] as number) & (u32[w + 2] as number) & 1) continue;
        const e = w * 4;
        const wrong = check(e, `TLB ${tables.indexOf(table)}`, true);
        if (wrong) return wrong;
      }
    }
    for (let e = vcpu + L.BASE_CACHE; e < vcpu + L.BASE_CACHE + L.BASE_CACHE_SIZE; e += L.TLB_STRIDE) {
      const wrong = check(e, "base cache", false);
      if (wrong) return wrong;
    }
    const inArena = (block: number): boolean => block >= this.#arena.start && block < this.#arena.end;
    for (let i = 0; i < L.JUMP_CACHE_ENTRIES; i++) {
      const block = word(vcpu + L.JUMP_CACHE + i * 8 + 4);
      if (block !== 0 && !inArena(block)) return `jump cache entry ${i} leads to 0x${block.toString(16)}`;
    }
    for (let i = 0; i < L.BLOCK_MAP_ENTRIES; i++) {
      let n = 0;
      for (let b = u32[(this.#blockMap >>> 2) + i] as number; b !== 0; b = word(b + L.BLOCK_NEXT_HASH)) {
        if (!inArena(b)) return `block map bucket ${i} leads to 0x${b.toString(16)}`;
        if (++n > 100_000) return `block map bucket ${i} is a ring`;
        const address = word(b + L.BLOCK_ADDR);
        if (!this.#slotOf(address)) return `a block decodes 0x${address.toString(16)}, which is not guest memory`;
      }
    }
    return undefined;
  }

  /** Everything architectural, in the order of STATE_NAMES: two runs that end alike did the same. */
  state(): Uint32Array {
    const state = new Uint32Array(STATE_OFFSETS.length + 1);
    for (let i = 0; i < STATE_OFFSETS.length; i++) state[i] = this.u32[(STATE_OFFSETS[i] as number) >>> 2] as number;
    state[STATE_OFFSETS.length] = this.eflags;
    return state;
  }

  /** A copy of the writable slots. */
  contents(): Buffer[] {
    return this.slots.filter((s) => !s.readonly).map((s) => Buffer.from(this.bytes.subarray(s.host, s.host + s.size)));
  }

  /** Guest-physical address of the first byte that differs from `before`, or undefined. */
  memoryDiffers(before: readonly Buffer[]): number | undefined {
    const writable = this.slots.filter((s) => !s.readonly);
    for (const [i, slot] of writable.entries()) {
      const old = before[i] as Buffer;
      if (old.compare(this.bytes, slot.host, slot.host + slot.size) === 0) continue;
      for (let k = 0; k < slot.size; k++) if (old[k] !== this.bytes[slot.host + k]) return slot.gpa + k;
    }
    return undefined;
  }
}

/** Header fields that the guest has no way to change. */
const HEADER_CONSTANTS = [
  L.VM_FORMAT,
  L.VM_VCPU_COUNT,
  L.VM_RAM_BASE,
  L.VM_RAM_SIZE,
  L.VM_SLOT_COUNT,
  L.VM_PAGE_FLAGS,
  L.VM_CODE_BITS,
  L.VM_CLOCK_MODE,
  L.VM_TSC_KHZ,
  L.VM_PS_PER_INSTRUCTION,
  L.VM_KERNEL_DEVICES,
  L.VM_BLOCK_MAP,
  L.VM_ARENA_BASE,
  L.VM_ARENA_END,
  L.VM_DIRTY_LOG,
  L.VM_PAGE_BLOCKS,
];

/** Ranges of the vCPU block that the guest has no way to change. */
const BLOCK_CONSTANTS: readonly (readonly [number, number])[] = [
  [L.GPR_ZERO, L.GPR_ZERO + 8],
  [L.TLB_USER, L.TLB_SUPER + 4],
  [L.TLB_SUPER_AC, L.TLB_SUPER_AC + 4],
  [L.VCPU_ID, L.VCPU_ID + 4],
  [L.CTRL_EXCEPTIONS, L.CTRL_PAGING + 4],
  [L.FEATURES, L.CPUID_COUNT + 4],
  [L.DEBUG_BREAK_COUNT, L.DEBUG_BREAK + 128],
  [L.PORT_BITMAP, L.IO_DATA],
  [L.CPUID_TABLE, L.CPUID_TABLE + L.CPUID_MAX * L.CPUID_STRIDE],
];

const FIELDS: readonly (readonly [string, number])[] = [
  ["cpl", L.CPL],
  ["mode", L.MODE],
  ["halted", L.HALTED],
  ["inhibit", L.INHIBIT],
  ["pending debug trap", L.PENDING_DB],
  ["NMI pending", L.NMI_PENDING],
  ["NMI blocked", L.NMI_BLOCKED],
  ["retired", L.RETIRED],
  ["gdtr.base", L.GDTR_BASE],
  ["gdtr.limit", L.GDTR_LIMIT],
  ["idtr.base", L.IDTR_BASE],
  ["idtr.limit", L.IDTR_LIMIT],
  ["cr0", L.CR0],
  ["cr2", L.CR2],
  ["cr3", L.CR3],
  ["cr4", L.CR4],
  ["vectoring", L.VECTORING],
  ["mxcsr", L.MXCSR],
];
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
const SEGMENT_FIELDS: readonly (readonly [string, number])[] = [
  ["selector", L.SEG_SELECTOR],
  ["base", L.SEG_BASE],
  ["limit", L.SEG_LIMIT],
  ["attr", L.SEG_ATTR],
  ["access", L.SEG_ACCESS],
];
const RANGES: readonly (readonly [string, number, number])[] = [
  ["dr", L.DR0, L.DR7 + 4],
  ["pdpte", L.PDPTE, L.PDPTE + 32],
  ["msr", L.MSR_STATE, L.DEBUGCTL + 8],
  ["x87", L.FPU_R, L.FPU_FERR + 4],
  ["xmm", L.XMM, L.XMM + 128],
  ["apic", L.LAPIC, L.LAPIC_PRIVATE + 0x200],
];

function stateFields(): [string, number][] {
  const fields: [string, number][] = [];
  const add = (name: string, offset: number): number => fields.push([name, L.VCPU_BASE + offset]);
  for (const [i, name] of ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"].entries()) add(name, L.GPR + i * 8);
  add("eip", L.EIP);
  for (const [name, offset] of FIELDS) add(name, offset);
  for (let i = 0; i < 8; i++)
    for (const [name, field] of SEGMENT_FIELDS) add(`${SEGMENTS[i]}.${name}`, L.SEG + i * L.SEG_STRIDE + field);
  for (const [name, start, end] of RANGES)
    for (let o = start; o < end; o += 4) add(`${name}+0x${(o - start).toString(16)}`, o);
  for (let o = 0; o < L.CHIPSET_SIZE; o += 4) fields.push([`chipset+0x${o.toString(16)}`, L.CHIPSET_BASE + o]);
  for (let o = L.VM_CLOCK_NS; o < L.VM_CLOCK_NS + 16; o += 4) fields.push([`clock+0x${o.toString(16)}`, L.VM_BASE + o]);
  return fields;
}
const STATE = stateFields();
const STATE_OFFSETS = STATE.map(([, offset]) => offset);
export const STATE_NAMES: readonly string[] = [...STATE.map(([name]) => name), "eflags"];
