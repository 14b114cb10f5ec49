import { describe, expect, it } from "vitest";
import { VirtioBalloon, type VirtioBalloonOptions } from "../../../src/devices/virtio/balloon.ts";
import { bytesOf, place, TestDriver } from "./driver.ts";

const INFLATE = 0;
const DEFLATE = 1;
const STATISTICS = 2;
const REPORTING = 3;
const STATS_VQ = 1;

function balloon(options: Partial<VirtioBalloonOptions> = {}, without: number[] = []) {
  const where = place();
  const told: number[] = [];
  const device = new VirtioBalloon("balloon", where.memory, {
    clock: where.clock,
    onChange: (bytes) => told.push(bytes),
    ...options,
  });
  const driver = new TestDriver(device, where).start({ without });
  return { driver, device, told, clock: where.clock };
}
const pfns = (...numbers: number[]): { bytes: Uint8Array } => ({
  bytes: bytesOf(...numbers.map((n) => [32, n] as const)),
});
const statistic = (tag: number, value: number): Uint8Array => bytesOf([16, tag], [64, value]);

describe("virtio-balloon", () => {
  it("tells the guest how large it is to be, at most its memory", () => {
    const { driver, device } = balloon();
    driver.enableMsix();
    device.setTarget(40 * 4096 + 5);
    expect([driver.config(0, 4), driver.messages]).toEqual([40, [0]]);
    device.setTarget(1e12);
    expect(driver.config(0, 4)).toBe(256);
    driver.write(0x2004, 4, 17);
    expect(driver.config(4, 4)).toBe(17);
    driver.write(0x2000, 4, 99);
    expect(driver.config(0, 4)).toBe(256);
  });

  it("takes pages, which hold nothing from then on, and gives them back", () => {
    const { driver, device, told } = balloon();
    driver.memory.bytes.fill(0xaa, 0xf0000, 0xf3000);
    driver.queue(INFLATE).ask(pfns(0xf0, 0xf1, 0xf0));
    expect(device.balloonBytes).toBe(2 * 4096);
    expect(driver.memory.bytes.subarray(0xf0000, 0xf2000).every((byte) => byte === 0)).toBe(true);
    expect(driver.memory.bytes[0xf2000]).toBe(0xaa);
    driver.queue(DEFLATE).ask(pfns(0xf1, 0xf2));
    expect(device.balloonBytes).toBe(4096);
    expect(told).toEqual([0, 8192, 4096]);
    expect(device.metrics()).toMatchObject({ inflatedPages: 2, deflatedPages: 1, refusedPages: 2 });
  });

  it("refuses pages that are no RAM", () => {
    const { driver, device } = balloon();
    driver.queue(INFLATE).ask(pfns(0x100, 0xffffffff, 0xfffff));
    driver.queue(DEFLATE).ask(pfns(0xffffffff), { bytes: Uint8Array.of(1, 2) });
    expect(device.balloonBytes).toBe(0);
    expect(device.metrics()).toMatchObject({ refusedPages: 4, faults: 0 });
  });

  it("takes no endless list of pages at once", () => {
    const { driver } = balloon();
    driver.queue(INFLATE).add([{ bytes: new Uint8Array(65540) }]);
    driver.queue(INFLATE).kick();
    expect(driver.needsReset).toBe(true);
  });

  it("empties pages that are reported free, on the queue that negotiation left for it", () => {
    for (const without of [[], [STATS_VQ]]) {
      const { driver, device } = balloon({}, without);
      const queue = driver.queue(without.length > 0 ? STATISTICS : REPORTING);
      const head = queue.add([{ room: 8192 }]);
      const at = driver.view.getUint32(queue.desc + head * 16, true);
      driver.memory.bytes.fill(0x55, at, at + 8192);
      queue.kick();
      expect(queue.take().length).toBe(1);
      expect(driver.memory.bytes.subarray(at, at + 8192).every((byte) => byte === 0)).toBe(true);
      expect(device.metrics().reportedBytes).toBe(8192);
    }
  });

  it("asks for statistics, now and at intervals", async () => {
    const { driver, device, clock } = balloon({ statisticsIntervalMs: 10 });
    const queue = driver.queue(STATISTICS);
    queue.add([{ bytes: Uint8Array.of(...statistic(4, 1234), ...statistic(99, 5), ...statistic(5, 2 ** 33)) }]);
    queue.kick();
    expect(device.statistics).toEqual({ freeBytes: 1234, totalBytes: 2 ** 33 });
    expect(queue.take()).toEqual([]);
    const asked = device.requestStatistics();
    expect(queue.take().length).toBe(1);
    queue.add([{ bytes: statistic(4, 99) }]);
    queue.kick();
    expect(await asked).toEqual({ freeBytes: 99 });
    clock.advance(10e6);
    expect(queue.take().length).toBe(1);
  });

  it("answers a request for statistics also when the device is reset, or has none", async () => {
    const { driver, device } = balloon();
    const asked = device.requestStatistics();
    driver.status = 0;
    expect(await asked).toEqual({});
    expect(await balloon({}, [STATS_VQ]).device.requestStatistics()).toEqual({});
  });

  it("is empty after a reset and keeps its target", () => {
    const { driver, device } = balloon();
    device.setTarget(8192);
    driver.queue(INFLATE).ask(pfns(200));
    driver.status = 0;
    expect([device.balloonBytes, device.targetBytes]).toEqual([0, 8192]);
  });

  it("saves which pages it holds", () => {
    const a = balloon();
    a.driver.queue(INFLATE).ask(pfns(200, 201, 255));
    a.driver.queue(STATISTICS).add([{ bytes: statistic(4, 1) }]);
    a.driver.queue(STATISTICS).kick();
    const state = structuredClone(a.driver.pci.save());
    const b = balloon();
    b.driver.pci.load(state, 1);
    expect(b.device.balloonBytes).toBe(3 * 4096);
    expect(b.driver.pci.save()).toEqual(state);
  });
});
