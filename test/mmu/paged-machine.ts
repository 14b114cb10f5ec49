// A vCPU with paging on, in 32-bit or PAE format, whose guest changes its tables by its own stores: the same code runs under
// every way of virtualizing memory. Low memory is mapped to itself; two windows are for a test to map as it likes.
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, CS3, DS3, HANDLERS, Machine, STACK0, STACK3 } from "../cpu/machine.ts";

export type Format = "32-bit" | "PAE";

export const ROOT = 0x1f000; // PDPT under PAE
export const DIRECTORY = 0x20000;
export const TABLE_LOW = 0x21000;
/** Tables of the two windows, and a spare one. */
export const TABLES = [0x22000, 0x23000, 0x24000] as const;
/** A second directory, and a third. */
export const DIRECTORIES = [0x20000, 0x25000, 0x26000] as const;
/** Its PDPT under PAE. */
export const ROOTS = [0x1f000, 0x1f040, 0x1f080] as const;
/** Sixteen pages of data; RET from FF0h on in each. */
export const DATA = 0x40000;
export const DATA_PAGES = 16;
/** A large page from 0 there shows the data in the same place as entry FIRST and on do. */
export const WINDOWS = [0x440000, 0x840000] as const;
export const FIRST = 0x40;
/** Code for ring 3. */
const USER_CODE = 0x9000;

export const P = 1;
export const W = 2;
export const U = 4;
export const A = 32;
export const D = 64;
export const PS = 128;
export const G = 256;

export const imm32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

export const END = -1;
export const SHUTDOWN = -2;

export interface Outcome {
  /** Vector of the handler that was reached; END: the code came to its end; SHUTDOWN: nothing goes on any more. */
  readonly vector: number;
  readonly error: number;
  readonly cr2: number;
  readonly eax: number;
}

export class PagedMachine {
  /** Exits by reason. */
  readonly exits = new Map<Exit, number>();

  private constructor(
    readonly m: Machine,
    readonly format: Format,
  ) {}

  static async create(
    format: Format,
    paging: "direct" | "shadow" | "para",
    options: { readonly shadowBytes?: number; readonly cpu?: string } = {},
  ): Promise<PagedMachine> {
    const { cpu = "max,+hc-mmu", shadowBytes } = options;
    const m = await Machine.create(cpu, 1 << 20, { paging, ...(shadowBytes === undefined ? {} : { shadowBytes }) });
    m.protect(0);
    for (const seg of [L.SEG_DS, L.SEG_ES]) m.loadCache(seg, DS3, 0, 0xffffffff, 0xc0f3);
    const machine = new PagedMachine(m, format);
    machine.#makeTables();
    for (let page = 0; page < DATA_PAGES; page++)
      for (let i = 0xff0; i < 0x1000; i++) m.w8(DATA + page * 0x1000 + i, 0xc3);
    m.setField(L.CR3, machine.rootOf(0));
    m.setField(L.CR4, format === "PAE" ? 0x20 : 0x10);
    m.setField(L.CR0, 0x80010011);
    m.sync();
    return machine;
  }

  get entryBytes(): number {
    return this.format === "PAE" ? 8 : 4;
  }
  rootOf(n: number): number {
    return (this.format === "PAE" ? ROOTS : DIRECTORIES)[n] as number;
  }
  /** Index of a window's entry in the directory. */
  directoryIndex(window: number): number {
    return Math.floor((WINDOWS[window] as number) / (this.format === "PAE" ? 0x200000 : 0x400000));
  }
  /** Address of an entry of a directory or of the table for low memory. */
  entry(table: number, index: number): number {
    return table + index * this.entryBytes;
  }
  /** Address of the entry for page `index` of a window. */
  windowEntry(table: number, index: number): number {
    return this.entry(table, FIRST + index);
  }

