import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, CS0, CS3, gate, HANDLERS, Machine, STACK0, STACK3, TSS } from "./machine.ts";

const PRIVILEGED: [string, number[]][] = [
  ["mov cr0,eax", [0x0f, 0x22, 0xc0]],
  ["mov eax,cr3", [0x0f, 0x20, 0xd8]],
  ["mov dr0,eax", [0x0f, 0x23, 0xc0]],
  ["hlt", [0xf4]],
  ["clts", [0x0f, 0x06]],
  ["invlpg", [0x0f, 0x01, 0x38]],
  ["lgdt", [0x0f, 0x01, 0x10]],
  ["lmsw", [0x0f, 0x01, 0xf0]],
  ["wrmsr", [0x0f, 0x30]],
  ["rdmsr", [0x0f, 0x32]],
  ["wbinvd", [0x0f, 0x09]],
  ["ltr", [0x0f, 0x00, 0xd8]],
  ["cli", [0xfa]],
  ["sti", [0xfb]],
  ["in al,dx", [0xec]],
  ["outsb", [0x6e]],
];

describe("privilege", () => {
  it("raises #GP(0) at CPL 3", async () => {
    for (const [name, bytes] of PRIVILEGED) {
      const m = (await Machine.create()).protect(3);
      m.setReg("edx", 0x80);
      m.loadCache(L.SEG_TR, 0x28, TSS, 0x67, 0x8b); // no I/O bitmap
      m.code(bytes);
      expect(m.runToHandler(), name).toBe(13);
      expect(m.items(STACK0 - 24, 4, 2), name).toEqual([0, CODE]);
    }
  });

  it("UMIP keeps SGDT, SIDT, SLDT, STR and SMSW from user mode", async () => {
    for (const bytes of [
      [0x0f, 0x01, 0x00],
      [0x0f, 0x01, 0x08],
      [0x0f, 0x00, 0xc0],
      [0x0f, 0x00, 0xc8],
      [0x0f, 0x01, 0xe0],
    ]) {
      const m = (await Machine.create()).protect(3);
      m.setReg("eax", 0x9000);
      m.code(bytes);
      m.run(1);
      expect(m.eip).toBe(CODE + 3);
      m.setField(L.CR4, 0x800);
      m.setField(L.EIP, CODE);
      m.sync();
      expect(m.runToHandler()).toBe(13);
    }
  });
});

describe("control registers", () => {
  it("CR0: PG needs PE, NW needs CD, ET is fixed, unknown bits are ignored", async () => {
    for (const value of [0x80000010, 0x20000011]) {
      const m = (await Machine.create()).protect(0);
      m.setReg("eax", value);
      m.code([0x0f, 0x22, 0xc0]);
      expect(m.runToHandler()).toBe(13);
    }
    const m = (await Machine.create()).protect(0);
    m.setReg("eax", 0x0ffdffc1);
    m.code([0x0f, 0x22, 0xc0]);
    m.run(1);
    expect(m.field(L.CR0)).toBe(0x50011);
  });

  it("CR4 refuses bits of features that the model lacks", async () => {
    for (const [cpu, bit, ok] of [
      ["max", 0x100000, true],
      ["core2", 0x100000, false],
      ["max", 0x40000, false],
      ["max,-pge", 0x80, false],
    ] as const) {
      const m = (await Machine.create(cpu)).protect(0);
      m.setReg("eax", bit);
      m.code([0x0f, 0x22, 0xe0]);
      m.run(1);
      expect(m.field(L.CR4), `${cpu} ${bit.toString(16)}`).toBe(ok ? bit : 0);
    }
  });

  it("MOV CR ignores ModRM.mod", async () => {
    const m = (await Machine.create()).protect(0);
    m.code([0x0f, 0x20, 0x03, 0x0f, 0x20, 0x45, 0x90]); // mov ebx,cr0; mov ebp,cr0; nop
    m.run(3);
    expect([m.reg("ebx"), m.reg("ebp"), m.eip]).toEqual([0x11, 0x11, CODE + 7]);
  });

  it("CR1, CR5..CR7 do not exist", async () => {
    for (const n of [1, 5, 6, 7]) {
      const m = (await Machine.create()).protect(0);
      m.code([0x0f, 0x20, 0xc0 | (n << 3)]);
      expect(m.runToHandler()).toBe(6);
    }
  });

  it("checks PDPTEs when PAE paging loads CR3", async () => {
    const m = (await Machine.create()).protect(0);
    const table = 0x10000;
    m.w32(table, 0x11001);
    m.w32(0x11000, 0x83); // 2 MiB page at 0
    m.setField(L.CR3, table);
    m.setField(L.CR4, 0x20);
    m.setReg("eax", 0x80000011);
    m.setReg("ecx", table + 0x20);
    m.w32(table + 0x20, 0x11001 | 0x100); // reserved bit 8
    m.code([0x0f, 0x22, 0xc0, 0x0f, 0x22, 0xd9]);
    m.run(1);
    expect(m.field(L.CR0)).toBe(0x80000011);
    expect(m.field(L.PDPTE)).toBe(0x11001);
    expect(m.runToHandler()).toBe(13);
    expect(m.field(L.CR3)).toBe(table);
  });

  it("LMSW sets PE and cannot clear it", async () => {
    const m = (await Machine.create()).real();
    m.setReg("eax", 1);
    m.setReg("ecx", 0xe);
    m.code([0x0f, 0x01, 0xf0, 0x0f, 0x01, 0xf1]);
    m.run(2);
    expect(m.field(L.CR0) & 0xf).toBe(0xf);
  });
});

