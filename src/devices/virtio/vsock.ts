// Socket device (virtio 1.2, section 5.10): streams between ports of the guest and of the host.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import type { VsockBackend, VsockEvents, VsockStream } from "../../vmm/vsock.ts";
import type { SavedState } from "../saved-state.ts";
import type { DescriptorChain } from "./chain.ts";
import { VirtioDevice } from "./device.ts";
import { CONNECTION_BUFFER_BYTES, VsockConnection } from "./vsock-connection.ts";
import {
  CID_HOST,
  OP_CREDIT_REQUEST,
  OP_CREDIT_UPDATE,
  OP_REQUEST,
  OP_RESPONSE,
  OP_RST,
  OP_RW,
  OP_SHUTDOWN,
  PACKET_HEADER_BYTES,
  PACKET_STREAM,
  type PacketHeader,
  readPacketHeader,
  SHUTDOWN_RECEIVE,
  SHUTDOWN_SEND,
  writePacketHeader,
} from "./vsock-packet.ts";

const TYPE_SOCKET = 19;
const RECEIVE = 0;
const TRANSMIT = 1;
const EVENT = 2;
const CONFIG_BYTES = 8;
const EVENT_TRANSPORT_RESET = 0;
const CONNECTIONS_MAX = 1024;
/** Answers that wait for buffers; beyond that the guest's packets wait too. */
const ANSWERS_MAX = 256;
const PAYLOAD_MAX = 64 * 1024;
/** Where ports for the host's own connections begin. */
const EPHEMERAL_PORT = 0x4000_0000;

export interface VirtioVsockOptions {
  /** From 3: 0 to 2 are taken by the specification. */
  readonly guestCid: number;
  readonly backend: VsockBackend;
}

type Answer = Pick<PacketHeader, "sourcePort" | "targetPort" | "op" | "flags">;

export class VirtioVsock extends VirtioDevice {
  readonly #backend: VsockBackend;
  readonly #guestCid: bigint;
  /** By guest and host port. */
  readonly #connections = new Map<string, VsockConnection>();
  #answers: Answer[] = [];
  #nextPort = EPHEMERAL_PORT;
  #resetPending = false;
  #pumping = false;
  /** Packets of the guest wait until it takes answers. */
  #stalled = false;
  #counts = { connections: 0, refused: 0, sentBytes: 0, receivedBytes: 0, malformed: 0 };

  constructor(name: string, memory: DmaMemory, options: VirtioVsockOptions) {
    super({ name, type: TYPE_SOCKET, queueSizes: [128, 128, 16], features: [], configBytes: CONFIG_BYTES }, memory);
    this.#backend = options.backend;
    this.#guestCid = BigInt(options.guestCid);
    this.config.setBigUint64(0, this.#guestCid, true);
  }

  // ---- for the host

  /** Connects to a port that a program of the guest listens on; `events` says when it is open, or closed again. */
  connect(guestPort: number, events: VsockEvents): VsockStream {
    do this.#nextPort = this.#nextPort === 0xffffffff ? EPHEMERAL_PORT : this.#nextPort + 1;
    while (this.#connections.has(key(guestPort, this.#nextPort)));
    const connection = this.#add(guestPort, this.#nextPort);
    connection.events = events;
    if (this.running) this.#control(connection, OP_REQUEST);
    else connection.close();
    return connection;
  }

  #add(guestPort: number, hostPort: number): VsockConnection {
    const connection = new VsockConnection(guestPort, hostPort, {
      control: (from, op, flags) => this.#control(from, op, flags),
      pump: () => this.#pump(),
      forget: (gone) => void this.#connections.delete(key(gone.guestPort, gone.hostPort)),
    });
    this.#connections.set(key(guestPort, hostPort), connection);
    this.#counts.connections++;
    return connection;
  }

  #control({ guestPort, hostPort }: VsockConnection, op: number, flags = 0): void {
    this.#answer({ sourcePort: hostPort, targetPort: guestPort, op, flags });
    this.#pump();
  }

