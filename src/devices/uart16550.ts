// 16550A UART (National PC16550D datasheet) as a PC wires it: OUT2 gates the interrupt. The line itself is ideal: what
// the guest sends is gone at once; what it receives arrives at the programmed speed, a FIFO at a time, and not before
// the guest listens: a driver's set-up clears the FIFOs, and would take the first typed or piped characters with it.
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoRange, IrqLine } from "../vmm/device.ts";
import { ByteQueue } from "./byte-queue.ts";
import { SavedState } from "./saved-state.ts";
import type { RateLimitOptions } from "./token-bucket.ts";
import * as R from "./uart-registers.ts";
import { UartTransmitter } from "./uart-transmitter.ts";

const TRIGGER_LEVELS = [1, 4, 8, 14];
/** Input clock divided by 16: 115,200 characters' bits a second at divisor 1. */
const BAUD_BASE = 115200;
/** A peer that is there and ready. */
const PEER_READY = R.MSR_CTS | R.MSR_DSR | R.MSR_DCD;
/** Host bytes that may wait for a guest that does not read. */
const INPUT_CAPACITY = 16 * 1024 * 1024;
const RESET_DIVISOR = 12;
/** Reads of R.LSR with no other register between them that make a guest one that polls for input. */
const POLLS_TO_LISTEN = 8;
/** Guest time between enabling the receive interrupt and listening: set-up goes on after that write. */
const SET_UP_NS = 10e6;

export interface UartOptions {
  readonly name: string;
  readonly base: number;
  readonly irq: IrqLine;
  readonly clock: DeviceClock;
  /** Called for each byte the guest sends. */
  readonly transmit: (byte: number) => void;
}