describe("flags", () => {
  it("POPF changes IF by IOPL and IOPL by CPL", async () => {
    const cases: [0 | 3, number, number, number][] = [
      [0, 0, 0x247fd7, 0x247fd7],
      [3, 0, 0x247fd7, 0x244dd7],
      [3, 3, 0x246fd7, 0x247fd7],
      [0, 0, 0x1b0002, 0x000002], // VM, RF, VIF, VIP do not come from the stack
    ];
    for (const [cpl, iopl, image, expected] of cases) {
      const m = (await Machine.create()).protect(cpl);
      m.eflags = 2 | (iopl << 12);
      m.w32(m.reg("esp"), image & ~0x100);
      m.code([0x9d]);
      m.run(1);
      expect(m.eflags, `CPL ${cpl} IOPL ${iopl}`).toBe(expected & ~0x100);
    }
  });

  it("PUSHF and POPF need IOPL 3 in vm86, or VME with 16-bit operands", async () => {
    for (const bytes of [[0x9c], [0x9d], [0xcf], [0xfa], [0xfb]]) {
      const m = (await Machine.create()).vm86(0);
      m.code(bytes);
      expect(m.runToHandler()).toBe(13);
    }
    const m = (await Machine.create()).vm86(0);
    m.setField(L.CR4, 1);
    m.eflags = 0xa0202;
    m.code([0xfa, 0x9c, 0xfb, 0x9d]); // cli pushf sti popf: all on VIF
    m.run(2);
    expect([m.eflags & 0x80200, m.r16(STACK3 - 2)]).toEqual([0x200, 0x3002]);
    m.run(1);
    expect(m.eflags & 0x80200).toBe(0x80200);
    m.run(1);
    expect(m.eflags & 0x80200).toBe(0x200);
    // a pending virtual interrupt
    m.setField(L.EIP, CODE + 2);
    m.eflags = 0x120202;
    expect(m.runToHandler()).toBe(13);
  });

  it("PVI gives CLI and STI a virtual flag at CPL 3", async () => {
    const m = (await Machine.create()).protect(3);
    m.setField(L.CR4, 2);
    m.code([0xfb, 0xfa]);
    m.run(1);
    expect(m.eflags & 0x80200).toBe(0x80000);
    m.run(1);
    expect(m.eflags & 0x80200).toBe(0);
  });

  it("CLAC and STAC are #UD above ring 0 and without SMAP", async () => {
    const m = (await Machine.create()).protect(0);
    m.code([0x0f, 0x01, 0xcb, 0x0f, 0x01, 0xca]);
    m.run(1);
    expect(m.eflags & 0x40000).toBe(0x40000);
    m.run(1);
    expect(m.eflags & 0x40000).toBe(0);
    const user = (await Machine.create()).protect(3);
    user.code([0x0f, 0x01, 0xcb]);
    expect(user.runToHandler()).toBe(6);
    const old = (await Machine.create("core2")).protect(0);
    old.code([0x0f, 0x01, 0xcb]);
    expect(old.runToHandler()).toBe(6);
  });
});

