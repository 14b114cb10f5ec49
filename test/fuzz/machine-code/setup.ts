// A random machine in one of the modes of an IA-32 processor: segments, descriptor tables, tasks, page tables, control
// and debug registers, and a program. Only states that a guest could bring about itself.
import * as L from "../../../spec/layout.ts";
import * as R from "../../../spec/registers.ts";
import type { Random } from "../../../tools/oracle/random.ts";
import { type FuzzMachine, HIGH_RAM, HIGH_RAM_GPA, LOW_RAM, ROM_BYTES, ROM_GPA, SIGN_RAM_GPA } from "./machine.ts";
import { type ProgramSpace, program } from "./program.ts";

export const MODES = [
  "real",
  "unreal",
  "vm86",
  "protected16",
  "protected32",
  "protected32",
  "user16",
  "user32",
  "user32",
] as const;
export type Mode = (typeof MODES)[number];
export const PAGINGS = ["none", "two-level", "pae"] as const;
export type Paging = (typeof PAGINGS)[number];

export interface Setup {
  readonly mode: Mode;
  readonly paging: Paging;
  /** Page tables in ROM: nothing can change them behind the TLB, so that every run must see the same translations. */
  readonly romTables: boolean;
  readonly space: ProgramSpace;
}

// Low RAM
const IVT = 0;
const GDT = 0x1000;
const GDT_ENTRIES = 64;
const LDT = 0x1400;
const IDT = 0x1800;
const TSS = 0x2400;
const TSS_STRIDE = 0x100;
const BITMAP = 0x3000;
const STACKS = 0x6000;
const CODE = 0x8000;
const RAM_TABLES = 0x14000;

const COMMON_ADDRESSES = [
  0,
  0xffc,
  0xffe,
  0xfff,
  0x1000,
  GDT,
  IDT,
  TSS,
  STACKS,
  CODE,
  CODE + 0x3f,
  CODE + 0x40,
  CODE + 0x7f,
  0x9000,
  0xa000,
  0xafff,
  0xb000,
  0xfffe,
  0xffff,
  0x10000,
  LOW_RAM - 1,
  LOW_RAM - 3,
  LOW_RAM,
  0xa0000,
  0xb8000,
  HIGH_RAM_GPA,
  HIGH_RAM_GPA - 1,
  HIGH_RAM_GPA + HIGH_RAM - 2,
  SIGN_RAM_GPA,
  SIGN_RAM_GPA + 0xffe,
  0x7ffffffe,
  0x80000000,
  0x80000ffd,
  0x80000fff,
  ROM_GPA,
  ROM_GPA + 0x1000,
  0xfffff000,
  0xffffffff,
  0xfffffffe,
  0xfffffffc,
  0xfffffff8,
  0xfffffff1,
  0xfee00000,
  0xfee00080,
  0xfee00300,
  0xfec00000,
  0xfec00010,
  RAM_TABLES,
];

function descriptor(base: number, limit: number, attr: number): [number, number] {
  const raw = attr & L.ATTR_G ? limit >>> 12 : limit;
  return [
    ((base & 0xffff) << 16) | (raw & 0xffff),
    (base & 0xff000000) | ((base >>> 16) & 0xff) | ((attr & 0xf0ff) << 8) | (raw & 0xf0000),
  ];
}

const FLAT = 0xffffffff;

interface Entry {
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
}

