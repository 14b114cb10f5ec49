// How much room decoded code gets: none more for code that runs once, what it needs for code that comes again and again.
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { Machine } from "./machine.ts";

const RAM_BYTES = 32 << 20;
const FIRST = 0x200000;
const MIB = 1 << 20;
/** jmp to the next block. */
const STRIDE = 64;

/** A machine with `blocks` blocks one after the other, and HLT at the end; what it needs is about 100 bytes a block. */
async function chain(blocks: number) {
  const m = (await Machine.create("max", RAM_BYTES)).protect(0);
  m.core.setA20(1);
  for (let n = 0; n < blocks; n++) m.code([0xe9, STRIDE - 5, 0, 0, 0], FIRST + n * STRIDE);
  m.code([0xf4], FIRST + blocks * STRIDE);
  const round = (): void => {
    m.setField(L.EIP, FIRST);
    m.setField(L.HALTED, 0);
    expect(m.run(10_000_000)).toBe(Exit.Hlt);
  };
  const u32 = (field: number): number => m.view.getUint32(L.VM_BASE + field, true);
  const counter = (field: number): number => Number(m.view.getBigUint64(m.vcpu + field, true));
  return {
    round,
    limitBytes: () => u32(L.VM_ARENA_LIMIT) - u32(L.VM_ARENA_BASE),
    flushes: () => counter(L.COUNT_ARENA_FLUSH),
    retired: () => counter(L.RETIRED),
  };
}

describe("the arena of decoded code", () => {
  it("is emptied, and does not grow, for code that runs once", async () => {
    const m = await chain(100_000);
    m.round();
    expect(m.flushes()).toBeGreaterThan(5);
    expect(m.limitBytes()).toBe(MIB);
  });

  it("grows until code that comes again and again fits", async () => {
    const blocks = 20_000;
    const m = await chain(blocks);
    for (let round = 1; round <= 100; round++) {
      m.round();
      expect(m.retired()).toBe(round * (blocks + 1));
    }
    expect(m.limitBytes()).toBeGreaterThan(MIB);
    expect(m.limitBytes()).toBeLessThan(4 * MIB);
    const before = m.flushes();
    for (let round = 0; round < 20; round++) m.round();
    expect(m.flushes()).toBe(before);
  });
});