describe("SMAP and SMEP", () => {
  /** Identity paging of the first 2 MiB; the page at 9000h is the user's. */
  async function paged(cr4: number): Promise<Machine> {
    const m = (await Machine.create()).protect(0);
    m.w32(0x20000, 0x21007);
    for (let i = 0; i < 256; i++) m.w32(0x21000 + i * 4, (i << 12) | (i === 9 ? 7 : 3));
    m.setField(L.CR3, 0x20000);
    m.setField(L.CR4, cr4);
    m.setField(L.CR0, 0x80000011);
    m.sync();
    return m;
  }

  it("SMAP follows EFLAGS.AC access by access", async () => {
    const m = await paged(0x200000);
    m.w32(0x9000, 0x1234);
    m.code([0x0f, 0x01, 0xcb, 0xa1, 0, 0x90, 0, 0, 0xa3, 4, 0x90, 0, 0, 0x0f, 0x01, 0xca, 0xa1, 0, 0x90, 0, 0]);
    m.run(4); // stac, read, write, clac
    expect([m.reg("eax"), m.r32(0x9004), m.eip]).toEqual([0x1234, 0x1234, CODE + 16]);
    expect(m.runToHandler()).toBe(14);
    expect([m.r32(STACK0 - 16), m.field(L.CR2)]).toEqual([1, 0x9000]);
  });

  it("SMEP keeps ring 0 from user code", async () => {
    const m = await paged(0x100000);
    m.w8(0x9000, 0x90);
    m.code([0xe9, 0xfb, 0x0f, 0, 0]); // jmp 9000h
    expect(m.runToHandler()).toBe(14);
    expect([m.r32(STACK0 - 16), m.field(L.CR2)]).toEqual([0x11, 0x9000]); // a fetch, which SMEP makes the error code report
  });
});

describe("alignment checks", () => {
  it("begin with the POPF or IRET that sets AC at CPL 3", async () => {
    for (const iret of [false, true]) {
      const m = (await Machine.create()).protect(3);
      m.setField(L.CR0, 0x40011);
      const frame = iret ? [CODE + 1, CS3, 0x40002] : [0x40002];
      m.setReg("esp", STACK3 - frame.length * 4);
      frame.forEach((v, i) => m.w32(STACK3 - frame.length * 4 + i * 4, v));
      m.code([iret ? 0xcf : 0x9d, 0xa1, 1, 0x90, 0, 0]);
      expect(m.runToHandler()).toBe(17);
      expect(m.items(STACK0 - 24, 4, 2)).toEqual([0, CODE + 1]);
    }
  });
});

