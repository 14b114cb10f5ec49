// A network with a gateway to the host's own: what QEMU calls user networking. Guests get addresses by DHCP; their TCP and
// UDP end here and go on through sockets of the host, so nothing of the host's configuration has to change and no rights are
// needed.
import { answerNtp, NTP_PORT } from "../../../host/clock/ntp.ts";
import { TimeClient } from "../../../host/clock/time-client.ts";
import type { FileTree } from "../../../vmm/file-tree.ts";
import type { NetworkBackend } from "../../../vmm/network.ts";
import type { NetworkClock, NetworkTimer } from "../clock.ts";
import {
  ETHERNET_HEADER,
  equalMac,
  FRAME_MIN,
  frameSource,
  frameTarget,
  frameType,
  isGroup,
  MAC_BYTES,
  makeFrame,
  TYPE_ARP,
  TYPE_IPV4,
} from "../frame.ts";
import {
  IPV4_HEADER,
  type Ipv4Packet,
  ipv4Packets,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  readIpv4,
} from "../ipv4.ts";
import { formatIpv4, inNet } from "../ipv4-address.ts";
import { Reassembly } from "../reassembly.ts";
import { Destinations } from "./destinations.ts";
import { CLIENT_PORT, DhcpServer, SERVER_PORT } from "./dhcp.ts";
import { DNS_PORT, NameServer } from "./dns.ts";
import type { HostSockets } from "./host-sockets.ts";
import { CODE_PORT, CODE_PROHIBITED, echoReply, isEchoRequest, timeExceeded, unreachable } from "./icmp.ts";
import { Neighbours } from "./neighbours.ts";
import { broadcastOf, type CheckedForward, type CheckedUserNetwork, LOOPBACK } from "./settings.ts";
import type { OpenStream } from "./tcp-owner.ts";
import { TcpTable } from "./tcp-table.ts";
import { TftpServer } from "./tftp.ts";
import { type Datagram, readUdp, UdpNat, writeUdp } from "./udp.ts";

const MTU = 1500;
const TCP_HEADER = 20;
/** The gateway's card: locally administered, as slirp's. */
const MAC_PREFIX = [0x52, 0x55] as const;
/** Connections may not go through the gateway again and again. */
const TTL_LEAST = 2;
/** Timers of connections are looked at no more often. */
const TICK_NS = 1e6;

/** A service of the gateway's own for a datagram; what it returns goes back. */
export type UdpService = (datagram: Datagram, reply: (data: Uint8Array, sourcePort?: number) => void) => void;

export interface UserNetworkParts {
  readonly clock: NetworkClock;
  readonly sockets: HostSockets;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** 32 random bits. */
  random(): number;
  /** What TFTP serves; none without. The network closes it. */
  readonly files?: (FileTree & Partial<Disposable>) | undefined;
}

export class UserNetwork implements NetworkBackend, Disposable {
  readonly #listeners = new Set<(frame: Uint8Array) => void>();
  readonly #mac: Uint8Array;
  readonly #neighbours: Neighbours;
  readonly #reassembly = new Reassembly();
  readonly #dhcp: DhcpServer;
  readonly #names: NameServer;
  readonly #tcp: TcpTable;
  readonly #udp: UdpNat;
  readonly #tftp: TftpServer | undefined;
  readonly #destinations: Destinations;
  readonly #timeClient = new TimeClient();
  readonly #timer: NetworkTimer;
  /** Services by "address:port". */
  readonly #tcpServices = new Map<string, OpenStream>();
  readonly #udpServices = new Map<string, UdpService>();
  readonly #forwards: CheckedForward[] = [];
  #timerNs = Number.POSITIVE_INFINITY;
  #id = 1;
  #closed = false;
  #counts = { received: 0, sent: 0, malformed: 0, strangers: 0 };

