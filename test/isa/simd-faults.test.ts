// What stops an MMX or SSE instruction, in which order, and that it changed nothing by then. SDM 3A 2.5, 12.1, 13.1,
// SDM 2 2.4 (exception types).
import { readFileSync } from "node:fs";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as features from "../../spec/features.ts";
import * as L from "../../spec/layout.ts";
import * as op from "../../spec/op.gen.ts";
import { simdRows } from "../../spec/opcodes/simd.ts";
import { CR0_EM, CR0_NE, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT } from "../../spec/registers.ts";
import { STATE_CODE, simdCases } from "../../tools/oracle/simd-cases.ts";
import { encodingName, simdEncodings } from "../../tools/oracle/simd-encodings.ts";
import { rowName } from "./simd-compare.ts";
import { DATA, SimdCore } from "./simd-core.ts";

const UD = 6;
const NM = 7;
const SS = 12;
const GP = 13;
const PF = 14;
const MF = 16;
const XM = 19;
const { Op } = op as unknown as { Op: Record<string, number> };
const { Feature } = features as unknown as { Feature: Record<string, number> };

// [ESI] operands; ModRM.reg 1.
const MOVAPS_LOAD = [0x0f, 0x28, 0x0e];
const MOVAPS_STORE = [0x0f, 0x29, 0x0e];
const MOVUPS_LOAD = [0x0f, 0x10, 0x0e];
const MOVUPS_STORE = [0x0f, 0x11, 0x0e];
const MOVQ_STORE = [0x0f, 0x7f, 0x0e];
const PADDB_MM = [0x0f, 0xfc, 0xca];
const PADDB_MM_MEM = [0x0f, 0xfc, 0x0e];
const PSHUFW = [0x0f, 0x70, 0xca, 0x1b];
const ADDPS = [0x0f, 0x58, 0xca];
const DIVPS = [0x0f, 0x5e, 0xca];
const CVTPI2PS = [0x0f, 0x2a, 0xca];
const CVTPI2PS_MEM = [0x0f, 0x2a, 0x0e];
const MOVQ2DQ = [0xf3, 0x0f, 0xd6, 0xca];
const EMMS = [0x0f, 0x77];
const LDMXCSR = [0x0f, 0xae, 0x16];
const STMXCSR = [0x0f, 0xae, 0x1e];
const MASKMOVDQU = [0x66, 0x0f, 0xf7, 0xca];
const MASKMOVQ = [0x0f, 0xf7, 0xca];
/** Instructions that use neither MMX nor XMM registers. */
const UNGUARDED = {
  movnti: [0x0f, 0xc3, 0x0e],
  prefetchnta: [0x0f, 0x18, 0x06],
  sfence: [0x0f, 0xae, 0xf8],
  lfence: [0x0f, 0xae, 0xe8],
  mfence: [0x0f, 0xae, 0xf0],
  clflush: [0x0f, 0xae, 0x3e],
  crc32: [0xf2, 0x0f, 0x38, 0xf1, 0xca],
};

const FSW_ES = 0x80;
const PTE_ABSENT = 0x66;
const PTE_READ_ONLY = 0x65;
const PTE_PRESENT = 0x67;

let core: SimdCore;

beforeAll(async () => {
  core = await SimdCore.compile();
}, 60_000);

beforeEach(() => {
  core.reset();
  core.setPte(DATA, PTE_PRESENT);
  core.setPte(DATA + 0x1000, PTE_PRESENT);
  core.flushTlb();
  core.bytes.fill(0, core.data, core.data + 0x2000);
  core.set(L.ESI, DATA + 0x100);
  core.set(L.EDI, DATA + 0x100);
  for (let i = 0; i < 128; i++) core.bytes[core.vcpu + L.XMM + i] = 0x11 + i;
  for (let n = 0; n < 8; n++) {
    for (let i = 0; i < 8; i++) core.bytes[core.vcpu + L.FPU_R + 16 * n + i] = n * 16 + i;
  }
});

function execute(code: number[]): number {
  core.decode(code);
  return core.run();
}

function xmm(n: number): string {
  return Buffer.from(core.bytes.subarray(core.vcpu + L.XMM + 16 * n, core.vcpu + L.XMM + 16 * n + 16)).toString("hex");
}

function fsw(value?: number): number {
  if (value !== undefined) core.view.setUint16(core.vcpu + L.FPU_FSW, value, true);
  return core.view.getUint16(core.vcpu + L.FPU_FSW, true);
}

