// The guest's end of a TCP connection, as simple as one can be: one segment at a time, everything kept, sent again until it
// is acknowledged. Written for itself, so that it can say whether ours is right.
import { ACK, FIN, PSH, RST, SYN, type TcpSegment } from "../../../src/backends/network/user/tcp-segment.ts";
import { GATEWAY, type UserGuest } from "./user-guest.ts";

const FIRST = 0xffff_ff00;

export class SmallTcp {
  readonly received: number[] = [];
  hasEnded = false;
  wasReset = false;
  isOpen = false;
  /** Acknowledged by the other side. */
  #acknowledged = 0;
  #next: number | undefined;
  window = 8000;

  constructor(
    private readonly guest: UserGuest,
    private readonly port: number,
    private readonly data: Uint8Array,
    private readonly segmentBytes: number,
    private readonly target = GATEWAY,
    private readonly targetPort = 80,
  ) {}

  get isDone(): boolean {
    return this.hasEnded && this.#acknowledged > this.data.length;
  }

  /** What is not acknowledged goes again. */
  poll(): void {
    if (this.wasReset) return;
    if (!this.isOpen) {
      this.#send(FIRST, SYN, new Uint8Array(0));
      return;
    }
    const end = Math.min(this.data.length, this.#acknowledged + this.segmentBytes);
    const fin = this.#acknowledged >= this.data.length && this.#acknowledged <= this.data.length;
    if (this.#acknowledged < this.data.length)
      this.#send(FIRST + 1 + this.#acknowledged, ACK | PSH, this.data.subarray(this.#acknowledged, end));
    else if (fin) this.#send(FIRST + 1 + this.data.length, ACK | FIN, new Uint8Array(0));
    else this.#acknowledge();
  }

  /** A segment of the other side's. */
  input(segment: TcpSegment): void {
    if (segment.targetPort !== this.port) return;
    const { flags, sequence, acknowledgement, payload } = segment;
    if (flags & RST) {
      this.wasReset = true;
      return;
    }
    if (flags & SYN) {
      if (acknowledgement !== (FIRST + 1) >>> 0) throw new Error("another SYN was acknowledged");
      this.#next ??= (sequence + 1) >>> 0;
      this.isOpen = true;
      this.#acknowledge();
      return;
    }
    if (this.#next === undefined) return;
    const acknowledged = (acknowledgement - FIRST - 1) >>> 0;
    if (acknowledged > this.data.length + 1) throw new Error(`bytes were acknowledged that were never sent`);
    this.#acknowledged = Math.max(this.#acknowledged, acknowledged);
    const behind = (this.#next - sequence) | 0;
    if (payload.length === 0 && !(flags & FIN)) return;
    if (behind >= 0 && !this.hasEnded) {
      const fresh = payload.subarray(behind);
      for (const byte of fresh) this.received.push(byte);
      this.#next = (this.#next + fresh.length) >>> 0;
      if (flags & FIN && behind <= payload.length) {
        this.hasEnded = true;
        this.#next = (this.#next + 1) >>> 0;
      }
    }
    this.#acknowledge();
  }

  #acknowledge(): void {
    this.#send(FIRST + 1 + this.#acknowledged, ACK, new Uint8Array(0));
  }

  reset(): void {
    this.#send(FIRST + 1 + this.#acknowledged, RST | ACK, new Uint8Array(0));
  }

  #send(sequence: number, flags: number, payload: Uint8Array): void {
    this.guest.sendTcp(
      { sourcePort: this.port, target: this.target, targetPort: this.targetPort },
      {
        sequence: sequence >>> 0,
        acknowledgement: this.#next ?? 0,
        flags,
        window: this.window,
        payload,
        ...(flags & SYN ? { mss: 1000 } : {}),
      },
    );
  }
}