  #makeTables(): void {
    const { m } = this;
    const put = (at: number, value: number): void => {
      m.w32(at, value);
      if (this.format === "PAE") m.w32(at + 4, 0);
    };
    for (const [n, directory] of DIRECTORIES.entries()) {
      put(ROOTS[n] as number, directory | P);
      put(this.entry(directory, 0), TABLE_LOW | P | W | U);
      for (const window of [0, 1])
        put(this.entry(directory, this.directoryIndex(window)), (TABLES[window] as number) | P | W | U);
    }
    for (let page = 0; page < 256; page++)
      put(this.entry(TABLE_LOW, page), (page * 0x1000) | P | W | (page === USER_CODE >> 12 ? U : 0));
  }

  /** Runs code in ring 0 or 3 up to its end. */
  run(code: readonly number[], ring: 0 | 3 = 0): Outcome {
    const { m } = this;
    m.setField(L.HALTED, 0);
    m.setReg("esp", STACK0);
    if (ring === 0) m.code([...code, 0xf4], CODE);
    else {
      // ring 3's HLT is #GP: the end
      m.code([...code, 0xf4], USER_CODE);
      const frame = [DS3, STACK3, 2, CS3, USER_CODE].flatMap((value) => [0x68, ...imm32(value)]);
      m.code([...frame, 0xcf], CODE);
    }
    m.setField(L.EIP, CODE);
    this.enter();
    const at = m.eip - 1 - HANDLERS;
    const vector = at >= 0 && at < 64 * 16 && at % 16 === 0 ? at / 16 : END;
    if (m.field(L.FAULT) === L.FAULT_SHUTDOWN) return { vector: SHUTDOWN, error: 0, cr2: m.field(L.CR2), eax: 0 };
    const done = ring === 3 && vector === 13;
    const error = vector === 14 ? m.r32(m.reg("esp")) : 0;
    return { vector: done ? END : vector, error, cr2: m.field(L.CR2), eax: m.reg("eax") };
  }

  /** Runs to a HLT as a host does that acknowledges everything. */
  enter(): void {
    for (let rounds = 0; rounds < 20_000; rounds++) {
      const reason = this.m.run(1000);
      if (reason === Exit.Hlt) return;
      if (reason === Exit.Hypercall) this.#hypercall();
      else if (reason === Exit.MmioRead) this.m.setField(L.EXIT_DATA, 0xffffffff);
      else if (reason === Exit.Shutdown) return;
      this.exits.set(reason, this.count(reason) + 1);
    }
    throw new Error("does not come to its end");
  }

  count(reason: Exit): number {
    return this.exits.get(reason) ?? 0;
  }

  #hypercall(): void {
    const { m } = this;
    const { core, vcpu } = m;
    const [ebx = 0, ecx = 0, edx = 0] = [0, 8, 16].map((offset) => m.field(L.EXIT_ARGS + offset));
    const calls = [
      () => core.pinRoot(vcpu, ebx, ecx),
      () => core.unpinRoot(vcpu, ebx),
      () => core.updateTables(vcpu, ebx, ecx, edx),
    ];
    m.setField(L.EXIT_DATA, calls[m.field(L.EXIT_NR) & 7]?.() ?? -1000);
  }

  /** EAX of a hypercall made by the guest. */
  call(nr: number, ebx = 0, ecx = 0, edx = 0): number {
    const { eax, vector } = this.run([
      ...[0xb8, ...imm32(nr)],
      ...[0xbb, ...imm32(ebx)],
      ...[0xb9, ...imm32(ecx)],
      ...[0xba, ...imm32(edx)],
      ...[0x0f, 0x01, 0xc1],
    ]);
    if (vector !== END) throw new Error(`vector ${vector}`);
    return eax | 0;
  }

  /** mov dword [address], value */
  store(address: number, value: number, ring: 0 | 3 = 0): Outcome {
    return this.run([0xc7, 0x05, ...imm32(address), ...imm32(value)], ring);
  }
  /** mov eax, [address] */
  load(address: number, ring: 0 | 3 = 0): Outcome {
    return this.run([0xa1, ...imm32(address)], ring);
  }
  /** call address */
  execute(address: number, ring: 0 | 3 = 0): Outcome {
    return this.run([0xb8, ...imm32(address), 0xff, 0xd0], ring);
  }
  invalidate(address: number): Outcome {
    return this.run([0x0f, 0x01, 0x3d, ...imm32(address)]);
  }
  loadCr3(value: number): Outcome {
    return this.run([0xb8, ...imm32(value), 0x0f, 0x22, 0xd8]);
  }

  /** Tables and data. */
  memory(): Uint8Array {
    const { ramBase } = this.m.map;
    return new Uint8Array(this.m.memory.buffer, ramBase + ROOT, DATA + DATA_PAGES * 0x1000 - ROOT);
  }
}