describe("availability", () => {
  it("raises #UD for CR0.EM before #NM for CR0.TS", () => {
    core.set(L.CR0, core.get(L.CR0) | CR0_EM | CR0_TS);
    expect([PADDB_MM, ADDPS, MOVAPS_LOAD, EMMS, LDMXCSR].map(execute)).toEqual([UD, UD, UD, UD, UD]);
  });

  it("raises #NM for CR0.TS", () => {
    core.set(L.CR0, core.get(L.CR0) | CR0_TS);
    expect([PADDB_MM, PSHUFW, ADDPS, MOVAPS_LOAD, EMMS, STMXCSR, CVTPI2PS].map(execute)).toEqual([
      NM,
      NM,
      NM,
      NM,
      NM,
      NM,
      NM,
    ]);
  });

  it("raises #UD without CR4.OSFXSR for XMM registers and MXCSR only, before #NM", () => {
    core.set(L.CR4, CR4_OSXMMEXCPT);
    expect([ADDPS, MOVAPS_LOAD, LDMXCSR, CVTPI2PS, MOVQ2DQ].map(execute)).toEqual([UD, UD, UD, UD, UD]);
    expect([PADDB_MM, PSHUFW, EMMS].map(execute)).toEqual([0, 0, 0]);
    core.set(L.CR0, core.get(L.CR0) | CR0_TS);
    expect(execute(ADDPS)).toBe(UD);
  });

  it("lets fences, hints, MOVNTI and CRC32 run whatever CR0 and CR4 say", () => {
    core.set(L.CR4, 0);
    core.set(L.CR0, core.get(L.CR0) | CR0_EM | CR0_TS);
    for (const [name, code] of Object.entries(UNGUARDED)) expect([name, execute(code)]).toEqual([name, 0]);
  });

  it("raises #MF for a pending x87 exception where MMX registers are used, after #NM and before #PF", () => {
    core.set(L.CR0, core.get(L.CR0) | CR0_NE);
    fsw(FSW_ES);
    core.setPte(DATA, PTE_ABSENT);
    core.flushTlb();
    expect([PADDB_MM, PADDB_MM_MEM, PSHUFW, EMMS, CVTPI2PS, MOVQ2DQ].map(execute)).toEqual([MF, MF, MF, MF, MF, MF]);
    expect(execute(ADDPS)).toBe(0);
    expect(execute(CVTPI2PS_MEM)).toBe(PF);
    core.set(L.CR0, core.get(L.CR0) | CR0_TS);
    expect(execute(PADDB_MM)).toBe(NM);
  });

  it("decodes exactly the encodings that the recording CPU executes", () => {
    const bits = readFileSync(new URL("fixtures/simd-encodings.bin", import.meta.url));
    const different: string[] = [];
    let undefinedCount = 0;
    simdEncodings().forEach((code, i) => {
      const cpu = (((bits[i >> 3] as number) >> (i & 7)) & 1) === 1;
      if (cpu) undefinedCount++;
      if ((core.decodes(code) === Op.INVALID) !== cpu) different.push(encodingName(code));
    });
    expect(different).toEqual([]);
    expect(undefinedCount).toBeGreaterThan(3000);
  });

  it("decodes to #UD without the row's feature, and with a LOCK prefix", () => {
    for (const c of simdCases(0, 1)) {
      const code = [...c.state.subarray(STATE_CODE, STATE_CODE + (c.state[STATE_CODE + 15] as number))];
      const feature = Feature[c.row.feature as string] as number;
      const word = L.FEATURES + (feature >>> 5) * 4;
      core.set(word, ~(1 << (feature & 31)) >>> 0);
      expect([rowName(c.row), core.decodes(code)]).toEqual([rowName(c.row), Op.INVALID]);
      core.set(word, 0xffffffff);
      expect([rowName(c.row), core.decodes([0xf0, ...code])]).toEqual([rowName(c.row), Op.INVALID]);
      expect([rowName(c.row), core.decodes(code)]).toEqual([rowName(c.row), Op[c.row.op]]);
    }
    expect(simdRows.length).toBeGreaterThan(350);
  });
});

