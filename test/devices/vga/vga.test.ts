import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Vga, VIDEO_MEMORY_BYTES, type VideoMemory, VRAM_AREA_BYTES } from "../../../src/devices/vga/vga.ts";
import { sameFrame } from "../../../src/display/frame.ts";
import { MemorySnapshots, Vm } from "../../../src/index.ts";
import type { IoRange } from "../../../src/vmm/device.ts";
import { drawn, haveTools } from "./modes.ts";

/** An adapter on its own, with ports and window as a guest reaches them. */
class Bench {
  readonly bytes = new Uint8Array(VRAM_AREA_BYTES);
  nowNs = 0;
  /** What of memory is shown, and where. */
  readonly shown = new Map<object, { base: number; offset: number; sizeBytes: number }>();
  readonly vga: Vga;

  constructor() {
    const memory: VideoMemory = {
      bytes: this.bytes,
      show: (base, offset, sizeBytes) => {
        expect(offset + sizeBytes).toBeLessThanOrEqual(VRAM_AREA_BYTES);
        const key = {};
        this.shown.set(key, { base, offset, sizeBytes });
        return { unmap: () => void this.shown.delete(key) };
      },
      written: (offset, sizeBytes) => expect(offset + sizeBytes).toBeLessThanOrEqual(VRAM_AREA_BYTES),
    };
    this.vga = new Vga(memory, { nowNs: () => this.nowNs });
    this.vga.reset();
  }

  out(port: number, value: number, size = 1): void {
    const range = rangeOf(this.vga.ports, port);
    range?.handler.write(port - range.first, size, value);
  }
  in(port: number, size = 1): number {
    const range = rangeOf(this.vga.ports, port);
    return range?.handler.read(port - range.first, size) ?? 0;
  }
  index(port: number, index: number, value: number): void {
    this.out(port, index);
    this.out(port + 1, value);
  }
  dispi(index: number, value: number): void {
    this.out(0x1ce, index, 2);
    this.out(0x1cf, value, 2);
  }
  readDispi(index: number): number {
    this.out(0x1ce, index, 2);
    return this.in(0x1cf, 2);
  }
  /** One access to the window, as memory where it is shown. */
  write(gpa: number, value: number, size = 1): void {
    const slot = this.#slot(gpa);
    if (slot !== undefined) for (let i = 0; i < size; i++) this.bytes[slot + i] = value >>> (8 * i);
    else this.vga.mmio[0]?.handler.write(gpa - 0xa0000, size, value);
  }
  read(gpa: number): number {
    const slot = this.#slot(gpa);
    return slot === undefined ? (this.vga.mmio[0]?.handler.read(gpa - 0xa0000, 1) ?? 0) : (this.bytes[slot] as number);
  }
  #slot(gpa: number): number | undefined {
    for (const { base, offset, sizeBytes } of this.shown.values())
      if (gpa >= base && gpa < base + sizeBytes) return offset + gpa - base;
    return undefined;
  }
}

function rangeOf(ranges: readonly IoRange[], port: number): IoRange | undefined {
  return ranges.find(({ first, count }) => port >= first && port < first + count);
}

const textLines = (bench: Bench): string[] => {
  const frame = bench.vga.frame();
  if (frame.kind !== "text") throw new Error("no text");
  return Array.from({ length: frame.rows }, (_, row) =>
    String.fromCharCode(...[...frame.cells.slice(row * frame.columns, (row + 1) * frame.columns)].map((c) => c & 0xff)),
  );
};