export class Uart16550 implements Device {
  readonly name: string;
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];

  // ---- state
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #lsrErrors = 0;
  #msr = PEER_READY;
  #scr = 0;
  #divisor = RESET_DIVISOR;
  /** Received characters: low byte data, high byte its PE FE BI bits. */
  #fifo: number[] = [];
  #threPending = false;
  #timeoutPending = false;
  #peerLines = PEER_READY;
  /** Since the last reset the guest has asked for input: by RTS, by the receive interrupt or by polling. */
  #listening = false;
  #polls = 0;
  readonly #input = new ByteQueue(INPUT_CAPACITY);
  readonly #arrival: DeviceTimer;
  readonly #silence: DeviceTimer;
  readonly #transmitter: UartTransmitter;
  // ---- metrics
  #sent = 0;
  #received = 0;
  #overruns = 0;
  #interrupts = 0;
  #irqHigh = false;

  constructor(private readonly options: UartOptions) {
    this.name = options.name;
    this.ports = [{ name: options.name, first: options.base, count: 8, handler: this }];
    this.#arrival = options.clock.timer(`${options.name}.arrival`, () => this.#arrive());
    this.#transmitter = new UartTransmitter(options.name, options.clock, options.transmit, () => {
      this.#threPending = true;
      this.#update();
    });
    this.#silence = options.clock.timer(`${options.name}.silence`, () => {
      if (this.#fifo.length > 0 && this.#fcr & R.FCR_ENABLE) this.#timeoutPending = true;
      this.#update();
    });
  }

  reset(): void {
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#lsrErrors = 0;
    this.#msr = this.#peerLines;
    this.#scr = 0;
    this.#divisor = RESET_DIVISOR;
    this.#fifo = [];
    this.#threPending = false;
    this.#timeoutPending = false;
    this.#listening = false;
    this.#polls = 0;
    this.#silence.disarm();
    this.#arrival.disarm();
    this.#transmitter.clear();
    this.#update();
  }

  // ---- the host's side of the line

  /** The guest waits where it prints more than this. */
  limitOutput(limits: RateLimitOptions): void {
    this.#transmitter.limit(limits);
  }

  /** Called when there are more or fewer bytes for the guest. */
  onWaiting: () => void = () => {};

  /** Bytes from the peer that the guest has not read. */
  get waiting(): number {
    return this.#fifo.length + this.#input.length;
  }

  /** Waiting bytes, past the registers: for the hypercall console at the other end of the same line. */
  take(most: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(most, this.waiting));
    let at = 0;
    while (at < bytes.length && this.#fifo.length > 0) bytes[at++] = this.#readData();
    bytes.set(this.#input.take(bytes.length - at), at);
    return bytes;
  }

  /** Bytes from the peer; they wait for the guest as long as need be. */
  receive(bytes: Uint8Array): void {
    this.#input.push(bytes);
    if (this.#arrival.deadlineNs === undefined) this.#arrive();
    this.onWaiting();
  }

  /** The peer holds the line low for longer than a character. */
  receiveBreak(): void {
    if (!(this.#mcr & R.MCR_LOOP)) this.#accept(0, R.LSR_BI);
    this.#update();
  }

  /** The peer's CTS, DSR, RI and DCD. Delta bits and the modem interrupt follow. */
  setModemLines(lines: { cts?: boolean; dsr?: boolean; ri?: boolean; dcd?: boolean }): void {
    let peer = this.#peerLines;
    const put = (bit: number, on: boolean | undefined): void => {
      if (on !== undefined) peer = on ? peer | bit : peer & ~bit;
    };
    put(R.MSR_CTS, lines.cts);
    put(R.MSR_DSR, lines.dsr);
    put(R.MSR_RI, lines.ri);
    put(R.MSR_DCD, lines.dcd);
    this.#peerLines = peer;
    this.#updateModem();
    this.#update();
  }

  // ---- read

  read(offset: number): number {
    this.#polls = offset === R.LSR ? Math.min(this.#polls + 1, POLLS_TO_LISTEN) : 0;
    if (this.#polls === POLLS_TO_LISTEN) this.#listen();
    switch (offset) {
      case R.RBR_THR:
        return this.#lcr & R.LCR_DLAB ? this.#divisor & 0xff : this.#readData();
      case R.IER:
        return this.#lcr & R.LCR_DLAB ? this.#divisor >> 8 : this.#ier;
      case R.IIR_FCR:
        return this.#readIir();
      case R.LCR:
        return this.#lcr;
      case R.MCR:
        return this.#mcr;
      case R.LSR: {
        const value = this.#lsr();
        this.#lsrErrors = 0;
        const first = this.#fifo[0];
        if (first !== undefined) this.#fifo[0] = first & 0xff;
        this.#update();
        return value;
      }
      case R.MSR: {
        const value = this.#msr;
        this.#msr &= ~(R.MSR_DCTS | R.MSR_DDSR | R.MSR_TERI | R.MSR_DDCD);
        this.#update();
        return value;
      }
      case R.SCR:
        return this.#scr;
      default:
        return 0xff;
    }
  }

  #readData(): number {
    const character = this.#fifo.shift() ?? 0;
    this.#timeoutPending = false;
    if (this.#fifo.length > 0) this.#silence.arm(this.options.clock.nowNs() + 4 * this.#characterNs());
    else this.#silence.disarm();
    if (this.#input.length > 0 && this.#arrival.deadlineNs === undefined) {
      this.#arrival.arm(this.options.clock.nowNs() + this.#characterNs());
    }
    this.#update();
    this.onWaiting();
    return character & 0xff;
  }

  #readIir(): number {
    const id = this.#interruptId();
    // Reading IIR acknowledges the transmitter interrupt, and only when it is the one reported (datasheet 8.5).
    if (id === R.IIR_THRE) {
      this.#threPending = false;
      this.#update();
    }
    return id | (this.#fcr & R.FCR_ENABLE ? R.IIR_FIFO : 0);
  }

  // ---- write

  write(offset: number, _size: number, value: number): void {
    this.#polls = 0;
    switch (offset) {
      case R.RBR_THR:
        if (this.#lcr & R.LCR_DLAB) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        return;
      case R.IER:
        if (this.#lcr & R.LCR_DLAB) {
          this.#divisor = (this.#divisor & 0xff) | (value << 8);
          return;
        }
        // Enabling the transmitter interrupt while THR is empty reports it at once.
        if (value & ~this.#ier & R.IER_THRE && this.#transmitter.empty) this.#threPending = true;
        this.#ier = value & 0x0f;
        if (value & R.IER_RDA && !this.#listening) this.#arrival.arm(this.options.clock.nowNs() + SET_UP_NS);
        break;
      case R.IIR_FCR:
        this.#writeFcr(value);
        break;
      case R.LCR:
        if (value & ~this.#lcr & R.LCR_BREAK && this.#mcr & R.MCR_LOOP) this.#accept(0, R.LSR_BI);
        this.#lcr = value;
        break;
      case R.MCR:
        this.#mcr = value & R.MCR_BITS;
        this.#updateModem();
        if ((value & (R.MCR_RTS | R.MCR_LOOP)) === R.MCR_RTS) this.#listen();
        break;
      case R.SCR:
        this.#scr = value;
        return;
      default:
        // LSR and MSR are read-only in operation.
        return;
    }
    this.#update();
  }

  #send(value: number): void {
    this.#threPending = false;
    if (this.#mcr & R.MCR_LOOP) {
      this.#accept(value & this.#characterMask(), 0);
    } else {
      this.#sent++;
      // The ideal line carries all eight bits, whatever the word length: guests that never program LCR (5 bits after
      // reset) are understood, as they are where firmware has programmed it.
      this.#transmitter.send(value, this.#fcr & R.FCR_ENABLE ? R.FIFO_DEPTH : 1);
    }
    // The shift register took it at once: THR is empty again. The line falls in between, so that the edge-triggered
    // 8259 sees a new interrupt for each character.
    this.#update();
    if (!this.#transmitter.empty) return;
    this.#threPending = true;
    this.#update();
  }

  #writeFcr(value: number): void {
    if ((value ^ this.#fcr) & R.FCR_ENABLE) value |= R.FCR_CLEAR_RX | R.FCR_CLEAR_TX;
    if (value & R.FCR_CLEAR_RX) {
      this.#fifo = [];
      this.#timeoutPending = false;
      this.#silence.disarm();
      if (this.#input.length > 0 && this.#arrival.deadlineNs === undefined) {
        this.#arrival.arm(this.options.clock.nowNs() + this.#characterNs());
      }
    }
    if (value & R.FCR_CLEAR_TX) {
      this.#transmitter.clear();
      this.#threPending = true;
    }
    // The other bits can only be written together with the enable bit (datasheet 8.4).
    this.#fcr = value & R.FCR_ENABLE ? value & 0xc9 : 0;
  }

  // ---- receiver

  /** A character reaches the receiver. With the FIFO full the newcomer is lost; without FIFO it replaces the old one. */
  #accept(data: number, errors: number): void {
    const depth = this.#fcr & R.FCR_ENABLE ? R.FIFO_DEPTH : 1;
    if (this.#fifo.length >= depth) {
      this.#lsrErrors |= R.LSR_OE;
      this.#overruns++;
      if (depth > 1) return;
      this.#fifo.length = 0;
    }
    this.#fifo.push(data | (errors << 8));
    this.#received++;
    this.#timeoutPending = false;
    this.#silence.arm(this.options.clock.nowNs() + 4 * this.#characterNs());
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#arrive();
  }

  /** Moves waiting input into the FIFO, as much as fits, and comes back when that would have taken its time. */
  #arrive(): void {
    if (!this.#listening) {
      if (!(this.#ier & R.IER_RDA)) return;
      this.#listening = true;
    }
    if (this.#mcr & R.MCR_LOOP) {
      // The receiver is disconnected; look again later.
      if (this.#input.length > 0) this.#arrival.arm(this.options.clock.nowNs() + 1e6);
      return;
    }
    const room = (this.#fcr & R.FCR_ENABLE ? R.FIFO_DEPTH : 1) - this.#fifo.length;
    let moved = 0;
    for (; moved < room && this.#input.length > 0; moved++) this.#accept(this.#input.shift() ?? 0, 0);
    if (moved > 0 && this.#input.length > 0)
      this.#arrival.arm(this.options.clock.nowNs() + moved * this.#characterNs());
    this.#update();
  }

  // ---- derived

  #lsr(): number {
    const first = this.#fifo[0];
    let value = (this.#transmitter.empty ? R.LSR_THRE | R.LSR_TEMT : 0) | this.#lsrErrors;
    if (first !== undefined) value |= R.LSR_DR | (first >> 8);
    if (this.#fcr & R.FCR_ENABLE && this.#fifo.some((c) => c >> 8)) value |= R.LSR_FIFO_ERROR;
    return value;
  }

  /** In priority order (datasheet table IV). */
  #interruptId(): number {
    if (this.#ier & R.IER_RLS && this.#lsr() & (R.LSR_OE | R.LSR_PE | R.LSR_FE | R.LSR_BI)) return R.IIR_RLS;
    if (this.#ier & R.IER_RDA) {
      if (this.#fifo.length >= this.#triggerLevel()) return R.IIR_RDA;
      if (this.#timeoutPending) return R.IIR_TIMEOUT;
    }
    if (this.#ier & R.IER_THRE && this.#threPending) return R.IIR_THRE;
    if (this.#ier & R.IER_MSI && this.#msr & (R.MSR_DCTS | R.MSR_DDSR | R.MSR_TERI | R.MSR_DDCD)) return R.IIR_MSI;
    return R.IIR_NONE;
  }

  #triggerLevel(): number {
    return this.#fcr & R.FCR_ENABLE ? (TRIGGER_LEVELS[this.#fcr >> 6] ?? 1) : 1;
  }

  #updateModem(): void {
    const lines = this.#mcr & R.MCR_LOOP ? R.loopbackLines(this.#mcr) : this.#peerLines;
    this.#msr = R.modemStatus(this.#msr, lines);
  }

  #update(): void {
    // In loopback the OUT2 pin is inactive, and with it the PC's interrupt gate.
    const gate = (this.#mcr & (R.MCR_OUT2 | R.MCR_LOOP)) === R.MCR_OUT2;
    const high = gate && this.#interruptId() !== R.IIR_NONE;
    if (high && !this.#irqHigh) this.#interrupts++;
    this.#irqHigh = high;
    this.options.irq.set(high);
  }

  #characterMask(): number {
    return 0xff >> (3 - (this.#lcr & 3));
  }

  /** Start bit, data, parity and stop bits at the programmed rate. */
  #characterNs(): number {
    const bits = 1 + 5 + (this.#lcr & 3) + (this.#lcr & 8 ? 1 : 0) + (this.#lcr & 4 ? 2 : 1);
    return Math.ceil((bits * (this.#divisor || 0x10000) * 1e9) / BAUD_BASE);
  }

  // ---- save and load

  save(): DeviceState {
    return {
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      mcr: this.#mcr,
      lsrErrors: this.#lsrErrors,
      msr: this.#msr,
      scr: this.#scr,
      divisor: this.#divisor,
      peerLines: this.#peerLines,
      threPending: this.#threPending,
      timeoutPending: this.#timeoutPending,
      listening: this.#listening,
      polls: this.#polls,
      fifoData: Uint8Array.from(this.#fifo),
      fifoErrors: Uint8Array.from(this.#fifo, (c) => c >> 8),
      input: this.#input.toBytes(),
      arrivalNs: this.#arrival.deadlineNs ?? null,
      silenceNs: this.#silence.deadlineNs ?? null,
      transmitter: this.#transmitter.save(),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const data = saved.bytes("fifoData", R.FIFO_DEPTH, false);
    const errors = saved.bytes("fifoErrors", data.length);
    const input = saved.bytes("input", INPUT_CAPACITY, false);
    const arrival = saved.deadline("arrivalNs");
    const silence = saved.deadline("silenceNs");
    this.#ier = saved.integer("ier", 0x0f);
    this.#fcr = saved.integer("fcr", 0xff);
    this.#lcr = saved.integer("lcr", 0xff);
    this.#mcr = saved.integer("mcr", R.MCR_BITS);
    this.#lsrErrors = saved.integer("lsrErrors", 0xff);
    this.#msr = saved.integer("msr", 0xff);
    this.#scr = saved.integer("scr", 0xff);
    this.#divisor = saved.integer("divisor", 0xffff);
    this.#peerLines = saved.integer("peerLines", 0xff);
    this.#threPending = saved.flag("threPending");
    this.#timeoutPending = saved.flag("timeoutPending");
    this.#listening = saved.flag("listening");
    this.#polls = saved.integer("polls", POLLS_TO_LISTEN);
    this.#fifo = Array.from(data, (byte, i) => byte | ((errors[i] ?? 0) << 8));
    this.#transmitter.load(this.name, new SavedState(this.name, saved.nested("transmitter")));
    this.#input.clear();
    this.#input.push(input);
    this.#arrival.disarm();
    this.#silence.disarm();
    if (arrival !== undefined) this.#arrival.arm(arrival);
    if (silence !== undefined) this.#silence.arm(silence);
    this.#update();
  }

  metrics(): Readonly<Record<string, number>> {
    return {
      sent: this.#sent,
      received: this.#received,
      overruns: this.#overruns,
      interrupts: this.#interrupts,
      inputDropped: this.#input.dropped,
      ...this.#transmitter.metrics(),
    };
  }
}
