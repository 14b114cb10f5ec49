import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, CS0, CS3, DS0, DS3, descriptor, FREE, gate, HANDLERS, Machine, STACK0, STACK3, TSS } from "./machine.ts";

const UD2 = [0x0f, 0x0b];

describe("delivery through interrupt and trap gates (SDM 2A INT n)", () => {
  it("pushes EFLAGS with RF, CS and EIP of a fault at the same privilege", async () => {
    const m = (await Machine.create()).protect(0);
    m.eflags = 0x202;
    m.code(UD2);
    expect(m.runToHandler()).toBe(6);
    expect(m.reg("esp")).toBe(STACK0 - 12);
    expect(m.items(STACK0 - 12, 4, 3)).toEqual([CODE, CS0, 0x10202]);
    expect(m.eflags & 0x10300).toBe(0);
  });

  it("switches to the stack of the TSS and pushes SS:ESP from user mode", async () => {
    const m = (await Machine.create()).protect(3);
    m.code(UD2);
    expect(m.runToHandler()).toBe(6);
    expect(m.selector(L.SEG_CS)).toBe(CS0);
    expect(m.selector(L.SEG_SS)).toBe(DS0);
    expect(m.field(L.CPL)).toBe(0);
    expect(m.items(STACK0 - 20, 4, 5)).toEqual([CODE, CS3, 0x10002, STACK3, DS3]);
  });

  it("checks the gate's DPL for INT n only, with EXT clear", async () => {
    const m = (await Machine.create()).protect(3);
    m.code([0xcd, 0x20]);
    expect(m.runToHandler()).toBe(13);
    expect(m.items(STACK0 - 24, 4, 3)).toEqual([0x20 * 8 + 2, CODE, CS3]);

    const trap = (await Machine.create()).protect(3);
    trap.setGate(0x20, gate(CS0, HANDLERS + 0x200, 15, 3));
    trap.eflags = 0x202;
    trap.code([0xcd, 0x20]);
    expect(trap.runToHandler()).toBe(0x20);
    // a trap: the next instruction, RF clear; a trap gate leaves IF
    expect(trap.items(STACK0 - 20, 4, 3)).toEqual([CODE + 2, CS3, 0x202]);
    expect(trap.eflags & 0x200).toBe(0x200);
  });

  it("raises #GP(vector*8+2+EXT) outside the IDT limit and #NP for a gate that is not present", async () => {
    const m = (await Machine.create()).protect(0);
    m.code([0xcd, 0x80]);
    expect(m.runToHandler()).toBe(13);
    expect(m.r32(STACK0 - 16)).toBe(0x80 * 8 + 2);

    const np = (await Machine.create()).protect(0);
    np.setGate(6, [0, 0x0e00]);
    np.code(UD2);
    expect(np.runToHandler()).toBe(11);
    expect(np.r32(STACK0 - 16)).toBe(6 * 8 + 3);
  });

  it("uses 16-bit items for a 16-bit gate", async () => {
    const m = (await Machine.create()).protect(0);
    m.setGate(6, gate(CS0, HANDLERS + 0x60, 6, 0));
    m.code(UD2);
    expect(m.runToHandler()).toBe(6);
    expect(m.items(STACK0 - 6, 2, 3)).toEqual([CODE, CS0, 2]);
    expect(m.reg("esp")).toBe(STACK0 - 6);
  });

  it("raises #TS with the TSS selector when the inner stack is outside the TSS", async () => {
    const m = (await Machine.create()).protect(3);
    m.loadCache(L.SEG_TR, 0x28, TSS, 7, 0x8b);
    m.sync();
    m.setGate(10, gate(CS3 & ~3, HANDLERS + 0xa0, 14, 0));
    m.code([0xcd, 0x80]); // #GP needs the inner stack too, so #TS follows #GP: both contributory
    m.setGate(8, gate(FREE, 0, 5, 0)); // nothing there: triple fault
    expect(m.run()).toBe(Exit.Shutdown);

    const one = (await Machine.create()).protect(3);
    one.loadCache(L.SEG_TR, 0x28, TSS, 7, 0x8b);
    one.sync();
    // a conforming handler runs at CPL 3 and needs no other stack
    one.setDescriptor(FREE, descriptor(0, 0xffffffff, 0xc09f));
    one.setGate(10, gate(FREE, HANDLERS + 0xa0, 14, 0));
    one.w8(HANDLERS + 0xa0, 0xeb);
    one.w8(HANDLERS + 0xa1, 0xfe); // jmp $: HLT would fault at CPL 3
    one.code(UD2);
    one.run(3);
    expect(one.eip).toBe(HANDLERS + 0xa0);
    expect(one.items(STACK3 - 16, 4, 3)).toEqual([0x28 | 1, CODE, CS3]);
  });

  it("checks the new stack: null, RPL, type, presence, room", async () => {
    const cases: [string, number, number, number, [number, number]?][] = [
      ["null", 0, 10, 1],
      ["RPL 3", DS0 | 3, 10, DS0 | 1],
      ["code", CS0, 10, CS0 | 1],
      ["beyond the GDT", 0x1000, 10, 0x1001],
      ["not present", FREE, 12, FREE | 1, descriptor(0, 0xffffffff, 0xc013)],
      ["too small", FREE, 12, FREE | 1, descriptor(0, 0xff, 0x4093)],
    ];
    for (const [name, ss, vector, error, raw] of cases) {
      const m = (await Machine.create()).protect(3);
      if (raw) m.setDescriptor(FREE, raw);
      m.w32(TSS + 8, ss);
      m.setDescriptor(FREE + 8, descriptor(0, 0xffffffff, 0xc09f));
      m.setGate(vector, gate(FREE + 8, HANDLERS + vector * 16, 14, 0));
      m.code(UD2, HANDLERS + vector * 16);
      m.code([0xeb, 0xfe], HANDLERS + vector * 16);
      m.code(UD2);
      m.run(3);
      expect(m.eip, name).toBe(HANDLERS + vector * 16);
      expect(m.r32(STACK3 - 16), name).toBe(error);
      expect(m.selector(L.SEG_SS), name).toBe(DS3);
    }
  });

  it("turns two contributory exceptions into a double fault, and a third into shutdown", async () => {
    const m = (await Machine.create()).protect(0);
    m.setGate(13, [0, 0]);
    m.code([0xcd, 0x80]);
    expect(m.runToHandler()).toBe(8);
    expect(m.items(STACK0 - 16, 4, 2)).toEqual([0, CODE]);

    const triple = (await Machine.create()).protect(0);
    triple.setGate(13, [0, 0]);
    triple.setGate(8, [0, 0]);
    triple.code([0xcd, 0x80]);
    expect(triple.run()).toBe(Exit.Shutdown);
    expect(triple.eip).toBe(CODE);
  });

  it("delivers a benign exception's fault on its own", async () => {
    const m = (await Machine.create()).protect(0);
    m.setGate(6, [0, 0]);
    m.code(UD2);
    expect(m.runToHandler()).toBe(13);
    expect(m.r32(STACK0 - 16)).toBe(6 * 8 + 3);
  });

  it("delivers INT3, INTO, INT1 and BOUND with their own EIP", async () => {
    for (const [bytes, vector, eip] of [
      [[0xcc], 3, CODE + 1],
      [[0xf1], 1, CODE + 1],
      [[0x62, 0x05, 0, 0x90, 0, 0], 5, CODE],
    ] as const) {
      const m = (await Machine.create()).protect(0);
      m.w32(0x9000, 1);
      m.w32(0x9004, 5);
      m.setReg("eax", 6);
      m.code(bytes);
      expect(m.runToHandler()).toBe(vector);
      expect(m.r32(STACK0 - 12)).toBe(eip);
      expect(m.r32(STACK0 - 4) & 0x10000).toBe(vector === 5 ? 0x10000 : 0);
    }
    const into = (await Machine.create()).protect(0);
    into.eflags = 0x802;
    into.code([0xce]);
    expect(into.runToHandler()).toBe(4);
    expect(into.r32(STACK0 - 12)).toBe(CODE + 1);
  });
});

