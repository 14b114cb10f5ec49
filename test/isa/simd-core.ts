// The decoder, the MMX and SSE handlers and the MMU, compiled with asc, over 64 KiB of paged guest memory.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import * as L from "../../spec/layout.ts";
import { CR0_PE, CR0_PG, CR0_WP, CR4_OSFXSR, CR4_OSXMMEXCPT } from "../../spec/registers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ENTRY = "test/isa/simd-entry.ts";
const ENTRY_SOURCE = `
export { execMmx, execSse, execSse2, execSse4 } from "../../assembly/isa/simd/index";
export { decode } from "../../assembly/isa/decode";
export { initTlbs } from "../../assembly/mmu/tlb";
`;

// Wasm addresses.
const PAGE_FLAGS = 0xd0000;
// Where the block of an eighth vCPU would be
const SUPER_AC_TLB = 0xc0000;
const USER_TLB = 0xe0000;
const SUPER_TLB = 0xf0000;
const RAM = 0x100000;
const RAM_SIZE = 0x10000;
const RECORD = RAM + RAM_SIZE;

// Guest-physical addresses; linear addresses are the same.
const PAGE_DIRECTORY = 0x1000;
const PAGE_TABLE = 0x2000;
/** The page memory operands are in; the next one is mapped, too, until a test changes that. */
export const DATA = 0x4000;
const CODE = 0x8000;

const PTE_PRESENT_WRITE_USER = 0x67;
const FLAT_USER = L.MODE_CS32 | L.MODE_SS32 | L.MODE_FLAT_DATA | L.MODE_FLAT_CODE | L.MODE_PROTECTED;

export class SimdCore {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly vcpu = L.VCPU_BASE;
  /** Wasm address of DATA. */
  readonly data = RAM + DATA;
  readonly #exports: Record<string, (...args: number[]) => number>;

  private constructor(memory: WebAssembly.Memory, exports: WebAssembly.Exports) {
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.#exports = exports as Record<string, (...args: number[]) => number>;
    const v = this.view;
    v.setUint32(L.VM_BASE + L.VM_A20_MASK, 0xffffffff, true);
    v.setUint32(L.VM_BASE + L.VM_SLOT_COUNT, 1, true);
    v.setUint32(L.VM_BASE + L.VM_PAGE_FLAGS, PAGE_FLAGS, true);
    v.setUint32(L.SLOTS_BASE + L.SLOT_SIZE, RAM_SIZE, true);
    v.setUint32(L.SLOTS_BASE + L.SLOT_HOST, RAM, true);
    v.setUint32(RAM + PAGE_DIRECTORY, PAGE_TABLE | PTE_PRESENT_WRITE_USER, true);
    for (let page = 0; page < 1024; page++) this.setPte(page << 12, PTE_PRESENT_WRITE_USER);
    this.reset();
  }

