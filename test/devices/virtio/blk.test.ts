import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtioBlk, type VirtioBlkOptions } from "../../../src/devices/virtio/blk.ts";
import { bytesOf, place, TestDriver, type TestQueue } from "./driver.ts";
import { MemoryDisk } from "./memory-disk.ts";

const IN = 0;
const OUT = 1;
const FLUSH = 4;
const GET_ID = 8;
const DISCARD = 11;
const ZEROES = 13;

function blk(
  disk = new MemoryDisk(pattern(64 * 512)),
  options: Partial<VirtioBlkOptions> = {},
  without: number[] = [],
) {
  const where = place();
  const device = new VirtioBlk("blk", where.memory, {
    backend: disk,
    clock: where.clock,
    serial: "a-disk",
    ...options,
  });
  const driver = new TestDriver(device, where).start({ without });
  return { driver, disk, device, queue: driver.queue(0), clock: where.clock };
}
function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i >> 9) ^ i);
}
const header = (type: number, sector = 0): { bytes: Uint8Array } => ({
  bytes: bytesOf([32, type], [32, 0], [64, sector]),
});
const range = (sector: number, sectors: number, flags = 0): Uint8Array =>
  bytesOf([64, sector], [32, sectors], [32, flags]);
const statusOf = (queue: TestQueue, ...parts: Parameters<TestQueue["ask"]>): number =>
  queue.ask(...parts, { room: 1 }).bytes.at(-1) ?? -1;
