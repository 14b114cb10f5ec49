import { describe, expect, it } from "vitest";
import { VirtioVsock } from "../../../src/devices/virtio/vsock.ts";
import {
  OP_CREDIT_REQUEST,
  OP_CREDIT_UPDATE,
  OP_REQUEST,
  OP_RESPONSE,
  OP_RST,
  OP_RW,
  OP_SHUTDOWN,
  type PacketHeader,
  readPacketHeader,
  writePacketHeader,
} from "../../../src/devices/virtio/vsock-packet.ts";
import type { VsockBackend, VsockEvents, VsockStream } from "../../../src/vmm/vsock.ts";
import { place, TestDriver } from "./driver.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
const EVENT = 2;
const PORT = 1000;

function vsock(events: VsockEvents = {}, buffers = 64) {
  const where = place(4 << 20);
  const accepted: VsockStream[] = [];
  const backend: VsockBackend = {
    connect: (stream) => {
      if (stream.hostPort === 9) return undefined;
      accepted.push(stream);
      return events;
    },
  };
  const device = new VirtioVsock("vsock", where.memory, { guestCid: 7, backend });
  const driver = new TestDriver(device, where).start();
  const give = (count: number): void => {
    for (let i = 0; i < count; i++) driver.queue(RECEIVE).add([{ room: 44 }, { room: 1000 }]);
    driver.queue(RECEIVE).kick();
  };
  give(buffers);
  const send = (op: number, fields: Partial<PacketHeader> = {}, data = new Uint8Array()): void => {
    const packet = {
      sourceCid: 7n,
      targetCid: 2n,
      sourcePort: PORT,
      targetPort: 80,
      lengthBytes: data.length,
      type: 1,
      op,
      flags: 0,
      bufferBytes: 100_000,
      forwarded: 0,
      ...fields,
    };
    const parts = [{ bytes: writePacketHeader(packet) }];
    driver.queue(TRANSMIT).add(data.length > 0 ? [...parts, { bytes: data }] : parts);
    driver.queue(TRANSMIT).kick();
    driver.queue(TRANSMIT).take();
  };
  const packets = (): (PacketHeader & { data: Uint8Array })[] =>
    driver
      .queue(RECEIVE)
      .take()
      .map(({ bytes }) => ({ ...readPacketHeader(bytes), data: bytes.subarray(44) }));
  const ops = (): number[] => packets().map(({ op }) => op);
  return { driver, device, accepted, send, packets, ops, give };
}
const text = (value: string) => new TextEncoder().encode(value);

