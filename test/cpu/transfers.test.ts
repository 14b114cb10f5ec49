import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import {
  CODE,
  CS0,
  CS3,
  DS0,
  DS3,
  descriptor,
  FREE,
  GDT,
  gate,
  HANDLERS,
  LDT,
  Machine,
  STACK0,
  STACK3,
  TR,
  TSS,
  TSS2,
} from "./machine.ts";

const TARGET = 0x9000;
const far = (opcode: number, selector: number, offset: number): number[] => [
  opcode,
  offset & 255,
  (offset >> 8) & 255,
  (offset >> 16) & 255,
  offset >>> 24,
  selector & 255,
  selector >> 8,
];
const JMP = 0xea;
const CALL = 0x9a;

/** Error code of the #GP, #NP, #SS or #TS that the code at CODE raises at CPL 0, as [vector, error]. */
function fault(m: Machine): [number, number] {
  const esp = m.reg("esp");
  const vector = m.runToHandler();
  expect(m.r32(esp - 12), "EIP of the fault").toBe(CODE);
  return [vector, m.r32(esp - 16)];
}

describe("far JMP and CALL", () => {
  it("loads CS with RPL = CPL and sets the accessed bit", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(0x100, 0xffffffff, 0xc09a));
    m.code(far(JMP, FREE, TARGET));
    m.run(1);
    expect([m.selector(L.SEG_CS), m.seg(L.SEG_CS, L.SEG_BASE), m.eip]).toEqual([FREE, 0x100, TARGET]);
    expect(m.r8(GDT + FREE + 5)).toBe(0x9b);

    const conforming = (await Machine.create()).protect(3);
    conforming.setDescriptor(FREE, descriptor(0, 0xffffffff, 0xc09e));
    conforming.code(far(JMP, FREE, TARGET));
    conforming.run(1);
    expect([conforming.selector(L.SEG_CS), conforming.field(L.CPL)]).toEqual([FREE | 3, 3]);
  });

  it("checks selector and descriptor", async () => {
    const cases: [string, number, [number, number] | undefined, number, number][] = [
      ["null", 0, undefined, 13, 0],
      ["null with RPL", 3, undefined, 13, 0],
      ["beyond the GDT", 0x100, undefined, 13, 0x100],
      ["no LDT", 0x0c, undefined, 13, 0x0c],
      ["data", DS0, undefined, 13, DS0],
      ["DPL 3 non-conforming", CS3, undefined, 13, CS3 & ~3],
      ["conforming above CPL", FREE, descriptor(0, 0xffffffff, 0xc0fe), 13, FREE],
      ["not present", FREE, descriptor(0, 0xffffffff, 0xc01a), 11, FREE],
      ["beyond the limit", FREE, descriptor(0, 0xfff, 0x409a), 13, 0],
      ["interrupt gate", FREE, gate(CS0, TARGET, 14, 0), 13, FREE],
      ["busy TSS", TR, undefined, 13, TR],
      ["gate to data", FREE, gate(DS0, TARGET, 12, 0), 13, DS0],
      ["gate to null", FREE, gate(0, TARGET, 12, 0), 13, 0],
    ];
    for (const [name, selector, raw, vector, error] of cases) {
      const m = (await Machine.create()).protect(0);
      if (raw) m.setDescriptor(FREE, raw);
      m.code(far(JMP, selector, TARGET));
      expect(fault(m), name).toEqual([vector, error]);
    }
  });

  it("pushes CS and EIP for a call, and RETF comes back", async () => {
    const m = (await Machine.create()).protect(0);
    m.code(far(CALL, CS0, TARGET));
    m.code([0xca, 4, 0], TARGET); // RETF 4
    m.run(1);
    expect(m.items(STACK0 - 8, 4, 2)).toEqual([CODE + 7, CS0]);
    m.run(1);
    expect([m.eip, m.reg("esp")]).toEqual([CODE + 7, STACK0 + 4]);
  });

  it("calls an inner privilege through a gate with parameters and returns to the outer one", async () => {
    const m = (await Machine.create()).protect(3);
    m.setDescriptor(FREE, gate(CS0, TARGET, 12, 3, 2));
    m.w32(STACK3, 0x11111111);
    m.w32(STACK3 + 4, 0x22222222);
    m.loadCache(L.SEG_ES, DS0, 0, 0xffffffff, 0xc093);
    m.sync();
    m.code(far(CALL, FREE | 3, 0xdeadbeef));
    m.code([0xca, 8, 0], TARGET);
    m.run(1);
    expect([m.selector(L.SEG_CS), m.selector(L.SEG_SS), m.field(L.CPL), m.eip]).toEqual([CS0, DS0, 0, TARGET]);
    expect(m.reg("esp")).toBe(STACK0 - 24);
    expect(m.items(STACK0 - 24, 4, 6)).toEqual([CODE + 7, CS3, 0x11111111, 0x22222222, STACK3, DS3]);
    m.run(1);
    expect([m.selector(L.SEG_CS), m.selector(L.SEG_SS), m.field(L.CPL), m.eip]).toEqual([CS3, DS3, 3, CODE + 7]);
    expect(m.reg("esp")).toBe(STACK3 + 8);
    // ES was ring 0's
    expect([m.selector(L.SEG_ES), m.seg(L.SEG_ES, L.SEG_ATTR)]).toEqual([0, L.ATTR_UNUSABLE]);
    expect(m.selector(L.SEG_DS)).toBe(DS3);
  });

  it("uses 16-bit items through a 16-bit call gate", async () => {
    const m = (await Machine.create()).protect(3);
    m.setDescriptor(FREE, gate(CS0, TARGET, 4, 3, 1));
    m.w16(STACK3, 0x1234);
    m.code(far(CALL, FREE | 3, 0));
    m.run(1);
    expect(m.items(STACK0 - 10, 2, 5)).toEqual([CODE + 7, CS3, 0x1234, STACK3, DS3]);
  });
});

