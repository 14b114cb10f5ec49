// The map of decoded blocks under a guest that lays out its code so that every block falls into one bucket.
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { Machine } from "./machine.ts";

const RAM_BYTES = 32 << 20;
const FIRST = 0x200000;
/** What one lookup may cost. */
const CHAIN_MAX = 16;

describe("the map of decoded blocks", () => {
  it("keeps every bucket short, and every block findable, when all code collides", async () => {
    const m = (await Machine.create("max", RAM_BYTES)).protect(0);
    m.core.setA20(1);
    const ram = m.view.getUint32(L.VM_BASE + L.VM_RAM_BASE, true);
    const map = m.view.getUint32(L.VM_BASE + L.VM_BLOCK_MAP, true);
    const bucketOf = (host: number): number => (host ^ (host >>> 15)) & (L.BLOCK_MAP_ENTRIES - 1);

    // A jump to the next address of the same bucket, again and again; HLT at the last.
    const addresses: number[] = [];
    for (let at = FIRST; at < RAM_BYTES - 16; at++)
      if (bucketOf(ram + at) === bucketOf(ram + FIRST)) addresses.push(at);
    expect(addresses.length).toBeGreaterThan(20 * CHAIN_MAX);
    for (const [n, at] of addresses.entries()) {
      const next = addresses[n + 1];
      m.code(next === undefined ? [0xf4] : [0xe9, ...new Uint8Array(Int32Array.of(next - at - 5).buffer)], at);
    }
    const retired = (): bigint => m.view.getBigUint64(m.vcpu + L.RETIRED, true);
    for (let round = 1; round <= 3; round++) {
      m.setField(L.EIP, FIRST);
      m.setField(L.HALTED, 0);
      expect(m.run(1_000_000)).toBe(Exit.Hlt);
      expect(retired()).toBe(BigInt(round * addresses.length));
    }

    const lengths: number[] = [];
    for (let bucket = 0; bucket < L.BLOCK_MAP_ENTRIES; bucket++) {
      let length = 0;
      let block = m.view.getUint32(map + bucket * 4, true);
      for (; block !== 0; block = m.view.getUint32(block + L.BLOCK_NEXT_HASH, true)) length++;
      lengths.push(length);
    }
    // The bucket is in use, to its limit.
    expect(Math.max(...lengths)).toBe(CHAIN_MAX);
  });
});
