// What every drive on an ATA channel has: the task file, the interrupt, and data that moves through the data port.
import type { MaybePromise } from "../../vmm/block.ts";
import type { DeviceClock, DeviceState, DeviceTimer } from "../../vmm/device.ts";
import { whenDone } from "../../vmm/maybe-promise.ts";
import { SavedState } from "../saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "../token-bucket.ts";
import {
  CONTROL_HOB,
  DEVICE_ONES,
  DIAGNOSTIC_PASSED,
  ERROR_ABRT,
  REG_COUNT,
  REG_DEVICE,
  REG_ERROR,
  REG_LBA_HIGH,
  REG_LBA_LOW,
  REG_LBA_MID,
  STATUS_BSY,
  STATUS_DRQ,
  STATUS_ERR,
  STATUS_READY,
} from "./registers.ts";

/** Where the bus master puts what a drive reads, and gets what it writes. */
export interface DmaTarget {
  /** Bytes that found room; fewer than given when the descriptors are used up. */
  put(from: Uint8Array): number;
  take(into: Uint8Array): number;
}

/** How a DMA command ended: all of it moved, or the descriptors described less. */
export type DmaEnd = "complete" | "short";

/** What a drive asks of its channel. */
export interface DriveChannel {
  /** The drive's interrupt has changed. */
  interruptChanged(): void;
  /** The drive is ready to move data; the channel answers with `runDma` once the bus master is started. */
  requestDma(drive: IdeDrive): void;
  /** The DMA command is over; `interrupt`: with an interrupt. */
  endDma(drive: IdeDrive, end: DmaEnd): void;
}

/** Largest DRQ block: ATAPI's byte count has 16 bits; ATA moves at most 16 sectors. */
export const BUFFER_BYTES = 65536;

export abstract class IdeDrive {
  // ---- task file; `previous` is what each register held before, for 48-bit commands
  features = 0;
  error = 0;
  count = 0;
  lbaLow = 0;
  lbaMid = 0;
  lbaHigh = 0;
  device = 0;
  status = STATUS_READY;
  previous = { features: 0, count: 0, lbaLow: 0, lbaMid: 0, lbaHigh: 0 };
  /** The drive asserts INTRQ, as far as it is selected. */
  interrupt = false;
  /** Number of the command under way; kept for a request that has to be made again. */
  protected command = 0;

  // ---- data port
  protected readonly buffer = new Uint8Array(BUFFER_BYTES);
  #at = 0;
  #end = 0;
  #toHost = true;
  /** The backend works; when the state is saved now, the request is made again after loading. */
  protected waiting = false;
  mustResubmit = false;
  readonly #limiter = new RateLimiter();
  /** Work that waits until its drive's limits allow it. */
  #limited: (() => void) | undefined;
  #limitTimer: DeviceTimer | undefined;
  #clock: DeviceClock | undefined;
  /** Counts resets: what was begun before one ends without effect. */
  #epoch = 0;
  protected channel: DriveChannel = { interruptChanged: () => {}, requestDma: () => {}, endDma: () => {} };
  protected counts = { commands: 0, sectorsRead: 0, sectorsWritten: 0, flushes: 0, errors: 0 };