describe("text memory", () => {
  it("is memory of the VM in the usual setting, and the same when accesses go through the planes", () => {
    const bench = new Bench();
    bench.vga.leaveAsFirmware(undefined);
    expect([...bench.shown.values()]).toContainEqual({ base: 0xb8000, offset: VIDEO_MEMORY_BYTES, sizeBytes: 0x8000 });
    for (const [i, c] of [..."plain"].entries()) bench.write(0xb8000 + i * 2, c.charCodeAt(0) | 0x0700, 2);
    // One plane alone: no longer what memory does by itself.
    bench.index(0x3c4, 2, 1);
    expect(bench.shown.size).toBe(0);
    for (const [i, c] of [..."PLANE"].entries()) bench.write(0xb8000 + 160 + i * 2, c.charCodeAt(0));
    expect(bench.read(0xb8000)).toBe("p".charCodeAt(0));
    bench.index(0x3c4, 2, 3);
    expect(String.fromCharCode(bench.read(0xb8000 + 160))).toBe("P");
    expect(
      textLines(bench)
        .slice(0, 2)
        .map((line) => line.trim()),
    ).toEqual(["plain", "PLANE"]);
  });

  it("scrolls by the start address, with cursor, split screen and 8-dot cells", () => {
    const bench = new Bench();
    bench.vga.leaveAsFirmware(undefined);
    bench.write(0xb8000, "A".charCodeAt(0));
    bench.write(0xb8000 + 160, "B".charCodeAt(0));
    bench.index(0x3d4, 0x0d, 80);
    bench.index(0x3d4, 0x0f, 80 + 3);
    expect(textLines(bench)[0]?.[0]).toBe("B");
    const frame = bench.vga.frame();
    expect(frame).toMatchObject({ columns: 80, rows: 25, cellWidth: 9, cellHeight: 16 });
    expect(frame).toMatchObject({ cursor: { column: 3, row: 0, firstLine: 13, lastLine: 14 } });
    bench.index(0x3d4, 0x0a, 0x20);
    expect(bench.vga.frame()).toMatchObject({ cursor: undefined });
    // From scan line 160 on the screen begins at address 0 again.
    bench.index(0x3d4, 0x11, 0);
    bench.index(0x3d4, 0x07, 0x0f);
    bench.index(0x3d4, 0x09, 0x0f);
    bench.index(0x3d4, 0x18, 159);
    expect(textLines(bench)[10]?.[0]).toBe("A");
    bench.index(0x3c4, 1, 1);
    expect(bench.vga.frame()).toMatchObject({ cellWidth: 8 });
  });

  it("is dark while the sequencer or the attribute controller says so", () => {
    const bench = new Bench();
    bench.vga.leaveAsFirmware(undefined);
    bench.write(0xb8000, "A".charCodeAt(0));
    bench.index(0x3c4, 1, 0x20);
    expect(textLines(bench)[0]?.[0]).toBe("\0");
    bench.index(0x3c4, 1, 0);
    bench.in(0x3da);
    bench.out(0x3c0, 0);
    expect(textLines(bench)[0]?.[0]).toBe("\0");
    bench.out(0x3c0, 0x20);
  });
});

describe("registers", () => {
  it("the DAC takes a colour with its third byte, and hands out what it has", () => {
    const bench = new Bench();
    bench.out(0x3c8, 5);
    for (const byte of [0xff, 1, 2]) bench.out(0x3c9, byte);
    bench.out(0x3c9, 9);
    bench.out(0x3c7, 5);
    expect([bench.in(0x3c9), bench.in(0x3c9), bench.in(0x3c9), bench.in(0x3c9)]).toEqual([0x3f, 1, 2, 0]);
    expect(bench.in(0x3c7)).toBe(3);
  });

  it("CRTC registers 0 to 7 can be locked, but for the ninth bit of the line compare", () => {
    const bench = new Bench();
    bench.out(0x3c2, 1);
    bench.index(0x3d4, 0, 0x12);
    bench.index(0x3d4, 0x11, 0x80);
    bench.index(0x3d4, 0, 0x34);
    bench.index(0x3d4, 7, 0xff);
    bench.out(0x3d4, 0);
    expect(bench.in(0x3d5)).toBe(0x12);
    bench.out(0x3d4, 7);
    expect(bench.in(0x3d5)).toBe(0x10);
  });

  it("are at 3Bx or 3Dx, never at both", () => {
    const bench = new Bench();
    bench.out(0x3c2, 0);
    bench.out(0x3b4, 0x0f);
    expect([bench.in(0x3b4), bench.in(0x3d4)]).toEqual([0x0f, 0xff]);
    bench.out(0x3c2, 1);
    expect([bench.in(0x3b4), bench.in(0x3d4)]).toEqual([0xff, 0x0f]);
  });

  it("show the retraces of the mode: 70 Hz of 449 lines", () => {
    const bench = new Bench();
    bench.vga.leaveAsFirmware(undefined);
    let [blanks, retraces, before] = [0, 0, 0];
    const step = 4000;
    for (bench.nowNs = 0; bench.nowNs < 1e9; bench.nowNs += step) {
      const status = bench.in(0x3da);
      if (status & ~before & 8) retraces++;
      if (status & ~before & 1) blanks++;
      before = status;
    }
    expect(retraces).toBeGreaterThanOrEqual(69);
    expect(retraces).toBeLessThanOrEqual(71);
    // Lines of 31.8 us, those of the vertical blanking as one.
    expect(blanks).toBeGreaterThan(70 * 395);
    expect(blanks).toBeLessThan(70 * 410);
  });
});