/** A code or data segment as software may make them, in range of the program in most cases. */
function segment(r: Random, code: boolean, dpl: number, wide: boolean): Entry {
  let attr = L.ATTR_PRESENT | L.ATTR_S | L.ATTR_ACCESSED | (dpl << L.ATTR_DPL_SHIFT) | (code ? L.ATTR_CODE : 0);
  if (code || r.chance(92)) attr |= L.ATTR_RW;
  if (wide) attr |= L.ATTR_DB;
  if (r.chance(65)) return { base: 0, limit: FLAT, attr: attr | L.ATTR_G };
  if (!code && r.chance(30))
    return { base: r.chance(70) ? 0 : r.value(32), limit: r.pick([0xfff, 0x7fff, 0, 0xffff]), attr: attr | L.ATTR_DC };
  if (code && r.chance(15)) attr |= L.ATTR_DC;
  const limit = r.pick([0xffff, 0xffff, 0x8fff, CODE + 0x100, 0x1ffff, 0xfffff]);
  return { base: r.chance(60) ? 0 : r.pick([0x10, 0x1000, 0x7ff0, 0xfffff000, 0x7fff0000]), limit, attr };
}

function tableEntry(r: Random, wide: boolean): [number, number] {
  const dpl = r.chance(60) ? 3 : r.below(4);
  const k = r.below(20);
  if (k < 5) {
    const s = segment(r, true, dpl, wide !== r.chance(20));
    return descriptor(s.base, s.limit, s.attr);
  }
  if (k < 11) {
    const s = segment(r, false, dpl, wide !== r.chance(20));
    return descriptor(s.base, s.limit, s.attr);
  }
  const system = L.ATTR_PRESENT | (dpl << L.ATTR_DPL_SHIFT);
  if (k < 13)
    return descriptor(
      TSS + r.below(6) * TSS_STRIDE,
      r.pick([0x67, 0x2b, 0x2c, 0xff, 0x20]),
      system | r.pick([9, 9, 1, 11, 3]),
    );
  if (k < 14) return descriptor(LDT, r.pick([0x7f, 0xff, 7]), system | 2);
  const target = CODE + r.below(256);
  if (k < 18) {
    const type = r.pick([12, 12, 4, 5, 14, 15, 6]);
    return [
      (selector(r) << 16) | (target & 0xffff),
      (target & 0xffff0000) | ((system | type) << 8) | r.below(r.chance(80) ? 4 : 32),
    ];
  }
  return [r.u32(), r.u32()];
}

function selector(r: Random): number {
  return (r.below(GDT_ENTRIES) << 3) | r.below(4) | (r.chance(10) ? 4 : 0);
}

/** Selectors of the descriptors that the case's own segments came from. */
const OWN = { cs0: 0x08, ds0: 0x10, cs3: 0x1b, ds3: 0x23, tr: 0x28, ldt: 0x30, tss2: 0x38, tss3: 0x40 };