describe("debug", () => {
  it("single-steps, and INT n is not followed by a trap", async () => {
    const m = (await Machine.create()).protect(0);
    m.eflags = 0x102;
    m.code([0x90, 0x90]);
    expect(m.runToHandler()).toBe(1);
    expect(m.items(STACK0 - 12, 4, 3)).toEqual([CODE + 1, CS0, 0x102]);
    expect(m.field(L.DR6)).toBe(0xffff4ff0);

    const int = (await Machine.create()).protect(0);
    int.eflags = 0x102;
    int.code([0xcd, 0x20]);
    expect(int.runToHandler()).toBe(0x20);
    expect(int.field(L.DR6)).toBe(0xffff0ff0);
  });

  it("breaks before an instruction, and RF lets it pass", async () => {
    const m = (await Machine.create()).protect(0);
    m.setField(L.DR0, CODE + 1);
    m.setField(L.DR7, 0x401);
    m.setReg("eax", 0);
    m.code([0x90, 0x40, 0xf4]);
    m.code([0x81, 0x4c, 0x24, 0x08, 0, 0, 1, 0, 0xcf], HANDLERS + 16); // or dword [esp+8], RF; iret
    expect(m.run()).toBe(Exit.Hlt);
    expect(m.field(L.DR6) & 0xf).toBe(1);
    expect(m.reg("eax")).toBe(1);
    expect(m.eip).toBe(CODE + 3);
    expect(m.r32(STACK0 - 12)).toBe(CODE + 1);
  });

  it("reports data breakpoints after the access", async () => {
    const m = (await Machine.create()).protect(0);
    m.setField(L.DR0 + 4, 0x9004);
    m.setField(L.DR7, 0x400 | 8 | (0xd << 20)); // DR1: writes, 4 bytes, global
    m.code([0xa1, 4, 0x90, 0, 0, 0xa2, 6, 0x90, 0, 0, 0x90]); // a read, then a byte write
    expect(m.runToHandler()).toBe(1);
    expect(m.r32(STACK0 - 12)).toBe(CODE + 10);
    expect(m.field(L.DR6) & 0xf).toBe(2);
  });

  it("DR7.GD faults on the next access to a debug register", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("eax", 0x2000);
    m.code([0x0f, 0x23, 0xf8, 0x0f, 0x21, 0xc1]);
    expect(m.runToHandler()).toBe(1);
    expect(m.r32(STACK0 - 12)).toBe(CODE + 3);
    expect([m.field(L.DR6) & 0x2000, m.field(L.DR7)]).toEqual([0x2000, 0x400]);
  });

  it("DR4 and DR5 are DR6 and DR7 unless CR4.DE", async () => {
    const m = (await Machine.create()).protect(0);
    m.code([0x0f, 0x21, 0xe1]);
    m.run(1);
    expect(m.reg("ecx")).toBe(0xffff0ff0);
    m.setField(L.CR4, 8);
    m.setField(L.EIP, CODE);
    expect(m.runToHandler()).toBe(6);
  });
});

describe("MSRs and CPUID", () => {
  const wrmsr = async (nr: number, low: number, high = 0, cpu = "max"): Promise<Machine> => {
    const m = (await Machine.create(cpu)).protect(0);
    m.setReg("ecx", nr);
    m.setReg("eax", low);
    m.setReg("edx", high);
    m.code([0x0f, 0x30, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x32, 0xf4]); // wrmsr; xor eax,eax; xor edx,edx; rdmsr
    return m;
  };

  it("keep what they are given", async () => {
    for (const [nr, low, high] of [
      [0x174, 8, 0],
      [0x277, 0x00070106, 0x00070106],
      [0xc0000080, 0x800, 0],
      [0x2ff, 0xc06, 0],
      [0x201, 0xf0000800, 0xf],
      [0xc0000103, 7, 0],
    ] as const) {
      const m = await wrmsr(nr, low, high);
      m.run(4);
      expect([m.reg("eax"), m.reg("edx")], nr.toString(16)).toEqual([low, high]);
    }
  });

  it("refuse reserved bits", async () => {
    for (const [nr, low, high, cpu] of [
      [0x277, 2, 0, "max"],
      [0xc0000080, 1, 0, "max"],
      [0x2ff, 0x1006, 0, "max"],
      [0x200, 0x702, 0, "max"],
      [0x201, 0x800, 0x10, "max"],
      [0x1b, 0xfee00c00, 0, "max"],
      [0xc0000103, 0, 1, "max"],
    ] as const) {
      const m = await wrmsr(nr, low, high, cpu);
      expect(m.runToHandler(), nr.toString(16)).toBe(13);
    }
  });

  it("exit for what the core does not have, and take the host's answer", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("ecx", 0x4b564d00);
    m.code([0x0f, 0x32, 0x90]);
    expect(m.run()).toBe(Exit.MsrRead);
    expect([m.field(L.EXIT_NR), m.eip]).toEqual([0x4b564d00, CODE]);
    m.view.setBigUint64(m.vcpu + L.EXIT_DATA, 0x1122334455667788n, true);
    m.run(1);
    expect([m.reg("eax"), m.reg("edx"), m.eip]).toEqual([0x55667788, 0x11223344, CODE + 2]);

    m.setField(L.EIP, CODE);
    expect(m.run()).toBe(Exit.MsrRead);
    m.setField(L.EXIT_QUAL, 1);
    expect(m.runToHandler()).toBe(13);
  });

  it("CPUID: beyond the last leaf answers as the highest basic one", async () => {
    const m = (await Machine.create("pentium3")).protect(0);
    m.setReg("eax", 0x80000000);
    m.code([0x0f, 0xa2]);
    m.run(1);
    expect([m.reg("eax"), m.reg("edx")]).toEqual([0x03020101, 0x0c040841]);
  });

  it("RDTSC obeys CR4.TSD and counts", async () => {
    const m = (await Machine.create()).protect(0);
    m.code([0x0f, 0x31, 0x89, 0xc3, 0x0f, 0x31, 0xf4]);
    m.run(3);
    expect(m.reg("eax") - m.reg("ebx")).toBeGreaterThan(0);
    const user = (await Machine.create()).protect(3);
    user.setField(L.CR4, 4);
    user.code([0x0f, 0x31]);
    expect(user.runToHandler()).toBe(13);
  });
});

