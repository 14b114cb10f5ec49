// UDP of a user network (RFC 768): datagrams of guests go out through sockets of the host, answers come back the same way.
// A guest's port has one socket; who it has not sent to cannot reach it.
import { get16, onesComplementSum, put16 } from "../../../vmm/network-bytes.ts";
import { PROTOCOL_UDP, pseudoHeaderSum } from "../ipv4.ts";
import { parseIpv4 } from "../ipv4-address.ts";
import type { HostSockets, Listener, UdpSocket } from "./host-sockets.ts";
import { type CheckedForward, LOOPBACK } from "./settings.ts";

export const UDP_HEADER = 8;
const FLOWS_MAX = 256;
const PEERS_MAX = 64;
/** RFC 4787, REQ-5: at least two minutes. */
const IDLE_NS = 120e9;
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

export interface Datagram {
  readonly source: number;
  readonly sourcePort: number;
  readonly target: number;
  readonly targetPort: number;
  readonly data: Uint8Array;
}

/** Undefined for what is no datagram, or has a wrong checksum. */
export function readUdp(bytes: Uint8Array, source: number, target: number): Datagram | undefined {
  const length = get16(bytes, 4);
  if (bytes.length < UDP_HEADER || length < UDP_HEADER || length > bytes.length) return undefined;
  // 0: its sender made none.
  if (get16(bytes, 6) !== 0) {
    const pseudo = pseudoHeaderSum(source, target, PROTOCOL_UDP, length);
    if (onesComplementSum(bytes, 0, length, pseudo) !== 0xffff) return undefined;
  }
  const data = bytes.subarray(UDP_HEADER, length);
  return { source, sourcePort: get16(bytes, 0), target, targetPort: get16(bytes, 2), data };
}

/** Header and data, for an IPv4 packet. */
export function writeUdp({ source, sourcePort, target, targetPort, data }: Datagram): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER + data.length);
  put16(bytes, 0, sourcePort);
  put16(bytes, 2, targetPort);
  put16(bytes, 4, bytes.length);
  bytes.set(data, UDP_HEADER);
  const sum = ~onesComplementSum(bytes, 0, bytes.length, pseudoHeaderSum(source, target, PROTOCOL_UDP, bytes.length));
  put16(bytes, 6, (sum & 0xffff) === 0 ? 0xffff : sum);
  return bytes;
}

/** What goes over one socket: a guest's port, or a forward's conversation with one peer outside. */
interface Flow {
  readonly socket: UdpSocket | undefined;
  /** "address:port", as the host's socket sees them. */
  readonly peers: Set<string>;
  usedNs: number;
}

/** Somebody outside who talks to a forwarded port; the guest answers to `port` of the gateway. */
interface Caller {
  readonly address: string;
  readonly port: number;
  readonly socket: UdpSocket;
  usedNs: number;
}

export interface UdpNatParts {
  readonly sockets: HostSockets;
  readonly gateway: number;
  nowNs(): number;
  /** Where the host finds an address that a guest may send to; undefined where it may not. */
  route(address: number, port: number): string | undefined;
  output(datagram: Datagram): void;
}

export class UdpNat {
  readonly #flows = new Map<string, Flow>();
  readonly #callers = new Map<number, Caller>();
  readonly #bound: Listener[] = [];
  #nextPort = FIRST_PORT;
  readonly counts = { sent: 0, received: 0, refused: 0, dropped: 0 };

  constructor(private readonly parts: UdpNatParts) {}

  get size(): number {
    return this.#flows.size + this.#callers.size;
  }

