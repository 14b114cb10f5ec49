// One TCP connection of a guest, of which the gateway is the other end; behind it is a stream of the host (RFC 9293).
//
// A guest's SYN is answered once the host's connection stands: "refused" reaches the guest as what it is.
import type { SocketFailure, TcpEvents, TcpStream } from "./host-sockets.ts";
import type { OpenStream, TcpOpening, TcpOwner, TcpState } from "./tcp-owner.ts";
import { TcpReceiver } from "./tcp-receiver.ts";
import { ACK, advance, FIN, PSH, RST, SYN, type TcpSegment } from "./tcp-segment.ts";
import { TcpSender } from "./tcp-sender.ts";

const MSS_MIN = 64;
/** Where the guest names none (RFC 9293, 3.7.1). */
const MSS_DEFAULT = 536;
/** What a host may have sent that the guest has not taken: it is not read beyond. */
const SEND_HIGH_BYTES = 256 * 1024;
const SEND_LOW_BYTES = 128 * 1024;
const WINDOW_SCALE = 3;
const WINDOW_MAX = 0xffff;
const SYN_RETRY_NS = 1e9;
const SYN_RETRIES_MAX = 5;
/** RFC 1122, 4.2.3.2 allows half a second. */
const DELAYED_ACK_NS = 40e6;
/** Long enough for another FIN of the guest; both ends of the link are in one machine. */
const TIME_WAIT_NS = 2e9;

export class TcpConnection implements TcpEvents {
  state: TcpState;
  /** Undefined once the host's side is over. */
  #stream: TcpStream | undefined;
  #receiver: TcpReceiver | undefined;
  #sender: TcpSender;
  readonly #first: number;
  #mss: number;
  /** How far the guest's window counts are shifted; undefined while it is not known that both sides do so. */
  #guestScale: number | undefined;
  #reading = true;
  /** The host's side sends no more. */
  #over = false;
  /** The guest had sent all before our side was at its end: the last word is its own. */
  #guestEndedFirst = false;
  #unacknowledgedBytes = 0;
  #ackAtNs = Number.POSITIVE_INFINITY;
  #synAtNs = Number.POSITIVE_INFINITY;
  #synRetries = 0;
  #goneAtNs = Number.POSITIVE_INFINITY;
  #syn: TcpSegment | undefined;
  /** Of the last packet in either direction. */
  usedNs: number;

  private constructor(
    private readonly owner: TcpOwner,
    private readonly opening: TcpOpening,
    state: TcpState,
    private readonly open: OpenStream,
  ) {
    this.state = state;
    this.#first = opening.initialSequence;
    this.#mss = opening.mss;
    this.#sender = this.#makeSender();
    this.usedNs = owner.nowNs();
  }

  /** The guest's SYN has come; `connect` begins to connect on the host's side. */
  static fromGuest(owner: TcpOwner, opening: TcpOpening, syn: TcpSegment, connect: OpenStream): TcpConnection {
    const connection = new TcpConnection(owner, opening, "connecting", connect);
    connection.#learn(syn);
    return connection;
  }

  /** Somebody has connected on the host's side. */
  static toGuest(owner: TcpOwner, opening: TcpOpening, open: OpenStream): TcpConnection {
    return new TcpConnection(owner, opening, "syn-sent", open);
  }

  /** Once its owner knows it. */
  begin(): void {
    const stream = this.open(this);
    if ((this.state as TcpState) === "closed") stream.reset();
    else this.#stream = stream;
    if (this.state === "syn-sent") this.#sendSyn();
  }