describe("SYSENTER and SYSEXIT", () => {
  it("enter ring 0 and return to ring 3 with flat segments", async () => {
    const m = (await Machine.create()).protect(3);
    m.eflags = 0x202;
    m.setField(L.SYSENTER_CS, 8);
    m.setField(L.SYSENTER_ESP, 0x5000);
    m.setField(L.SYSENTER_EIP, 0x9000);
    m.setReg("ecx", 0x5800);
    m.setReg("edx", CODE + 2);
    m.code([0x0f, 0x34]);
    m.code([0x0f, 0x35], 0x9000);
    m.run(1);
    expect([m.eip, m.reg("esp"), m.field(L.CPL), m.selector(L.SEG_CS), m.selector(L.SEG_SS)]).toEqual([
      0x9000, 0x5000, 0, 8, 0x10,
    ]);
    expect(m.eflags & 0x200).toBe(0);
    m.run(1);
    expect([m.eip, m.reg("esp"), m.field(L.CPL), m.selector(L.SEG_CS), m.selector(L.SEG_SS)]).toEqual([
      CODE + 2,
      0x5800,
      3,
      0x1b,
      0x23,
    ]);
  });

  it("fault with a null SYSENTER_CS", async () => {
    const m = (await Machine.create()).protect(3);
    m.code([0x0f, 0x34]);
    expect(m.runToHandler()).toBe(13);
  });
});

