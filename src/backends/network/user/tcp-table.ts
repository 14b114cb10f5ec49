// The TCP connections of a user network: which segment belongs to which, who may connect where, ports of the host that lead
// to guests.
import type { HostSockets, Listener } from "./host-sockets.ts";
import type { CheckedForward } from "./settings.ts";
import { TcpConnection } from "./tcp-connection.ts";
import type { OpenStream, TcpOpening, TcpOwner } from "./tcp-owner.ts";
import {
  ACK,
  advance,
  FIN,
  type OutgoingSegment,
  RST,
  readTcp,
  SYN,
  type TcpEnds,
  type TcpSegment,
  tcpFrame,
} from "./tcp-segment.ts";

const CONNECTIONS_MAX = 512;
/** Beyond so many each one gets less room. */
const CONNECTIONS_ROOMY = 64;
const RECEIVE_ROOMY_BYTES = 256 * 1024;
const RECEIVE_BYTES = 64 * 1024;
/** How long a connection must have been silent to make room for a new one. */
const IDLE_NS = 60e9;
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

export interface TcpTableParts {
  readonly sockets: HostSockets;
  readonly mss: number;
  nowNs(): number;
  /** 32 random bits, for first sequence numbers. */
  random(): number;
  /** Sends a frame whose Ethernet header is still empty. */
  output(target: number, frame: Uint8Array): void;
  nextId(): number;
  /** The time at which `timeout` is to be called has come nearer. */
  deadline(atNs: number): void;
  /** Begins to connect on the host's side; undefined where the guest may not go there. */
  route(address: number, port: number): OpenStream | undefined;
  /** As whose address connections from outside show themselves. */
  readonly gateway: number;
}

interface Entry {
  readonly key: string;
  /** As seen from our side: source is the far end. */
  readonly ends: TcpEnds;
}

export class TcpTable {
  readonly #connections = new Map<string, TcpConnection>();
  readonly #entries = new Map<TcpConnection, Entry>();
  readonly #owner: TcpOwner;
  readonly #listeners: Listener[] = [];
  #nextPort = FIRST_PORT;
  readonly counts = { opened: 0, refused: 0, forwarded: 0, malformed: 0, sentBytes: 0, receivedBytes: 0 };

