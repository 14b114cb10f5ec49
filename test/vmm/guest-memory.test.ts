import { describe, expect, it } from "vitest";
import { SlotMemory } from "../../src/vmm/guest-memory.ts";
import { layOut, RAM_MAX, RAM_MIN } from "../../src/vmm/memory.ts";
import { machineSlots } from "../../src/vmm/slots.ts";

const RAM = 1 << 20;
const FIRMWARE = 65536;

function memory() {
  const map = layOut({ ramBytes: RAM, romBytes: FIRMWARE, vcpuCount: 1 });
  const wasm = new WebAssembly.Memory({ initial: map.totalBytes / 65536 });
  const written: [number, number][] = [];
  const guest = new SlotMemory(wasm, machineSlots(map, FIRMWARE), RAM, (gpa, size) => written.push([gpa, size]));
  return { map, guest, written, bytes: new Uint8Array(wasm.buffer) };
}
const read = (guest: SlotMemory, gpa: number, size: number): number[] => {
  const into = new Uint8Array(size);
  guest.read(gpa, into);
  return [...into];
};

describe("guest memory", () => {
  it("backs RAM at one offset, with the video hole reading as ones and dropping writes", () => {
    const { guest, map, bytes, written } = memory();
    guest.write(0x9fffe, Uint8Array.of(1, 2, 3, 4));
    expect(read(guest, 0x9fffd, 5)).toEqual([0, 1, 2, 0xff, 0xff]);
    expect(bytes[map.ramBase + 0x9ffff]).toBe(2);
    expect(bytes[map.ramBase + 0xa0000]).toBe(0);
    guest.write(0xbffff, Uint8Array.of(5, 6));
    expect(read(guest, 0xbffff, 2)).toEqual([0xff, 6]);
    expect(written).toEqual([
      [0x9fffe, 2],
      [0xc0000, 1],
    ]);
  });

  it("keeps ROM from guests and open to the host", () => {
    const { guest, written } = memory();
    guest.write(0xfffffff0, Uint8Array.of(1));
    expect(read(guest, 0xfffffff0, 1)).toEqual([0]);
    guest.writeRom(0xfffffff0, Uint8Array.of(2));
    expect(read(guest, 0xfffffff0, 1)).toEqual([2]);
    expect(written).toEqual([[0xfffffff0, 1]]);
  });

  it("clips at the end of RAM and of the address space", () => {
    const { guest } = memory();
    guest.write(RAM - 1, Uint8Array.of(7, 8));
    expect(read(guest, RAM - 1, 3)).toEqual([7, 0xff, 0xff]);
    guest.write(0xffffffff, new Uint8Array(100));
    expect(read(guest, 0xffffffff, 3)).toEqual([0, 0xff, 0xff]);
  });

  it("reads and writes little-endian values", () => {
    const { guest } = memory();
    guest.writeValue(0x500, 4, 0x89abcdef);
    expect([guest.readValue(0x500, 4), guest.readValue(0x502, 2), guest.readValue(0x503, 1)]).toEqual([
      0x89abcdef, 0x89ab, 0x89,
    ]);
  });
});

describe("memory layout", () => {
  it.each([RAM_MIN, 4 << 20, 128 << 20, 1 << 30, RAM_MAX])(
    "fits %i bytes of RAM without overlap, RAM on a 64 KiB boundary",
    (ramBytes) => {
      for (const romBytes of [0, FIRMWARE, 8 << 20]) {
        const map = layOut({ ramBytes, romBytes, vcpuCount: 8 });
        const pages = map.totalBytes / 4096;
        const areas = [
          [map.tlbBase, 8 * 2 * 65536],
          [map.blockMap, 65536 * 4],
          [map.pageFlags, pages],
          [map.codeBits, pages * 8],
          [map.pageBlocks, pages * 4],
          [map.arenaBase, map.arenaEnd - map.arenaBase],
          [map.romBase, romBytes],
          [map.ramBase, ramBytes],
        ] as const;
        areas.reduce((end, [base, size]) => {
          expect(base).toBeGreaterThanOrEqual(end);
          return base + size;
        }, 0);
        expect(map.ramBase % 65536).toBe(0);
        expect(map.ramBase + ramBytes).toBeLessThanOrEqual(map.totalBytes);
        expect(map.totalBytes).toBeLessThanOrEqual(2 ** 32);
        expect(map.arenaEnd - map.arenaBase).toBeGreaterThanOrEqual(8 << 20);
      }
    },
  );
});