describe("faults of paging during delivery", () => {
  /** Identity paging of the first 4 MiB in 4 KiB pages; `missing` pages are not present. */
  function page(m: Machine, missing: readonly number[]): void {
    const directory = 0x20000;
    const table = 0x21000;
    m.w32(directory, table | 7);
    for (let i = 0; i < 256; i++) m.w32(table + i * 4, missing.includes(i << 12) ? 0 : (i << 12) | 7);
    m.setField(L.CR3, directory);
    m.setField(L.CR0, 0x80000011);
    m.sync();
  }

  it("#PF while #UD is delivered is a page fault of its own, with the supervisor's error code", async () => {
    const m = (await Machine.create()).protect(3);
    m.w32(TSS + 4, 0x5000);
    page(m, [0x4000]);
    m.w32(TSS + 12, STACK0);
    m.w32(TSS + 16, DS0 | 1);
    m.setDescriptor(FREE, descriptor(0, 0xffffffff, 0xc09f));
    // #PF on the user's stack through a conforming handler
    m.setGate(14, gate(FREE, HANDLERS + 14 * 16, 14, 0));
    m.code([0xeb, 0xfe], HANDLERS + 14 * 16);
    m.code(UD2);
    m.run(3);
    expect(m.eip).toBe(HANDLERS + 14 * 16);
    expect(m.field(L.CR2)).toBe(0x4ffc);
    expect(m.items(STACK3 - 16, 4, 4)).toEqual([2, CODE, CS3, 0x10002]);
  });

  it("#PF while #PF is delivered is a double fault, and then shutdown", async () => {
    const m = (await Machine.create()).protect(3);
    m.w32(TSS + 4, 0x5000);
    page(m, [0x4000, 0x90000]);
    m.code([0xa1, 0, 0, 9, 0]);
    expect(m.run()).toBe(Exit.Shutdown);
    expect([m.eip, m.field(L.CPL)]).toEqual([CODE, 3]);
  });
});