describe("IRET", () => {
  const frame = (m: Machine, values: number[]): void => {
    m.setReg("esp", STACK0 - values.length * 4);
    values.forEach((v, i) => m.w32(STACK0 - values.length * 4 + i * 4, v));
    m.code([0xcf]);
  };

  it("returns to user mode and takes IF and IOPL at CPL 0", async () => {
    const m = (await Machine.create()).protect(0);
    frame(m, [TARGET, CS3, 0x3246, STACK3, DS3]);
    m.run(1);
    expect([m.eip, m.selector(L.SEG_CS), m.field(L.CPL), m.reg("esp")]).toEqual([TARGET, CS3, 3, STACK3]);
    expect(m.eflags).toBe(0x3246);
  });

  it("leaves IF and IOPL alone at CPL 3", async () => {
    const m = (await Machine.create()).protect(3);
    m.setReg("esp", STACK3 - 12);
    [TARGET, CS3, 0x3ad5 | 2].forEach((v, i) => m.w32(STACK3 - 12 + i * 4, v));
    m.code([0xcf]);
    m.run(1);
    expect(m.eflags).toBe(0x8d7);
  });

  it("checks CS and SS of the frame", async () => {
    const cases: [string, number[], number, number, [number, number]?][] = [
      ["CS null", [TARGET, 0, 2, STACK3, DS3], 13, 0],
      ["CS data", [TARGET, DS3, 2, STACK3, DS3], 13, DS3 & ~3],
      ["RPL below DPL", [TARGET, CS3 & ~3, 2, STACK3, DS3], 13, CS3 & ~3],
      ["SS null", [TARGET, CS3, 2, STACK3, 3], 13, 0],
      ["SS ring 0", [TARGET, CS3, 2, STACK3, DS0 | 3], 13, DS0],
      ["SS RPL", [TARGET, CS3, 2, STACK3, DS3 & ~3], 13, DS3 & ~3],
      ["SS not present", [TARGET, CS3, 2, STACK3, FREE | 3], 12, FREE, descriptor(0, 0xffffffff, 0xc073)],
      ["CS not present", [TARGET, FREE | 3, 2, STACK3, DS3], 11, FREE, descriptor(0, 0xffffffff, 0xc07b)],
      ["EIP beyond the limit", [TARGET, FREE | 3, 2, STACK3, DS3], 13, 0, descriptor(0, 0xff, 0x40fb)],
    ];
    for (const [name, values, vector, error, raw] of cases) {
      const m = (await Machine.create()).protect(0);
      if (raw) m.setDescriptor(FREE, raw);
      frame(m, values);
      expect(fault(m), name).toEqual([vector, error]);
      expect(m.selector(L.SEG_CS), name).toBe(CS0);
    }
  });

  it("keeps the upper half of ESP when it returns to a 16-bit stack", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(0, 0xffff, 0x00f3));
    frame(m, [TARGET, CS3, 2, 0x12345678, FREE | 3]);
    m.setReg("esp", (STACK0 - 20) | 0);
    m.run(1);
    expect(m.reg("esp")).toBe(((STACK0 - 20) & ~0xffff) | 0x5678);
  });
});

