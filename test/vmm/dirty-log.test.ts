// The dirty log against the memory itself: a page that changed is in it, whoever changed it, and the guest cannot tell.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { COUNT_TLB_FILL } from "../../spec/layout.ts";
import { readRomImage, readRomManifest } from "../../src/cli/roms.ts";
import type { VmConfig } from "../../src/index.ts";
import { BareMachine } from "./bare-machine.ts";

const PAGE = 4096;

async function config(name: string): Promise<VmConfig> {
  if (name === "SeaBIOS") {
    const image = new Uint8Array(await readFile("/usr/share/seabios/bios-256k.bin"));
    return { boot: { kind: "firmware", image }, clock: "virtual", memoryBytes: 8 << 20 };
  }
  const rom = readRomManifest().roms.find((row) => row.name === name);
  if (rom === undefined) throw new Error(`no ROM ${name}`);
  return {
    boot: { kind: "multiboot", kernel: await readRomImage(rom), name: "rom" },
    memoryBytes: 16 << 20,
    clock: "virtual",
  };
}

function ramOf(bare: BareMachine): Uint8Array {
  const { map, memory } = bare.machine;
  return new Uint8Array(memory.buffer).subarray(map.ramBase, map.ramBase + map.ramBytes);
}

function changedPages(before: Uint8Array, after: Uint8Array): number[] {
  const a = new BigUint64Array(before.buffer, before.byteOffset, before.length / 8);
  const b = new BigUint64Array(after.buffer, after.byteOffset, after.length / 8);
  const pages: number[] = [];
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    const page = Math.floor((i * 8) / PAGE);
    pages.push(page);
    i = ((page + 1) * PAGE) / 8 - 1;
  }
  return pages;
}

const isDirty = (bitmap: Uint8Array, page: number): boolean =>
  (((bitmap[page >> 3] as number) >> (page & 7)) & 1) !== 0;
const count = (bitmap: Uint8Array): number =>
  bitmap.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);

describe("the dirty log", () => {
  it.each(["hello", "test-paging", "test-smc", "test-tasks", "test-vm86", "SeaBIOS"])(
    "of %s has every page that changed, and changes nothing",
    async (name) => {
      const logged = await BareMachine.create(await config(name));
      const plain = await BareMachine.create(await config(name));
      const fills = (bare: BareMachine): number => Number(bare.machine.vcpu.getU64(COUNT_TLB_FILL));
      const { dirtyLog } = logged.machine;
      dirtyLog.start();
      let before = ramOf(logged).slice();
      let dirty = 0;
      let changed = 0;
      let goesOn = true;
      for (let i = 0; goesOn && i < 4000; i++) {
        goesOn = logged.enter(3000);
        expect(plain.enter(3000)).toBe(goesOn);
        if (i % 100 !== 99 && goesOn) continue;
        const bitmap = dirtyLog.take();
        const pages = changedPages(before, ramOf(logged));
        expect(pages.filter((page) => !isDirty(bitmap, page))).toEqual([]);
        dirty += count(bitmap);
        changed += pages.length;
        before = ramOf(logged).slice();
      }
      expect(changed).toBeGreaterThan(0);
      expect(logged.output).toBe(plain.output);
      expect(await logged.hash()).toBe(await plain.hash());
      // What it costs: one fill for each page and privilege that first writes to it after the log was taken.
      expect(fills(logged) - fills(plain)).toBeLessThanOrEqual(2 * dirty);
    },
  );

  it("is empty after it began, also when it was on, and off it stays empty", async () => {
    const bare = await BareMachine.create(await config("hello"));
    const { dirtyLog, guest } = bare.machine;
    expect(dirtyLog.on).toBe(false);
    for (let i = 0; i < 100; i++) bare.enter(3000);
    expect(count(dirtyLog.read())).toBe(0);
    dirtyLog.start();
    expect(dirtyLog.on).toBe(true);
    for (let i = 0; i < 100; i++) bare.enter(3000);
    expect(count(dirtyLog.read())).toBeGreaterThan(0);
    dirtyLog.start();
    expect(count(dirtyLog.read())).toBe(0);
    dirtyLog.stop();
    for (let i = 0; i < 100; i++) bare.enter(3000);
    guest.write(0x5000, new Uint8Array(10_000));
    expect(count(dirtyLog.read())).toBe(0);
  });

  it("has what the host writes, and only that: the first and last byte of RAM, with A20 off, across pages", async () => {
    const bare = await BareMachine.create(await config("hello"));
    const { dirtyLog, guest, board, map } = bare.machine;
    board.a20.set(false);
    dirtyLog.start();
    guest.write(0, Uint8Array.of(1));
    guest.write(map.ramBytes - 1, Uint8Array.of(1));
    guest.write(0x10_0fff, Uint8Array.of(1, 2));
    guest.write(0xa_0000, new Uint8Array(0x2_0000));
    const bitmap = dirtyLog.take();
    const pages = Array.from({ length: dirtyLog.pageCount }, (_, page) => page).filter((page) => isDirty(bitmap, page));
    expect(pages).toEqual([0, 0x100, 0x101, map.ramBytes / PAGE - 1]);
  });
});