  constructor(private readonly parts: TcpTableParts) {
    this.#owner = {
      nowNs: () => parts.nowNs(),
      emit: (connection, segment) => {
        const entry = this.#entries.get(connection);
        if (entry !== undefined) this.#send(entry.ends, segment);
      },
      deadline: (atNs) => parts.deadline(atNs),
      closed: (connection) => this.#forget(connection),
    };
  }

  get size(): number {
    return this.#connections.size;
  }

  /** A packet of a guest. */
  input(source: number, target: number, bytes: Uint8Array): void {
    const segment = readTcp(bytes, source, target);
    if (segment === undefined) {
      this.counts.malformed++;
      return;
    }
    this.counts.receivedBytes += segment.payload.length;
    const ends = { source: target, sourcePort: segment.targetPort, target: source, targetPort: segment.sourcePort };
    const key = keyOf(ends);
    const known = this.#connections.get(key);
    const opens = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (known !== undefined && !(opens && known.state === "time-wait")) {
      known.segment(segment);
      return;
    }
    // The old one is over, and the guest has use for its ports (RFC 9293, 3.6.1).
    if (known !== undefined) this.#forget(known);
    if (opens) this.#open(key, ends, segment);
    else if (!(segment.flags & RST)) this.#refuse(ends, segment);
  }

  #open(key: string, ends: TcpEnds, syn: TcpSegment): void {
    const connect = this.parts.route(ends.source, ends.sourcePort);
    if (connect === undefined || !this.#makeRoom()) {
      this.counts.refused++;
      this.#refuse(ends, syn);
      return;
    }
    this.counts.opened++;
    this.#add({ key, ends }, TcpConnection.fromGuest(this.#owner, this.#opening(), syn, connect));
  }

  /** Makes connections to a port of the host go to a guest. Rejects with VmError("host") where the port cannot be had. */
  async forward(forward: CheckedForward): Promise<Listener> {
    const { hostAddress, hostPort, guestAddress, guestPort } = forward;
    const listener = await this.parts.sockets.listenTcp(hostAddress, hostPort, (open) => {
      const ends = this.#freeEnds(guestAddress, guestPort);
      if (ends === undefined || !this.#makeRoom()) return false;
      this.counts.forwarded++;
      this.#add({ key: keyOf(ends), ends }, TcpConnection.toGuest(this.#owner, this.#opening(), open));
      return true;
    });
    this.#listeners.push(listener);
    return listener;
  }

  /** Looks after connections that are due; returns when the next one will be. */
  timeout(nowNs: number): number {
    for (const connection of [...this.#connections.values()])
      if (connection.deadlineNs <= nowNs) connection.timeout(nowNs);
    let next = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections.values()) next = Math.min(next, connection.deadlineNs);
    return next;
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
    for (const connection of [...this.#connections.values()]) connection.abort();
  }

  // ---- inside

  #add(entry: Entry, connection: TcpConnection): void {
    this.#connections.set(entry.key, connection);
    this.#entries.set(connection, entry);
    connection.begin();
  }

  #opening(): TcpOpening {
    const roomy = this.#connections.size < CONNECTIONS_ROOMY;
    return {
      initialSequence: this.parts.random(),
      mss: this.parts.mss,
      receiveBytes: roomy ? RECEIVE_ROOMY_BYTES : RECEIVE_BYTES,
    };
  }

  /** False where every connection is in use. */
  #makeRoom(): boolean {
    if (this.#connections.size < CONNECTIONS_MAX) return true;
    let idlest: TcpConnection | undefined;
    for (const connection of this.#connections.values()) {
      if (connection.state === "time-wait") {
        this.#forget(connection);
        return true;
      }
      if (idlest === undefined || connection.usedNs < idlest.usedNs) idlest = connection;
    }
    if (idlest === undefined || this.parts.nowNs() - idlest.usedNs < IDLE_NS) return false;
    idlest.abort();
    return true;
  }

  #forget(connection: TcpConnection): void {
    const entry = this.#entries.get(connection);
    this.#entries.delete(connection);
    if (entry !== undefined && this.#connections.get(entry.key) === connection) this.#connections.delete(entry.key);
  }

  /** A port of the gateway from which nobody talks to that port of the guest. */
  #freeEnds(target: number, targetPort: number): TcpEnds | undefined {
    for (let tries = 0; tries <= CONNECTIONS_MAX; tries++) {
      const ends = { source: this.parts.gateway, sourcePort: this.#nextPort, target, targetPort };
      this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_PORT : this.#nextPort + 1;
      if (!this.#connections.has(keyOf(ends))) return ends;
    }
    return undefined;
  }

  /** For a segment that belongs to nothing (RFC 9293, 3.10.7.1). */
  #refuse(ends: TcpEnds, segment: TcpSegment): void {
    const { flags, sequence, acknowledgement, payload } = segment;
    const length = payload.length + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
    this.#send(ends, {
      sequence: flags & ACK ? acknowledgement : 0,
      acknowledgement: flags & ACK ? 0 : advance(sequence, length),
      flags: flags & ACK ? RST : RST | ACK,
      window: 0,
      payload: new Uint8Array(0),
    });
  }

  #send(ends: TcpEnds, segment: OutgoingSegment): void {
    this.counts.sentBytes += segment.payload.length;
    this.parts.output(ends.target, tcpFrame(ends, segment, this.parts.nextId()));
  }
}

function keyOf({ source, sourcePort, target, targetPort }: TcpEnds): string {
  return `${source}:${sourcePort} ${target}:${targetPort}`;
}
