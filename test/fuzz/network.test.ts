// Frames that no guest should send, into networks: nothing throws, what is kept stays bounded, and afterwards everything still
// works. A guest is free to send any bytes.
import { describe, expect, it } from "vitest";
import { ETHERNET_HEADER, TYPE_ARP, TYPE_IPV4 } from "../../src/backends/network/frame.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, pseudoHeaderSum } from "../../src/backends/network/ipv4.ts";
import { SYN } from "../../src/backends/network/user/tcp-segment.ts";
import { VirtualNetwork } from "../../src/backends/network/virtual-network.ts";
import { Random } from "../../src/host/sched/sim/random.ts";
import { onesComplementSum, put16, put32 } from "../../src/vmm/network-bytes.ts";
import { ManualClock } from "../backends/network/manual-clock.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, ip, UserGuest } from "../backends/network/user-guest.ts";

const FRAMES = 30_000;
const TARGETS = [GATEWAY, ip("10.0.2.3"), ip("10.0.2.4"), ip("192.0.2.1"), ip("10.0.2.255"), 0xffffffff, GUEST];
const PORTS = [53, 67, 68, 69, 80, 123, 2222, 4000, 4001, 4002];

class Fuzzer {
  readonly random: Random;
  constructor(seed: number) {
    this.random = new Random(seed);
  }
  below(n: number): number {
    return Math.floor(this.random.uniform() * n);
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** Mostly what a stack would look at: right checksums, addresses and ports that are there, and then something wrong. */
  frame(): Uint8Array {
    const kind = this.below(10);
    if (kind === 0) return this.bytes(this.below(120));
    const payload = kind === 1 ? this.bytes(this.below(60)) : this.ipv4();
    const frame = new Uint8Array(ETHERNET_HEADER + payload.length);
    frame.set(this.of([GATEWAY_MAC, GATEWAY_MAC, GATEWAY_MAC, new Uint8Array(6).fill(255), this.bytes(6)]));
    frame.set(this.of([GUEST_MAC, GUEST_MAC, this.bytes(6)]), 6);
    put16(frame, 12, kind === 1 ? TYPE_ARP : TYPE_IPV4);
    frame.set(payload, ETHERNET_HEADER);
    if (kind === 1 && payload.length > 8 && this.below(2)) frame.set([0, 1, 8, 0, 6, 4, 0, 1], ETHERNET_HEADER);
    if (this.below(8) === 0) frame[this.below(frame.length)] = this.below(256);
    return this.below(20) === 0 ? frame.subarray(0, this.below(frame.length)) : frame;
  }

  ipv4(): Uint8Array {
    const protocol = this.of([PROTOCOL_TCP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, this.below(256)]);
    const source = this.of([GUEST, GUEST, GUEST, 0, GATEWAY, this.random.bits()]);
    const target = this.below(20) === 0 ? this.random.bits() : this.of(TARGETS);
    const payload = this.transport(protocol, source, target);
    const packet = new Uint8Array(20 + payload.length);
    packet[0] = this.below(30) === 0 ? this.below(256) : 0x45;
    put16(packet, 2, this.below(30) === 0 ? this.below(65_536) : packet.length);
    put16(packet, 4, this.below(4));
    put16(packet, 6, this.below(10) === 0 ? this.below(65_536) : 0x4000);
    packet[8] = this.below(10) === 0 ? this.below(3) : 64;
    packet[9] = protocol;
    put32(packet, 12, source);
    put32(packet, 16, target);
    put16(packet, 10, ~onesComplementSum(packet, 0, 20));
    packet.set(payload, 20);
    return packet;
  }

  transport(protocol: number, source: number, target: number): Uint8Array {
    const asksForAddress = protocol === PROTOCOL_UDP && this.below(3) === 0;
    const length = this.below(10) === 0 ? this.below(1400) : this.below(40);
    const data = asksForAddress ? this.dhcp().subarray(0, 320 - (this.below(4) ? 0 : length)) : this.bytes(length);
    if (protocol === PROTOCOL_UDP) {
      const bytes = new Uint8Array(8 + data.length);
      put16(bytes, 0, asksForAddress ? 68 : this.of(PORTS));
      put16(bytes, 2, asksForAddress ? 67 : this.of(PORTS));
      put16(bytes, 4, this.below(20) === 0 ? this.below(65_536) : bytes.length);
      bytes.set(data, 8);
      return bytes;
    }
    if (protocol === PROTOCOL_TCP) {
      const options = this.below(3) === 0 ? this.bytes(this.below(10) * 4) : new Uint8Array(0);
      const bytes = new Uint8Array(20 + options.length + data.length);
      put16(bytes, 0, this.of(PORTS));
      put16(bytes, 2, this.of(PORTS));
      // Numbers near those in use, and anywhere.
      put32(bytes, 4, this.below(3) ? this.below(3000) : this.random.bits());
      put32(bytes, 8, this.below(3) ? this.below(3000) : this.random.bits());
      bytes[12] = this.below(30) === 0 ? this.below(256) : (5 + options.length / 4) << 4;
      bytes[13] = this.below(4) === 0 ? this.below(256) : this.of([SYN, 0x10, 0x18, 0x11, 0x04, 0x12]);
      put16(bytes, 14, this.of([0, 1, 500, 65_535]));
      bytes.set(options, 20);
      bytes.set(data, 20 + options.length);
      const pseudo = pseudoHeaderSum(source, target, PROTOCOL_TCP, bytes.length);
      put16(bytes, 16, ~onesComplementSum(bytes, 0, bytes.length, pseudo));
      return bytes;
    }
    if (protocol === PROTOCOL_ICMP && data.length >= 8) {
      data[0] = 8;
      data[1] = 0;
      data.set([0, 0], 2);
      put16(data, 2, ~onesComplementSum(data, 0, data.length));
    }
    return data;
  }

  dhcp(): Uint8Array {
    const message = this.bytes(320);
    message.set([1, 1, 6, 0]);
    message.set([0, 0, 0, 0], 24);
    message.set([0x63, 0x82, 0x53, 0x63, 53, 1, this.below(9)], 236);
    return message;
  }
}

describe("a user network", () => {
  it.each([1, 2, 3])("takes any frames, and works afterwards (seed %i)", async (seed) => {
    const fuzzer = new Fuzzer(seed);
    const guest = new UserGuest({
      forwards: [
        { protocol: "tcp", hostPort: 2222, guestPort: 4000 },
        { protocol: "udp", hostPort: 2222, guestPort: 4000 },
      ],
    });
    await guest.network.open();
    guest.announce();
    let sent = 0;
    guest.onFrame = (frame) => {
      sent++;
      if (frame.length > 1514) throw new Error("a frame was longer than the link takes");
    };
    for (let i = 0; i < FRAMES; i++) {
      guest.network.send(fuzzer.frame());
      // The host's side does what it may do at any time.
      const stream = guest.sockets.streams.length > 0 ? fuzzer.of(guest.sockets.streams) : undefined;
      switch (fuzzer.below(12)) {
        case 0:
          stream?.events.connected();
          break;
        case 1:
          if (stream?.reading) stream.events.data(fuzzer.bytes(fuzzer.below(3000)));
          break;
        case 2:
          if (fuzzer.below(10) === 0) stream?.events.ended();
          break;
        case 3:
          if (fuzzer.below(10) === 0) stream?.fail(fuzzer.of(["refused", "reset", undefined]));
          break;
        case 4:
          guest.clock.advanceMs(fuzzer.below(3000));
          break;
        case 5:
          stream?.events.drained();
          break;
      }
      if (guest.sockets.datagrams.length > 100) {
        const { events, address, port } = fuzzer.of(guest.sockets.datagrams.splice(0));
        events.data(fuzzer.bytes(fuzzer.below(200)), address, port);
      }
    }
    const metrics = guest.network.metrics();
    expect(metrics["tcpConnections"]).toBeLessThanOrEqual(512);
    expect(metrics["udpFlows"]).toBeLessThanOrEqual(512);
    expect(metrics["leases"]).toBeLessThanOrEqual(240);
    expect(metrics["neighbours"]).toBeLessThanOrEqual(1024);
    // The run was worth something.
    expect(metrics["tcpOpened"]).toBeGreaterThan(50);
    expect(metrics["leases"]).toBeGreaterThan(0);
    expect(metrics["malformed"]).toBeGreaterThan(100);
    expect(sent).toBeGreaterThan(FRAMES / 20);
    guest.onFrame = undefined;
    guest.clock.advanceMs(3_600_000);
    guest.frames.length = 0;
    guest.announce();
    expect(guest.arps()).toHaveLength(1);
    const before = guest.sockets.streams.length;
    const syn = { sequence: 1, acknowledgement: 0, flags: SYN, window: 100, payload: new Uint8Array(0) };
    guest.sendTcp({ sourcePort: 9999, target: GATEWAY, targetPort: 9999 }, syn);
    guest.sockets.streams[before]?.events.connected();
    expect(guest.segments()).toHaveLength(1);
    guest.network[Symbol.dispose]();
  });
});

describe("a network of switches", () => {
  it("takes any frames at any topology, and delivers each at most once to a port", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const fuzzer = new Fuzzer(seed);
      const clock = new ManualClock();
      const network = new VirtualNetwork({ clock, seed });
      const switches = Array.from({ length: 2 + fuzzer.below(6) }, (_, i) => `s${i}`);
      for (const name of switches) network.addSwitch(name);
      const links = Array.from({ length: fuzzer.below(15) }, () => [fuzzer.of(switches), fuzzer.of(switches)] as const)
        .filter(([a, b]) => a !== b)
        .map(([a, b]) => network.link(a, b, fuzzer.below(2) ? { latencyMs: fuzzer.below(3) } : {}));
      const got: number[] = [];
      const ports = Array.from({ length: 6 }, (_, i) => {
        const port = network.connect(fuzzer.of(switches));
        port.onReceive((frame) => {
          if (frame.length > 20) got.push(i * 1e6 + (frame[18] ?? 0) * 256 + (frame[19] ?? 0));
        });
        return port;
      });
      for (let i = 0; i < 300; i++) {
        const frame = fuzzer.bytes(fuzzer.below(100));
        if (frame.length > 20) put16(frame, 18, i);
        fuzzer.of(ports).send(frame);
        clock.advanceMs(1);
        if (fuzzer.below(20) > 0 || links.length === 0) continue;
        // What is on its way while the tree changes may come twice.
        clock.advanceMs(30);
        fuzzer.of(links).setLink(fuzzer.below(2) === 0);
      }
      clock.advanceMs(1000);
      expect(new Set(got).size, `seed ${seed}`).toBe(got.length);
    }
  });
});