/** Faster than a comparison that can say where. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("virtio-blk", () => {
  it("describes the disk", () => {
    const { driver } = blk();
    expect(driver.config(0, 4)).toBe(64);
    expect(driver.config(20, 4)).toBe(512);
    expect(driver.config(12, 4)).toBe(254);
    expect(driver.config(32, 1)).toBe(1);
  });

  it("reads into buffers of any cut", () => {
    const { queue, disk } = blk();
    const answer = queue.ask(header(IN, 3), { room: 100 }, { room: 412 }, { room: 512 }, { room: 1 });
    expect(answer.length).toBe(1025);
    expect(answer.bytes.subarray(0, 1024)).toEqual(disk.bytes.subarray(3 * 512, 5 * 512));
    expect(answer.bytes[1024]).toBe(0);
  });

  it("takes header and status wherever the driver cuts them", () => {
    const { queue, disk } = blk();
    const all = bytesOf([32, OUT], [32, 0], [64, 2]);
    const data = new Uint8Array(512).fill(7);
    const parts = [all.subarray(0, 5), all.subarray(5), data.subarray(0, 1), data.subarray(1)];
    expect(statusOf(queue, ...parts.map((bytes) => ({ bytes })))).toBe(0);
    expect(disk.bytes.subarray(1024, 1536)).toEqual(data);
    expect(queue.ask(header(IN, 2), { room: 513 }).bytes).toEqual(Uint8Array.of(...data, 0));
  });

  it("keeps what it was told, whatever the requests (property)", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom(IN, OUT, ZEROES, DISCARD), fc.nat(63), fc.integer({ min: 1, max: 8 }), fc.nat(255)),
        ),
        (requests) => {
          const { queue, disk } = blk();
          const model = disk.bytes.slice();
          for (const [type, sector, count, fill] of requests) {
            const fits = sector + count <= 64;
            const end = (sector + count) * 512;
            if (type === IN) {
              const answer = queue.ask(header(IN, sector), { room: count * 512 }, { room: 1 });
              expect(answer.bytes.at(-1)).toBe(fits ? 0 : 1);
              if (fits) expect(same(answer.bytes.subarray(0, -1), model.subarray(sector * 512, end))).toBe(true);
            } else if (type === OUT) {
              const data = new Uint8Array(count * 512).fill(fill);
              expect(statusOf(queue, header(OUT, sector), { bytes: data })).toBe(fits ? 0 : 1);
              if (fits) model.set(data, sector * 512);
            } else {
              expect(statusOf(queue, header(type), { bytes: range(sector, count) })).toBe(fits ? 0 : 1);
              if (fits) model.fill(0, sector * 512, end);
            }
          }
          expect(same(disk.bytes, model)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("gives its serial number, flushes, and refuses what it does not know", () => {
    const { queue, disk } = blk();
    expect(String.fromCharCode(...queue.ask(header(GET_ID), { room: 20 }, { room: 1 }).bytes.subarray(0, 6))).toBe(
      "a-disk",
    );
    expect(statusOf(queue, header(FLUSH))).toBe(0);
    expect(disk.log).toEqual(["flush"]);
    expect(statusOf(queue, header(77))).toBe(2);
  });

  it("flushes after each write when the driver has no cache: no FLUSH, or write-through", () => {
    const without = blk(undefined, {}, [9]);
    statusOf(without.queue, header(OUT), { bytes: new Uint8Array(512) });
    expect(without.disk.log).toEqual(["write 0+512", "flush"]);
    const through = blk();
    through.driver.write(0x2020, 1, 0);
    statusOf(through.queue, header(OUT), { bytes: new Uint8Array(512) });
    expect(through.disk.log).toEqual(["write 0+512", "flush"]);
  });

  it("refuses bad ranges, sizes and writes to a read-only disk with an I/O error", () => {
    const { queue } = blk();
    expect(statusOf(queue, header(IN, 63), { room: 1024 })).toBe(1);
    expect(statusOf(queue, header(IN, 2 ** 52), { room: 512 })).toBe(1);
    expect(statusOf(queue, header(IN), { room: 100 })).toBe(1);
    expect(statusOf(queue, header(DISCARD), { bytes: range(0, 65) })).toBe(1);
    expect(statusOf(queue, header(DISCARD), { bytes: range(0, 1, 1) })).toBe(1);
    expect(statusOf(queue, header(ZEROES), { bytes: range(0, 1, 2) })).toBe(1);
    expect(statusOf(queue, header(ZEROES), { bytes: range(0, 1).subarray(0, 15) })).toBe(1);
    expect(statusOf(queue, header(DISCARD))).toBe(1);
    const readOnly = blk(undefined, { readOnly: true });
    expect(readOnly.driver.offered() & (1n << 5n)).not.toBe(0n);
    expect(statusOf(readOnly.queue, header(OUT), { bytes: new Uint8Array(512) })).toBe(1);
    expect(statusOf(readOnly.queue, header(DISCARD), { bytes: range(0, 1) })).toBe(2);
    expect(readOnly.disk.log).toEqual([]);
  });

  it("needs a reset for a request without header or status", () => {
    for (const parts of [[{ room: 1 }], [header(IN)], [{ bytes: new Uint8Array(15) }, { room: 1 }]]) {
      const { driver, queue } = blk();
      queue.add(parts);
      queue.kick();
      expect(driver.needsReset).toBe(true);
    }
  });

  it("turns a backend's failure into an I/O error, at once or late", async () => {
    for (const late of [false, true]) {
      const { queue, disk } = blk(new MemoryDisk(pattern(4096), false, late));
      disk.fails = true;
      queue.add([header(IN), { room: 512 }, { room: 1 }]);
      queue.kick();
      await turn();
      expect(queue.take()[0]?.bytes.at(-1)).toBe(1);
    }
  });

  it("completes late requests with an interrupt, many at a time", async () => {
    const { driver, queue } = blk(new MemoryDisk(pattern(64 * 512), false, true));
    driver.enableMsix();
    for (let i = 0; i < 20; i++) queue.add([header(IN, i), { room: 512 }, { room: 1 }]);
    queue.kick();
    expect(queue.take()).toEqual([]);
    await turn();
    expect(queue.take().length).toBe(20);
    expect(driver.messages.length).toBeGreaterThan(0);
  });

  it("writes nothing to memory after a reset, whenever the backend is done", async () => {
    const { driver, queue } = blk(new MemoryDisk(pattern(64 * 512), false, true));
    queue.add([header(IN, 5), { room: 512 }, { room: 1 }]);
    queue.kick();
    driver.status = 0;
    const before = driver.memory.bytes.slice();
    await turn();
    expect(same(driver.memory.bytes, before)).toBe(true);
    expect(driver.start().queue(0).take()).toEqual([]);
  });

  it("does requests that were under way when the state was saved again after loading", async () => {
    const a = blk(new MemoryDisk(pattern(64 * 512), false, true));
    a.queue.add([header(IN, 9), { room: 512 }, { room: 1 }]);
    a.queue.kick();
    const state = structuredClone(a.driver.pci.save());
    a.driver.status = 0;
    const disk = new MemoryDisk(pattern(64 * 512));
    const device = new VirtioBlk("blk", a.driver.memory, { backend: disk, clock: a.clock, serial: "a-disk" });
    const b = new TestDriver(device, a.driver);
    b.pci.load(state, 1);
    expect(disk.log).toEqual([]);
    a.clock.advance(1);
    expect(disk.log).toEqual(["read 4608+512"]);
    expect(a.queue.take()[0]?.bytes.subarray(0, 512)).toEqual(disk.bytes.subarray(9 * 512, 10 * 512));
  });

  it("tells the driver of a new size", () => {
    const { driver, disk, device } = blk();
    driver.enableMsix();
    const generation = driver.read(0x15, 1);
    disk.bytes = new Uint8Array(128 * 512);
    device.resized();
    expect([driver.config(0, 4), driver.messages, driver.read(0x15, 1)]).toEqual([128, [0], generation + 1]);
  });

  it("keeps to its limits, and catches up when they allow", () => {
    const limits = { operations: { size: 2, refillMs: 20 } };
    const { queue, clock, device } = blk(undefined, { limits });
    clock.advance(1e9);
    for (let i = 0; i < 6; i++) queue.add([header(IN), { room: 512 }, { room: 1 }]);
    queue.kick();
    expect(queue.take().length).toBe(2);
    clock.advance(10.1e6);
    expect(queue.take().length).toBe(1);
    clock.advance(40e6);
    expect(queue.take().length).toBe(3);
    expect(device.metrics().throttled).toBeGreaterThan(0);
  });
});