  get deadlineNs(): number {
    return Math.min(this.#sender.deadlineNs, this.#ackAtNs, this.#synAtNs, this.#goneAtNs);
  }
  get heldBytes(): number {
    return this.#sender.waitingBytes + (this.#stream?.waitingBytes ?? 0);
  }
  get retransmissions(): number {
    return this.#sender.retransmissions;
  }

  // ---- from the host's side

  connected(): void {
    if (this.state !== "connecting") return;
    this.state = "syn-received";
    this.#sendSyn();
  }

  data(bytes: Uint8Array): void {
    if (this.state === "closed") return;
    this.#sender.push(bytes);
    if (this.#reading && this.#sender.waitingBytes > SEND_HIGH_BYTES) {
      this.#reading = false;
      this.#stream?.setReading(false);
    }
    this.#transmit();
  }

  ended(): void {
    if (this.state === "closed") return;
    if (this.#over) return;
    this.#over = true;
    this.#guestEndedFirst = this.#receiver?.finished ?? false;
    this.#sender.end();
    this.#transmit();
  }

  drained(): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.state !== "established") return;
    const before = receiver.promised;
    if (receiver.window(this.#stream?.waitingBytes ?? 0) > before && before < 2 * this.#mss) this.#sendAck();
  }

  closed(failure: SocketFailure | undefined): void {
    if (this.state === "closed") return;
    this.#stream = undefined;
    if (failure !== undefined) this.#abort();
    else if (this.state === "connecting" || this.state === "syn-sent") this.#abort();
    else this.ended();
  }

  // ---- from the guest

  segment(segment: TcpSegment): void {
    this.usedNs = this.owner.nowNs();
    switch (this.state) {
      case "connecting":
        // Its SYN again is answered when the host's side has been.
        if (segment.flags & RST) this.#leave();
        return;
      case "syn-sent":
        this.#answered(segment);
        return;
      case "closed":
        return;
      default:
        this.#synchronized(segment);
    }
  }

  /** SYN-ACK of a connection that the host's side began. */
  #answered(segment: TcpSegment): void {
    const { flags } = segment;
    if (!(flags & ACK)) return;
    if (segment.acknowledgement !== advance(this.#first, 1)) {
      if (!(flags & RST)) this.#emit(segment.acknowledgement, RST, new Uint8Array(0));
      return;
    }
    if (flags & RST) {
      this.#leave();
      return;
    }
    if (!(flags & SYN)) return;
    this.#learn(segment);
    this.#establish(segment);
    this.#sendAck();
  }

  #synchronized(segment: TcpSegment): void {
    const receiver = this.#receiver as TcpReceiver;
    const { flags, sequence, payload } = segment;
    const length = payload.length + (flags & FIN ? 1 : 0) + (flags & SYN ? 1 : 0);
    if (this.state === "syn-received" && flags & SYN && !(flags & ACK)) {
      // Our SYN-ACK was lost.
      if (advance(sequence, 1) === receiver.next) this.#sendSyn();
      return;
    }
    if (!receiver.acceptable(sequence, length)) {
      if (!(flags & RST)) this.#sendAck();
      return;
    }
    if (flags & RST) {
      // Anything but the exact number may be a guess (RFC 5961, 3.2).
      if (sequence === receiver.next) this.#leave();
      else this.#sendAck();
      return;
    }
    if (flags & SYN) {
      this.#sendAck();
      return;
    }
    if (!(flags & ACK)) return;
    if (this.state === "syn-received") {
      if (segment.acknowledgement !== advance(this.#first, 1)) {
        this.#emit(segment.acknowledgement, RST, new Uint8Array(0));
        return;
      }
      this.#establish(segment);
    }
    const now = this.owner.nowNs();
    if (!this.#sender.acknowledged(segment.acknowledgement, this.#windowOf(segment), length === 0, now)) {
      this.#sendAck();
      return;
    }
    if (length > 0) this.#receive(segment, receiver);
    // The host's side may have failed meanwhile.
    if ((this.state as TcpState) === "closed") return;
    this.#transmit();
    this.#read();
    this.#finish();
  }

  #establish(segment: TcpSegment): void {
    this.state = "established";
    this.#synAtNs = Number.POSITIVE_INFINITY;
    const now = this.owner.nowNs();
    const window = segment.flags & SYN ? segment.window : this.#windowOf(segment);
    this.#sender.acknowledged(segment.acknowledgement, window, false, now);
    this.#transmit();
  }

  #receive(segment: TcpSegment, receiver: TcpReceiver): void {
    const { payload, flags, sequence } = segment;
    const wasFinished = receiver.finished;
    const before = receiver.next;
    const data = receiver.accept(sequence, payload, (flags & FIN) !== 0);
    for (const bytes of data) {
      if (this.#stream === undefined) {
        // Nobody is there to read it.
        this.#abort();
        return;
      }
      this.#stream.write(bytes);
    }
    if (receiver.finished && !wasFinished) this.#stream?.end();
    if ((this.state as TcpState) === "closed") return;
    this.#unacknowledgedBytes += payload.length;
    const soon = flags & (FIN | PSH) || receiver.waitsForHole || receiver.next === before;
    if (soon || this.#unacknowledgedBytes >= 2 * this.#mss) this.#sendAck();
    else {
      this.#ackAtNs = Math.min(this.#ackAtNs, this.owner.nowNs() + DELAYED_ACK_NS);
      this.#rearm();
    }
  }

  // ---- time

  /** Something is due, perhaps. */
  timeout(nowNs: number): void {
    if (nowNs >= this.#goneAtNs) {
      this.#leave();
      return;
    }
    if (nowNs >= this.#synAtNs) {
      if (++this.#synRetries > SYN_RETRIES_MAX) {
        this.#abort();
        return;
      }
      this.#sendSyn();
    }
    if (nowNs >= this.#ackAtNs) this.#sendAck();
    if (this.state === "established" && !this.#sender.timeout(nowNs)) {
      this.#abort();
      return;
    }
    this.#rearm();
  }

  /** Ends it, telling both sides. */
  abort(): void {
    this.#abort();
  }

  // ---- inside

  #learn(syn: TcpSegment): void {
    this.#syn = syn;
    this.#mss = Math.max(MSS_MIN, Math.min(this.opening.mss, syn.mss ?? MSS_DEFAULT));
    this.#guestScale = syn.windowScale;
    this.#receiver = new TcpReceiver(advance(syn.sequence, 1), this.#capacity, this.#mss);
    this.#receiver.window(0);
    const before = this.#sender;
    this.#sender = this.#makeSender();
    // What the host said before the guest had answered.
    this.#sender.adopt(before);
  }

  #makeSender(): TcpSender {
    return new TcpSender(advance(this.#first, 1), this.#mss, (sequence, payload, push, fin) =>
      this.#emit(sequence, ACK | (push && payload.length > 0 ? PSH : 0) | (fin ? FIN : 0), payload),
    );
  }

  /** Without a scale a window is 64 KiB at most. */
  get #capacity(): number {
    return this.#guestScale === undefined ? Math.min(WINDOW_MAX, this.opening.receiveBytes) : this.opening.receiveBytes;
  }

