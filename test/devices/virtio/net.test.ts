import { describe, expect, it } from "vitest";
import { finishChecksum, segmentTcp } from "../../../src/devices/net-offload.ts";
import { VirtioNet, type VirtioNetOptions } from "../../../src/devices/virtio/net.ts";
import type { NetworkBackend } from "../../../src/vmm/network.ts";
import { onesComplementSum } from "../../../src/vmm/network-bytes.ts";
import { bytesOf, place, TestDriver } from "./driver.ts";

const OWN = Uint8Array.of(2, 0, 0, 0, 0, 1);
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 9);
const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 5);
const BROADCAST = new Uint8Array(6).fill(0xff);
const MRG_RXBUF = 15;

class Wire implements NetworkBackend {
  readonly sent: Uint8Array[] = [];
  listener: (frame: Uint8Array) => void = () => {};
  link: (up: boolean) => void = () => {};
  send(frame: Uint8Array): void {
    this.sent.push(frame.slice());
  }
  onReceive(listener: (frame: Uint8Array) => void) {
    this.listener = listener;
    return { dispose: () => {} };
  }
  onLink(listener: (up: boolean) => void) {
    this.link = listener;
    return { dispose: () => {} };
  }
}

function net(options: Partial<VirtioNetOptions> = {}, without: number[] = []) {
  const where = place();
  const wire = new Wire();
  const device = new VirtioNet("net", where.memory, { backend: wire, clock: where.clock, mac: OWN, ...options });
  const driver = new TestDriver(device, where).start({ without });
  const [receive, transmit, control] = driver.queues as [
    (typeof driver.queues)[0],
    (typeof driver.queues)[0],
    (typeof driver.queues)[0],
  ];
  const command = (kind: number, number: number, ...data: number[]): number =>
    control.ask({ bytes: Uint8Array.of(kind, number, ...data) }, { room: 1 }).bytes[0] ?? -1;
  return { driver, device, wire, receive, transmit, control, command, clock: where.clock };
}
const header = (flags = 0, gso = 0, length = 0, size = 0, start = 0, offset = 0): { bytes: Uint8Array } => ({
  bytes: bytesOf([8, flags], [8, gso], [16, length], [16, size], [16, start], [16, offset], [16, 0]),
});
function frameTo(target: Uint8Array, length = 60, ...payload: number[]): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set(target);
  frame.set(OTHER, 6);
  frame.set(payload, 12);
  return frame;
}