describe("segment loads", () => {
  it("faults as the segment register demands", async () => {
    // MOV sreg, AX
    const cases: [string, number, number, number, number, [number, number]?][] = [
      ["SS null", 2, 0, 13, 0],
      ["SS read-only", 2, FREE, 13, FREE, descriptor(0, 0xffffffff, 0xc091)],
      ["SS RPL", 2, DS0 | 1, 13, DS0],
      ["SS not present", 2, FREE, 12, FREE, descriptor(0, 0xffffffff, 0xc013)],
      ["DS not present", 3, FREE, 11, FREE, descriptor(0, 0xffffffff, 0xc013)],
      ["DS execute-only", 3, FREE, 13, FREE, descriptor(0, 0xffffffff, 0xc099)],
      ["DS RPL above DPL", 3, DS0 | 3, 13, DS0],
      ["DS system", 3, TR, 13, TR],
      ["GS beyond", 5, 0x1008, 13, 0x1008],
    ];
    for (const [name, seg, selector, vector, error, raw] of cases) {
      const m = (await Machine.create()).protect(0);
      if (raw) m.setDescriptor(FREE, raw);
      m.setReg("eax", selector);
      m.code([0x8e, 0xc0 | (seg << 3)]);
      expect(fault(m), name).toEqual([vector, error]);
    }
  });

  it("null data segments fault on use, not on load", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("eax", 3);
    m.code([0x8e, 0xd8, 0xa1, 0, 0, 0, 0]);
    m.run(1);
    expect(m.selector(L.SEG_DS)).toBe(3);
    expect(m.runToHandler()).toBe(13);
    expect(m.items(STACK0 - 16, 4, 2)).toEqual([0, CODE + 2]);
  });

  it("MOV SS and POP SS hold interrupts and debug traps off for one instruction", async () => {
    const m = (await Machine.create()).protect(0);
    m.eflags = 0x102; // TF
    m.setReg("eax", DS0);
    m.code([0x8e, 0xd0, 0x90, 0x90]);
    expect(m.runToHandler()).toBe(1);
    expect(m.r32(STACK0 - 12)).toBe(CODE + 3);
  });

  it("keeps limits in unreal mode", async () => {
    const m = (await Machine.create()).real();
    m.loadCache(L.SEG_DS, 8, 0, 0xffffffff, 0x8093);
    m.sync();
    m.w32(0x20000, 0xcafebabe);
    m.setReg("eax", 0x1000);
    m.setReg("ebx", 0x10000);
    m.code([0x8e, 0xd8, 0x67, 0x66, 0x8b, 0x03]); // mov ds,ax; mov eax,[ebx]
    m.run(2);
    expect(m.reg("eax")).toBe(0xcafebabe);
  });
});