  constructor(
    readonly settings: CheckedUserNetwork,
    private readonly parts: UserNetworkParts,
  ) {
    const { clock, sockets } = parts;
    const { host, net } = settings;
    this.#mac = Uint8Array.from([...MAC_PREFIX, host >>> 24, (host >>> 16) & 255, (host >>> 8) & 255, host & 255]);
    this.#destinations = new Destinations(settings.allow, settings.restrict);
    this.#neighbours = new Neighbours(
      this.#mac,
      host,
      (address) => this.#isOwn(address),
      (address) => inNet(address, net) && !this.#isOwn(address) && address !== net.base && address !== broadcastOf(net),
      (frame) => this.#output(frame),
    );
    this.#dhcp = new DhcpServer(settings, (address, mac) => this.#neighbours.learn(address, mac));
    const nowNs = (): number => clock.nowNs();
    this.#names = new NameServer({ sockets, destinations: this.#destinations, nowNs, random: parts.random });
    this.#tcp = new TcpTable({
      sockets,
      nowNs,
      random: parts.random,
      mss: MTU - IPV4_HEADER - TCP_HEADER,
      gateway: host,
      output: (target, frame) => this.#sendTo(target, frame),
      nextId: () => this.#nextId(),
      deadline: (atNs) => this.#deadline(atNs),
      route: (address, port) => this.#routeTcp(address, port),
    });
    this.#udp = new UdpNat({
      sockets,
      nowNs,
      gateway: host,
      route: (address, port) => this.#routeUdp(address, port),
      output: (datagram) => this.#sendDatagram(datagram),
    });
    this.#timer = clock.timer(() => this.#timeout());
    this.serveUdp(host, NTP_PORT, (datagram, reply) => this.#answerNtp(datagram, reply));
    if (parts.files !== undefined) {
      const listen = (port: number, service: UdpService | undefined): void => this.serveUdp(host, port, service);
      this.#tftp = new TftpServer({ tree: parts.files, nowNs, listen });
    }
    this.serveUdp(settings.dns, DNS_PORT, ({ data }, reply) => this.#names.ask(data, reply));
  }

  /** Opens the ports of the host that lead to guests. Rejects with VmError("host") where one cannot be had. */
  async open(): Promise<void> {
    for (const forward of this.settings.forwards) {
      const { port } = await (forward.protocol === "tcp" ? this.#tcp : this.#udp).forward(forward);
      this.#forwards.push({ ...forward, hostPort: port });
    }
  }

  /** Those that are open, with the ports that they really have. */
  get forwards(): readonly CheckedForward[] {
    return this.#forwards;
  }

  /** A service of the gateway's own at one of its addresses; whoever may reach the gateway may use it. */
  serveTcp(address: number, port: number, open: OpenStream): void {
    this.#tcpServices.set(`${address}:${port}`, open);
  }
  serveUdp(address: number, port: number, service: UdpService | undefined): void {
    if (service === undefined) this.#udpServices.delete(`${address}:${port}`);
    else this.#udpServices.set(`${address}:${port}`, service);
  }

  // ---- the cable

  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  send(frame: Uint8Array): void {
    if (this.#closed || frame.length < FRAME_MIN) return;
    this.#counts.received++;
    const target = frameTarget(frame);
    if (!isGroup(target) && !equalMac(target, this.#mac)) return;
    if (frameType(frame) === TYPE_ARP) this.#neighbours.input(frame);
    else if (frameType(frame) === TYPE_IPV4) this.#ipv4(frame);
  }

  metrics(): Readonly<Record<string, number>> {
    const { opened, refused, forwarded, sentBytes, receivedBytes } = this.#tcp.counts;
    return {
      ...this.#counts,
      tcpConnections: this.#tcp.size,
      tcpOpened: opened,
      tcpRefused: refused,
      tcpForwarded: forwarded,
      tcpToGuestBytes: sentBytes,
      tcpFromGuestBytes: receivedBytes,
      udpFlows: this.#udp.size,
      udpSent: this.#udp.counts.sent,
      udpReceived: this.#udp.counts.received,
      udpRefused: this.#udp.counts.refused,
      dnsQueries: this.#names.counts.queries,
      dnsRefused: this.#names.counts.refused,
      tftpTransfers: this.#tftp?.size ?? 0,
      tftpBytes: this.#tftp?.counts.bytes ?? 0,
      leases: this.#dhcp.leases.size,
      neighbours: this.#neighbours.size,
    };
  }

  timeMetrics(): Readonly<Record<string, number>> | undefined {
    return this.#timeClient.metrics();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#tcp.close();
    this.#udp.close();
    this.#names.close();
    this.#tftp?.close();
    this.parts.files?.[Symbol.dispose]?.();
    this.#timer.disarm();
    this.#closed = true;
    this.#listeners.clear();
  }

  // ---- packets of guests

  #ipv4(frame: Uint8Array): void {
    const packet = readIpv4(frame.subarray(ETHERNET_HEADER));
    if (packet === undefined) {
      this.#counts.malformed++;
      return;
    }
    const { source, target, protocol, ttl } = packet;
    const { net } = this.settings;
    const everybody = target === 0xffffffff || target === broadcastOf(net);
    const hasNoAddress = source === 0;
    if (!hasNoAddress && (!inNet(source, net) || this.#isOwn(source) || source === broadcastOf(net))) {
      this.#counts.strangers++;
      return;
    }
    if (!hasNoAddress) this.#neighbours.learn(source, frameSource(frame));
    const payload = this.#reassembly.add(packet, this.parts.clock.nowNs());
    if (payload === undefined) return;
    if (protocol === PROTOCOL_UDP && (everybody || target === this.settings.host) && this.#isDhcp(packet, payload))
      return;
    // Other guests, and everybody, are reached without the gateway.
    if (hasNoAddress || everybody || isGroup(frameTarget(frame)) || (inNet(target, net) && !this.#isOwn(target)))
      return;
    if (!this.#isOwn(target) && ttl < TTL_LEAST) {
      this.#sendIcmp(this.settings.host, source, timeExceeded(packet.bytes));
      return;
    }
    if (protocol === PROTOCOL_TCP) this.#tcp.input(source, target, payload);
    else if (protocol === PROTOCOL_UDP) this.#datagram(packet, payload);
    else if (protocol === PROTOCOL_ICMP) this.#icmp(packet, payload);
    else this.#prohibited(packet);
  }

  #icmp(packet: Ipv4Packet, message: Uint8Array): void {
    if (!isEchoRequest(message)) return;
    // No socket of the host sends echo requests without special rights.
    if (!this.#isOwn(packet.target)) {
      this.#prohibited(packet);
      return;
    }
    const reply = echoReply(message);
    if (reply !== undefined) this.#sendIcmp(packet.target, packet.source, reply);
  }

  #datagram(packet: Ipv4Packet, payload: Uint8Array): void {
    const datagram = readUdp(payload, packet.source, packet.target);
    if (datagram === undefined) {
      this.#counts.malformed++;
      return;
    }
    const { source, sourcePort, target, targetPort } = datagram;
    const service = this.#udpServices.get(`${target}:${targetPort}`);
    if (service !== undefined) {
      service(datagram, (data, ownPort = targetPort) =>
        this.#sendDatagram({ source: target, sourcePort: ownPort, target: source, targetPort: sourcePort, data }),
      );
      return;
    }
    if (this.#udp.input(datagram)) return;
    const code = this.#isOwn(target) ? CODE_PORT : CODE_PROHIBITED;
    this.#sendIcmp(this.settings.host, source, unreachable(packet.bytes, code));
  }

  #isDhcp({ source, target }: Ipv4Packet, payload: Uint8Array): boolean {
    const datagram = readUdp(payload, source, target);
    if (datagram?.targetPort !== SERVER_PORT || datagram.sourcePort !== CLIENT_PORT) return false;
    const answer = this.#dhcp.answer(datagram.data);
    if (answer === undefined) return true;
    const { host } = this.settings;
    const to = answer.address;
    const data = writeUdp({
      source: host,
      sourcePort: SERVER_PORT,
      target: to,
      targetPort: CLIENT_PORT,
      data: answer.message,
    });
    const header = { source: host, target: to, protocol: PROTOCOL_UDP, id: this.#nextId() };
    for (const packet of ipv4Packets(header, data, MTU)) this.#outputIpv4(answer.mac, packet);
    return true;
  }

  #answerNtp({ data }: Datagram, reply: (data: Uint8Array) => void): void {
    const now = BigInt(Math.round(this.parts.wallMs() * 1e6));
    const answer = answerNtp(data, now, BigInt(Math.round(this.parts.wallMs() * 1e6)));
    if (answer === undefined) return;
    this.#timeClient.observe(data, now);
    reply(answer);
  }

  // ---- where it may go

  #isOwn(address: number): boolean {
    const { host, dns, files } = this.settings;
    return address === host || address === dns || address === files;
  }

  #routeTcp(address: number, port: number): OpenStream | undefined {
    const { sockets } = this.parts;
    const service = this.#tcpServices.get(`${address}:${port}`);
    if (service !== undefined) return service;
    if (address === this.settings.dns && port === DNS_PORT) {
      // Whoever asks by TCP could ask for any name: only where any may be.
      const server = this.settings.restrict || this.settings.allow !== undefined ? undefined : this.#names.server();
      return server && ((events) => sockets.connectTcp(server.address, server.port, events));
    }
    const target = this.#outside(address, port);
    return target === undefined ? undefined : (events) => sockets.connectTcp(target, port, events);
  }

  #routeUdp(address: number, port: number): string | undefined {
    return this.#outside(address, port);
  }

  /** As the host knows it; undefined where the guest may not go there. */
  #outside(address: number, port: number): string | undefined {
    const { host, net } = this.settings;
    if (address === host) return this.#destinations.permitsHost(port) ? LOOPBACK : undefined;
    if (inNet(address, net)) return undefined;
    return this.#destinations.permits(address, port, this.parts.clock.nowNs()) ? formatIpv4(address) : undefined;
  }

  // ---- to guests

  #prohibited(packet: Ipv4Packet): void {
    this.#sendIcmp(this.settings.host, packet.source, unreachable(packet.bytes, CODE_PROHIBITED));
  }

  #sendIcmp(source: number, target: number, message: Uint8Array): void {
    this.#sendPayload(source, target, PROTOCOL_ICMP, message);
  }

  #sendDatagram(datagram: Datagram): void {
    this.#sendPayload(datagram.source, datagram.target, PROTOCOL_UDP, writeUdp(datagram));
  }

  #sendPayload(source: number, target: number, protocol: number, payload: Uint8Array): void {
    const mac = this.#neighbours.find(target);
    if (mac === undefined || this.#closed) return;
    const header = { source, target, protocol, id: this.#nextId() };
    for (const packet of ipv4Packets(header, payload, MTU)) this.#outputIpv4(mac, packet);
  }

  /** A frame that has everything but the Ethernet header. */
  #sendTo(target: number, frame: Uint8Array): void {
    const mac = this.#neighbours.find(target);
    if (mac === undefined || this.#closed) return;
    frame.set(mac, 0);
    frame.set(this.#mac, MAC_BYTES);
    frame[2 * MAC_BYTES] = TYPE_IPV4 >> 8;
    frame[2 * MAC_BYTES + 1] = TYPE_IPV4 & 0xff;
    this.#output(frame);
  }

  #outputIpv4(mac: Uint8Array, packet: Uint8Array): void {
    const frame = makeFrame(mac, this.#mac, TYPE_IPV4, packet.length);
    frame.set(packet, ETHERNET_HEADER);
    this.#output(frame);
  }

  #output(frame: Uint8Array): void {
    this.#counts.sent++;
    for (const listener of this.#listeners) listener(frame);
  }

  #nextId(): number {
    this.#id = (this.#id + 1) & 0xffff;
    return this.#id;
  }

  // ---- time

  #deadline(atNs: number): void {
    if (atNs >= this.#timerNs || this.#closed) return;
    this.#timerNs = atNs;
    this.#timer.arm(atNs);
  }

  #timeout(): void {
    if (this.#closed) return;
    this.#timerNs = Number.POSITIVE_INFINITY;
    const now = this.parts.clock.nowNs();
    this.#deadline(Math.max(now + TICK_NS, this.#tcp.timeout(now)));
  }
}