  /** A datagram of a guest to somebody outside. False where it may not go there. */
  input(datagram: Datagram): boolean {
    const { source, sourcePort, target, targetPort, data } = datagram;
    const caller = target === this.parts.gateway ? this.#callers.get(targetPort) : undefined;
    if (caller !== undefined) {
      caller.usedNs = this.parts.nowNs();
      caller.socket.send(data.slice(), caller.address, caller.port);
      return true;
    }
    const address = this.parts.route(target, targetPort);
    if (address === undefined) {
      this.counts.refused++;
      return false;
    }
    const flow = this.#flow(source, sourcePort);
    flow.usedNs = this.parts.nowNs();
    const peer = `${address}:${targetPort}`;
    if (!flow.peers.has(peer)) {
      if (flow.peers.size >= PEERS_MAX) flow.peers.delete(flow.peers.values().next().value ?? "");
      flow.peers.add(peer);
    }
    this.counts.sent++;
    flow.socket?.send(data.slice(), address, targetPort);
    return true;
  }

  #flow(guest: number, port: number): Flow {
    const key = `${guest}:${port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    this.#makeRoom();
    const peers = new Set<string>();
    const socket = this.parts.sockets.openUdp({
      data: (data, address, fromPort) => {
        if (!peers.has(`${address}:${fromPort}`)) {
          this.counts.dropped++;
          return;
        }
        this.counts.received++;
        flow.usedNs = this.parts.nowNs();
        const source = address === LOOPBACK ? this.parts.gateway : parseIpv4(address);
        if (source !== undefined)
          this.parts.output({ source, sourcePort: fromPort, target: guest, targetPort: port, data });
      },
      closed: () => void this.#flows.delete(key),
    });
    const flow: Flow = { socket, peers, usedNs: this.parts.nowNs() };
    this.#flows.set(key, flow);
    return flow;
  }

  /** Flows that are idle go, and where none is, the one that was used least lately. */
  #makeRoom(): void {
    const now = this.parts.nowNs();
    let oldest: [key: string, flow: Flow] | undefined;
    for (const [key, flow] of [...this.#flows]) {
      if (now - flow.usedNs > IDLE_NS) this.#drop(key, flow);
      else if (oldest === undefined || flow.usedNs < oldest[1].usedNs) oldest = [key, flow];
    }
    if (this.#flows.size >= FLOWS_MAX && oldest !== undefined) this.#drop(...oldest);
  }

  #drop(key: string, flow: Flow): void {
    this.#flows.delete(key);
    flow.socket?.close();
  }

  /** Makes datagrams to a port of the host go to a guest. Rejects with VmError("host") where the port cannot be had. */
  async forward({ hostAddress, hostPort, guestAddress, guestPort }: CheckedForward): Promise<Listener> {
    const socket = await this.parts.sockets.bindUdp(hostAddress, hostPort, {
      data: (data, address, port) => {
        const sourcePort = this.#callerPort(address, port, socket);
        this.counts.received++;
        const { gateway } = this.parts;
        this.parts.output({ source: gateway, sourcePort, target: guestAddress, targetPort: guestPort, data });
      },
      closed: () => {},
    });
    this.#bound.push(socket);
    return socket;
  }

  /** The port of the gateway that stands for somebody outside. */
  #callerPort(address: string, port: number, socket: UdpSocket): number {
    const now = this.parts.nowNs();
    let oldest: [port: number, caller: Caller] | undefined;
    for (const entry of this.#callers) {
      const [known, caller] = entry;
      if (caller.address === address && caller.port === port && caller.socket === socket) {
        caller.usedNs = now;
        return known;
      }
      if (oldest === undefined || caller.usedNs < oldest[1].usedNs) oldest = entry;
    }
    if (this.#callers.size >= FLOWS_MAX && oldest !== undefined) this.#callers.delete(oldest[0]);
    while (this.#callers.has(this.#nextPort)) this.#advancePort();
    const own = this.#nextPort;
    this.#advancePort();
    this.#callers.set(own, { address, port, socket, usedNs: now });
    return own;
  }

  #advancePort(): void {
    this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_PORT : this.#nextPort + 1;
  }

  close(): void {
    for (const [key, flow] of [...this.#flows]) this.#drop(key, flow);
    for (const socket of this.#bound) socket.close();
    this.#callers.clear();
  }
}