function tables(r: Random, m: FuzzMachine, wide: boolean): void {
  const put = (gpa: number, [low, high]: [number, number]): void => {
    m.view.setUint32(m.host(gpa), low >>> 0, true);
    m.view.setUint32(m.host(gpa + 4), high >>> 0, true);
  };
  for (let i = 1; i < GDT_ENTRIES; i++) put(GDT + i * 8, tableEntry(r, wide));
  for (let i = 0; i < 32; i++) put(LDT + i * 8, tableEntry(r, wide));
  const db = wide ? L.ATTR_DB : 0;
  put(GDT + OWN.cs0, descriptor(0, FLAT, 0x9b | L.ATTR_G | db));
  put(GDT + OWN.ds0, descriptor(0, FLAT, 0x93 | L.ATTR_G | db));
  put(GDT + (OWN.cs3 & ~7), descriptor(0, FLAT, 0xfb | L.ATTR_G | db));
  put(GDT + (OWN.ds3 & ~7), descriptor(0, FLAT, 0xf3 | L.ATTR_G | db));
  put(GDT + OWN.tr, descriptor(TSS, 0x67, 0x8b));
  put(GDT + OWN.ldt, descriptor(LDT, 0xff, 0x82));
  put(GDT + OWN.tss2, descriptor(TSS + TSS_STRIDE, 0x67, 0xe9));
  put(GDT + OWN.tss3, descriptor(TSS + 2 * TSS_STRIDE, 0x2b, 0xe1));
  for (let v = 0; v < 256; v++) {
    const target = CODE + r.below(300);
    const k = r.below(20);
    const dpl = r.chance(50) ? 0x60 : 0;
    if (k < 15)
      put(IDT + v * 8, [(OWN.cs0 << 16) | target, (0x80 | dpl | (wide || r.chance(30) ? 14 : 6) | r.below(2)) << 8]);
    else if (k < 16) put(IDT + v * 8, [r.pick([OWN.tss2, OWN.tss3, OWN.tr]) << 16, (0x85 | dpl) << 8]);
    else if (k < 19) put(IDT + v * 8, [(selector(r) << 16) | target, (0x80 | dpl | r.pick([14, 15, 6, 7, 5])) << 8]);
    else put(IDT + v * 8, [r.u32(), r.u32()]);
    // real mode: the same places by segment and offset
    m.view.setUint32(m.host(IVT + v * 4), r.chance(95) ? target : r.u32(), true);
  }
  // IVT and the vm86 stack
  for (let t = 0; t < 6; t++) {
    const at = m.host(TSS + t * TSS_STRIDE);
    const u32 = (o: number, v: number): void => m.view.setUint32(at + o, v >>> 0, true);
    for (let o = 0; o < 0x68; o += 4)
      u32(o, r.chance(70) ? r.pick([selector(r), CODE + r.below(256), STACKS]) : r.u32());
    if (t === 2) {
      // 16-bit
      for (const [o, v] of [
        [2, STACKS],
        [4, OWN.ds0],
        [14, CODE],
        [16, 0x202],
        [26, STACKS],
        [34, OWN.ds0],
        [36, OWN.cs0],
        [38, OWN.ds0],
        [40, OWN.ds0],
        [42, 0],
      ] as const)
        m.view.setUint16(at + o, v, true);
    } else {
      for (let level = 0; level < 3; level++) {
        if (r.chance(85)) u32(4 + level * 8, STACKS - level * 0x400);
        if (r.chance(85)) u32(8 + level * 8, OWN.ds0 | level);
      }
      if (r.chance(80)) {
        u32(0x1c, m.get(L.CR3));
        u32(0x20, CODE + r.below(256));
        u32(0x24, 2 | (r.chance(20) ? r.u32() & 0x3ffff : 0));
        u32(0x38, STACKS);
        u32(0x60, 0);
        for (let s = 0x48; s < 0x60; s += 4) u32(s, s === 0x4c ? OWN.cs0 : OWN.ds0);
      }
      u32(0x64, r.pick([BITMAP - TSS, 0x68, 0xffff, 0x60]) << 16);
    }
  }
  for (let i = 0; i < 0x2000; i += 4) m.view.setUint32(m.host(BITMAP + i), r.chance(50) ? 0 : r.u32(), true);
}

/** Linear ranges that are mapped one to one, in most cases. */
const MAPPED: readonly (readonly [number, number])[] = [
  [0, LOW_RAM],
  [0xa0000, 0x2000],
  [HIGH_RAM_GPA, HIGH_RAM + 0x1000],
  [SIGN_RAM_GPA, 0x3000],
  [ROM_GPA, ROM_BYTES],
  [0xfec00000, 0x1000],
  [0xfee00000, 0x2000],
];