  // ---- host to guest

  #answer(answer: Answer): void {
    this.#answers.push(answer);
  }

  /** Fills the guest's buffers: answers first, then data of each connection in turn. */
  #pump(): void {
    // Listeners called from here may write.
    if (this.#pumping || !this.running) return;
    this.#pumping = true;
    try {
      while (this.#answers.length > 0 && this.#sendPacket(this.#answers[0] as Answer, undefined)) this.#answers.shift();
      for (let more = this.#answers.length === 0; more; ) {
        more = false;
        for (const connection of [...this.#connections.values()]) {
          if (connection.sendable === 0) continue;
          const { hostPort, guestPort } = connection;
          const packet = { sourcePort: hostPort, targetPort: guestPort, op: OP_RW, flags: 0 };
          if (!this.#sendPacket(packet, connection)) break;
          more = true;
          connection.sentSome();
        }
      }
    } finally {
      this.#pumping = false;
    }
    this.flush(RECEIVE);
    const waits = this.#answers.length > 0 || [...this.#connections.values()].some(({ sendable }) => sendable > 0);
    this.queues[RECEIVE]?.wantKicks(waits);
  }

  /** False while the guest has no buffer. */
  #sendPacket(answer: Answer, data: VsockConnection | undefined): boolean {
    const chain = this.take(RECEIVE);
    if (chain === undefined) return false;
    if (
      chain.writableBytes <= PACKET_HEADER_BYTES &&
      (data !== undefined || chain.writableBytes < PACKET_HEADER_BYTES)
    ) {
      this.needsReset("a buffer without room for a packet");
      return false;
    }
    const payload = data?.take(Math.min(PAYLOAD_MAX, chain.writableBytes - PACKET_HEADER_BYTES));
    const connection = this.#connections.get(key(answer.targetPort, answer.sourcePort));
    connection?.told();
    const header = {
      ...answer,
      sourceCid: BigInt(CID_HOST),
      targetCid: this.#guestCid,
      lengthBytes: payload?.length ?? 0,
      type: PACKET_STREAM,
      bufferBytes: connection === undefined ? 0 : CONNECTION_BUFFER_BYTES,
      forwarded: connection?.forwarded ?? 0,
    };
    chain.write(writePacketHeader(header));
    if (payload !== undefined) this.#counts.receivedBytes += chain.write(payload);
    this.complete(RECEIVE, chain);
    return true;
  }

  // ---- guest to host

  override kicked(queue: number): void {
    if (queue === RECEIVE) {
      this.#pump();
      if (this.#stalled) this.#receivePackets();
    } else if (queue === TRANSMIT) this.#receivePackets();
    else this.#sendReset();
  }

  #receivePackets(): void {
    this.drain(TRANSMIT, (chain) => {
      this.#stalled = this.#answers.length >= ANSWERS_MAX;
      if (this.#stalled) return false;
      if (chain.readableBytes < PACKET_HEADER_BYTES) this.#counts.malformed++;
      else this.#packet(readPacketHeader(chain.readCopy(PACKET_HEADER_BYTES)), chain);
      this.complete(TRANSMIT, chain);
      return true;
    });
    this.#pump();
  }

  #packet(header: PacketHeader, chain: DescriptorChain): void {
    const { sourcePort, targetPort, op, lengthBytes } = header;
    if (
      header.sourceCid !== this.#guestCid ||
      header.targetCid !== BigInt(CID_HOST) ||
      lengthBytes > chain.unreadBytes
    ) {
      this.#counts.malformed++;
      return;
    }
    const connection = this.#connections.get(key(sourcePort, targetPort));
    connection?.credit(header.bufferBytes, header.forwarded);
    if (header.type !== PACKET_STREAM) this.#refuse(header);
    else if (op === OP_REQUEST) this.#accept(header);
    else if (op === OP_RST) connection?.close();
    else if (connection === undefined) this.#refuse(header);
    else if (op === OP_RESPONSE && !connection.established) connection.opened();
    else if (!connection.established) this.#refuse(header, connection);
    else if (op === OP_RW) this.#data(header, connection, chain);
    else if (op === OP_SHUTDOWN) this.#shutdown(header, connection);
    else if (op === OP_CREDIT_REQUEST) {
      this.#answer({ sourcePort: targetPort, targetPort: sourcePort, op: OP_CREDIT_UPDATE, flags: 0 });
    } else if (op !== OP_CREDIT_UPDATE) this.#refuse(header, connection);
  }

  #refuse({ sourcePort, targetPort, op }: PacketHeader, connection?: VsockConnection): void {
    this.#counts.refused++;
    connection?.close();
    // A reset answers everything but a reset.
    if (op !== OP_RST) this.#answer({ sourcePort: targetPort, targetPort: sourcePort, op: OP_RST, flags: 0 });
  }

  #accept(header: PacketHeader): void {
    const { sourcePort, targetPort } = header;
    const existing = this.#connections.get(key(sourcePort, targetPort));
    if (existing !== undefined || this.#connections.size >= CONNECTIONS_MAX) {
      this.#refuse(header, existing);
      return;
    }
    const connection = this.#add(sourcePort, targetPort);
    connection.credit(header.bufferBytes, header.forwarded);
    const events = this.#backend.connect(connection);
    if (events === undefined || connection.closed) {
      connection.close();
      this.#refuse(header);
      return;
    }
    connection.events = events;
    this.#answer({ sourcePort: targetPort, targetPort: sourcePort, op: OP_RESPONSE, flags: 0 });
    connection.opened();
  }

  #data(header: PacketHeader, connection: VsockConnection, chain: DescriptorChain): void {
    for (let left = header.lengthBytes; left > 0 && !connection.closed; ) {
      const bytes = chain.read(Math.min(left, PAYLOAD_MAX));
      left -= bytes.length;
      this.#counts.sentBytes += bytes.length;
      if (!connection.receive(bytes)) this.#refuse(header, connection);
    }
  }

  #shutdown(header: PacketHeader, connection: VsockConnection): void {
    if (header.flags & SHUTDOWN_SEND) connection.guestEnds();
    if ((header.flags & (SHUTDOWN_SEND | SHUTDOWN_RECEIVE)) !== (SHUTDOWN_SEND | SHUTDOWN_RECEIVE)) return;
    // The guest wants nothing more either way: a reset confirms it (5.10.6.6.1).
    this.#answer({ sourcePort: header.targetPort, targetPort: header.sourcePort, op: OP_RST, flags: 0 });
    connection.closedByGuest();
  }

  // ---- reset, save and load

  #closeAll(): void {
    for (const connection of [...this.#connections.values()]) connection.close();
    this.#answers = [];
    this.#stalled = false;
  }

  protected override stopped(): void {
    this.#closeAll();
    this.#resetPending = false;
  }

  /** Connections end with the machine that had them: after a load the guest is told so (5.10.6.7). */
  protected override unfinished(): readonly number[] {
    return this.running ? [EVENT] : [];
  }
  protected override saveDevice(): DeviceState {
    return { nextPort: this.#nextPort };
  }
  protected override loadDevice(saved: SavedState): void {
    this.#nextPort = saved.integer("nextPort");
    this.#resetPending = true;
  }

  #sendReset(): void {
    if (!this.#resetPending) return;
    const chain = this.take(EVENT);
    if (chain === undefined) return;
    this.#resetPending = false;
    chain.write(new Uint8Array(Uint32Array.of(EVENT_TRANSPORT_RESET).buffer));
    this.complete(EVENT, chain);
    this.flush(EVENT);
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    return { open: this.#connections.size, ...this.#counts };
  }

  override dispose(): void {
    this.#closeAll();
  }
}

function key(guestPort: number, hostPort: number): string {
  return `${guestPort}:${hostPort}`;
}