  /** `name` is unique in the machine. */
  attach(channel: DriveChannel, clock: DeviceClock, name: string): void {
    this.channel = channel;
    this.#clock = clock;
    this.#limitTimer = clock.timer(`${name}.limit`, () => {
      const work = this.#limited;
      this.#limited = undefined;
      work?.();
    });
  }

  setLimits(limits: RateLimitOptions): void {
    this.#limiter.change(limits);
    // What waited may go now.
    if (this.#limitTimer?.deadlineNs !== undefined) this.#limitTimer.arm(this.#clock?.nowNs() ?? 0);
  }

  /** Begins a command; the channel has refused it while the drive is busy. */
  abstract execute(command: number): void;
  /** The host has read a block of the data port, or filled one. */
  protected abstract dataRead(): void;
  protected abstract dataWritten(): void;
  /** The bus master is ready: move the data of the DMA command under way. */
  abstract runDma(target: DmaTarget): void;
  protected abstract resubmit(): void;
  /** What a reset leaves in the registers, by which hosts tell disks from CDs. */
  protected abstract readonly signature: readonly [lbaMid: number, lbaHigh: number];
  protected abstract readonly statusAfterReset: number;

  // ---- registers

  readRegister(register: number, control: number): number {
    if (this.status & STATUS_BSY) return this.status;
    const high = (control & CONTROL_HOB) !== 0;
    switch (register) {
      case REG_ERROR:
        return high ? this.previous.features : this.error;
      case REG_COUNT:
        return high ? this.previous.count : this.count;
      case REG_LBA_LOW:
        return high ? this.previous.lbaLow : this.lbaLow;
      case REG_LBA_MID:
        return high ? this.previous.lbaMid : this.lbaMid;
      case REG_LBA_HIGH:
        return high ? this.previous.lbaHigh : this.lbaHigh;
      default:
        return this.device | DEVICE_ONES;
    }
  }

  writeRegister(register: number, value: number): void {
    if (this.status & STATUS_BSY) return;
    const { previous } = this;
    switch (register) {
      case REG_ERROR:
        previous.features = this.features;
        this.features = value;
        return;
      case REG_COUNT:
        previous.count = this.count;
        this.count = value;
        return;
      case REG_LBA_LOW:
        previous.lbaLow = this.lbaLow;
        this.lbaLow = value;
        return;
      case REG_LBA_MID:
        previous.lbaMid = this.lbaMid;
        this.lbaMid = value;
        return;
      case REG_LBA_HIGH:
        previous.lbaHigh = this.lbaHigh;
        this.lbaHigh = value;
        return;
      case REG_DEVICE:
        this.device = value;
    }
  }

  readStatus(): number {
    this.setInterrupt(false);
    return this.status;
  }

  setInterrupt(level: boolean): void {
    if (this.interrupt === level) return;
    this.interrupt = level;
    this.channel.interruptChanged();
  }

  /** Power-on, SRST, DEVICE RESET and the end of the diagnostics. */
  reset(): void {
    this.#epoch++;
    this.#limited = undefined;
    this.#limitTimer?.disarm();
    this.waiting = this.mustResubmit = false;
    this.#at = this.#end = 0;
    this.command = 0;
    this.count = 1;
    this.lbaLow = 1;
    [this.lbaMid, this.lbaHigh] = this.signature;
    this.device &= ~0xef;
    this.features = 0;
    this.error = DIAGNOSTIC_PASSED;
    this.status = this.statusAfterReset;
    this.previous = { features: 0, count: 0, lbaLow: 0, lbaMid: 0, lbaHigh: 0 };
    this.setInterrupt(false);
  }

  // ---- ends of commands

  protected complete(): void {
    this.status = STATUS_READY;
    this.error = 0;
    this.setInterrupt(true);
  }

  protected fail(error = ERROR_ABRT, extraStatus = 0): void {
    this.counts.errors++;
    this.#at = this.#end = 0;
    this.status = STATUS_READY | STATUS_ERR | extraStatus;
    this.error = error;
    this.setInterrupt(true);
  }

  /** Busy until the backend has moved `bytes`; `done` and `failed` are not called after a reset. */
  protected work(bytes: number, run: () => MaybePromise<void>, done: () => void, failed: () => void): void {
    const epoch = this.#epoch;
    this.status = STATUS_BSY;
    this.waiting = true;
    const now = this.#clock?.nowNs() ?? 0;
    const wait = this.#limiter.admit(bytes, now);
    if (wait > 0) {
      this.#limited = () => this.work(bytes, run, done, failed);
      this.#limitTimer?.arm(now + wait);
      return;
    }
    const current = (then: () => void) => () => {
      if (epoch !== this.#epoch) return;
      this.waiting = false;
      then();
    };
    whenDone(run, current(done), current(failed));
  }

  /** True while no reset has happened since this was called: for work in several steps. */
  protected unlessReset(): () => boolean {
    const epoch = this.#epoch;
    return () => epoch === this.#epoch;
  }

  // ---- the data port

  /** Offers the first `length` bytes of the buffer to the host. */
  protected offerData(length: number, interrupt = true, from = 0): void {
    this.#open(from, from + length, true, interrupt);
  }

  /** Asks the host for `length` bytes, which go to the beginning of the buffer. */
  protected requestData(length: number, interrupt: boolean): void {
    this.#open(0, length, false, interrupt);
  }

  #open(at: number, end: number, toHost: boolean, interrupt: boolean): void {
    this.#at = at;
    this.#end = end;
    this.#toHost = toHost;
    this.status = STATUS_READY | STATUS_DRQ;
    if (interrupt) this.setInterrupt(true);
  }

  /** All ones when there is nothing to read, as an undriven bus. */
  readData(size: number): number {
    if (!(this.status & STATUS_DRQ) || !this.#toHost) return 0xffffffff >>> (32 - 8 * size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.buffer[this.#at + i] ?? 0) << (8 * i);
    this.#advance(size);
    return value >>> 0;
  }

  writeData(size: number, value: number): void {
    if (!(this.status & STATUS_DRQ) || this.#toHost) return;
    for (let i = 0; i < size; i++) this.buffer[this.#at + i] = value >>> (8 * i);
    this.#advance(size);
  }

  readDataBlock(size: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; ) {
      const length = Math.min(into.length - at, this.#end - this.#at);
      if (!(this.status & STATUS_DRQ) || !this.#toHost || length < size) {
        let value = this.readData(size);
        for (let i = 0; i < size; i++, value >>>= 8) into[at++] = value;
        continue;
      }
      const whole = length - (length % size);
      into.set(this.buffer.subarray(this.#at, this.#at + whole), at);
      at += whole;
      this.#advance(whole);
    }
  }

  writeDataBlock(size: number, from: Uint8Array): void {
    for (let at = 0; at < from.length; ) {
      if (!(this.status & STATUS_DRQ) || this.#toHost) return;
      const length = Math.min(from.length - at, this.#end - this.#at);
      const whole = Math.max(size, length - (length % size));
      this.buffer.set(from.subarray(at, at + Math.min(whole, BUFFER_BYTES - this.#at)), this.#at);
      at += whole;
      this.#advance(whole);
    }
  }

  #advance(bytes: number): void {
    this.#at += bytes;
    if (this.#at < this.#end) return;
    this.#at = this.#end = 0;
    this.status &= ~STATUS_DRQ;
    if (this.#toHost) this.dataRead();
    else this.dataWritten();
  }

  // ---- save and load

  save(): DeviceState {
    const { features, error, count, lbaLow, lbaMid, lbaHigh, device, status, previous, interrupt, command } = this;
    return {
      features,
      error,
      count,
      lbaLow,
      lbaMid,
      lbaHigh,
      device,
      status,
      previous: { ...previous },
      interrupt,
      command,
      waiting: this.waiting,
      // Only what is still to be moved, or written to the disk.
      buffer: this.waiting || this.status & STATUS_DRQ ? this.buffer.slice() : new Uint8Array(0),
      bufferAt: this.#at,
      bufferEnd: this.#end,
      toHost: this.#toHost,
      limits: this.#limiter.save(),
      ...this.saveCommand(),
    };
  }

  load(name: string, state: DeviceState): void {
    const saved = new SavedState(name, state);
    const byte = (field: string): number => saved.integer(field, 0xff);
    const previous = new SavedState(name, saved.nested("previous"));
    const at = saved.integer("bufferAt", BUFFER_BYTES);
    const end = saved.integer("bufferEnd", BUFFER_BYTES);
    const bytes = saved.bytes("buffer", BUFFER_BYTES, false);
    this.loadCommand(saved);
    this.features = byte("features");
    this.error = byte("error");
    this.count = byte("count");
    this.lbaLow = byte("lbaLow");
    this.lbaMid = byte("lbaMid");
    this.lbaHigh = byte("lbaHigh");
    this.device = byte("device");
    this.status = byte("status");
    this.previous = {
      features: previous.integer("features", 0xff),
      count: previous.integer("count", 0xff),
      lbaLow: previous.integer("lbaLow", 0xff),
      lbaMid: previous.integer("lbaMid", 0xff),
      lbaHigh: previous.integer("lbaHigh", 0xff),
    };
    this.interrupt = saved.flag("interrupt");
    this.command = byte("command");
    this.buffer.fill(0);
    this.buffer.set(bytes);
    this.#at = Math.min(at, end);
    this.#end = end;
    this.#toHost = saved.flag("toHost");
    this.#epoch++;
    this.#limited = undefined;
    this.#limiter.load(name, saved.nested("limits"));
    this.waiting = saved.flag("waiting");
    this.mustResubmit = this.waiting;
    if (this.waiting) this.status = STATUS_BSY;
  }

  /** After a load, once the machine runs: makes the request again that was under way when the state was saved. */
  continueWork(): void {
    if (!this.mustResubmit) return;
    this.mustResubmit = false;
    this.resubmit();
  }

  protected abstract saveCommand(): DeviceState;
  protected abstract loadCommand(saved: SavedState): void;

  metrics(): Readonly<Record<string, number>> {
    return { ...this.counts, throttled: this.#limiter.throttled };
  }
}