/** Builds page tables and returns CR3. `wild` lets entries be anything; tables in ROM are only ever complete ones. */
function pageTables(r: Random, m: FuzzMachine, paging: Paging, rom: boolean, user: boolean, wild: boolean): number {
  const base = rom ? ROM_GPA + 0x1000 : RAM_TABLES;
  let next = base;
  const page = (): number => {
    const here = next;
    next += 0x1000;
    return here;
  };
  const pae = paging === "pae";
  const size = pae ? 8 : 4;
  const set = (gpa: number, low: number, high = 0): void => {
    m.view.setUint32(m.host(gpa), low >>> 0, true);
    if (pae) m.view.setUint32(m.host(gpa) + 4, high >>> 0, true);
  };
  const rights = (): number => {
    if (wild && r.chance(6)) return r.u32() & 0xfff;
    let bits = 1 | (r.chance(92) ? 2 : 0) | (user ? (r.chance(95) ? 4 : 0) : r.chance(20) ? 4 : 0);
    bits |= (r.chance(60) ? 0x20 : 0) | (r.chance(60) ? 0x40 : 0) | (r.chance(15) ? 0x100 : 0);
    return r.chance(97) ? bits : bits & ~1;
  };
  const pdpt = pae ? page() : 0;
  const directories = new Map<number, number>();
  const leaves = new Map<number, number>();
  if (!pae) directories.set(0, page());
  const pdShift = pae ? 21 : 22;
  const inTable = pae ? 511 : 1023;
  for (const [start, bytes] of MAPPED) {
    for (let lin = start; lin < start + bytes; lin += 0x1000) {
      const quarter = pae ? lin >>> 30 : 0;
      let directory = directories.get(quarter);
      if (directory === undefined) {
        directory = page();
        directories.set(quarter, directory);
        set(pdpt + quarter * 8, directory | 1);
      }
      const slot = Math.floor(lin / 2 ** pdShift);
      let table = leaves.get(slot);
      if (table === undefined) {
        const pde = directory + (pae ? slot & 511 : slot) * size;
        if (r.chance(10) && lin >= 0xfec00000) {
          leaves.set(slot, -1);
          set(pde, ((slot * 2 ** pdShift) >>> 0) | 0x80 | 7);
          continue;
        }
        table = page();
        leaves.set(slot, table);
        set(pde, table | 7 | (r.chance(80) ? 0x20 : 0), wild && r.chance(3) ? r.u32() : 0);
      }
      if (table < 0) continue;
      let frame = lin;
      if (r.chance(wild ? 8 : 4) && !(lin >= CODE && lin < CODE + 0x2000))
        frame = wild && r.chance(40) ? r.u32() & 0xfffff000 : r.below(LOW_RAM >>> 12) << 12;
      const high = (r.chance(4) ? 0x80000000 : 0) | (wild && r.chance(2) ? r.u32() & 0xff : 0);
      set(table + ((lin >>> 12) & inTable) * size, (frame & ~0xfff) | rights(), high);
    }
  }
  return pae ? pdpt : (directories.get(0) as number);
}

const FLAG_BITS = [R.FLAG_DF, R.FLAG_NT, R.FLAG_AC, R.FLAG_RF, R.FLAG_ID, R.FLAG_VIF, R.FLAG_VIP];

