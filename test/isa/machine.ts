// The core under test in the oracle's world: one vCPU at CPL 3, PAE paging with the same pages mapped as on the
// recording machine, the same GDT and LDT entries, every exception an exit.
import { readFileSync } from "node:fs";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import * as R from "../../spec/registers.ts";
import {
  CASE_ADDRESS,
  CASE_CODE,
  CASE_CODE_LENGTH,
  CASE_EFLAGS,
  CASE_EIP,
  CASE_FLAGS,
  CASE_HOT,
  CASE_INT3,
  CASE_NO_STEP,
  CASE_PATCH_COUNT,
  CASE_REGS,
  CASE_REPEAT,
  CASE_SELECTORS,
  CASE_SEQUENCE,
  NO_VECTOR,
  patchesOffset,
} from "../../tools/oracle/format.ts";
import type { Result } from "../../tools/oracle/result.ts";
import {
  CODE,
  CODE_SIZE,
  descriptorBytes,
  fillByte,
  KERNEL_DS,
  LDT,
  ldtSelector,
  PROT_EXEC,
  PROT_WRITE,
  REGIONS,
  USER_CS,
  USER_DS,
  WORLD_BASE,
} from "../../tools/oracle/world.ts";

const CORE = new URL("../../build/paravane.wasm", import.meta.url);
const PAGE = 4096;
const WASM_PAGE = 65536;

// Guest-physical layout.
const PDPT = 0x1000;
const DIRECTORY = 0x2000;
const WORLD_TABLE = 0x3000;
const SYSTEM_TABLE = 0x4000;
const SYSTEM = 0x5000;
const WORLD_PHYSICAL = 0x10000;
const RAM_SIZE = 0x20000;
/** Linear address of the descriptor tables; supervisor only. */
const SYSTEM_LINEAR = 0x30000000;
const GDT = SYSTEM_LINEAR;
const IDT = SYSTEM_LINEAR + 0x400;
const LDT_BASE = SYSTEM_LINEAR + 0x200;
const TSS = SYSTEM_LINEAR + 0xe00;
/** Where the gates lead, 16 bytes a vector; nothing is mapped there. */
const HANDLERS = 0xf0000000;

const HOT_BUDGETS = [1000000n, 1000n, 97n] as const;
const BUDGETS = [1n, 2n, 3n, 5n, 8n, 1000n, 1000n] as const;

/** What the tests use of assembly/index.ts. */
export interface CoreExports {
  initVm(): void;
  resetVcpu(vcpu: number): void;
  runVcpu(vcpu: number, budget: bigint): number;
  syncVcpu(vcpu: number): void;
  guestWritten(gpa: number, size: number): void;
}

interface Cached {
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
}

const NULL_SEGMENT: Cached = { base: 0, limit: 0, attr: L.ATTR_UNUSABLE };

/** What a segment register holds after a load of the descriptor. */
function cachedOf(d: Uint8Array): Cached {
  const b = (i: number): number => d[i] as number;
  const raw = b(0) | (b(1) << 8) | ((b(6) & 15) << 16);
  return {
    base: (b(2) | (b(3) << 8) | (b(4) << 16) | (b(7) << 24)) >>> 0,
    limit: b(6) & 0x80 ? ((raw << 12) | 0xfff) >>> 0 : raw,
    attr: b(5) | ((b(6) & 0xf0) << 8),
  };
}

export class CoreMachine {
  readonly vcpu = L.VCPU_BASE;
  readonly core: CoreExports;
  readonly memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #ram: number;
  readonly #segments = new Map<number, Cached>();
  /** The writable, filled regions as they are before a case, and their places. */
  readonly #watched: { address: number; live: Buffer; expected: Buffer; pristine: Buffer }[] = [];
  readonly #codePage: Uint8Array;

