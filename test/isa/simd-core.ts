// The MMX and SSE handlers alone, compiled with asc, over a vCPU block and one page of guest memory.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import * as L from "../../spec/layout.ts";
import { CR4_OSFXSR, CR4_OSXMMEXCPT } from "../../spec/registers.ts";

export const PAGE_LINEAR = 0x10000000;
const TLB = 0xe0000;
const PAGE_ADDRESS = 0x100000;
const RECORD = 0x110000;
const MEMORY_PAGES = 0x12;

export class SimdCore {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly vcpu = L.VCPU_BASE;
  readonly page = PAGE_ADDRESS;
  readonly record = RECORD;
  readonly #families: Record<string, (vcpu: number, rec: number) => void>;

  private constructor(memory: WebAssembly.Memory, exports: WebAssembly.Exports) {
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    type Handler = (vcpu: number, rec: number) => void;
    this.#families = {
      mmx: exports.execMmx as Handler,
      sse: exports.execSse as Handler,
      sse2: exports.execSse2 as Handler,
      sse4: exports.execSse4 as Handler,
    };
  }

  static async compile(): Promise<SimdCore> {
    const directory = mkdtempSync(join(tmpdir(), "simd-core-"));
    try {
      const outFile = join(directory, "simd.wasm");
      const root = fileURLToPath(new URL("../../", import.meta.url));
      const { error, stderr } = await asc.main([
        "assembly/isa/simd/index.ts", "--baseDir", root, "--config", "none", "-O3", "--noAssert", "--runtime", "stub",
        "--importMemory", "--noExportMemory", "--memoryBase", "1024", "--enable", "simd", "--disableWarning", "112",
        "--use", "abort=", "--outFile", outFile,
      ]);
      if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
      const module = new WebAssembly.Module(readFileSync(outFile));
      const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
      const imports: Record<string, Record<string, WebAssembly.ImportValue>> = { env: { memory } };
      for (const i of WebAssembly.Module.imports(module)) {
        if (i.kind !== "function") continue;
        (imports[i.module] ??= {})[i.name] = () => {
          throw new Error(`unexpected call of ${i.module}.${i.name}`);
        };
      }
      const core = new SimdCore(memory, new WebAssembly.Instance(module, imports).exports);
      core.reset();
      return core;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** Flat segments, SSE enabled by the operating system, one page mapped for reading and writing. */
  reset(): void {
    this.bytes.fill(0, this.vcpu, this.vcpu + 0x1000);
    for (let seg = 0; seg < 6; seg++) {
      const s = this.vcpu + L.SEG + seg * L.SEG_STRIDE;
      this.view.setUint32(s + L.SEG_LIMIT, 0xffffffff, true);
      this.view.setUint32(s + L.SEG_ACCESS, L.SEGA_READ | L.SEGA_WRITE | L.SEGA_FLAT, true);
    }
    this.set(L.CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
    this.set(L.MXCSR, 0x1f80);
    for (const field of [L.TLB_CURRENT, L.TLB_USER, L.TLB_SUPER]) this.set(field, TLB);
    for (let e = TLB; e < TLB + L.TLB_SIZE; e += 4) this.view.setUint32(e, 1, true);
    this.map(PAGE_LINEAR, true);
  }

  /** Maps a linear page to the test page. */
  map(linear: number, writable: boolean): void {
    const e = TLB + (((linear >>> 8) ^ (linear >>> 17)) & 0xfff0);
    this.view.setUint32(e + L.TLB_READ, linear, true);
    this.view.setUint32(e + L.TLB_WRITE, writable ? linear : 1, true);
    this.view.setUint32(e + L.TLB_DELTA, PAGE_ADDRESS - linear, true);
  }

  get(offset: number): number {
    return this.view.getUint32(this.vcpu + offset, true);
  }

  set(offset: number, value: number): void {
    this.view.setUint32(this.vcpu + offset, value, true);
  }

  /** Fills the decoded record. Registers by number; `memory` adds ESI as the base. */
  decode(op: number, reg: number, rm: number, imm: number, memory: boolean): void {
    const v = this.view;
    v.setUint16(RECORD + L.REC_OP, op, true);
    v.setUint8(RECORD + L.REC_LEN, 4);
    v.setUint8(RECORD + L.REC_REG, reg * L.GPR_STRIDE);
    v.setUint8(RECORD + L.REC_BASE, (memory ? 6 : rm) * L.GPR_STRIDE);
    v.setUint8(RECORD + L.REC_INDEX, L.GPR_ZERO);
    v.setUint8(RECORD + L.REC_EA, 0);
    v.setUint8(RECORD + L.REC_PFX, memory ? 0 : L.PFX_REG);
    v.setUint32(RECORD + L.REC_DISP, 0, true);
    v.setUint32(RECORD + L.REC_IMM, imm, true);
  }

  /** Executes the record; returns the exception vector, or 0. */
  run(family: string): number {
    this.set(L.FAULT, 0);
    const handler = this.#families[family];
    if (handler === undefined) throw new Error(`no handler for family ${family}`);
    handler(this.vcpu, RECORD);
    if (this.get(L.FAULT) === L.FAULT_NONE) return 0;
    if (this.get(L.FAULT) !== L.FAULT_EXCEPTION) throw new Error(`fault kind ${this.get(L.FAULT)}`);
    return this.get(L.FAULT_VECTOR);
  }
}