describe("virtio-vsock", () => {
  it("accepts and refuses connections of the guest", () => {
    const { driver, send, packets } = vsock();
    expect(driver.config(0, 4)).toBe(7);
    send(OP_REQUEST);
    expect(packets()).toMatchObject([
      { op: OP_RESPONSE, sourceCid: 2n, targetCid: 7n, sourcePort: 80, targetPort: PORT, bufferBytes: 262144 },
    ]);
    send(OP_REQUEST, { targetPort: 9 });
    expect(packets()).toMatchObject([{ op: OP_RST, sourcePort: 9 }]);
    send(OP_REQUEST);
    expect(packets()).toMatchObject([{ op: OP_RST, sourcePort: 80 }]);
  });

  it("carries bytes both ways and ends each direction by itself", () => {
    const got: string[] = [];
    const { send, packets, ops, accepted } = vsock({
      data: (bytes) => got.push(Buffer.from(bytes).toString()),
      end: () => got.push("end"),
      close: () => got.push("close"),
    });
    send(OP_REQUEST);
    packets();
    send(OP_RW, {}, text("hello"));
    accepted[0]?.write(text("answer"));
    expect(packets()).toMatchObject([{ op: OP_RW, lengthBytes: 6, data: text("answer"), forwarded: 5 }]);
    accepted[0]?.end();
    expect(packets()).toMatchObject([{ op: OP_SHUTDOWN, flags: 2 }]);
    send(OP_RW, {}, text("more"));
    send(OP_SHUTDOWN, { flags: 3 });
    expect(ops()).toContain(OP_RST);
    expect(got).toEqual(["hello", "more", "end", "close"]);
    send(OP_RW, {}, text("late"));
    expect(ops()).toEqual([OP_RST]);
  });

  it("sends no more than the guest has room for, and goes on with its credit", () => {
    let drained = 0;
    const { send, packets, accepted } = vsock({ drain: () => drained++ });
    send(OP_REQUEST, { bufferBytes: 2500 });
    packets();
    expect(accepted[0]?.write(new Uint8Array(6000))).toBe(false);
    const size = (): number => packets().reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    expect(size()).toBe(2500);
    send(OP_CREDIT_UPDATE, { bufferBytes: 2500, forwarded: 1000 });
    expect(size()).toBe(1000);
    send(OP_CREDIT_UPDATE, { bufferBytes: 2500, forwarded: 3500 });
    expect([size(), drained]).toEqual([2500, 1]);
  });

  it("tells what it has taken, and holds up a guest whose bytes nobody takes", () => {
    let got = 0;
    const { send, packets, ops, accepted } = vsock({ data: (bytes) => (got += bytes.length) });
    send(OP_REQUEST);
    packets();
    for (let i = 0; i < 3; i++) send(OP_RW, {}, new Uint8Array(65536));
    expect(packets()).toMatchObject([{ op: OP_CREDIT_UPDATE, forwarded: 131072 }]);
    send(OP_CREDIT_REQUEST);
    expect(packets()).toMatchObject([{ op: OP_CREDIT_UPDATE, forwarded: 196608 }]);
    accepted[0]?.pause();
    for (let i = 0; i < 4; i++) send(OP_RW, {}, new Uint8Array(65536));
    expect([got, ops()]).toEqual([196608, []]);
    accepted[0]?.resume();
    expect([got, ops()]).toEqual([196608 + 262144, [OP_CREDIT_UPDATE, OP_CREDIT_UPDATE]]);
    accepted[0]?.pause();
    for (let i = 0; i < 5; i++) send(OP_RW, {}, new Uint8Array(65536));
    expect(ops()).toEqual([OP_RST]);
  });

  it("connects to a port of the guest", () => {
    const log: string[] = [];
    const { device, send, packets } = vsock();
    const stream = device.connect(22, { open: () => log.push("open"), close: () => log.push("close") });
    stream.write(text("early"));
    const [request] = packets();
    expect(request).toMatchObject({ op: OP_REQUEST, targetPort: 22 });
    send(OP_RESPONSE, { sourcePort: 22, targetPort: request?.sourcePort ?? 0 });
    expect(packets()).toMatchObject([{ op: OP_RW, data: text("early") }]);
    stream.destroy();
    expect(packets()).toMatchObject([{ op: OP_RST }]);
    device.connect(23, { close: () => log.push("refused") });
    const [other] = packets();
    send(OP_RST, { sourcePort: 23, targetPort: other?.sourcePort ?? 0 });
    expect(log).toEqual(["open", "close", "refused"]);
  });

  it("waits for buffers, answers first, and takes no more packets than it can answer", () => {
    const { send, give, ops, device, accepted } = vsock({}, 0);
    send(OP_REQUEST);
    accepted[0]?.write(text("x"));
    for (let i = 0; i < 300; i++) send(OP_RW, { sourcePort: 5 });
    expect(device.metrics().refused).toBeLessThan(300);
    give(60);
    const first = ops();
    expect([first.length, first[0], first[1]]).toEqual([60, OP_RESPONSE, OP_RST]);
  });

  it("drops packets that are not the guest's, are cut short, or claim too much", () => {
    const { send, ops, device, driver } = vsock();
    send(OP_REQUEST, { sourceCid: 8n });
    send(OP_REQUEST, { targetCid: 3n });
    send(OP_RW, { lengthBytes: 1000 }, text("x"));
    driver.queue(TRANSMIT).ask({ bytes: new Uint8Array(43) });
    expect([ops(), device.metrics().malformed]).toEqual([[], 4]);
    send(OP_REQUEST, { type: 2 });
    send(99);
    expect(ops()).toEqual([OP_RST, OP_RST]);
  });

  it("tells a guest that was loaded from a snapshot that its connections are gone", () => {
    const a = vsock();
    a.send(OP_REQUEST);
    a.driver.queue(EVENT).add([{ room: 4 }]);
    a.driver.queue(EVENT).kick();
    const state = structuredClone(a.driver.pci.save());
    const device = new VirtioVsock("vsock", a.driver.memory, { guestCid: 7, backend: { connect: () => undefined } });
    new TestDriver(device, a.driver).pci.load(state, 1);
    a.driver.clock.advance(1);
    expect(a.driver.queue(EVENT).take()).toMatchObject([{ length: 4, bytes: new Uint8Array(4) }]);
  });
});