describe("ports", () => {
  it("exit with the port and take the answer", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("eax", 0xffffffff);
    m.code([0xe4, 0xf0, 0x90]);
    expect(m.run()).toBe(Exit.PortIn);
    expect([m.field(L.EXIT_PORT), m.field(L.EXIT_SIZE)]).toEqual([0xf0, 1]);
    m.view.setBigUint64(m.vcpu + L.EXIT_DATA, 0x5an, true);
    m.run(1);
    expect(m.reg("eax")).toBe(0xffffff5a);
  });

  it("obey the I/O permission bitmap of the TSS", async () => {
    const make = async (limit: number): Promise<Machine> => {
      const m = (await Machine.create()).protect(3);
      m.loadCache(L.SEG_TR, 0x28, TSS, limit, 0x8b);
      m.w8(TSS + 0x68 + (0xf0 >> 3), 0x02); // port F1
      m.sync();
      return m;
    };
    const open = await make(0x68 + 0x1f);
    open.code([0xe6, 0xf0]);
    expect(open.run()).toBe(Exit.PortOut);
    const closed = await make(0x68 + 0x1f);
    closed.code([0xe7, 0xf0]); // dword: F0..F3
    expect(closed.runToHandler()).toBe(13);
    const short = await make(0x68 + 0x1e); // the second byte of the map is beyond the limit
    short.code([0xe6, 0xf0]);
    expect(short.runToHandler()).toBe(13);
  });

  it("INS moves what a page holds in one exit; the destination is checked before the port", async () => {
    const m = (await Machine.create()).protect(0);
    m.setReg("edx", 0x1f0);
    m.setReg("ecx", 3);
    m.setReg("edi", 0x9ffc);
    m.code([0xf3, 0x66, 0x6d, 0xf4]);
    expect(m.run()).toBe(Exit.PortIn);
    expect([m.field(L.EXIT_COUNT), m.eip, m.reg("ecx"), m.reg("edi")]).toEqual([2, CODE, 3, 0x9ffc]);
    m.setField(L.IO_DATA, 0x56781234);
    expect(m.run()).toBe(Exit.PortIn);
    expect([m.field(L.EXIT_COUNT), m.eip, m.reg("ecx"), m.reg("edi")]).toEqual([1, CODE, 1, 0xa000]);
    m.view.setBigUint64(m.vcpu + L.EXIT_DATA, 0x9abcn, true);
    expect(m.run()).toBe(Exit.Hlt);
    expect([m.r32(0x9ffc), m.r16(0xa000), m.reg("ecx"), m.reg("edi")]).toEqual([0x56781234, 0x9abc, 0, 0xa002]);

    const bad = (await Machine.create()).protect(0);
    bad.loadCache(L.SEG_ES, 0x10, 0, 0xfff, 0x4093);
    bad.sync();
    bad.setReg("edi", 0x1000);
    bad.setReg("edx", 0x1f0);
    bad.code([0x6c]);
    expect(bad.runToHandler()).toBe(13);
  });

  it("INS stops before the element that the limit refuses", async () => {
    const m = (await Machine.create()).protect(0);
    m.loadCache(L.SEG_ES, 0x10, 0, 0x9001, 0x4093);
    m.sync();
    m.setReg("edx", 0x1f0);
    m.setReg("ecx", 4);
    m.setReg("edi", 0x9000);
    m.code([0xf3, 0x6c]);
    for (let i = 0; i < 2; i++) {
      expect(m.run()).toBe(Exit.PortIn);
      m.view.setBigUint64(m.vcpu + L.EXIT_DATA, BigInt(0x50 + i), true);
    }
    expect(m.runToHandler()).toBe(13);
    expect([m.r16(0x9000), m.reg("ecx"), m.reg("edi"), m.r32(STACK0 - 12)]).toEqual([0x5150, 2, 0x9002, CODE]);
  });

  it("OUTS writes every element once, backwards one at a time", async () => {
    for (const backward of [false, true]) {
      const m = (await Machine.create()).protect(0);
      m.eflags = backward ? 0x402 : 2;
      m.setReg("edx", 0xe9);
      m.setReg("ecx", 3);
      m.setReg("esi", backward ? 0x9001 : 0x8fff);
      [0x41, 0x42, 0x43].forEach((b, i) => m.w8(0x8fff + i, b));
      m.code([0xf3, 0x6e, 0xf4]);
      const seen: number[] = [];
      for (;;) {
        const exit = m.run();
        if (exit !== Exit.PortOut) break;
        const count = m.field(L.EXIT_COUNT);
        if (count === 1) seen.push(m.field(L.EXIT_DATA));
        else for (let i = 0; i < count; i++) seen.push(m.view.getUint8(m.vcpu + L.IO_DATA + i));
      }
      expect(seen).toEqual(backward ? [0x43, 0x42, 0x41] : [0x41, 0x42, 0x43]);
      expect([m.reg("ecx"), m.reg("esi"), m.eip]).toEqual([0, backward ? 0x8ffe : 0x9002, CODE + 3]);
    }
  });
});

