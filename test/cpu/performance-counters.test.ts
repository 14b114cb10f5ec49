// The two performance counters of the P6 family (SDM 4, table for the P6 family; 3B, Performance Monitoring (P6 Family
// Processor)): registers that a Pentium III has and later models announce in CPUID instead. No event ever occurs here, so
// what is written stays.
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import { CR4 } from "../../spec/layout.ts";
import { CR4_PCE } from "../../spec/registers.ts";
import { Machine } from "./machine.ts";

const PERFCTR0 = 0xc1;
const PERFCTR1 = 0xc2;
const EVNTSEL0 = 0x186;
const EVNTSEL1 = 0x187;
const GP = 13;

/** wrmsr; xor eax, eax; xor edx, edx; rdmsr; hlt */
const WRITE_READ = [0x0f, 0x30, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x32, 0xf4];
const RDPMC = [0x0f, 0x33, 0xf4];

async function machine(cpu: string, ring: 0 | 3, code: number[], nr: number, low = 0, high = 0): Promise<Machine> {
  const m = (await Machine.create(cpu)).protect(ring);
  m.setReg("ecx", nr);
  m.setReg("eax", low);
  m.setReg("edx", high);
  m.code(code);
  return m;
}

async function written(nr: number, low: number, high: number): Promise<number[]> {
  const m = await machine("pentium3", 0, WRITE_READ, nr, low, high);
  m.run(4);
  return [m.reg("edx"), m.reg("eax")];
}

describe("performance counters of a Pentium III", () => {
  it("keep 40 bits: those written, sign-extended from bit 31", async () => {
    expect(await written(PERFCTR0, 0x12345678, 0)).toEqual([0, 0x12345678]);
    expect(await written(PERFCTR1, 0x80000001, 0)).toEqual([0xff, 0x80000001]);
    expect(await written(PERFCTR0, 1, 0xffffffff)).toEqual([0, 1]);
  });

  it("are selected by registers of 32 bits, each its own", async () => {
    expect(await written(EVNTSEL0, 0x00430079, 0)).toEqual([0, 0x00430079]);
    expect(await written(EVNTSEL1, 0x000300c0, 0)).toEqual([0, 0x000300c0]);
    const m = await machine("pentium3", 0, WRITE_READ, EVNTSEL0, 0, 1);
    expect(m.runToHandler()).toBe(GP);
  });

  it("are what RDPMC reads, at CPL 3 only under CR4.PCE", async () => {
    const read = async (ring: 0 | 3, cr4: number, index: number): Promise<Machine> => {
      // ring 0 fills the counter first
      const m = await machine("pentium3", 0, WRITE_READ, PERFCTR1, 0xfffffff0);
      m.run(4);
      m.protect(ring);
      m.setReg("ecx", index);
      m.setField(CR4, cr4);
      m.sync();
      m.code(RDPMC);
      return m;
    };
    for (const [ring, cr4] of [
      [0, 0],
      [3, CR4_PCE],
    ] as const) {
      const m = await read(ring, cr4, 1);
      m.run(1);
      expect([m.reg("edx"), m.reg("eax")]).toEqual([0xff, 0xfffffff0]);
    }
    expect((await read(3, 0, 1)).runToHandler()).toBe(GP);
    expect((await read(0, 0, 2)).runToHandler()).toBe(GP);
  });

  it.each(["core2", "max"])("are not there on %s, whose CPUID has no leaf for them", async (cpu) => {
    for (const nr of [PERFCTR0, PERFCTR1, EVNTSEL0, EVNTSEL1]) {
      expect((await machine(cpu, 0, WRITE_READ, nr)).run(), nr.toString(16)).toBe(Exit.MsrWrite);
    }
    expect((await machine(cpu, 0, RDPMC, 0)).runToHandler()).toBe(GP);
  });
});