describe("a stack in device memory", () => {
  const MMIO = 0x200000;

  it("is written through the host, item by item, and the event is delivered once", async () => {
    const exception = (await Machine.create()).protect(3);
    exception.w32(TSS + 4, MMIO + 0x100);
    exception.code(UD2);
    const written: number[] = [];
    while (exception.run() === Exit.MmioWrite) written.push(exception.field(L.EXIT_DATA));
    expect(written).toEqual([DS3, STACK3, 0x10002, CS3, CODE]);
    expect([exception.eip, exception.reg("esp")]).toEqual([HANDLERS + 6 * 16 + 1, MMIO + 0x100 - 20]);

    const nmi = (await Machine.create()).protect(3);
    nmi.w32(TSS + 4, MMIO + 0x100);
    nmi.code([0xeb, 0xfe]);
    (nmi.core as unknown as { raiseNmi(vcpu: number): void }).raiseNmi(nmi.vcpu);
    written.length = 0;
    while (nmi.run() === Exit.MmioWrite) written.push(nmi.field(L.EXIT_DATA));
    expect(written).toEqual([DS3, STACK3, 2, CS3, CODE]);
    expect(nmi.eip).toBe(HANDLERS + 2 * 16 + 1);
    expect(nmi.field(L.VECTORING)).toBe(0);
  });
});

describe("guests that fault for ever", () => {
  it("#AC while #AC is delivered ends in shutdown", async () => {
    const m = (await Machine.create()).protect(3);
    m.setField(L.CR0, 0x40011);
    m.setDescriptor(FREE, descriptor(0, 0xffffffff, 0xc0ff)); // conforming, DPL 3: the handler stays on the user's stack
    m.setGate(17, gate(FREE, HANDLERS + 17 * 16, 14, 0));
    m.eflags = 0x40002;
    m.setReg("esp", STACK3 + 1);
    m.code([0x50]);
    expect(m.run()).toBe(Exit.Shutdown);
  });

  it("a handler that faults at its first instruction uses up the budget", async () => {
    const m = (await Machine.create()).real();
    // a stack of its own, which only overwrites itself when SP wraps
    m.loadCache(L.SEG_SS, 0x2000, 0x20000, 0xffff, 0x93);
    m.sync();
    m.code(UD2, HANDLERS + 6 * 16);
    m.code(UD2);
    expect(m.run(1000)).toBe(Exit.Budget);

    // an instruction breakpoint on the handler of #DB itself
    const debug = (await Machine.create()).real();
    debug.setField(L.DR0, HANDLERS + 16);
    debug.setField(L.DR7, 0x402);
    debug.loadCache(L.SEG_SS, 0x2000, 0x20000, 0xffff, 0x93);
    debug.sync();
    debug.code([0xcd, 1]);
    expect(debug.run(1000)).toBe(Exit.Budget);
  });
});