  static async compile(): Promise<SimdCore> {
    let binary: Uint8Array | undefined;
    const options = [
      ...[ENTRY, "--config", "none", "-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory"],
      ...[
        "--memoryBase",
        "1024",
        "--enable",
        "simd",
        "--disableWarning",
        "112",
        "--use",
        "abort=",
        "--outFile",
        "simd.wasm",
      ],
    ];
    const { error, stderr } = await asc.main(options, {
      readFile: (name: string) => {
        if (name === ENTRY) return ENTRY_SOURCE;
        try {
          return readFileSync(resolve(ROOT, name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (_name: string, contents: Uint8Array | string) => {
        if (typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    });
    if (error || binary === undefined)
      throw new Error(`simd does not compile: ${error?.message}\n${stderr.toString()}`);
    const module = new WebAssembly.Module(binary as Uint8Array<ArrayBuffer>);
    const memory = new WebAssembly.Memory({ initial: RECORD / 0x10000 + 1 });
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = { env: { memory } };
    for (const i of WebAssembly.Module.imports(module)) {
      if (i.kind !== "function") continue;
      const from = imports[i.module] ?? {};
      imports[i.module] = from;
      from[i.name] = () => {
        throw new Error(`unexpected call of ${i.module}.${i.name}`);
      };
    }
    return new SimdCore(memory, new WebAssembly.Instance(module, imports).exports);
  }

  /** User mode in flat 32-bit segments with paging, SSE enabled by the operating system, every feature present. */
  reset(): void {
    this.bytes.fill(0, this.vcpu, this.vcpu + 0x1000);
    for (let seg = 0; seg < 6; seg++) {
      const s = this.vcpu + L.SEG + seg * L.SEG_STRIDE;
      this.view.setUint32(s + L.SEG_LIMIT, 0xffffffff, true);
      this.view.setUint32(s + L.SEG_ACCESS, L.SEGA_READ | L.SEGA_WRITE | L.SEGA_FLAT, true);
    }
    this.bytes.fill(0xff, this.vcpu + L.FEATURES, this.vcpu + L.FEATURES + 16);
    this.set(L.CR0, CR0_PE | CR0_PG | CR0_WP);
    this.set(L.CR3, PAGE_DIRECTORY);
    this.set(L.CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
    this.set(L.CPL, 3);
    this.set(L.MXCSR, 0x1f80);
    this.set(L.TLB_CURRENT, USER_TLB);
    this.set(L.TLB_USER, USER_TLB);
    this.set(L.TLB_SUPER, SUPER_TLB);
    this.set(L.TLB_SUPER_AC, SUPER_AC_TLB);
  }

  /** Changes a page-table entry. Flush the TLB after the last change. */
  setPte(linear: number, flags: number): void {
    this.view.setUint32(RAM + PAGE_TABLE + (linear >>> 12) * 4, linear | flags, true);
  }

  flushTlb(): void {
    (this.#exports.initTlbs as (vcpu: number) => void)(this.vcpu);
  }

  get(offset: number): number {
    return this.view.getUint32(this.vcpu + offset, true);
  }

  set(offset: number, value: number): void {
    this.view.setUint32(this.vcpu + offset, value, true);
  }

  /** Decodes the instruction, which must be as long as `code`, and returns its Op. */
  decode(code: ArrayLike<number>, mode = FLAT_USER): number {
    const length = this.#decode(code, mode);
    if (length !== code.length) throw new Error(`decoded ${length} of ${code.length} bytes`);
    return this.view.getUint16(RECORD + L.REC_OP, true);
  }

  /** The Op of the instruction that begins with `code` (zeros follow). */
  decodes(code: ArrayLike<number>): number {
    this.#decode(code, FLAT_USER);
    return this.view.getUint16(RECORD + L.REC_OP, true);
  }

  #decode(code: ArrayLike<number>, mode: number): number {
    this.bytes.fill(0, RAM + CODE, RAM + CODE + 16);
    this.bytes.set(code, RAM + CODE);
    const decode = this.#exports.decode as (...args: number[]) => number;
    // Bit 8 says that the instruction ends its block.
    return decode(this.vcpu, RECORD, RAM + CODE, RAM + CODE + 16, mode, 0) & 0xff;
  }

  /** Executes the decoded record; returns the exception vector, or 0. */
  run(): number {
    this.set(L.FAULT, 0);
    const family = this.view.getUint16(RECORD + L.REC_OP, true) >> 8;
    const handler = this.#exports[["", "", "", "", "", "execMmx", "execSse", "execSse2", "execSse4"][family] as string];
    if (handler === undefined) throw new Error(`no handler for family ${family}`);
    handler(this.vcpu, RECORD);
    if (this.get(L.FAULT) === L.FAULT_NONE) return 0;
    if (this.get(L.FAULT) !== L.FAULT_EXCEPTION) throw new Error(`fault kind ${this.get(L.FAULT)}`);
    return this.get(L.FAULT_VECTOR);
  }
}