describe("interrupts", () => {
  it("STI holds interrupts off for one instruction, HLT wakes", async () => {
    const m = (await Machine.create()).protect(0);
    // 8259 unprogrammed is in the way: deliver through NMI, which STI's shadow does not stop
    m.setGate(2, gate(CS0, HANDLERS + 32, 14, 0));
    m.code([0xf4, 0x90]);
    expect(m.run()).toBe(Exit.Hlt);
    (m.core as unknown as { raiseNmi(vcpu: number): void }).raiseNmi(m.vcpu);
    expect(m.runToHandler()).toBe(2);
    expect(m.r32(STACK0 - 12)).toBe(CODE + 1);
    expect(m.field(L.NMI_BLOCKED)).toBe(1);
  });
});

describe("execution controls", () => {
  it("exit once and then execute the instruction", async () => {
    const cases: [string, number, number, number[]][] = [
      ["CPUID", L.CTRLF_CPUID, Exit.Cpuid, [0x0f, 0xa2]],
      ["RDTSC", L.CTRLF_RDTSC, Exit.Rdtsc, [0x0f, 0x31]],
      ["MOV CR3", L.CTRLF_CR3, Exit.Cr3Load, [0x0f, 0x22, 0xd8]],
      ["INVLPG", L.CTRLF_INVLPG, Exit.Invlpg, [0x0f, 0x01, 0x38]],
      ["SGDT", L.CTRLF_DESCRIPTOR, Exit.DescriptorAccess, [0x0f, 0x01, 0x00]],
      ["RDMSR", L.CTRLF_MSR_BITMAP, Exit.MsrRead, [0x0f, 0x32]],
    ];
    for (const [name, flag, reason, bytes] of cases) {
      const m = (await Machine.create()).protect(0);
      m.setField(L.CTRL_FLAGS, flag);
      m.view.setUint8(m.vcpu + L.MSR_BITMAP + (0x10 >> 3), 1); // MSR 10h
      m.setReg("ecx", 0x10);
      m.setReg("eax", 0x9000);
      m.code([...bytes, 0xf4]);
      expect(m.run(), name).toBe(reason);
      expect(m.eip, name).toBe(CODE);
      expect(m.run(), name).toBe(Exit.Hlt);
      expect(m.eip, name).toBe(CODE + bytes.length + 1);
    }
  });
});

describe("hypercalls", () => {
  it("are #UD without a hypervisor and exit with one", async () => {
    const none = (await Machine.create()).protect(0);
    none.code([0x0f, 0x01, 0xc1]);
    expect(none.runToHandler()).toBe(6);
    const m = (await Machine.create("max,+hypervisor")).protect(0);
    ["eax", "ebx", "ecx", "edx", "esi"].forEach((r, i) => m.setReg(r as "eax", i + 101));
    m.code([0x0f, 0x01, 0xc1, 0x90]);
    expect(m.run()).toBe(Exit.Hypercall);
    expect([m.field(L.EXIT_NR), ...[0, 8, 16, 24].map((o) => m.field(L.EXIT_ARGS + o))]).toEqual([
      101, 102, 103, 104, 105,
    ]);
    m.view.setBigUint64(m.vcpu + L.EXIT_DATA, 99n, true);
    m.run(1);
    expect([m.reg("eax"), m.eip]).toEqual([99, CODE + 3]);
  });
});

describe("reset (SDM 3A table 9-1)", () => {
  it("starts at FFFF:FFF0 with the signature in EDX", async () => {
    const m = await Machine.create("core2");
    expect([m.selector(L.SEG_CS), m.seg(L.SEG_CS, L.SEG_BASE), m.eip]).toEqual([0xf000, 0xffff0000, 0xfff0]);
    expect([m.reg("edx"), m.eflags, m.field(L.CR0)]).toEqual([0x6fb, 2, 0x60000010]);
    expect([m.field(L.DR6), m.field(L.DR7), m.field(L.PAT), m.field(L.PAT + 4)]).toEqual([
      0xffff0ff0, 0x400, 0x70406, 0x70406,
    ]);
    expect(m.field(L.APIC_BASE)).toBe(0xfee00900);
  });
});
