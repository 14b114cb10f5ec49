// The receiving half of a TCP connection: what comes in order goes on, what comes early waits, within the window that was
// promised (RFC 9293, 3.8.6 and 3.10.7.4).
import { advance, distance } from "./tcp-segment.ts";

/** Pieces that came early. A guest that sends single bytes with holes between them cannot make more. */
const EARLY_MAX = 256;

interface Early {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export class TcpReceiver {
  #next: number;
  /** Behind the last byte that may come. */
  #edge: number;
  #early: Early[] = [];
  #earlyBytes = 0;
  #finAt: number | undefined;
  #finished = false;

  /** `first`: sequence number of the first byte. */
  constructor(
    first: number,
    private readonly capacity: number,
    private readonly mss: number,
  ) {
    this.#next = first;
    this.#edge = first;
  }

  get next(): number {
    return this.#next;
  }
  /** Everything up to the other side's end has come. */
  get finished(): boolean {
    return this.#finished;
  }
  get waitsForHole(): boolean {
    return this.#early.length > 0;
  }

  /** The window to promise where `held` bytes have not gone on yet; never less than was promised before. */
  window(held: number): number {
    const room = this.capacity - held;
    const promised = distance(this.#edge, this.#next);
    // By whole segments (RFC 9293, 3.8.6.2.2).
    if (room - promised >= Math.min(this.mss, this.capacity / 2)) this.#edge = advance(this.#next, room);
    return distance(this.#edge, this.#next);
  }

  /** What was promised last. */
  get promised(): number {
    return distance(this.#edge, this.#next);
  }

  /** Whether a segment of `length` numbers lies in the window, if only in part. */
  acceptable(sequence: number, length: number): boolean {
    const window = this.promised;
    const from = distance(sequence, this.#next);
    if (length === 0) return from >= 0 && from <= window;
    return from < Math.max(1, window) && from + length > 0;
  }

  /** Bytes that are in order now, copied. */
  accept(sequence: number, payload: Uint8Array, fin: boolean): Uint8Array[] {
    let from = distance(sequence, this.#next);
    let data = payload;
    let isEnd = fin;
    if (from < 0) {
      data = data.subarray(Math.min(data.length, -from));
      // The end may be old too.
      if (fin && from + payload.length < 0) isEnd = false;
      from = 0;
    }
    const room = this.promised - from;
    if (data.length > room) {
      data = data.subarray(0, Math.max(0, room));
      isEnd = false;
    }
    const start = advance(this.#next, from);
    if (isEnd && this.#finAt === undefined) this.#finAt = advance(start, data.length);
    if (from > 0) {
      this.#keep(start, data);
      return [];
    }
    const inOrder: Uint8Array[] = [];
    this.#take(data, inOrder);
    this.#takeEarly(inOrder);
    if (this.#finAt === this.#next && !this.#finished) {
      this.#finished = true;
      this.#next = advance(this.#next, 1);
      this.#early = [];
    }
    return inOrder;
  }

  #take(data: Uint8Array, into: Uint8Array[]): void {
    if (data.length === 0 || this.#finished) return;
    into.push(data.slice());
    this.#next = advance(this.#next, data.length);
    // The promise was for these bytes too.
    if (distance(this.#edge, this.#next) < 0) this.#edge = this.#next;
  }

  #keep(sequence: number, data: Uint8Array): void {
    if (data.length === 0 || this.#early.length >= EARLY_MAX) return;
    if (this.#earlyBytes + data.length > this.capacity) return;
    if (this.#early.some((piece) => piece.sequence === sequence && piece.data.length >= data.length)) return;
    this.#early.push({ sequence, data: data.slice() });
    this.#earlyBytes += data.length;
  }

  #takeEarly(into: Uint8Array[]): void {
    if (this.#early.length === 0) return;
    this.#early.sort((a, b) => distance(a.sequence, b.sequence));
    while (this.#early.length > 0) {
      const { sequence, data } = this.#early[0] as Early;
      const known = distance(this.#next, sequence);
      if (known < 0) return;
      this.#early.shift();
      this.#earlyBytes -= data.length;
      this.#take(data.subarray(Math.min(known, data.length)), into);
    }
  }
}