/** Builds the case in `m` and keeps it as its beginning. */
export function setUp(r: Random, m: FuzzMachine, edit: (code: Uint8Array) => void = () => {}): Setup {
  m.clear();
  const mode = r.pick(MODES);
  const protectedMode = mode !== "real" && mode !== "unreal";
  const paging = protectedMode ? r.pick(PAGINGS) : "none";
  const romTables = r.chance(70);
  const user = mode === "user16" || mode === "user32" || mode === "vm86";
  const wide = mode === "protected32" || mode === "user32";
  const cpl = user ? 3 : mode.startsWith("protected") && r.chance(15) ? 1 + r.below(2) : 0;

  const codeBytes = r.pick([40, 100, 300, 600, 4096]);
  const codeAt = r.chance(70) ? CODE : r.pick([CODE + 0xfe0, 0xffe0, 0x10000 - codeBytes, CODE + 0x33]);
  const code = segmentFor(r, mode, true, cpl, wide);
  const space: ProgramSpace = {
    codeLinear: codeAt,
    codeBytes,
    addresses: [...COMMON_ADDRESSES, ...Array.from({ length: 12 }, () => codeAt + r.below(codeBytes + 64))],
    selectors:
      protectedMode && mode !== "vm86"
        ? [
            OWN.cs0,
            OWN.ds0,
            OWN.cs3,
            OWN.ds3,
            OWN.tr,
            OWN.ldt,
            OWN.tss2,
            OWN.tss3,
            0,
            ...Array.from({ length: 8 }, () => selector(r)),
          ]
        : [0, 0x100, 0x800, 0xfff, 0xffff, 0xf000],
    use32: wide,
  };

  const cr3 =
    paging === "none"
      ? r.chance(50)
        ? 0
        : RAM_TABLES
      : pageTables(r, m, paging, romTables, user || cpl > 0, !romTables);
  m.set(L.CR3, cr3);
  tables(r, m, wide || mode === "vm86");
  // something to read
  for (let gpa = 0x9000; gpa < 0x10000; gpa += 4) if (r.chance(10)) m.view.setUint32(m.host(gpa), r.value(32), true);
  const bytes = program(r, space);
  edit(bytes);
  for (let i = 0; i < bytes.length; i++) m.bytes[m.host(codeAt + i)] = bytes[i] as number;
  for (let i = 0; i < 600 && codeAt !== CODE; i++)
    if (CODE + i < codeAt) m.bytes[m.host(CODE + i)] = bytes[i % bytes.length] as number;
  // ROM holds code as well
  for (let i = 0; i < 256; i++) m.bytes[m.host(0xffffff00 + i)] = bytes[i % bytes.length] as number;

  let cr0 = R.CR0_ET | (r.chance(80) ? R.CR0_NE : 0);
  if (protectedMode) cr0 |= R.CR0_PE;
  if (paging !== "none") cr0 |= R.CR0_PG;
  for (const bit of [R.CR0_WP, R.CR0_AM]) if (r.chance(50)) cr0 |= bit;
  for (const bit of [R.CR0_MP, R.CR0_EM, R.CR0_TS]) if (r.chance(6)) cr0 |= bit;
  let cr4 = R.CR4_PSE | (paging === "pae" ? R.CR4_PAE : 0);
  for (const bit of [R.CR4_OSFXSR, R.CR4_OSXMMEXCPT]) if (r.chance(85)) cr4 |= bit;
  for (const bit of [
    R.CR4_VME,
    R.CR4_PVI,
    R.CR4_TSD,
    R.CR4_DE,
    R.CR4_MCE,
    R.CR4_PGE,
    R.CR4_PCE,
    R.CR4_UMIP,
    R.CR4_SMEP,
  ])
    if (r.chance(20)) cr4 |= bit;
  if (r.chance(50)) cr4 |= R.CR4_SMAP;
  m.set(L.CR0, cr0);
  m.set(L.CR4, cr4);
  if (paging === "pae" && r.chance(70)) m.set(L.EFER, R.EFER_NXE);

  m.set(L.GDTR_BASE, GDT);
  m.set(L.GDTR_LIMIT, r.chance(90) ? GDT_ENTRIES * 8 - 1 : r.below(0x300));
  m.set(L.IDTR_BASE, protectedMode ? IDT : IVT);
  m.set(L.IDTR_LIMIT, r.chance(90) ? (protectedMode ? 0x7ff : 0x3ff) : r.below(0x800));
  load(m, L.SEG_TR, OWN.tr, { base: TSS, limit: r.pick([0x67, 0x1fff, 0x2068]), attr: 0x8b });
  load(m, L.SEG_LDTR, OWN.ldt, { base: LDT, limit: 0xff, attr: 0x82 });
  const real = mode === "real" || mode === "unreal" || mode === "vm86";
  for (const seg of [L.SEG_ES, L.SEG_SS, L.SEG_DS, L.SEG_FS, L.SEG_GS]) {
    if (!real && seg !== L.SEG_SS && r.chance(8)) load(m, seg, 0, { base: 0, limit: 0, attr: L.ATTR_UNUSABLE });
    else {
      let s = segmentFor(r, mode, false, cpl, wide !== r.chance(10));
      if (seg === L.SEG_SS) s = { ...s, attr: s.attr | L.ATTR_RW };
      load(m, seg, real ? s.base >>> 4 : cpl === 3 ? OWN.ds3 : OWN.ds0, s);
    }
  }
  load(m, L.SEG_CS, real ? code.base >>> 4 : cpl === 3 ? OWN.cs3 : OWN.cs0, code);
  m.set(L.CPL, cpl);
  m.set(L.EIP, (codeAt - code.base) >>> 0);

  for (let i = 0; i < 8; i++) m.set(L.GPR + i * L.GPR_STRIDE, r.chance(60) ? r.pick(space.addresses) : r.value(32));
  m.set(L.ECX, r.chance(80) ? r.below(300) : r.value(32));
  if (r.chance(90)) m.set(L.ESP, STACKS - r.below(32) * 4);
  let flags = (r.u32() & R.FLAGS_ARITH) | R.FLAG_ONE;
  if (r.chance(40)) flags |= R.FLAG_IF;
  if (r.chance(5)) flags |= R.FLAG_TF;
  if (mode === "vm86") flags |= R.FLAG_VM;
  flags |= r.below(4) << 12;
  for (const bit of FLAG_BITS) if (r.chance(8)) flags |= bit;
  m.eflags = flags;
  if (r.chance(20)) {
    for (let i = 0; i < 4; i++) m.set(L.DR0 + i * 4, r.pick(space.addresses));
    m.set(L.DR7, 0x400 | (r.u32() & (r.chance(50) ? 0xffff03ff : 0xffff23ff)));
  }
  for (let i = 0; i < 8; i++) {
    m.view.setUint32(m.vcpu + L.FPU_R + i * 16, r.value(32), true);
    m.view.setUint32(m.vcpu + L.FPU_R + i * 16 + 4, r.value(32), true);
    m.view.setUint16(m.vcpu + L.FPU_R + i * 16 + 8, r.chance(60) ? 0x3fff + r.below(80) - 40 : r.value(16), true);
    for (let k = 0; k < 16; k += 4)
      m.set(L.XMM + i * 16 + k, r.chance(70) ? r.value(32) : 0x3f800000 + r.below(0x4000000));
  }
  m.view.setUint16(m.vcpu + L.FPU_FCW, r.pick([0x37f, 0x27f, 0x40, 0x340, r.u32() & 0xf7f]), true);
  m.view.setUint16(m.vcpu + L.FPU_FSW, r.chance(60) ? 0 : r.u32() & 0x7f7f, true);
  m.bytes[m.vcpu + L.FPU_TAG] = r.pick([0, 0xff, r.u32() & 0xff]);
  m.set(L.MXCSR, r.pick([0x1f80, 0x1f80, r.u32() & 0xffff]));
  m.set(L.CTRL_FLAGS, L.CTRLF_HLT);
  m.keep();
  return { mode, paging, romTables, space };
}

function segmentFor(r: Random, mode: Mode, code: boolean, cpl: number, wide: boolean): Entry {
  const attr = code ? 0x9b : 0x93;
  if (mode === "real" || mode === "vm86") {
    const base = code
      ? r.pick([0, 0, 0x100, 0x8000])
      : r.chance(60)
        ? 0
        : r.pick([0x100, 0x1000, 0x8000, 0xf0000, 0xffff0, 0xb8000]);
    return { base, limit: 0xffff, attr: mode === "vm86" ? 0xf3 : attr };
  }
  if (mode === "unreal")
    return {
      base: r.chance(70) || code ? 0 : 0x1000,
      limit: code ? 0xffff : FLAT,
      attr: code ? attr : attr | L.ATTR_G,
    };
  return segment(r, code, cpl, wide);
}

function load(m: FuzzMachine, seg: number, sel: number, e: Entry): void {
  const at = L.SEG + seg * L.SEG_STRIDE;
  m.set(at + L.SEG_SELECTOR, sel & 0xffff);
  m.set(at + L.SEG_BASE, e.base);
  m.set(at + L.SEG_LIMIT, e.limit);
  m.set(at + L.SEG_ATTR, e.attr);
}