describe("memory", () => {
  it("raises #GP(0) for a misaligned operand of an aligned form before looking at the page", () => {
    core.setPte(DATA, PTE_ABSENT);
    core.flushTlb();
    core.set(L.ESI, DATA + 0x108);
    const before = xmm(1);
    expect([MOVAPS_LOAD, MOVAPS_STORE, [0x0f, 0x58, 0x0e]].map(execute)).toEqual([GP, GP, GP]);
    expect(core.get(L.FAULT_ERROR)).toBe(0);
    expect(execute(MOVUPS_LOAD)).toBe(PF);
    expect(xmm(1)).toBe(before);
  });

  it("faults on the second page of an unaligned load and leaves the register alone", () => {
    core.setPte(DATA + 0x1000, PTE_ABSENT);
    core.flushTlb();
    for (const back of [1, 7, 8, 9, 15]) {
      core.set(L.ESI, DATA + 0x1000 - back);
      const before = xmm(1);
      expect(execute(MOVUPS_LOAD)).toBe(PF);
      expect(core.get(L.CR2)).toBe(DATA + 0x1000);
      expect(xmm(1)).toBe(before);
    }
  });

  it("faults on either page of an unaligned store and leaves both alone", () => {
    for (const [first, second, at] of [
      [PTE_PRESENT, PTE_ABSENT, 0x1000],
      [PTE_PRESENT, PTE_READ_ONLY, 0x1000],
      [PTE_READ_ONLY, PTE_ABSENT, 0],
    ] as const) {
      core.setPte(DATA, first);
      core.setPte(DATA + 0x1000, second);
      core.flushTlb();
      for (const back of [1, 7, 8, 9, 15]) {
        core.set(L.ESI, DATA + 0x1000 - back);
        expect(execute(MOVUPS_STORE)).toBe(PF);
        expect(core.get(L.CR2)).toBe(DATA + (at === 0 ? 0x1000 - back : at));
        expect(core.bytes.subarray(core.data, core.data + 0x2000).every((b) => b === 0)).toBe(true);
      }
    }
  });

  it("stores across two pages when both can be written", () => {
    for (const back of [1, 7, 8, 9, 15]) {
      core.set(L.ESI, DATA + 0x1000 - back);
      expect(execute(MOVUPS_STORE)).toBe(0);
      const at = core.data + 0x1000 - back;
      expect(Buffer.from(core.bytes.subarray(at, at + 16)).toString("hex")).toBe(xmm(1));
      core.bytes.fill(0, core.data, core.data + 0x2000);
    }
  });

  it("probes only the bytes that MASKMOVDQU stores, and stores none when one faults", () => {
    core.setPte(DATA + 0x1000, PTE_ABSENT);
    core.flushTlb();
    core.set(L.EDI, DATA + 0xff8);
    const mask = core.vcpu + L.XMM + 32;
    core.bytes.fill(0, mask, mask + 16);
    core.bytes[mask + 3] = 0x80;
    expect(execute(MASKMOVDQU)).toBe(0);
    expect(core.bytes[core.data + 0xffb]).toBe(core.bytes[core.vcpu + L.XMM + 16 + 3]);
    core.bytes[core.data + 0xffb] = 0;
    core.bytes[mask + 8] = 0xff;
    expect(execute(MASKMOVDQU)).toBe(PF);
    expect(core.get(L.CR2)).toBe(DATA + 0x1000);
    expect(core.bytes[core.data + 0xffb]).toBe(0);
  });

  it("honours the segment override and the address size of MASKMOVQ", () => {
    core.bytes.fill(0x80, core.vcpu + L.FPU_R + 32, core.vcpu + L.FPU_R + 40);
    const fs = core.vcpu + L.SEG + L.SEG_FS * L.SEG_STRIDE;
    core.view.setUint32(fs + L.SEG_BASE, DATA + 0x200, true);
    core.set(L.EDI, 0x10040);
    expect(execute([0x64, 0x67, ...MASKMOVQ])).toBe(0);
    expect(core.bytes[core.data + 0x240 + 5]).toBe(0x15);
  });

  it("raises #SS(0) or #GP(0) for the segment limit and does not store at linear address 0", () => {
    core.setPte(0, PTE_PRESENT);
    core.flushTlb();
    const ram = core.data - DATA;
    core.bytes.fill(0, ram, ram + 64);
    // Something at 0 first, so that the TLB holds the page.
    core.set(L.ESI, 0x20);
    expect(execute(MOVUPS_STORE)).toBe(0);
    for (const seg of [L.SEG_DS, L.SEG_SS]) {
      const s = core.vcpu + L.SEG + seg * L.SEG_STRIDE;
      core.view.setUint32(s + L.SEG_LIMIT, 0x4107, true);
      core.view.setUint32(s + L.SEG_ACCESS, L.SEGA_READ | L.SEGA_WRITE, true);
    }
    core.set(L.ESI, DATA + 0x100);
    const segmented = L.MODE_CS32 | L.MODE_SS32 | L.MODE_PROTECTED;
    for (const code of [MOVUPS_STORE, MOVAPS_STORE, MOVUPS_LOAD, MOVAPS_LOAD]) {
      core.decode(code, segmented);
      expect(core.run()).toBe(GP);
      core.decode([0x36, ...code], segmented);
      expect(core.run()).toBe(SS);
    }
    // The last eight bytes below the limit.
    core.decode(MOVQ_STORE, segmented);
    expect(core.run()).toBe(0);
    core.set(L.ESI, DATA + 0x101);
    core.decode(MOVQ_STORE, segmented);
    expect(core.run()).toBe(GP);
    expect(core.bytes.subarray(ram, ram + 32).every((b) => b === 0)).toBe(true);
  });
});