describe("Bochs VBE", () => {
  it("says what it can, and makes a mode fit its memory", () => {
    const bench = new Bench();
    expect(bench.readDispi(0)).toBe(0xb0c5);
    expect(bench.readDispi(10)).toBe(VIDEO_MEMORY_BYTES / 65536);
    bench.dispi(4, 2);
    expect([1, 2, 3].map((index) => bench.readDispi(index))).toEqual([2560, 1600, 32]);
    bench.dispi(4, 0);
    bench.dispi(1, 2560);
    bench.dispi(2, 9999);
    bench.dispi(3, 32);
    bench.dispi(4, 0x41);
    const frame = bench.vga.frame();
    expect(frame).toMatchObject({ kind: "pixels", width: 2560, height: 1600, format: "bgrx8888" });
    bench.dispi(6, 5120);
    expect(bench.vga.frame()).toMatchObject({ width: 2560, height: Math.floor(VIDEO_MEMORY_BYTES / (5120 * 4)) });
  });

  it("clears the picture unless it is told not to", () => {
    const bench = new Bench();
    bench.dispi(1, 640);
    bench.dispi(2, 480);
    bench.dispi(3, 8);
    bench.bytes.fill(7);
    bench.dispi(4, 0xc1);
    expect(bench.bytes[0]).toBe(7);
    bench.dispi(4, 0);
    bench.dispi(4, 0x41);
    expect([bench.bytes[0], bench.bytes[640 * 480 - 1], bench.bytes[640 * 480]]).toEqual([0, 0, 7]);
  });
});

it("whatever a guest does, accesses stay in video memory, and the picture has a size that a host can draw", () => {
  const registerPort = fc.oneof(
    fc.constantFrom(0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3b4, 0x3b5, 0x3da),
    fc.integer({ min: 0x3b0, max: 0x3df }),
  );
  const action = fc.oneof(
    fc.record({ kind: fc.constant("out" as const), at: registerPort, value: fc.nat(255) }),
    fc.record({ kind: fc.constant("in" as const), at: registerPort, value: fc.constant(0) }),
    fc.record({ kind: fc.constant("dispi" as const), at: fc.nat(12), value: fc.nat(0xffff) }),
    fc.record({
      kind: fc.constant("write" as const),
      at: fc.integer({ min: 0xa0000, max: 0xbffff }),
      value: fc.nat(255),
    }),
    fc.record({ kind: fc.constant("read" as const), at: fc.integer({ min: 0xa0000, max: 0xbffff }), value: fc.nat(0) }),
    fc.record({ kind: fc.constant("frame" as const), at: fc.constant(0), value: fc.constant(0) }),
  );
  const bench = new Bench();
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      for (const { kind, at, value } of actions) {
        if (kind === "out") bench.out(at, value);
        else if (kind === "in") bench.in(at);
        else if (kind === "dispi") bench.dispi(at, value);
        else if (kind === "write") bench.write(at, value);
        else if (kind === "read") bench.read(at);
        else look(bench);
      }
      const saved = bench.vga.save();
      const before = bench.vga.frame();
      bench.vga.load(saved, bench.vga.stateVersion);
      // A comparison item by item would take minutes.
      expect(sameFrame(bench.vga.frame(), before)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

function look(bench: Bench): void {
  const frame = bench.vga.frame();
  const size =
    frame.kind === "text"
      ? frame.columns * frame.rows * frame.cellWidth * frame.cellHeight
      : frame.width * frame.height;
  expect(size).toBeGreaterThan(0);
  expect(size).toBeLessThanOrEqual(2560 * 1600);
}

describe.skipIf(!(await haveTools()))("a snapshot has the screen", () => {
  it.each([
    ["text", 0x03],
    ["planes", 0x12],
    ["unchained", 0x113],
    ["VBE", 0x4111],
  ])("%s", async (_title, mode) => {
    await using vm = await drawn(mode);
    const store = new MemorySnapshots();
    await vm.snapshot({ store, name: "drawn" });
    await using copy = await Vm.restore({ store, name: "drawn" });
    expect(sameFrame(copy.screen().frame, vm.screen().frame)).toBe(true);
    expect(await copy.stateHash()).toBe(await vm.stateHash());
  });
});