describe("task switches (SDM 3A 7.3)", () => {
  async function withTask(source: "jmp" | "call" | "gate"): Promise<Machine> {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(TSS2, 0x67, 0x89));
    m.setDescriptor(FREE + 8, gate(FREE, 0, 5, 0));
    for (let i = 0; i < 8; i++) m.w32(TSS2 + 0x28 + i * 4, 0x100 + i);
    m.w32(TSS2 + 0x38, 0x6800);
    m.w32(TSS2 + 0x20, TARGET);
    m.w32(TSS2 + 0x24, 0x2);
    [DS0, CS0, DS0, DS0, 0, 0].forEach((s, i) => m.w32(TSS2 + 0x48 + i * 4, s));
    m.setReg("ebx", 0xbbbb);
    m.eflags = 0x203;
    m.code(far(source === "jmp" ? JMP : CALL, source === "gate" ? FREE + 8 : FREE, 0));
    m.code([0xcf], TARGET);
    return m;
  }

  it("saves the old task and loads the new one on JMP", async () => {
    const m = await withTask("jmp");
    m.run(1);
    expect([m.eip, m.reg("ebx"), m.reg("esp"), m.eflags]).toEqual([TARGET, 0x103, 0x6800, 2]);
    expect([m.r32(TSS + 0x20), m.r32(TSS + 0x24), m.r32(TSS + 0x34)]).toEqual([CODE + 7, 0x203, 0xbbbb]);
    expect([m.r16(TSS + 0x4c), m.r16(TSS + 0x50)]).toEqual([CS0, DS0]);
    expect([m.r8(GDT + TR + 5), m.r8(GDT + FREE + 5)]).toEqual([0x89, 0x8b]);
    expect([m.selector(L.SEG_TR), m.field(L.CR0) & 8]).toEqual([FREE, 8]);
  });

  it("nests on CALL and returns by IRET", async () => {
    for (const source of ["call", "gate"] as const) {
      const m = await withTask(source);
      m.run(1);
      expect(m.r16(TSS2)).toBe(TR);
      expect(m.eflags & 0x4000).toBe(0x4000);
      expect([m.r8(GDT + TR + 5), m.r8(GDT + FREE + 5)]).toEqual([0x8b, 0x8b]);
      m.run(1);
      expect([m.eip, m.reg("ebx"), m.eflags & 0x4fff]).toEqual([CODE + 7, 0xbbbb, 0x203]);
      expect([m.r8(GDT + TR + 5), m.r8(GDT + FREE + 5)]).toEqual([0x8b, 0x89]);
      expect(m.r32(TSS2 + 0x24) & 0x4000).toBe(0);
      expect(m.r32(TSS2 + 0x20)).toBe(TARGET + 1);
    }
  });

  it("checks the descriptor before it switches", async () => {
    const cases: [string, [number, number], number, number][] = [
      ["busy", descriptor(TSS2, 0x67, 0x8b), 13, FREE],
      ["not present", descriptor(TSS2, 0x67, 0x09), 11, FREE],
      ["too short", descriptor(TSS2, 0x66, 0x89), 10, FREE],
    ];
    for (const [name, raw, vector, error] of cases) {
      const m = await withTask("jmp");
      m.setDescriptor(FREE, raw);
      expect(fault(m), name).toEqual([vector, error]);
      expect(m.selector(L.SEG_TR), name).toBe(TR);
    }
  });

  it("faults in the new task when its segments are bad", async () => {
    const cases: [string, number, number, number, number][] = [
      ["LDT", 0x60, CS0, 10, CS0],
      ["CS null", 0x4c, 0, 10, 0],
      ["CS data", 0x4c, DS0, 10, DS0],
      ["DS system", 0x54, TR, 10, TR],
      ["ES ring", 0x48, DS0 | 3, 10, DS0],
    ];
    for (const [name, offset, selector, vector, error] of cases) {
      const m = await withTask("jmp");
      m.w32(TSS2 + offset, selector);
      // the faults come on whatever stack there is: use a task gate to a third task with good segments
      const TSS3 = 0x2600;
      m.setDescriptor(FREE + 16, descriptor(TSS3, 0x67, 0x89));
      m.setGate(vector, gate(FREE + 16, 0, 5, 0));
      m.w32(TSS3 + 0x38, 0x6400);
      m.w32(TSS3 + 0x20, HANDLERS + vector * 16);
      m.w32(TSS3 + 0x24, 2);
      [DS0, CS0, DS0, DS0, 0, 0].forEach((s, i) => m.w32(TSS3 + 0x48 + i * 4, s));
      expect(m.runToHandler(), name).toBe(vector);
      expect(m.r32(m.reg("esp")), name).toBe(error);
      // the second task is the one interrupted, before its first instruction
      expect([m.r16(TSS3), m.r32(TSS2 + 0x20)], name).toEqual([FREE, TARGET]);
    }
  });

  it("takes the debug trap of the T bit in the new task", async () => {
    const m = await withTask("jmp");
    m.w16(TSS2 + 0x64, 1);
    expect(m.runToHandler()).toBe(1);
    expect(m.r32(0x6800 - 12)).toBe(TARGET);
    expect(m.field(L.DR6) & 0x8000).toBe(0x8000);
  });

  it("switches to a 16-bit TSS", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(TSS2, 0x2b, 0x81));
    m.w16(TSS2 + 0x0e, TARGET);
    m.w16(TSS2 + 0x10, 2);
    for (let i = 0; i < 8; i++) m.w16(TSS2 + 0x12 + i * 2, 0x40 + i);
    [DS0, CS0, DS0, DS0].forEach((s, i) => m.w16(TSS2 + 0x22 + i * 2, s));
    m.code(far(JMP, FREE, 0));
    m.run(1);
    expect([m.eip, m.reg("eax") & 0xffff, m.reg("edi") & 0xffff, m.selector(L.SEG_DS)]).toEqual([
      TARGET,
      0x40,
      0x47,
      DS0,
    ]);
    expect(m.seg(L.SEG_FS, L.SEG_ATTR)).toBe(L.ATTR_UNUSABLE);
  });
});