describe("real mode", () => {
  it("delivers through the vector table and IRET returns", async () => {
    const m = (await Machine.create()).real();
    m.eflags = 0x302 & ~0x100;
    m.code([0xcd, 0x21, 0xf4]);
    m.code([0xcf], HANDLERS + 0x21 * 16);
    expect(m.run(2)).toBe(Exit.Budget);
    expect(m.eip).toBe(CODE + 2);
    expect(m.eflags & 0x200).toBe(0x200);
    expect(m.reg("esp")).toBe(STACK0);
    expect(m.items(STACK0 - 6, 2, 3)).toEqual([CODE + 2, 0, 0x202]);
  });

  it("shuts down when the vector table is too short for every fault", async () => {
    const m = (await Machine.create()).real();
    m.setField(L.IDTR_LIMIT, 0);
    m.code(UD2);
    expect(m.run()).toBe(Exit.Shutdown);
  });
});

describe("vm86", () => {
  it("enters ring 0 with all segments on the stack and nulled", async () => {
    const m = (await Machine.create()).vm86(0);
    m.loadCache(L.SEG_DS, 0x100, 0x1000, 0xffff, 0xf3);
    m.loadCache(L.SEG_GS, 0x200, 0x2000, 0xffff, 0xf3);
    m.sync();
    m.code([0xcd, 0x21]);
    expect(m.runToHandler()).toBe(13); // IOPL < 3
    expect(m.items(STACK0 - 40, 4, 10)).toEqual([0, CODE, 0, 0x30002, STACK3, 0, 0, 0x100, 0, 0x200]);
    for (const n of [L.SEG_ES, L.SEG_DS, L.SEG_FS, L.SEG_GS]) {
      expect(m.selector(n)).toBe(0);
      expect(m.seg(n, L.SEG_ATTR)).toBe(L.ATTR_UNUSABLE);
    }
    expect(m.eflags & 0x20000).toBe(0);
  });

  it("returns to vm86 by IRET and takes the selectors as paragraphs", async () => {
    const m = (await Machine.create()).protect(0);
    const frame = [0x8000, 0x12, 0x23202, 0x5000, 0x34, 0x56, 0x78, 0x9a, 0xbc];
    frame.forEach((v, i) => m.w32(STACK0 - 36 + i * 4, v));
    m.setReg("esp", STACK0 - 36);
    m.code([0xcf]);
    m.run(1);
    expect(m.field(L.CPL)).toBe(3);
    expect([m.selector(L.SEG_CS), m.seg(L.SEG_CS, L.SEG_BASE), m.eip]).toEqual([0x12, 0x120, 0x8000]);
    expect([m.selector(L.SEG_SS), m.reg("esp")]).toEqual([0x34, 0x5000]);
    expect([L.SEG_ES, L.SEG_DS, L.SEG_FS, L.SEG_GS].map((n) => m.seg(n, L.SEG_BASE))).toEqual([
      0x560, 0x780, 0x9a0, 0xbc0,
    ]);
    expect(m.seg(L.SEG_DS, L.SEG_ATTR)).toBe(0xf3);
  });

  it("redirects INT n to the program by the VME bitmap, with VIF for IF", async () => {
    const m = (await Machine.create()).vm86(0);
    m.setField(L.CR4, 1);
    m.w16(TSS + 0x66, 0x88); // bitmap of 32 bytes before the I/O map
    m.loadCache(L.SEG_TR, 0x28, TSS, 0x8800, 0x8b);
    m.w8(TSS + 0x68 + 4, 0);
    m.w16(0x21 * 4, 0x1234);
    m.w16(0x21 * 4 + 2, 0x10);
    m.eflags = 0xa0002 | 0; // VM, VIF
    m.code([0xcd, 0x21]);
    m.run(1);
    expect([m.selector(L.SEG_CS), m.eip]).toEqual([0x10, 0x1234]);
    // pushed: IF from VIF, IOPL 3
    expect(m.items(STACK3 - 6, 2, 3)).toEqual([CODE + 2, 0, 0x3202]);
    expect(m.eflags & 0x80000).toBe(0);

    m.w8(TSS + 0x68 + 4, 2); // bit of vector 21h
    m.setField(L.EIP, CODE);
    m.loadCache(L.SEG_CS, 0, 0, 0xffff, 0xf3);
    m.sync();
    expect(m.runToHandler()).toBe(13);
  });
});
