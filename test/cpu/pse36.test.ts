// 4 MiB pages above 4 GiB (SDM 3A 4.3, table 4-4), where this machine has no memory: QEMU's side is in roms/system/paging.asm.
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, Machine, STACK0 } from "./machine.ts";

const DIRECTORY = 0x20000;
const CR4_PSE = 0x10;
const PAGE = 0x87; // present, writable, user, 4 MiB
const BIG = 0x800000;
const PF = 14;

/** Identity for the first 4 MiB, `pde` at BIG. */
async function paged(cpu: string, pde: number): Promise<Machine> {
  const m = (await Machine.create(cpu)).protect(0);
  m.w32(DIRECTORY, PAGE);
  m.w32(DIRECTORY + 8, pde | PAGE);
  m.setField(L.CR3, DIRECTORY);
  m.setField(L.CR4, CR4_PSE);
  m.setField(L.CR0, 0x80000011);
  m.sync();
  return m;
}
/** mov eax, [BIG + 1000h] */
const READ = [0xa1, 0x00, 0x10, 0x80, 0x00];
/** mov [BIG + 1000h], eax */
const WRITE = [0xa3, 0x00, 0x10, 0x80, 0x00];

describe("PSE-36", () => {
  it.each([13, 14, 15, 16])(
    "bit %i leads above 4 GiB: reads and writes leave the core, memory below is not touched",
    async (bit) => {
      for (const code of [READ, WRITE]) {
        const m = await paged("max", 2 ** bit);
        m.w32(0x1000, 0x600df00d);
        m.setReg("eax", 0x0bad0bad);
        m.code([...code, 0x90]);
        expect(m.run(1)).toBe(code === READ ? Exit.MmioRead : Exit.MmioWrite);
        // what a bus answers where nobody is
        m.setField(L.EXIT_DATA, 0xffffffff);
        m.run(1);
        expect([m.reg("eax"), m.eip]).toEqual([code === READ ? 0xffffffff : 0x0bad0bad, CODE + 5]);
        expect(m.r32(0x1000)).toBe(0x600df00d);
        expect(m.r32(DIRECTORY + 8)).toBe(((2 ** bit) | PAGE | (code === READ ? 0x20 : 0x60)) >>> 0);
      }
    },
  );

  it.each([
    ["max", [17, 18, 19, 20, 21]],
    ["max,-pse36", [13, 14, 15, 16, 17, 18, 19, 20, 21]],
  ] as const)("on %s bits %j are reserved", async (cpu, bits) => {
    for (const bit of bits) {
      const m = await paged(cpu, 2 ** bit);
      m.code(READ);
      expect(m.runToHandler()).toBe(PF);
      expect([m.r32(STACK0 - 16), m.field(L.CR2)], `bit ${bit}`).toEqual([9, BIG + 0x1000]);
    }
  });
});
