// A guest on a user network, a packet at a time, and sockets of the host that a test plays.
import { ETHERNET_HEADER, frameType, makeFrame, TYPE_ARP, TYPE_IPV4 } from "../../../src/backends/network/frame.ts";
import {
  type Ipv4Packet,
  ipv4Packets,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  readIpv4,
} from "../../../src/backends/network/ipv4.ts";
import { parseIpv4 } from "../../../src/backends/network/ipv4-address.ts";
import type {
  HostSockets,
  SocketFailure,
  TcpEvents,
  TcpStream,
  UdpEvents,
} from "../../../src/backends/network/user/host-sockets.ts";
import { checkUserNetwork } from "../../../src/backends/network/user/settings.ts";
import {
  type OutgoingSegment,
  readTcp,
  type TcpSegment,
  tcpFrame,
} from "../../../src/backends/network/user/tcp-segment.ts";
import { type Datagram, readUdp, writeUdp } from "../../../src/backends/network/user/udp.ts";
import { UserNetwork } from "../../../src/backends/network/user/user-network.ts";
import type { FileTree } from "../../../src/vmm/file-tree.ts";
import type { UserNetworkSettings } from "../../../src/vmm/network.ts";
import { ManualClock } from "./manual-clock.ts";

export const ip = (text: string): number => parseIpv4(text) ?? 0;
export const GUEST = ip("10.0.2.15");
export const GATEWAY = ip("10.0.2.2");
export const GUEST_MAC = Uint8Array.of(2, 0x70, 0x76, 0, 0, 1);
export const GATEWAY_MAC = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2);

/** The host's end of a TCP connection, as a test plays it. */
export class FakeStream implements TcpStream {
  readonly written: Uint8Array[] = [];
  waitingBytes = 0;
  hasEnded = false;
  wasReset = false;
  reading = true;
  constructor(
    readonly address: string,
    readonly port: number,
    readonly events: TcpEvents,
  ) {}
  write(bytes: Uint8Array): void {
    this.written.push(bytes);
  }
  end(): void {
    this.hasEnded = true;
  }
  reset(): void {
    this.wasReset = true;
  }
  setReading(on: boolean): void {
    this.reading = on;
  }
  get text(): string {
    return Buffer.concat(this.written).toString("latin1");
  }
  fail(failure: SocketFailure | undefined): void {
    this.events.closed(failure);
  }
}

export interface SentDatagram {
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
  readonly events: UdpEvents;
}

export class FakeSockets implements HostSockets {
  readonly streams: FakeStream[] = [];
  readonly datagrams: SentDatagram[] = [];
  readonly accepting = new Map<number, (open: (events: TcpEvents) => TcpStream) => boolean>();
  readonly bound = new Map<number, UdpEvents>();
  openUdpSockets = 0;
  servers: string[] = ["192.0.2.53"];

  connectTcp(address: string, port: number, events: TcpEvents): TcpStream {
    const stream = new FakeStream(address, port, events);
    this.streams.push(stream);
    return stream;
  }
  async listenTcp(_address: string, port: number, accept: (open: (events: TcpEvents) => TcpStream) => boolean) {
    this.accepting.set(port, accept);
    return { port, close: () => void this.accepting.delete(port) };
  }
  openUdp(events: UdpEvents) {
    this.openUdpSockets++;
    return {
      send: (bytes: Uint8Array, address: string, port: number) =>
        void this.datagrams.push({ bytes, address, port, events }),
      close: () => {
        this.openUdpSockets--;
      },
    };
  }
  async bindUdp(_address: string, port: number, events: UdpEvents) {
    this.bound.set(port, events);
    return { port, ...this.openUdp(events) };
  }
  nameServers(): readonly string[] {
    return this.servers;
  }
}

/** The network, and what it has sent to the guest. */
export class UserGuest {
  readonly clock = new ManualClock();
  readonly sockets = new FakeSockets();
  readonly network: UserNetwork;
  readonly frames: Uint8Array[] = [];
  /** Called with each frame in place of keeping it. */
  onFrame: ((frame: Uint8Array) => void) | undefined;
  wallMs = 1_750_000_000_000;
  #random = 1;

  constructor(settings: UserNetworkSettings = {}, files?: FileTree) {
    this.network = new UserNetwork(checkUserNetwork(settings), {
      clock: this.clock,
      files,
      sockets: this.sockets,
      wallMs: () => this.wallMs,
      random: () => {
        this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
        return this.#random;
      },
    });
    this.network.onReceive((frame) => {
      if (this.onFrame === undefined) this.frames.push(frame.slice());
      else this.onFrame(frame);
    });
  }

  sendIpv4(protocol: number, payload: Uint8Array, target: number, source = GUEST, mac = GATEWAY_MAC): void {
    for (const packet of ipv4Packets({ source, target, protocol, id: 7 }, payload, 1500)) {
      const frame = makeFrame(mac, GUEST_MAC, TYPE_IPV4, packet.length);
      frame.set(packet, ETHERNET_HEADER);
      this.network.send(frame);
    }
  }

  sendUdp(datagram: Omit<Datagram, "source"> & { readonly source?: number }, mac = GATEWAY_MAC): void {
    const { source = GUEST, ...rest } = datagram;
    this.sendIpv4(PROTOCOL_UDP, writeUdp({ source, ...rest }), datagram.target, source, mac);
  }

  sendTcp(ports: { sourcePort: number; target: number; targetPort: number }, segment: OutgoingSegment): void {
    const frame = tcpFrame({ source: GUEST, ...ports }, segment, 9);
    frame.set(makeFrame(GATEWAY_MAC, GUEST_MAC, TYPE_IPV4, 0));
    this.network.send(frame);
  }

  /** IPv4 packets that came since the last look. */
  packets(): Ipv4Packet[] {
    return this.frames.splice(0).flatMap((frame) => {
      if (frameType(frame) !== TYPE_IPV4) return [];
      const packet = readIpv4(frame.subarray(ETHERNET_HEADER));
      if (packet === undefined) throw new Error("the network sent a malformed packet");
      return [packet];
    });
  }

  datagrams(): Datagram[] {
    return this.packets().flatMap(({ protocol, payload, source, target }) => {
      const datagram = protocol === PROTOCOL_UDP ? readUdp(payload, source, target) : undefined;
      return datagram === undefined ? [] : [datagram];
    });
  }

  segments(): TcpSegment[] {
    return this.packets().flatMap(({ protocol, payload, source, target }) => {
      if (protocol !== PROTOCOL_TCP) return [];
      const segment = readTcp(payload, source, target);
      if (segment === undefined) throw new Error("the network sent a malformed segment");
      return [segment];
    });
  }

  /** ICMP messages that came since the last look, as "type.code". */
  icmp(): string[] {
    return this.packets().flatMap(({ protocol, payload }) =>
      protocol === PROTOCOL_ICMP ? [`${payload[0]}.${payload[1]}`] : [],
    );
  }

  arps(): Uint8Array[] {
    return this.frames.splice(0).filter((frame) => frameType(frame) === TYPE_ARP);
  }

  /** Makes the network know where the guest is. */
  announce(): void {
    const arp = makeFrame(new Uint8Array(6).fill(255), GUEST_MAC, TYPE_ARP, 28);
    arp.set([0, 1, 8, 0, 6, 4, 0, 1, ...GUEST_MAC, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2], ETHERNET_HEADER);
    this.network.send(arp);
  }
}
