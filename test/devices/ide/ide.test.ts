// The IDE function by its registers, where QEMU is no oracle (test/devices/qemu) or hostile guests are concerned.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryCd, memoryDisk } from "../../../src/backends/block/raw.ts";
import type { BlockBackend, MaybePromise } from "../../../src/vmm/block.ts";
import { VmError } from "../../../src/vmm/error.ts";
import { pattern } from "../../backends/block/tools.ts";
import {
  BUS_MASTER,
  CD_BYTES,
  CONTROL,
  command,
  DISK_BYTES,
  ideBench,
  PRIMARY,
  packet,
  readBytes,
  requestSense,
  SECONDARY,
  setDescriptors,
} from "./bench.ts";

const PRD = 0x8000;
const BUFFER = 0x10000;
const READY = 0x50;
const disk = pattern(DISK_BYTES, 1);
const cdImage = pattern(CD_BYTES, 2);

/** Works when told to. */
class SlowDisk implements BlockBackend {
  readonly readOnly = false;
  readonly #disk = memoryDisk(pattern(DISK_BYTES, 1));
  readonly waiting: { go: () => void; fail: () => void }[] = [];
  flushes = 0;
  get sizeBytes(): number {
    return this.#disk.sizeBytes;
  }
  #later(work: () => MaybePromise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({
        go: () => resolve(work()),
        fail: () => reject(new VmError("io", "The disk is broken.")),
      });
    });
  }
  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#later(() => this.#disk.read(offset, into));
  }
  write(offset: number, from: Uint8Array): Promise<void> {
    const copy = from.slice();
    return this.#later(() => this.#disk.write(offset, copy));
  }
  flush(): Promise<void> {
    return this.#later(() => {
      this.flushes++;
    });
  }
  close(): void {}
  /** Lets everything that waits happen, and what it leads to. */
  async settle(how: "go" | "fail" = "go"): Promise<void> {
    for (let i = 0; i < 20; i++) {
      for (const work of this.waiting.splice(0)) work[how]();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe("ATA disk", () => {
  it("identifies itself with its size in all three forms", () => {
    const { ports } = ideBench();
    command(ports, 0xec);
    const words = new Uint16Array(readBytes(ports, PRIMARY, 512).buffer);
    expect(words[1]! * words[3]! * words[6]!).toBeLessThanOrEqual(DISK_BYTES / 512);
    expect(words[60]! + words[61]! * 65536).toBe(DISK_BYTES / 512);
    expect(words[100]! + words[101]! * 65536).toBe(DISK_BYTES / 512);
    const model = String.fromCharCode(...[...words.subarray(27, 47)].flatMap((word) => [word >> 8, word & 0xff]));
    expect(model.trim()).toBe("PARAVANE HARDDISK");
  });

  it("says IDNF for an address that it does not have, by LBA, CHS and 48 bits", () => {
    const { ports } = ideBench();
    const outcome = (): number[] => [ports.read(PRIMARY + 1, 1), ports.read(PRIMARY + 7, 1)];
    command(ports, 0x20, { lba: DISK_BYTES / 512 });
    expect(outcome()).toEqual([0x10, 0x51]);
    command(ports, 0x20, { device: 0xa0, lba: 0 });
    expect(outcome()).toEqual([0x10, 0x51]);
    ports.write(PRIMARY + 5, 1, 1);
    command(ports, 0x24, { lba: 0xffffff });
    expect(outcome()).toEqual([0x10, 0x51]);
  });

  it("raises its interrupt for each block, releases it when the status is read, and not while nIEN is set", () => {
    const { ports, lines } = ideBench();
    command(ports, 0x20, { count: 2 });
    expect(lines[0]).toMatchObject({ level: true, edges: 1 });
    ports.read(PRIMARY + CONTROL, 1);
    expect(lines[0].level).toBe(true);
    ports.read(PRIMARY + 7, 1);
    expect(lines[0].level).toBe(false);
    readBytes(ports, PRIMARY, 512);
    expect(lines[0].edges).toBe(2);
    readBytes(ports, PRIMARY, 512);
    expect(lines[0].edges).toBe(2);
    ports.read(PRIMARY + 7, 1);
    ports.write(PRIMARY + CONTROL, 1, 0x02);
    command(ports, 0x20);
    expect(lines[0].level).toBe(false);
    ports.write(PRIMARY + CONTROL, 1, 0x00);
    expect(lines[0].level).toBe(true);
  });

  it("refuses writes when it is read-only, and takes them to the backend when not", () => {
    const locked = ideBench({ readOnly: true });
    command(locked.ports, 0x30);
    expect(locked.ports.read(PRIMARY + 7, 1)).toBe(0x51);
    const backend = memoryDisk(pattern(DISK_BYTES, 1));
    const { ports } = ideBench({ backend });
    command(ports, 0x30, { lba: 3 });
    ports.writeBlock(PRIMARY, 2, pattern(512, 9));
    const back = new Uint8Array(512);
    backend.read(3 * 512, back);
    expect(back).toEqual(pattern(512, 9));
  });

  it("is busy until a slow backend is done, and then interrupts", async () => {
    const backend = new SlowDisk();
    const { ports, lines } = ideBench({ backend });
    command(ports, 0x20, { lba: 5 });
    expect(ports.read(PRIMARY + 7, 1)).toBe(0x80);
    expect(ports.read(PRIMARY + 2, 1)).toBe(0x80);
    command(ports, 0x20, { lba: 9 }); // not while it is busy
    expect(lines[0].level).toBe(false);
    await backend.settle();
    expect(lines[0].level).toBe(true);
    expect(ports.read(PRIMARY + 7, 1)).toBe(READY | 0x08);
    expect(readBytes(ports, PRIMARY, 512)).toEqual(disk.subarray(5 * 512, 6 * 512));
  });

  it("flushes when asked, and after each write while its cache is off", async () => {
    const backend = new SlowDisk();
    const { ports } = ideBench({ backend });
    command(ports, 0xe7);
    await backend.settle();
    expect(backend.flushes).toBe(1);
    command(ports, 0x30);
    ports.writeBlock(PRIMARY, 2, new Uint8Array(512));
    await backend.settle();
    expect(backend.flushes).toBe(1);
    command(ports, 0xef, { features: 0x82 });
    await backend.settle();
    command(ports, 0x30);
    ports.writeBlock(PRIMARY, 2, new Uint8Array(512));
    await backend.settle();
    expect(backend.flushes).toBe(3);
    expect(ports.read(PRIMARY + 7, 1)).toBe(READY);
  });

  it("tells errors of the backend: unreadable for reads, device fault for writes and flushes", async () => {
    const backend = new SlowDisk();
    const { ports } = ideBench({ backend });
    const outcome = (): number[] => [ports.read(PRIMARY + 1, 1), ports.read(PRIMARY + 7, 1)];
    command(ports, 0x20);
    await backend.settle("fail");
    expect(outcome()).toEqual([0x40, 0x51]);
    command(ports, 0x30);
    ports.writeBlock(PRIMARY, 2, new Uint8Array(512));
    await backend.settle("fail");
    expect(outcome()).toEqual([0x04, 0x71]);
    command(ports, 0xe7);
    await backend.settle("fail");
    expect(outcome()).toEqual([0x04, 0x71]);
  });

  it("forgets a request at a reset, whatever the backend does later", async () => {
    const backend = new SlowDisk();
    const { ports, memory, lines } = ideBench({ backend });
    setDescriptors(memory, PRD, [BUFFER, 512]);
    ports.write(BUS_MASTER + 4, 4, PRD);
    command(ports, 0xc8);
    ports.write(BUS_MASTER, 1, 9);
    ports.write(PRIMARY + CONTROL, 1, 4);
    ports.write(PRIMARY + CONTROL, 1, 0);
    await backend.settle();
    expect(ports.read(PRIMARY + 7, 1)).toBe(READY);
    expect(lines[0].level).toBe(false);
    expect(memory.bytes.subarray(BUFFER, BUFFER + 512).every((byte) => byte === 0)).toBe(true);
  });

  it("moves nothing more once software has stopped the bus master", async () => {
    const backend = new SlowDisk();
    const { ports, memory } = ideBench({ backend });
    setDescriptors(memory, PRD, [BUFFER, 512]);
    ports.write(BUS_MASTER + 4, 4, PRD);
    command(ports, 0xc8);
    ports.write(BUS_MASTER, 1, 9);
    ports.write(BUS_MASTER, 1, 0);
    await backend.settle();
    expect(memory.bytes.subarray(BUFFER, BUFFER + 512).every((byte) => byte === 0)).toBe(true);
    expect(ports.read(PRIMARY + 7, 1)).toBe(READY);
  });

  it("SMART says that it is well, behind its signature only", () => {
    const { ports } = ideBench();
    command(ports, 0xb0, { features: 0xda, lba: 0xc24f00 });
    expect(ports.read(PRIMARY + 7, 1)).toBe(READY);
    expect([ports.read(PRIMARY + 4, 1), ports.read(PRIMARY + 5, 1)]).toEqual([0x4f, 0xc2]);
    command(ports, 0xb0, { features: 0xd0, lba: 0xc24f00 });
    expect(readBytes(ports, PRIMARY, 512).reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    command(ports, 0xb0, { features: 0xda });
    expect(ports.read(PRIMARY + 7, 1)).toBe(0x51);
  });

  it("a DMA read in flight is made again after save and load, a PIO transfer goes on where it was", async () => {
    const backend = new SlowDisk();
    const before = ideBench({ backend });
    setDescriptors(before.memory, PRD, [BUFFER, 1024]);
    before.ports.write(BUS_MASTER + 4, 4, PRD);
    command(before.ports, 0xc8, { lba: 7, count: 2 });
    before.ports.write(BUS_MASTER, 1, 9);
    const state = structuredClone(before.ide.save());
    const pci = before.ide.pci.saveConfig();
    const after = ideBench();
    after.memory.bytes.set(before.memory.bytes);
    after.ide.pci.loadConfig(structuredClone(pci));
    after.ide.load(state, 1);
    expect(after.ports.read(PRIMARY + CONTROL, 1)).toBe(0x80);
    after.clock.advance(1);
    expect(after.lines[0].level).toBe(true);
    expect(after.memory.bytes.subarray(BUFFER, BUFFER + 1024)).toEqual(disk.subarray(7 * 512, 9 * 512));
    expect(after.ports.read(PRIMARY + 7, 1)).toBe(READY);

    command(after.ports, 0x20, { lba: 1, count: 2 });
    readBytes(after.ports, PRIMARY, 100);
    const again = ideBench();
    again.ide.load(structuredClone(after.ide.save()), 1);
    expect(readBytes(again.ports, PRIMARY, 412)).toEqual(disk.subarray(612, 1024));
    expect(readBytes(again.ports, PRIMARY, 512)).toEqual(disk.subarray(1024, 1536));
  });
});

describe("CD drive", () => {
  it("reads whole discs by any block size that the host asks for", () => {
    for (const limit of [0xfffe, 2048, 4096, 6000, 512, 2047, 2]) {
      const { ports } = ideBench();
      packet(ports, [0x28, 0, 0, 0, 0, 1, 0, 0, 40], limit);
      const bytes: number[] = [];
      while (ports.read(SECONDARY + 7, 1) & 0x08) {
        const length = ports.read(SECONDARY + 4, 1) | (ports.read(SECONDARY + 5, 1) << 8);
        expect(length).toBeLessThanOrEqual(Math.max(limit, 1));
        bytes.push(...readBytes(ports, SECONDARY, length));
      }
      expect(Buffer.compare(Uint8Array.from(bytes), cdImage.subarray(2048, 41 * 2048))).toBe(0);
    }
  });

  it("reads by DMA, and says where the disc ends", () => {
    const { ports, memory } = ideBench();
    setDescriptors(memory, PRD, [BUFFER, 0]);
    ports.write(BUS_MASTER + 8 + 4, 4, PRD);
    packet(ports, [0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 32], 0, 1);
    ports.write(BUS_MASTER + 8, 1, 9);
    expect(ports.read(SECONDARY + 7, 1)).toBe(READY);
    expect(Buffer.compare(memory.bytes.subarray(BUFFER, BUFFER + 65536), cdImage.subarray(3 * 2048, 35 * 2048))).toBe(
      0,
    );
    expect(packet(ports, [0x28, 0, 0, 0, 0, 63, 0, 0, 2]) & 1).toBe(1);
    expect(requestSense(ports)).toEqual([5, 0x21, 0]);
  });

  it("tells a change of disc once, by sense and by event, and an open tray until it is closed", () => {
    const { ports, cd } = ideBench({ medium: undefined });
    packet(ports, [0x00]);
    expect(requestSense(ports)).toEqual([2, 0x3a, 0]);
    cd.changeMedium(memoryCd(cdImage));
    expect(packet(ports, [0x00]) & 1).toBe(1);
    expect(requestSense(ports)).toEqual([6, 0x28, 0]);
    expect(packet(ports, [0x00]) & 1).toBe(0);
    packet(ports, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    expect([...readBytes(ports, SECONDARY, 8)].slice(4, 6)).toEqual([2, 2]);
    packet(ports, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    expect([...readBytes(ports, SECONDARY, 8)].slice(4, 6)).toEqual([0, 2]);
    expect(packet(ports, [0x1b, 0, 0, 0, 2]) & 1).toBe(0);
    expect(packet(ports, [0x28, 0, 0, 0, 0, 0, 0, 0, 1]) & 1).toBe(1);
    expect(requestSense(ports)).toEqual([2, 0x3a, 2]);
    packet(ports, [0x1b, 0, 0, 0, 3]);
    packet(ports, [0x00]);
    expect(requestSense(ports)).toEqual([6, 0x28, 0]);
  });

  it("keeps a locked disc from guest and host, and asks the guest to let go", () => {
    const { ports, cd } = ideBench();
    packet(ports, [0x1e, 0, 0, 0, 1]);
    expect(packet(ports, [0x1b, 0, 0, 0, 2]) & 1).toBe(1);
    expect(requestSense(ports)).toEqual([5, 0x53, 2]);
    expect(() => cd.changeMedium(undefined)).toThrow(/locked the tray/);
    packet(ports, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    expect([...readBytes(ports, SECONDARY, 8)][4]).toBe(1);
    cd.changeMedium(undefined, true);
    packet(ports, [0x00]);
    requestSense(ports);
    packet(ports, [0x00]);
    expect(requestSense(ports)).toEqual([2, 0x3a, 0]);
  });
});

describe("hostile guests", () => {
  const ports = [
    ...Array.from({ length: 8 }, (_, i) => PRIMARY + i),
    ...Array.from({ length: 8 }, (_, i) => SECONDARY + i),
    PRIMARY + CONTROL,
    SECONDARY + CONTROL,
    ...Array.from({ length: 16 }, (_, i) => BUS_MASTER + i),
  ];
  const size = fc.constantFrom(1, 2, 4);
  const likely = fc.constantFrom(
    0x20,
    0x24,
    0x25,
    0x29,
    0x30,
    0x35,
    0x39,
    0xa0,
    0xa1,
    0xc4,
    0xc5,
    0xc8,
    0xca,
    0xec,
    0xef,
    0x06,
    0x90,
    0x08,
  );
  const step = fc.oneof(
    fc.tuple(fc.constant("write" as const), fc.constantFrom(...ports), size, fc.oneof(fc.nat(0xff), fc.integer())),
    fc.tuple(fc.constant("write" as const), fc.constantFrom(PRIMARY + 7, SECONDARY + 7), fc.constant(1), likely),
    fc.tuple(
      fc.constant("write" as const),
      fc.constantFrom(BUS_MASTER, BUS_MASTER + 8),
      fc.constant(1),
      fc.constantFrom(1, 9),
    ),
    fc.tuple(fc.constant("read" as const), fc.constantFrom(...ports), size, fc.constant(0)),
    fc.tuple(fc.constant("readBlock" as const), fc.constantFrom(...ports), size, fc.nat(1024)),
    fc.tuple(fc.constant("writeBlock" as const), fc.constantFrom(...ports), size, fc.nat(1024)),
  );

  it("find no sequence of accesses that throws, hangs or answers nonsense; and every state can be saved and loaded", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (steps, junk) => {
          const bench = ideBench();
          for (let at = 0; at < bench.memory.bytes.length; at += 64) bench.memory.bytes.set(junk, at);
          const run = (where: typeof bench, list: typeof steps): number[] =>
            list.map(([what, port, width, value]) => {
              if (what === "write") where.ports.write(port, width, value);
              else if (what === "read") return where.ports.read(port, width);
              else if (what === "readBlock")
                return readBytes(where.ports, port, value * width, width).reduce((a, b) => (a * 31 + b) | 0, 0);
              else where.ports.writeBlock(port, width, pattern(value * width, value));
              return 0;
            });
          const half = steps.length >> 1;
          for (const value of run(bench, steps.slice(0, half))) expect(Number.isInteger(value)).toBe(true);
          const twin = ideBench({ backend: memoryDisk(1 << 20) });
          twin.memory.bytes.set(bench.memory.bytes);
          twin.ide.pci.loadConfig(structuredClone(bench.ide.pci.saveConfig()));
          twin.ide.load(structuredClone(bench.ide.save()), 1);
          expect(twin.ide.save()).toEqual(bench.ide.save());
          run(bench, steps.slice(half));
        },
      ),
      { numRuns: 120, endOnFailure: true },
    );
  });

  it("cannot make descriptors that never end, or that reach beyond their memory", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer(), fc.integer()), { minLength: 1, maxLength: 30 }),
        fc.nat(0xffffffff),
        fc.constantFrom(0xc8, 0xca, 0x25, 0x35),
        (rows, table, code) => {
          const { ports, memory } = ideBench();
          const view = new DataView(memory.bytes.buffer);
          for (const [i, [address, bytes]] of rows.entries()) {
            view.setInt32(PRD + 8 * i, address, true);
            view.setInt32(PRD + 8 * i + 4, bytes, true);
          }
          for (const at of [PRD, table]) {
            ports.write(BUS_MASTER + 4, 4, at);
            command(ports, code, { count: 255 });
            ports.write(BUS_MASTER, 1, code & 2 && code !== 0x25 ? 1 : 9);
            ports.write(BUS_MASTER, 1, 0);
            expect(ports.read(PRIMARY + 7, 1) & 0x80).toBe(0);
          }
        },
      ),
      { numRuns: 80, endOnFailure: true },
    );
  });
});