describe("LAR, LSL, VERR, VERW, ARPL, LLDT, LTR", () => {
  it("report rights and limits of visible descriptors", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(0, 0x12fff, 0xc091));
    m.setReg("eax", FREE);
    m.code([0x0f, 0x02, 0xc8, 0x0f, 0x03, 0xd0, 0x0f, 0x00, 0xe0, 0x0f, 0x00, 0xe8]); // lar ecx; lsl edx; verr ax; verw ax
    m.run(2);
    expect([m.reg("ecx"), m.reg("edx")]).toEqual([0xc09100, 0x12fff]);
    m.run(1);
    expect(m.eflags & 0x40).toBe(0x40);
    m.run(1);
    expect(m.eflags & 0x40).toBe(0);
  });

  it("ARPL raises the RPL", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("eax", 0x30);
    m.setReg("ecx", 3);
    m.code([0x63, 0xc8]);
    m.run(1);
    expect([m.reg("eax"), m.eflags & 0x40]).toEqual([0x33, 0x40]);
  });

  it("LLDT makes local descriptors visible", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(LDT, 0xf, 0x82));
    m.setDescriptor(8, descriptor(0x4000, 0xffff, 0x4093), LDT);
    m.setReg("eax", FREE);
    m.setReg("ecx", 0x0c);
    m.code([0x0f, 0x00, 0xd0, 0x8e, 0xd9]);
    m.run(2);
    expect([m.selector(L.SEG_LDTR), m.seg(L.SEG_DS, L.SEG_BASE)]).toEqual([FREE, 0x4000]);
  });

  it("LTR marks the TSS busy and refuses a busy one", async () => {
    const m = (await Machine.create()).protect(0);
    m.setDescriptor(FREE, descriptor(TSS2, 0x67, 0x89));
    m.setReg("eax", FREE);
    m.code([0x0f, 0x00, 0xd8, 0x0f, 0x00, 0xd8]);
    m.run(1);
    expect([m.selector(L.SEG_TR), m.r8(GDT + FREE + 5)]).toEqual([FREE, 0x8b]);
    expect(m.runToHandler()).toBe(13);
    expect(m.r32(STACK0 - 16)).toBe(FREE);
  });
});

describe("shutdown", () => {
  it("is an exit that stays", async () => {
    const m = (await Machine.create()).protect(0);
    m.setField(L.IDTR_LIMIT, 0);
    m.code([0x0f, 0x0b]);
    expect(m.run()).toBe(Exit.Shutdown);
    expect(m.run()).toBe(Exit.Shutdown);
  });
});