/** A TCP packet of IPv4 or IPv6 with `size` bytes of data, its checksums left open. */
function tcp(version: 4 | 6, size: number): Uint8Array {
  const l3 = version === 4 ? 20 : 40;
  const frame = new Uint8Array(14 + l3 + 20 + size);
  frame.set(version === 4 ? [8, 0] : [0x86, 0xdd], 12);
  if (version === 4) frame.set([0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 14);
  else frame.set([0x60, 0, 0, 0, 0, 0, 6, 64, ...new Array(31).fill(0x11), 2], 14);
  // Ports, sequence 0xfffffff0 (it wraps), acknowledgement, header length 5, CWR|ACK|PSH|FIN.
  frame.set([0, 80, 1, 2, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x50, 0x99, 1, 0], 14 + l3);
  for (let i = 0; i < size; i++) frame[14 + l3 + 20 + i] = i;
  return frame;
}
function tcpSumIsRight(frame: Uint8Array, version: 4 | 6): boolean {
  const l4 = version === 4 ? 34 : 54;
  const addresses = version === 4 ? onesComplementSum(frame, 26, 34) : onesComplementSum(frame, 22, 54);
  return onesComplementSum(frame, l4, frame.length, addresses + 6 + frame.length - l4) === 0xffff;
}

describe("virtio-net", () => {
  it("has its address, is up, and has one pair of queues", () => {
    const { driver } = net({ mtu: 1400 });
    expect([0, 1, 2, 3, 4, 5].map((i) => driver.config(i, 1))).toEqual([...OWN]);
    expect([driver.config(6, 2), driver.config(8, 2), driver.config(10, 2)]).toEqual([1, 1, 1400]);
  });

  it("sends frames of any cut, and drops what is none", () => {
    const { transmit, wire, device } = net();
    const frame = frameTo(OTHER, 1514, 8, 0, 1, 2, 3);
    transmit.ask(header(), { bytes: frame.subarray(0, 7) }, { bytes: frame.subarray(7) });
    transmit.ask({ bytes: Uint8Array.of(...header().bytes, ...frame) });
    expect(wire.sent).toEqual([frame, frame]);
    transmit.ask(header(), { bytes: frame.subarray(0, 13) });
    transmit.ask({ bytes: Uint8Array.of(1) });
    transmit.ask(header(), { bytes: new Uint8Array(70_000) });
    transmit.ask(header(0, 9), { bytes: frame });
    transmit.ask(header(1, 0, 0, 0, 1513, 1), { bytes: frame });
    transmit.ask(header(0, 1, 0, 1000), { bytes: frame });
    expect(wire.sent.length).toBe(2);
    expect(device.metrics()).toMatchObject({ sent: 2, malformed: 6, faults: 0 });
  });

  it("puts in the checksum that the driver left open", () => {
    const { transmit, wire } = net();
    const frame = tcp(4, 101);
    const pseudo = onesComplementSum(frame, 26, 34, 6 + 121);
    frame.set([pseudo >> 8, pseudo & 0xff], 34 + 16);
    transmit.ask(header(1, 0, 0, 0, 34, 16), { bytes: frame });
    expect(tcpSumIsRight(wire.sent[0] ?? frame, 4)).toBe(true);
    expect(finishChecksum(new Uint8Array(10), 65535, 65535)).toBe(false);
  });

  for (const version of [4, 6] as const) {
    it(`cuts TCP over IPv${version} into segments that make the same stream`, () => {
      const { transmit, wire } = net();
      const frame = tcp(version, 3333);
      transmit.ask(header(1, version === 4 ? 1 : 4, 54, 1000, 34, 16), { bytes: frame });
      const l3 = version === 4 ? 20 : 40;
      const data = 14 + l3 + 20;
      expect(wire.sent.map((segment) => segment.length - data)).toEqual([1000, 1000, 1000, 333]);
      const stream = wire.sent.flatMap((segment) => [...segment.subarray(data)]);
      expect(Uint8Array.from(stream)).toEqual(frame.subarray(data));
      wire.sent.forEach((segment, i) => {
        expect(tcpSumIsRight(segment, version)).toBe(true);
        const view = new DataView(segment.buffer);
        expect(view.getUint32(14 + l3 + 4)).toBe((0xfffffff0 + i * 1000) % 2 ** 32);
        // CWR first, FIN and PSH last.
        expect(segment[14 + l3 + 13]).toBe(0x10 | (i === 0 ? 0x80 : 0) | (i === 3 ? 0x09 : 0));
        if (version === 4) {
          expect(onesComplementSum(segment, 14, 34)).toBe(0xffff);
          expect([view.getUint16(16), view.getUint16(18)]).toEqual([segment.length - 14, 0x1234 + i]);
        } else expect(view.getUint16(18)).toBe(segment.length - 54);
      });
    });
  }

  it("cuts nothing that is no TCP, or without data or size", () => {
    const udp = tcp(4, 100);
    udp[23] = 17;
    expect(segmentTcp(udp, 100)).toBeUndefined();
    expect(segmentTcp(tcp(4, 0), 100)).toBeUndefined();
    expect(segmentTcp(tcp(4, 100), 0)).toBeUndefined();
    expect(segmentTcp(new Uint8Array(14), 1000)).toBeUndefined();
    for (let length = 14; length < 54; length++)
      expect(segmentTcp(tcp(4, 100).subarray(0, length), 100)).toBeUndefined();
  });

  it("receives into merged buffers, as many as the frame needs", () => {
    const { receive, wire } = net();
    for (let i = 0; i < 4; i++) receive.add([{ room: 500 }]);
    const frame = frameTo(OWN, 1200, 9, 9);
    wire.listener(frame);
    const done = receive.take();
    expect(done.map(({ length }) => length)).toEqual([500, 500, 212]);
    expect(done[0]?.bytes.subarray(0, 12)).toEqual(header().bytes.map((_, i) => (i === 10 ? 3 : 0)));
    expect(Uint8Array.from(done.flatMap(({ bytes }) => [...bytes])).subarray(12)).toEqual(frame);
  });

  it("keeps frames for a driver that is short of buffers, up to a bound", () => {
    const { receive, wire, device } = net();
    for (let i = 0; i < 300; i++) wire.listener(frameTo(OWN, 60, 0, 0, i & 255));
    expect(device.metrics()).toMatchObject({ dropped: 44, received: 0 });
    for (let i = 0; i < 5; i++) receive.add([{ room: 1600 }]);
    receive.kick();
    expect(receive.take().map(({ bytes }) => bytes[12 + 14])).toEqual([0, 1, 2, 3, 4]);
  });

  it("cuts a frame that does not fit where buffers cannot be merged", () => {
    const { receive, wire, driver } = net({}, [MRG_RXBUF]);
    receive.add([{ room: 100 }]);
    wire.listener(frameTo(OWN, 200));
    expect(receive.take()[0]?.length).toBe(100);
    receive.add([{ room: 11 }]);
    wire.listener(frameTo(OWN, 60));
    expect(driver.needsReset).toBe(true);
  });

  it("marks checksums as checked only where it was told that they are right", () => {
    for (const trusted of [false, true]) {
      const { receive, wire } = net({ trustedChecksums: trusted });
      receive.add([{ room: 1600 }]);
      wire.listener(frameTo(OWN));
      expect(receive.take()[0]?.bytes[0]).toBe(trusted ? 2 : 0);
    }
  });

  it("lets through what the driver asked for", () => {
    const { receive, wire, command } = net();
    const arrives = (target: Uint8Array, ...type: number[]): boolean => {
      receive.add([{ room: 1600 }]);
      receive.kick();
      wire.listener(frameTo(target, 60, ...type));
      const done = receive.take().length === 1;
      if (!done) wire.listener(frameTo(OWN));
      receive.take();
      return done;
    };
    const all = (): boolean[] => [OWN, OTHER, GROUP, BROADCAST].map((target) => arrives(target));
    expect(all()).toEqual([true, true, true, true]);
    expect(command(0, 0, 0)).toBe(0); // promiscuous off
    expect(all()).toEqual([true, false, false, true]);
    command(0, 1, 1);
    expect(all()).toEqual([true, false, true, true]);
    command(0, 1, 0);
    expect(command(1, 0, 1, 0, 0, 0, ...OTHER, 1, 0, 0, 0, ...GROUP)).toBe(0);
    expect(all()).toEqual([true, true, true, true]);
    command(1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    command(0, 5, 1);
    expect(all()).toEqual([true, false, false, false]);
    expect(command(1, 1, ...OTHER)).toBe(0);
    command(0, 5, 0);
    expect(all()).toEqual([false, true, false, true]);
    // VLAN 5 only once it is in the list.
    expect(arrives(OTHER, 0x81, 0, 0, 5)).toBe(false);
    expect(command(2, 0, 5, 0)).toBe(0);
    expect(arrives(OTHER, 0x81, 0, 0, 5)).toBe(true);
  });

  it("says no to control commands that are wrong", () => {
    const { command, driver, control } = net();
    expect([command(0, 6, 1), command(0, 0), command(1, 1, ...GROUP), command(1, 1, 2), command(2, 0, 0, 16)]).toEqual([
      1, 1, 1, 1, 1,
    ]);
    expect([command(1, 0, 255, 255, 255, 255), command(9, 0), command(1, 7)]).toEqual([1, 1, 1]);
    control.add([{ bytes: Uint8Array.of(0) }, { room: 1 }]);
    control.kick();
    expect(driver.needsReset).toBe(true);
  });

  it("reports the link and asks for an announcement", () => {
    const { driver, wire, device, command, transmit } = net();
    driver.enableMsix();
    wire.link(false);
    expect(driver.config(6, 2)).toBe(0);
    transmit.ask(header(), { bytes: frameTo(OTHER) });
    expect(wire.sent).toEqual([]);
    wire.link(true);
    device.announce();
    expect(driver.config(6, 2)).toBe(3);
    expect(driver.messages.filter((vector) => vector === 0).length).toBe(3);
    expect(command(3, 0)).toBe(0);
    expect(driver.config(6, 2)).toBe(1);
  });

  it("keeps to its limits in both directions", () => {
    const limit = { bandwidth: { size: 600, refillMs: 60 } };
    const { transmit, receive, wire, clock } = net({ transmitLimits: limit, receiveLimits: limit });
    for (let i = 0; i < 20; i++) {
      transmit.add([header(), { bytes: frameTo(OTHER, 100) }]);
      receive.add([{ room: 1600 }]);
      wire.listener(frameTo(OWN, 100));
    }
    transmit.kick();
    expect([wire.sent.length, receive.take().length]).toEqual([5, 6]);
    clock.advance(100e6);
    const received = receive.take().length;
    expect([wire.sent.length, received]).toEqual([14, 10]);
    clock.advance(1e9);
    expect([wire.sent.length, receive.take().length]).toEqual([20, 4]);
  });
});