  #windowOf(segment: TcpSegment): number {
    return segment.window << (this.#guestScale ?? 0);
  }

  #transmit(): void {
    if (this.state === "established") this.#sender.transmit(this.owner.nowNs());
    this.#rearm();
  }

  /** Goes on reading the host's side once the guest has taken enough. */
  #read(): void {
    if (this.#reading || this.#sender.waitingBytes > SEND_LOW_BYTES) return;
    this.#reading = true;
    this.#stream?.setReading(true);
  }

  #finish(): void {
    if (this.state !== "established" || !this.#receiver?.finished || !this.#sender.finished) return;
    if (this.#guestEndedFirst) {
      this.#leave();
      return;
    }
    this.state = "time-wait";
    this.#goneAtNs = this.owner.nowNs() + TIME_WAIT_NS;
    this.#rearm();
  }

  #sendSyn(): void {
    this.#synAtNs = this.owner.nowNs() + SYN_RETRY_NS * 2 ** this.#synRetries;
    const answers = this.state === "syn-received";
    const scales = !answers || this.#guestScale !== undefined;
    this.owner.emit(this, {
      sequence: this.#first,
      acknowledgement: answers ? (this.#receiver?.next ?? 0) : 0,
      flags: answers ? SYN | ACK : SYN,
      // Windows of SYNs are never scaled.
      window: Math.min(WINDOW_MAX, this.#receiver?.promised ?? this.opening.receiveBytes),
      payload: new Uint8Array(0),
      mss: this.opening.mss,
      windowScale: scales ? WINDOW_SCALE : undefined,
    });
    this.#rearm();
  }

  #sendAck(): void {
    this.#emit(this.#sender.highest, ACK, new Uint8Array(0));
  }

  #emit(sequence: number, flags: number, payload: Uint8Array): void {
    const receiver = this.#receiver;
    const scale = this.#guestScale === undefined ? 0 : WINDOW_SCALE;
    const window = receiver?.window(this.#stream?.waitingBytes ?? 0) ?? 0;
    if (flags & ACK) {
      this.#unacknowledgedBytes = 0;
      this.#ackAtNs = Number.POSITIVE_INFINITY;
    }
    this.owner.emit(this, {
      sequence,
      acknowledgement: flags & ACK ? (receiver?.next ?? 0) : 0,
      flags,
      window: Math.min(WINDOW_MAX, window >> scale),
      payload,
    });
  }

  #abort(): void {
    if (this.state === "closed") return;
    // Before it was answered a SYN is refused by its acknowledgement.
    const refused = this.state === "connecting";
    this.owner.emit(this, {
      sequence: refused ? 0 : this.#sender.highest,
      acknowledgement: this.#receiver?.next ?? 0,
      flags: this.#syn === undefined ? RST : RST | ACK,
      window: 0,
      payload: new Uint8Array(0),
    });
    this.#leave();
  }

  #leave(): void {
    if (this.state === "closed") return;
    const over = this.state === "time-wait" || (this.#receiver?.finished && this.#sender.finished);
    this.state = "closed";
    if (!over) this.#stream?.reset();
    this.#stream = undefined;
    this.owner.closed(this);
  }

  #rearm(): void {
    const { deadlineNs } = this;
    if (deadlineNs !== Number.POSITIVE_INFINITY) this.owner.deadline(deadlineNs);
  }
}
