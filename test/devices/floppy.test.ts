// The floppy controller and the ISA DMA controllers where QEMU (test/devices/qemu) is no oracle.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryDisk } from "../../src/backends/block/raw.ts";
import { Dma8237 } from "../../src/devices/dma8237.ts";
import { FDC_DMA, FloppyController } from "../../src/devices/floppy/controller.ts";
import { FloppyDrive } from "../../src/devices/floppy/drive.ts";
import { pattern } from "../backends/block/tools.ts";
import { plug, TestClock, TestLine, TestMemory } from "./bench-machine.ts";

const IMAGE = pattern(1_474_560, 1);
const BUFFER = 0x20000;

function bench(image: Uint8Array = IMAGE, readOnly = false) {
  const memory = new TestMemory(1 << 18);
  const clock = new TestClock();
  const line = new TestLine();
  const backend = memoryDisk(image);
  const drive = new FloppyDrive({ id: "a", backend, readOnly });
  const dma = new Dma8237(memory);
  const floppy = new FloppyController({ irq: line, dma: dma.channel(FDC_DMA), clock, drives: [drive, undefined] });
  const { ports } = plug(dma, floppy);
  const send = (...bytes: number[]): void => {
    for (const byte of bytes) ports.write(0x3f5, 1, byte);
  };
  const results = (count: number): number[] => Array.from({ length: count }, () => ports.read(0x3f5, 1));
  /** Out of reset, at the medium's data rate, with DMA or through the FIFO. */
  const ready = (nonDma = false): void => {
    ports.write(0x3f2, 1, 0);
    ports.write(0x3f2, 1, 0x1c);
    ports.write(0x3f7, 1, drive.format.rate);
    for (let i = 0; i < 4; i++) {
      send(0x08);
      results(2);
    }
    send(0x03, 0xaf, nonDma ? 0x03 : 0x02);
    send(0x07, 0);
    send(0x08);
    results(2);
  };
  const program = (mode: number, count: number): void => {
    for (const [port, value] of [
      [0x0a, 6],
      [0x0c, 0],
      [0x0b, mode],
      [0x04, 0],
      [0x04, 0],
      [0x81, BUFFER >> 16],
      [0x05, (count - 1) & 0xff],
      [0x05, (count - 1) >> 8],
      [0x0a, 2],
    ] as const)
      ports.write(port, 1, value);
  };
  return { memory, clock, line, backend, drive, dma, floppy, ports, send, results, ready, program };
}

describe("floppy controller", () => {
  it("waits for its DMA channel, and ends a transfer without terminal count at the end of the cylinder", () => {
    const { ports, send, results, ready, program, memory, line } = bench();
    ready();
    program(0x46, 4096);
    ports.write(0x0a, 1, 6);
    send(0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    expect(line.level).toBe(false);
    ports.write(0x0a, 1, 2);
    expect(line.level).toBe(true);
    expect(results(3)).toEqual([0x40, 0x80, 0]);
    expect(Buffer.compare(memory.bytes.subarray(BUFFER, BUFFER + 1024), IMAGE.subarray(16 * 512, 18 * 512))).toBe(0);
  });

  it("moves data through the FIFO where the guest says so", () => {
    const { ports, send, ready, backend } = bench();
    ready(true);
    send(0x46, 0, 0, 0, 2, 2, 2, 0x1b, 0xff);
    const bytes = Uint8Array.from({ length: 512 }, () => {
      expect(ports.read(0x3f4, 1)).toBe(0xf0);
      return ports.read(0x3f5, 1);
    });
    expect(bytes).toEqual(IMAGE.subarray(512, 1024));
    expect(ports.read(0x3f4, 1)).toBe(0xd0);
    ready(true);
    send(0x45, 0, 0, 0, 3, 2, 3, 0x1b, 0xff);
    for (const byte of pattern(512, 5)) ports.write(0x3f5, 1, byte);
    const back = new Uint8Array(512);
    backend.read(1024, back);
    expect(back).toEqual(pattern(512, 5));
  });

  it("refuses writes to a protected disk, a wrong data rate, and tells a change of disk until the head moves", () => {
    const { ports, send, results, ready, program, drive } = bench(IMAGE, true);
    ready();
    program(0x4a, 512);
    send(0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(results(7).slice(0, 2)).toEqual([0x40, 0x02]);
    ports.write(0x3f7, 1, 2);
    send(0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(results(7).slice(0, 2)).toEqual([0x40, 0x01]);
    expect(ports.read(0x3f7, 1) & 0x80).toBe(0);
    drive.changeMedium(memoryDisk(737_280));
    expect(ports.read(0x3f7, 1) & 0x80).toBe(0x80);
    send(0x0f, 0, 1);
    expect(ports.read(0x3f7, 1) & 0x80).toBe(0);
    expect(() => drive.changeMedium(memoryDisk(5_000_192))).toThrow(/no floppy has/);
  });

  it("formats a track", () => {
    const { memory, send, results, ready, program, backend } = bench();
    ready();
    for (let i = 0; i < 18; i++) memory.bytes.set([0, 0, i + 1, 2], BUFFER + 4 * i);
    program(0x4a, 72);
    send(0x4d, 0, 2, 18, 0x54, 0xe5);
    expect(results(7).slice(0, 2)).toEqual([0, 0]);
    const track = new Uint8Array(18 * 512);
    backend.read(0, track);
    expect(new Set(track)).toEqual(new Set([0xe5]));
  });

  it("finds no sequence of accesses that throws or hangs; every state can be saved and loaded", () => {
    const ports = [
      ...Array.from({ length: 6 }, (_, i) => 0x3f0 + i),
      0x3f7,
      0x04,
      0x05,
      0x0a,
      0x0b,
      0x0c,
      0x0d,
      0x0e,
      0x81,
      0xc8,
      0xd6,
    ];
    const command = fc.constantFrom(0x46, 0xc6, 0x45, 0x4d, 0x0f, 0x07, 0x08, 0x4a, 0x16, 0x03, 0x13, 0x0e, 0x8f, 0xcf);
    const step = fc.oneof(
      fc.tuple(fc.constant("write" as const), fc.constantFrom(...ports), fc.nat(0xff)),
      fc.tuple(fc.constant("read" as const), fc.constantFrom(...ports), fc.constant(0)),
      fc.tuple(fc.constant("write" as const), fc.constant(0x3f5), command),
      fc.tuple(fc.constant("write" as const), fc.constant(0x3f5), fc.constantFrom(0, 1, 2, 18, 0xff)),
    );
    const image = pattern(737_280, 3);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.boolean(), (steps, nonDma) => {
        const one = bench(image);
        one.ready(nonDma);
        one.program(0x46, 1024);
        const run = (where: typeof one, list: typeof steps): void => {
          for (const [what, port, value] of list) {
            if (what === "write") where.ports.write(port, 1, value);
            else expect(where.ports.read(port, 1)).toBeLessThanOrEqual(0xff);
          }
        };
        run(one, steps.slice(0, steps.length >> 1));
        const twin = bench(image);
        twin.dma.load(structuredClone(one.dma.save()), 1);
        twin.floppy.load(structuredClone(one.floppy.save()), 1);
        expect(twin.floppy.save()).toEqual(one.floppy.save());
        expect(twin.dma.save()).toEqual(one.dma.save());
        run(one, steps.slice(steps.length >> 1));
      }),
      { numRuns: 150, endOnFailure: true },
    );
  });
});
