// One stream connection of the socket device, seen from the host: what waits in each direction, and the credit that both
// sides give each other (virtio 1.2, 5.10.6.3).
import type { VsockEvents, VsockStream } from "../../vmm/vsock.ts";
import { ByteQueue } from "../byte-queue.ts";
import { OP_CREDIT_UPDATE, OP_RST, OP_SHUTDOWN, SHUTDOWN_RECEIVE, SHUTDOWN_SEND } from "./vsock-packet.ts";

/** What the guest may send before somebody takes it. */
export const CONNECTION_BUFFER_BYTES = 256 * 1024;

/** What a connection asks of the device. */
export interface ConnectionOwner {
  /** A packet without data, after what the connection has sent before. */
  control(connection: VsockConnection, op: number, flags?: number): void;
  /** Data waits to be sent. */
  pump(): void;
  forget(connection: VsockConnection): void;
}

export class VsockConnection implements VsockStream {
  events: VsockEvents = {};
  /** Both sides agreed. */
  established = false;
  closed = false;
  #outgoing: Uint8Array[] = [];
  #outgoingAt = 0;
  #wantsDrain = false;
  #ending = false;
  #endSent = false;
  #guestEnded = false;
  #endReported = false;
  readonly #incoming = new ByteQueue(CONNECTION_BUFFER_BYTES);
  #paused = false;
  /** Bytes sent and the guest's account of them; bytes taken from the guest, now and as last told. All free-running. */
  #sent = 0;
  #peerBuffer = 0;
  #peerForwarded = 0;
  forwarded = 0;
  #forwardedTold = 0;

  constructor(
    readonly guestPort: number,
    readonly hostPort: number,
    private readonly owner: ConnectionOwner,
  ) {}

  // ---- the host's end

  write(bytes: Uint8Array): boolean {
    if (this.closed || this.#ending || bytes.length === 0) return !this.closed;
    this.#outgoing.push(bytes.slice());
    this.owner.pump();
    this.#wantsDrain = this.#outgoing.length > 0;
    return !this.#wantsDrain;
  }
  end(): void {
    this.#ending = true;
    this.#finish();
  }
  destroy(): void {
    if (this.closed) return;
    this.owner.control(this, OP_RST);
    this.close();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#handOver();
  }

  // ---- sending

  /** Bytes that may go now. */
  get sendable(): number {
    if (!this.established || this.#outgoing.length === 0) return 0;
    const underWay = (this.#sent - this.#peerForwarded) >>> 0;
    return Math.max(0, this.#peerBuffer - underWay);
  }

  /** The next bytes, at most `most`, out of one piece; they count as sent. */
  take(most: number): Uint8Array {
    const first = this.#outgoing[0] as Uint8Array;
    const bytes = first.subarray(this.#outgoingAt, this.#outgoingAt + Math.min(most, this.sendable));
    this.#outgoingAt += bytes.length;
    this.#sent = (this.#sent + bytes.length) >>> 0;
    if (this.#outgoingAt === first.length) {
      this.#outgoing.shift();
      this.#outgoingAt = 0;
    }
    return bytes;
  }

  /** After data has gone: tells who waits for that. */
  sentSome(): void {
    if (this.#outgoing.length > 0) return;
    if (this.#wantsDrain) {
      this.#wantsDrain = false;
      this.events.drain?.();
    }
    this.#finish();
  }

  #finish(): void {
    if (!this.#ending || this.#endSent || this.#outgoing.length > 0 || this.closed || !this.established) return;
    this.#endSent = true;
    this.owner.control(this, OP_SHUTDOWN, this.#guestEnded ? SHUTDOWN_SEND | SHUTDOWN_RECEIVE : SHUTDOWN_SEND);
  }

  // ---- what came from the guest

  credit(bufferBytes: number, forwarded: number): void {
    this.#peerBuffer = bufferBytes;
    this.#peerForwarded = forwarded;
  }

  /** False if the guest sent more than it had credit for. */
  receive(bytes: Uint8Array): boolean {
    if (this.#incoming.length + bytes.length > CONNECTION_BUFFER_BYTES) return false;
    if (this.#paused || this.#incoming.length > 0) {
      this.#incoming.push(bytes);
      this.#handOver();
      return true;
    }
    this.#forward(bytes);
    return true;
  }

  guestEnds(): void {
    this.#guestEnded = true;
    this.#handOver();
  }

  #forward(bytes: Uint8Array): void {
    this.forwarded = (this.forwarded + bytes.length) >>> 0;
    this.events.data?.(bytes);
    const untold = (this.forwarded - this.#forwardedTold) >>> 0;
    if (untold >= CONNECTION_BUFFER_BYTES / 2 && !this.closed) this.owner.control(this, OP_CREDIT_UPDATE);
  }

  #handOver(): void {
    while (!this.#paused && this.#incoming.length > 0) this.#forward(this.#incoming.take(CONNECTION_BUFFER_BYTES / 4));
    if (this.#guestEnded && !this.#endReported && this.#incoming.length === 0) {
      this.#endReported = true;
      this.events.end?.();
      if (this.#endSent && !this.closed) this.owner.control(this, OP_SHUTDOWN, SHUTDOWN_SEND | SHUTDOWN_RECEIVE);
    }
  }

  /** A packet with our account of the guest's bytes goes out. */
  told(): void {
    this.#forwardedTold = this.forwarded;
  }

  opened(): void {
    this.established = true;
    this.events.open?.();
  }

  /** The guest has closed it: what it sent before is still handed over, paused or not. */
  closedByGuest(): void {
    this.resume();
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#outgoing = [];
    this.owner.forget(this);
    this.events.close?.();
  }
}
