// The sending half of a TCP connection: what waits, what is on its way, and what must go again (RFC 9293, 3.8; RFC 6298;
// RFC 5681; RFC 6582).
import { ByteStream } from "./byte-stream.ts";
import { advance, distance } from "./tcp-segment.ts";

const RTO_FIRST_NS = 1e9;
const RTO_MIN_NS = 200e6;
const RTO_MAX_NS = 60e9;
/** Without an answer to so many a connection is dead: some minutes. */
const RETRIES_MAX = 10;
const DUPLICATES = 3;
/** RFC 6928. */
const FIRST_SEGMENTS = 10;
/** A card has room for a few hundred frames: more at a time would be lost in it. */
const CONGESTION_MAX_BYTES = 192 * 1024;

/** Sends a segment with these bytes; `fin`: and the end. */
export type EmitData = (sequence: number, payload: Uint8Array, push: boolean, fin: boolean) => void;

export class TcpSender {
  readonly #waiting = new ByteStream();
  #finQueued = false;
  #finAcknowledged = false;
  /** First byte not acknowledged, next to send, and behind the last ever sent. */
  #una: number;
  #next: number;
  #max: number;
  #window = 0;
  #congestion: number;
  #threshold = CONGESTION_MAX_BYTES;
  #duplicates = 0;
  /** While segments were lost: what had been sent when that was noticed. */
  #recover: number | undefined;
  #rtoNs = RTO_FIRST_NS;
  #smoothedNs = 0;
  #variationNs = 0;
  #timed: { readonly sequence: number; readonly atNs: number } | undefined;
  #retries = 0;
  /** When to send again, or to ask whether there is a window. */
  deadlineNs = Number.POSITIVE_INFINITY;
  retransmissions = 0;

  /** `first`: sequence number of the first byte. */
  constructor(
    first: number,
    private readonly mss: number,
    private readonly emit: EmitData,
  ) {
    this.#una = first;
    this.#next = first;
    this.#max = first;
    this.#congestion = FIRST_SEGMENTS * mss;
  }

  get waitingBytes(): number {
    return this.#waiting.length;
  }
  get next(): number {
    return this.#next;
  }
  /** Behind everything that was sent. */
  get highest(): number {
    return this.#max;
  }
  get finished(): boolean {
    return this.#finAcknowledged;
  }