  private constructor(module: WebAssembly.Module) {
    const tlb = L.DERIVED_BASE;
    const blockMap = tlb + L.TLB_TABLES * L.TLB_SIZE;
    const blocksGone = blockMap + L.BLOCK_MAP_ENTRIES * 4;
    const pageFlags = blocksGone + L.BLOCK_MAP_ENTRIES / 8;
    const codeBits = pageFlags + 0x1000;
    const pageBlocks = codeBits + 0x8000;
    const arena = pageBlocks + 0x4000;
    const arenaEnd = arena + 0x100000;
    this.#ram = Math.ceil(arenaEnd / WASM_PAGE) * WASM_PAGE;
    const pages = (this.#ram + RAM_SIZE) / WASM_PAGE;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#view = new DataView(this.memory.buffer);
    this.#bytes = new Uint8Array(this.memory.buffer);
    const imports: WebAssembly.Imports = { env: { memory: this.memory }, host: { nowNs: () => 0n, fillPage: () => 0 } };
    const instance = new WebAssembly.Instance(module, imports);
    this.core = instance.exports as unknown as CoreExports;
    const vm: readonly (readonly [number, number])[] = [
      [L.VM_FORMAT, 1],
      [L.VM_VCPU_COUNT, 1],
      [L.VM_RAM_BASE, this.#ram],
      [L.VM_RAM_SIZE, RAM_SIZE],
      [L.VM_SLOT_COUNT, 1],
      [L.VM_A20_MASK, 0xffffffff],
      [L.VM_PAGE_FLAGS, pageFlags],
      [L.VM_CODE_BITS, codeBits],
      [L.VM_CLOCK_MODE, L.CLOCK_VIRTUAL],
      [L.VM_TSC_KHZ, 1_000_000],
      [L.VM_PS_PER_INSTRUCTION, 1000],
      [L.VM_BLOCK_MAP, blockMap],
      [L.VM_ARENA_BASE, arena],
      [L.VM_ARENA_END, arenaEnd],
      [L.VM_ARENA_LIMIT, arenaEnd],
      [L.VM_ARENA_NEXT, arena],
      [L.VM_ARENA_GONE, blocksGone],
      [L.VM_PAGE_BLOCKS, pageBlocks],
    ];
    for (const [offset, value] of vm) this.#view.setUint32(L.VM_BASE + offset, value, true);
    this.#view.setBigInt64(L.VM_BASE + L.VM_HOST_DEADLINE_NS, 0x7fffffffffffffffn, true);
    const slot = L.SLOTS_BASE;
    this.#view.setUint32(slot + L.SLOT_GPA, 0, true);
    this.#view.setUint32(slot + L.SLOT_SIZE, RAM_SIZE, true);
    this.#view.setUint32(slot + L.SLOT_HOST, this.#ram, true);
    this.set(L.TLB_USER, tlb);
    this.set(L.TLB_SUPER, tlb + L.TLB_SIZE);
    this.set(L.TLB_SUPER_AC, tlb + 2 * L.TLB_SIZE);
    this.set(L.TLB_CURRENT, tlb);
    this.#buildTables();
    this.core.initVm();
    this.core.resetVcpu(this.vcpu);
    this.#setSystemState();
    this.#codePage = this.#bytes.subarray(this.#host(CODE), this.#host(CODE) + CODE_SIZE);
    this.#codePage.fill(0xcc);
  }

  /** The core that `npm run build` made, or another module. */
  static create(module = new WebAssembly.Module(readFileSync(CORE))): CoreMachine {
    return new CoreMachine(module);
  }

  get(offset: number): number {
    return this.#view.getUint32(this.vcpu + offset, true);
  }

  set(offset: number, value: number): void {
    this.#view.setUint32(this.vcpu + offset, value >>> 0, true);
  }

  /** Wasm address of a linear address in the world. */
  #host(linear: number): number {
    return this.#ram + WORLD_PHYSICAL + (linear - WORLD_BASE);
  }

  #buildTables(): void {
    const entry = (gpa: number, value: bigint): void => this.#view.setBigUint64(this.#ram + gpa, value, true);
    const PRESENT_ACCESSED = 0x21n;
    entry(PDPT, BigInt(DIRECTORY) | 1n);
    entry(DIRECTORY + ((WORLD_BASE >>> 21) & 511) * 8, BigInt(WORLD_TABLE) | 6n | PRESENT_ACCESSED);
    entry(DIRECTORY + ((SYSTEM_LINEAR >>> 21) & 511) * 8, BigInt(SYSTEM_TABLE) | 2n | PRESENT_ACCESSED);
    entry(SYSTEM_TABLE, BigInt(SYSTEM) | 0x42n | PRESENT_ACCESSED);
    for (const r of REGIONS) {
      for (let at = r.address; at < r.address + r.size; at += PAGE) {
        const writable = r.prot & PROT_WRITE ? 0x42n : 0n;
        const noExecute = r.prot & PROT_EXEC ? 0n : 1n << 63n;
        entry(
          WORLD_TABLE + ((at >>> 12) & 511) * 8,
          BigInt(WORLD_PHYSICAL + at - WORLD_BASE) | 4n | writable | noExecute | PRESENT_ACCESSED,
        );
      }
      if (!r.filled) continue;
      const live = Buffer.from(this.memory.buffer, this.#host(r.address), r.size);
      for (let i = 0; i < r.size; i++) live[i] = fillByte(r.address + i);
      this.#watched.push({ address: r.address, live, expected: Buffer.from(live), pristine: Buffer.from(live) });
    }
    const system = (linear: number): number => this.#ram + SYSTEM + (linear - SYSTEM_LINEAR);
    const gdt = (selector: number, bytes: Uint8Array): void => this.#bytes.set(bytes, system(GDT) + (selector & ~7));
    // As Linux has them: kernel code and data, user code and data, 64-bit user code.
    gdt(0x08, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0));
    gdt(0x10, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0));
    gdt(KERNEL_DS, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0));
    const userCode = Uint8Array.of(0xff, 0xff, 0, 0, 0, 0xfb, 0xcf, 0);
    const userData = Uint8Array.of(0xff, 0xff, 0, 0, 0, 0xf3, 0xcf, 0);
    gdt(0x30, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0xfb, 0xaf, 0));
    // Its processor number: a read-only, expand-down data segment.
    gdt(0x78, Uint8Array.of(0, 0, 0, 0, 0, 0xf5, 0x40, 0));
    gdt(USER_CS, userCode);
    gdt(USER_DS, userData);
    this.#segments.set(0, NULL_SEGMENT);
    this.#segments.set(USER_CS, cachedOf(userCode));
    this.#segments.set(USER_DS, cachedOf(userData));
    for (const d of LDT) {
      const bytes = descriptorBytes(d);
      this.#bytes.set(bytes, system(LDT_BASE) + d.index * 8);
      this.#segments.set(ldtSelector(d.index), cachedOf(bytes));
    }
    for (let n = 0; n < 256; n++) {
      // Interrupt gates to kernel code; only INT3 and INTO may be called from CPL 3.
      const dpl = n === 3 || n === 4 ? 0x60 : 0;
      this.#bytes.set(Uint8Array.of((n * 16) & 0xff, n >> 4, 8, 0, 0, 0x8e | dpl, 0, 0xf0), system(IDT) + n * 8);
    }
    // No I/O permission bitmap inside the limit.
    this.#view.setUint16(system(TSS) + 0x66, 0x68, true);
    this.#view.setUint32(system(TSS) + 4, SYSTEM_LINEAR + 0xe00, true);
    this.#view.setUint32(system(TSS) + 8, KERNEL_DS, true);
  }

  #setSystemState(): void {
    this.set(L.CR0, (R.CR0_PE | R.CR0_MP | R.CR0_ET | R.CR0_NE | R.CR0_WP | R.CR0_AM | R.CR0_PG) >>> 0);
    this.set(L.CR4, R.CR4_PAE | R.CR4_PSE | R.CR4_OSFXSR | R.CR4_OSXMMEXCPT);
    this.set(L.CR3, PDPT);
    this.set(L.EFER, R.EFER_NXE);
    this.#view.setBigUint64(this.vcpu + L.PDPTE, BigInt(DIRECTORY) | 1n, true);
    this.set(L.GDTR_BASE, GDT);
    this.set(L.GDTR_LIMIT, 0x7f);
    this.set(L.IDTR_BASE, IDT);
    this.set(L.IDTR_LIMIT, 0x7ff);
    this.#setSegment(L.SEG_LDTR, 0x50, { base: LDT_BASE, limit: 19 * 8 - 1, attr: 0x82 });
    this.#setSegment(L.SEG_TR, 0x40, { base: TSS, limit: 0x67, attr: 0x8b });
    for (let i = 0; i < 4; i++) this.set(L.FEATURES + i * 4, 0xffffffff);
    this.set(L.CPL, 3);
    this.set(L.CTRL_EXCEPTIONS, 0xffffffff);
    this.set(L.CTRL_FLAGS, L.CTRLF_HLT);
  }

  #setSegment(n: number, selector: number, c: Cached): void {
    const s = L.SEG + n * L.SEG_STRIDE;
    this.set(s + L.SEG_SELECTOR, selector);
    this.set(s + L.SEG_BASE, c.base);
    this.set(s + L.SEG_LIMIT, c.limit);
    this.set(s + L.SEG_ATTR, c.attr);
  }

  /** EFLAGS, into the words of assembly/cpu/flags.ts. */
  setEflags(f: number): void {
    const cf = f & 1;
    const of = (f >> 11) & 1;
    const zf = (f >> 6) & 1;
    const pf = (f >> 2) & 1;
    let aux = (cf << 31) | ((cf ^ of) << 30) | ((f & R.FLAG_AF) >> 1);
    if (f & R.FLAG_SF) aux |= 0x10000;
    if (pf !== zf) aux |= 0x100;
    this.set(L.FLAG_RES, zf ^ 1);
    this.set(L.FLAG_AUX, aux);
    this.set(L.EFLAGS_SYS, (f & ~R.FLAGS_ARITH) | 2);
  }

  getEflags(): number {
    const res = this.get(L.FLAG_RES) | 0;
    const aux = this.get(L.FLAG_AUX);
    let parity = (res ^ (aux >>> 8)) & 0xff;
    parity ^= parity >> 4;
    const pf = (0x9669 >> (parity & 15)) & 1;
    const sf = (res >>> 31) ^ ((aux >>> 16) & 1);
    return (
      this.get(L.EFLAGS_SYS) |
      (aux >>> 31) |
      (pf << 2) |
      (((aux >>> 3) & 1) << 4) |
      ((res === 0 ? 1 : 0) << 6) |
      (sf << 7) |
      (((aux ^ (aux << 1)) >>> 31) << 11)
    );
  }

  /**
   * Runs the case at `at`; fills `r` as the hardware would report it.
   * `way` is a number that chooses how the core is made to stop behind the instruction: a budget of one instruction,
   * the INT3 behind it (so that it runs as part of a decoded block), or EFLAGS.TF. All must come to the same.
   */
  run(cases: DataView, at: number, r: Result, way: number): void {
    const view = this.#view;
    const patchCount = cases.getUint8(at + CASE_PATCH_COUNT);
    const length = cases.getUint8(at + CASE_CODE_LENGTH);
    const patchBase = at + patchesOffset(length);
    this.#patch(cases, patchBase, patchCount, true);
    const code = cases.getUint32(at + CASE_ADDRESS, true) - CODE;
    for (let i = 0; i < length; i++) this.#codePage[code + i] = cases.getUint8(at + CASE_CODE + i);
    this.core.guestWritten(WORLD_PHYSICAL + (CODE - WORLD_BASE) + code, length);
    for (let i = 0; i < 8; i++)
      view.setUint32(this.vcpu + L.GPR + i * L.GPR_STRIDE, cases.getUint32(at + CASE_REGS + i * 4, true), true);
    for (let i = 0; i < 6; i++) {
      const selector = cases.getUint16(at + CASE_SELECTORS + i * 2, true);
      const c = this.#segments.get(selector);
      if (!c) throw new Error(`no segment for selector ${selector.toString(16)}`);
      this.#setSegment(i, selector, c);
    }
    const eip = cases.getUint32(at + CASE_EIP, true);
    this.set(L.EIP, eip);
    this.set(L.CPL, 3);
    this.setEflags(cases.getUint32(at + CASE_EFLAGS, true));
    // What an earlier case may have left: a trap or a shadow for the next instruction, a halt.
    this.set(L.PENDING_DB, 0);
    this.set(L.INHIBIT, 0);
    this.set(L.HALTED, 0);
    this.core.syncVcpu(this.vcpu);
    const flags = cases.getUint8(at + CASE_FLAGS);
    let reason: number = Exit.Budget;
    let stopVector = NO_VECTOR;
    if (flags & CASE_SEQUENCE) {
      // Budgets of all kinds: stops between and inside blocks must not show.
      const budget = flags & CASE_HOT ? (HOT_BUDGETS[way % 3] as bigint) : (BUDGETS[way % BUDGETS.length] as bigint);
      for (let i = 0; i < 4096 && reason === Exit.Budget; i++) reason = this.core.runVcpu(this.vcpu, budget);
    } else if (way % 3 === 1 && flags & CASE_INT3) {
      stopVector = 3;
      for (let i = 0; i < 4096 && reason === Exit.Budget; i++) reason = this.core.runVcpu(this.vcpu, 100n);
    } else if (way % 3 === 2 && !(flags & CASE_NO_STEP)) {
      stopVector = 1;
      this.set(L.EFLAGS_SYS, this.get(L.EFLAGS_SYS) | R.FLAG_TF);
      do {
        reason = this.core.runVcpu(this.vcpu, 1n);
        // The trap is due before the next instruction: a budget of none is not enough to see it, one may be.
        if (reason === Exit.Budget) reason = this.core.runVcpu(this.vcpu, 1n);
        if (this.#returnFromGate(1)) reason = Exit.Exception;
      } while (
        flags & CASE_REPEAT &&
        reason === Exit.Exception &&
        this.get(L.EXIT_NR) === 1 &&
        this.get(L.EIP) === eip
      );
      this.set(L.EFLAGS_SYS, this.get(L.EFLAGS_SYS) & ~R.FLAG_TF);
    } else {
      const repeat = flags & CASE_REPEAT ? 4096 : 1;
      for (let i = 0; i < repeat && reason === Exit.Budget; i++) {
        reason = this.core.runVcpu(this.vcpu, 1n);
        if (this.get(L.EIP) !== eip) break;
      }
    }
    r.vector = NO_VECTOR;
    r.error = 0;
    r.cr2 = 0;
    if (reason === Exit.Exception) {
      r.vector = this.get(L.EXIT_NR);
      r.error = this.get(L.EXIT_DATA);
      if (r.vector === 14) r.cr2 = this.get(L.CR2);
    } else if (reason !== Exit.Budget) {
      r.vector = 100 + reason;
    }
    if (stopVector !== NO_VECTOR) {
      // Stopped as planned, or stopped too late: then the outcome is one that no CPU reports.
      if (r.vector === stopVector) {
        r.vector = NO_VECTOR;
        r.error = 0;
      } else if (r.vector === NO_VECTOR) r.vector = 99;
    }
    for (let i = 0; i < 8; i++) r.regs[i] = view.getUint32(this.vcpu + L.GPR + i * L.GPR_STRIDE, true);
    r.eip = this.get(L.EIP);
    if (stopVector === 3 && r.vector === NO_VECTOR) r.eip = (r.eip - 1) >>> 0;
    r.eflags = this.getEflags();
    for (let i = 0; i < 6; i++) r.selectors[i] = this.get(L.SEG + i * L.SEG_STRIDE + L.SEG_SELECTOR);
    this.#collect(r);
    this.#patch(cases, patchBase, patchCount, false);
    this.#codePage.fill(0xcc, code, code + length);
    this.core.guestWritten(WORLD_PHYSICAL + (CODE - WORLD_BASE) + code, length);
  }

  /**
   * When the core has delivered `vector` through its gate, takes the frame off the kernel stack again, as IRET would,
   * and reports it as an exit.
   */
  #returnFromGate(vector: number): boolean {
    if (this.get(L.EIP) !== HANDLERS + vector * 16 || this.get(L.SEG + L.SEG_CS * L.SEG_STRIDE + L.SEG_SELECTOR) !== 8)
      return false;
    const frame = this.#ram + SYSTEM + (this.get(L.ESP) - SYSTEM_LINEAR);
    const [eip, cs, eflags, esp, ss] = [0, 4, 8, 12, 16].map((k) => this.#view.getUint32(frame + k, true)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.set(L.EIP, eip);
    this.set(L.ESP, esp);
    for (const [n, selector] of [
      [L.SEG_CS, cs & 0xffff],
      [L.SEG_SS, ss & 0xffff],
    ] as const) {
      const c = this.#segments.get(selector);
      if (!c) return false;
      this.#setSegment(n, selector, c);
    }
    this.set(L.CPL, 3);
    this.setEflags(eflags);
    this.core.syncVcpu(this.vcpu);
    this.set(L.EXIT_NR, vector);
    return true;
  }

  #patch(cases: DataView, base: number, count: number, apply: boolean): void {
    let p = base;
    for (let n = count; n > 0; n--) {
      const address = cases.getUint32(p, true);
      const length = cases.getUint32(p + 4, true);
      for (const w of this.#watched) {
        const k = address - w.address;
        if (k < 0 || k >= w.live.length) continue;
        for (let i = 0; i < length; i++) {
          const byte = apply ? cases.getUint8(p + 8 + i) : (w.pristine[k + i] as number);
          w.live[k + i] = byte;
          w.expected[k + i] = byte;
        }
      }
      p += 8 + ((length + 3) & ~3);
    }
  }

  /** Memory that is not as it was, in the runs that the harness reports; puts it back. */
  #collect(r: Result): void {
    r.changes = [];
    for (const w of this.#watched) {
      if (w.live.equals(w.expected)) continue;
      for (let i = 0; i < w.live.length; i++) {
        if (w.live[i] === w.expected[i]) continue;
        let n = 1;
        while (i + n < w.live.length && n < 255 && w.live[i + n] !== w.expected[i + n]) n++;
        r.changes.push({ address: w.address + i, bytes: new Uint8Array(w.live.subarray(i, i + n)) });
        w.expected.copy(w.live, i, i, i + n);
        i += n - 1;
      }
    }
  }
}