describe("state", () => {
  it("reaches all eight XMM and MMX registers from both operands", () => {
    for (let to = 0; to < 8; to++) {
      for (let from = 0; from < 8; from++) {
        const modrm = 0xc0 | (to << 3) | from;
        core.bytes.fill(to, core.vcpu + L.XMM + 16 * to, core.vcpu + L.XMM + 16 * to + 16);
        core.bytes.fill(0x80 | from, core.vcpu + L.XMM + 16 * from, core.vcpu + L.XMM + 16 * from + 16);
        expect(execute([0x0f, 0x28, modrm])).toBe(0);
        expect(xmm(to)).toBe((0x80 | from).toString(16).repeat(16));
        core.view.setBigUint64(core.vcpu + L.FPU_R + 16 * from, 0x1122334455667700n + BigInt(from), true);
        expect(execute([0x0f, 0x6f, modrm])).toBe(0);
        expect(core.view.getBigUint64(core.vcpu + L.FPU_R + 16 * to, true)).toBe(0x1122334455667700n + BigInt(from));
      }
    }
  });

  it("makes MMX writes valid x87 registers with all-ones exponents and TOP 0, and EMMS empties them", () => {
    fsw(0x3800 | 0x4700);
    expect(execute(PADDB_MM)).toBe(0);
    expect(fsw()).toBe(0x4700);
    expect(core.bytes[core.vcpu + L.FPU_TAG]).toBe(0xff);
    expect(core.view.getUint16(core.vcpu + L.FPU_R + 16 + 8, true)).toBe(0xffff);
    expect(core.view.getUint16(core.vcpu + L.FPU_R + 32 + 8, true)).toBe(0);
    expect(execute(EMMS)).toBe(0);
    expect(core.bytes[core.vcpu + L.FPU_TAG]).toBe(0);
  });

  it("keeps x87 state when an MMX instruction faults", () => {
    core.setPte(DATA, PTE_ABSENT);
    core.flushTlb();
    fsw(0x3800);
    expect([PADDB_MM_MEM, MOVQ_STORE].map(execute)).toEqual([PF, PF]);
    expect(fsw()).toBe(0x3800);
    expect(core.bytes[core.vcpu + L.FPU_TAG]).toBe(0);
  });

  it("raises #XM for an unmasked exception, #UD without CR4.OSXMMEXCPT, with the flag set and no result", () => {
    const one = core.vcpu + L.XMM + 16;
    for (let i = 0; i < 4; i++) {
      core.view.setFloat32(one + 4 * i, 1, true);
      core.view.setFloat32(one + 16 + 4 * i, 0, true);
    }
    const before = xmm(1);
    core.set(L.MXCSR, 0x1f80 & ~0x200);
    expect(execute(DIVPS)).toBe(XM);
    expect(core.get(L.MXCSR)).toBe((0x1f80 & ~0x200) | 4);
    expect(xmm(1)).toBe(before);
    core.set(L.MXCSR, 0x1f80 & ~0x200);
    core.set(L.CR4, CR4_OSFXSR);
    expect(execute(DIVPS)).toBe(UD);
    expect(core.get(L.MXCSR)).toBe((0x1f80 & ~0x200) | 4);
    expect(xmm(1)).toBe(before);
  });

  it("refuses reserved bits in LDMXCSR with #GP(0)", () => {
    for (let bit = 16; bit < 32; bit++) {
      core.view.setUint32(core.data + 0x100, (0x1f80 | (1 << bit)) >>> 0, true);
      expect(execute(LDMXCSR)).toBe(GP);
      expect(core.get(L.MXCSR)).toBe(0x1f80);
    }
    core.view.setUint32(core.data + 0x100, 0xffbf, true);
    expect(execute(LDMXCSR)).toBe(0);
    expect(core.get(L.MXCSR)).toBe(0xffbf);
  });
});