  /** Keeps the bytes. */
  push(bytes: Uint8Array): void {
    if (!this.#finQueued) this.#waiting.push(bytes);
  }

  end(): void {
    this.#finQueued = true;
  }

  /** Takes over what another one has not begun to send. */
  adopt(other: TcpSender): void {
    this.#waiting.push(other.#waiting.copy(0, other.#waiting.length));
    this.#finQueued = other.#finQueued;
  }

  /** Sends what windows allow. */
  transmit(nowNs: number): void {
    while (this.#transmitOne(nowNs));
    if (this.deadlineNs !== Number.POSITIVE_INFINITY) return;
    const unsent = this.#waiting.length > this.#inFlight;
    if (this.#inFlight > 0 || (unsent && !this.#finAcknowledged)) this.deadlineNs = nowNs + this.#rtoNs;
  }

  #transmitOne(nowNs: number): boolean {
    const inFlight = this.#inFlight;
    const unsent = this.#waiting.length - inFlight;
    if (unsent > 0) {
      const usable = Math.min(this.#window, this.#congestion) - inFlight;
      const size = Math.min(unsent, this.mss, usable);
      if (size <= 0) return false;
      // A piece where a whole segment will do soon is not worth it (RFC 1122, 4.2.3.4).
      if (size < this.mss && size < unsent && inFlight > 0) return false;
      this.#send(inFlight, size, nowNs);
      return true;
    }
    // The end needs no window of its own.
    if (!this.#finQueued || this.#finAcknowledged || unsent < 0) return false;
    this.#send(inFlight, 0, nowNs);
    return true;
  }

  /** What has been sent and not acknowledged; the end counts as a byte. */
  get #inFlight(): number {
    return distance(this.#next, this.#una);
  }

  #send(offset: number, size: number, nowNs: number): void {
    const last = offset + size === this.#waiting.length;
    const fin = last && this.#finQueued;
    const fresh = this.#next === this.#max;
    if (fresh && this.#timed === undefined && size > 0) this.#timed = { sequence: this.#next, atNs: nowNs };
    if (!fresh) this.retransmissions++;
    const sequence = this.#next;
    this.#next = advance(sequence, size + (fin ? 1 : 0));
    if (distance(this.#next, this.#max) > 0) this.#max = this.#next;
    this.emit(sequence, this.#waiting.copy(offset, size), last, fin);
  }

  /** An acknowledgement of the other side. False where it is for what was never sent. `bare`: nothing else was in the segment. */
  acknowledged(acknowledgement: number, window: number, bare: boolean, nowNs: number): boolean {
    if (distance(acknowledgement, this.#max) > 0) return false;
    const count = distance(acknowledgement, this.#una);
    if (count < 0) return true;
    if (count > 0) this.#progress(acknowledgement, count, nowNs);
    else if (bare && window === this.#window && this.#inFlight > 0 && window > 0) this.#duplicate();
    // Somebody is there, if only without a window.
    if (this.#window === 0) this.#retries = 0;
    if (this.#window === 0 && window > 0) this.deadlineNs = Number.POSITIVE_INFINITY;
    this.#window = window;
    return true;
  }

  #progress(acknowledgement: number, count: number, nowNs: number): void {
    const bytes = Math.min(count, this.#waiting.length);
    this.#finAcknowledged ||= count > bytes;
    this.#waiting.drop(bytes);
    this.#una = acknowledgement;
    if (distance(this.#next, acknowledgement) < 0) this.#next = acknowledgement;
    this.#retries = 0;
    if (this.#timed !== undefined && distance(acknowledgement, this.#timed.sequence) > 0) {
      this.#measured(nowNs - this.#timed.atNs);
      this.#timed = undefined;
    }
    this.#duplicates = 0;
    if (this.#recover === undefined) {
      // Slow start, then a segment a round trip (RFC 5681, 3.1).
      const more =
        this.#congestion < this.#threshold ? Math.min(count, 2 * this.mss) : (this.mss * this.mss) / this.#congestion;
      this.#congestion = Math.min(CONGESTION_MAX_BYTES, this.#congestion + more);
    } else if (distance(acknowledgement, this.#recover) >= 0) {
      this.#congestion = this.#threshold;
      this.#recover = undefined;
    } else {
      // The next hole (RFC 6582, 3.2).
      this.#congestion = Math.max(this.mss, this.#congestion - count + this.mss);
      this.#again();
    }
    this.deadlineNs = this.#inFlight > 0 ? nowNs + this.#rtoNs : Number.POSITIVE_INFINITY;
  }

  #measured(roundTripNs: number): void {
    if (this.#smoothedNs === 0) {
      this.#smoothedNs = roundTripNs;
      this.#variationNs = roundTripNs / 2;
    } else {
      this.#variationNs = 0.75 * this.#variationNs + 0.25 * Math.abs(this.#smoothedNs - roundTripNs);
      this.#smoothedNs = 0.875 * this.#smoothedNs + 0.125 * roundTripNs;
    }
    this.#rtoNs = Math.min(RTO_MAX_NS, Math.max(RTO_MIN_NS, this.#smoothedNs + 4 * this.#variationNs));
  }

  #duplicate(): void {
    this.#duplicates++;
    if (this.#recover !== undefined) {
      this.#congestion = Math.min(CONGESTION_MAX_BYTES, this.#congestion + this.mss);
    } else if (this.#duplicates === DUPLICATES) {
      this.#recover = this.#max;
      this.#threshold = Math.max(this.#inFlight / 2, 2 * this.mss);
      this.#congestion = this.#threshold + DUPLICATES * this.mss;
      this.#again();
    }
  }

  /** The first segment that is not acknowledged, once more. */
  #again(): void {
    this.#timed = undefined;
    this.retransmissions++;
    const size = Math.min(this.mss, this.#waiting.length);
    const last = size === this.#waiting.length;
    const fin = last && this.#finQueued && this.#inFlight > size;
    this.emit(this.#una, this.#waiting.copy(0, size), last, fin);
  }

  /** The deadline has come. False: the other side is gone. */
  timeout(nowNs: number): boolean {
    if (nowNs < this.deadlineNs) return true;
    this.deadlineNs = Number.POSITIVE_INFINITY;
    if (this.#inFlight === 0 && this.#waiting.length === 0 && !this.#finQueued) return true;
    if (++this.#retries > RETRIES_MAX) return false;
    this.#timed = undefined;
    this.#rtoNs = Math.min(RTO_MAX_NS, 2 * this.#rtoNs);
    this.deadlineNs = nowNs + this.#rtoNs;
    if (this.#window === 0 && this.#waiting.length > 0) {
      // A byte beyond the window asks how large it is (RFC 9293, 3.8.6.1).
      if (this.#inFlight === 0) this.#next = advance(this.#una, 1);
      if (distance(this.#next, this.#max) > 0) this.#max = this.#next;
      this.emit(this.#una, this.#waiting.copy(0, 1), true, false);
      return true;
    }
    this.#threshold = Math.max(this.#inFlight / 2, 2 * this.mss);
    this.#congestion = this.mss;
    this.#recover = undefined;
    this.#duplicates = 0;
    this.#next = this.#una;
    this.#transmitOne(nowNs);
    return true;
  }
}
