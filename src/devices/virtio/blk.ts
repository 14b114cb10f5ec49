// Block device (virtio 1.2, section 5.2) over a BlockBackend.
import type { BlockBackend, MaybePromise } from "../../vmm/block.ts";
import type { DeviceClock, DeviceState, DeviceTimer, DmaMemory } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "../token-bucket.ts";
import type { DescriptorChain } from "./chain.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_BLOCK = 2;
const SECTOR = 512;
const REQUESTS = 0;
const QUEUE_SIZE = 256;
/** Data segments of a request: the queue without header and status. */
const SEGMENTS_MAX = QUEUE_SIZE - 2;
/** One request moves at most this; larger ones fail. Linux asks for 1.25 MiB at most. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
const DISCARD_SECTORS_MAX = 0x400000;
const DISCARD_SEGMENTS_MAX = 64;
const ID_BYTES = 20;

// ---- features
const F_SEG_MAX = 2;
const F_RO = 5;
const F_BLK_SIZE = 6;
const F_FLUSH = 9;
const F_TOPOLOGY = 10;
const F_CONFIG_WCE = 11;
const F_DISCARD = 13;
const F_WRITE_ZEROES = 14;

// ---- configuration
const CONFIG_CAPACITY = 0;
const CONFIG_SEG_MAX = 12;
const CONFIG_BLK_SIZE = 20;
const CONFIG_PHYSICAL_EXPONENT = 24;
const CONFIG_MIN_IO = 26;
const CONFIG_OPT_IO = 28;
const CONFIG_WRITEBACK = 32;
const CONFIG_NUM_QUEUES = 34;
const CONFIG_DISCARD_SECTORS = 36;
const CONFIG_DISCARD_SEGMENTS = 40;
const CONFIG_DISCARD_ALIGNMENT = 44;
const CONFIG_ZEROES_SECTORS = 48;
const CONFIG_ZEROES_SEGMENTS = 52;
const CONFIG_ZEROES_MAY_UNMAP = 56;
const CONFIG_BYTES = 60;

// ---- requests
const HEADER_BYTES = 16;
const REQUEST_IN = 0;
const REQUEST_OUT = 1;
const REQUEST_FLUSH = 4;
const REQUEST_GET_ID = 8;
const REQUEST_DISCARD = 11;
const REQUEST_WRITE_ZEROES = 13;
const RANGE_BYTES = 16;
const RANGE_UNMAP = 1;

const STATUS_OK = 0;
const STATUS_IOERR = 1;
const STATUS_UNSUPPORTED = 2;

export interface VirtioBlkOptions {
  readonly backend: BlockBackend;
  readonly clock: DeviceClock;
  /** What the guest reads as the disk's serial number, at most 20 bytes of ASCII. */
  readonly serial: string;
  /** Refuses writes even where the backend would take them. */
  readonly readOnly?: boolean;
  readonly limits?: RateLimitOptions;
}

interface Range {
  readonly offset: number;
  readonly length: number;
  readonly unmap: boolean;
}

export class VirtioBlk extends VirtioDevice {
  readonly #backend: BlockBackend;
  readonly #readOnly: boolean;
  readonly #serial: Uint8Array;
  readonly #clock: DeviceClock;
  readonly #limiter: RateLimiter;
  readonly #limitTimer: DeviceTimer;
  /** Heads of requests that the backend works on. Requests of before a reset are in an older set. */
  #underWay = new Set<number>();
  /** Requests that were under way when the state was saved. */
  #resubmit: number[] = [];
  #counts = { reads: 0, writes: 0, flushes: 0, discards: 0, errors: 0, readBytes: 0, writtenBytes: 0 };

  constructor(name: string, memory: DmaMemory, options: VirtioBlkOptions) {
    const { backend } = options;
    const readOnly = (options.readOnly ?? false) || backend.readOnly;
    const features = [F_SEG_MAX, F_BLK_SIZE, F_FLUSH, F_TOPOLOGY, F_CONFIG_WCE];
    if (readOnly) features.push(F_RO);
    else if (backend.discard !== undefined) features.push(F_DISCARD);
    if (!readOnly && backend.writeZeroes !== undefined) features.push(F_WRITE_ZEROES);
    super({ name, type: TYPE_BLOCK, queueSizes: [QUEUE_SIZE], features, configBytes: CONFIG_BYTES }, memory);
    this.#backend = backend;
    this.#readOnly = readOnly;
    this.#clock = options.clock;
    this.#serial = new Uint8Array(ID_BYTES);
    new TextEncoder().encodeInto(options.serial, this.#serial);
    this.#limiter = new RateLimiter(options.limits);
    this.#limitTimer = options.clock.timer(`${name}.limit`, () => this.serve(REQUESTS));
    this.#describe();
  }

  #describe(): void {
    const { config } = this;
    this.#setCapacity();
    config.setUint32(CONFIG_SEG_MAX, SEGMENTS_MAX, true);
    config.setUint32(CONFIG_BLK_SIZE, SECTOR, true);
    // Host files are kept in pages of 4 KiB: smaller writes cost a read.
    config.setUint8(CONFIG_PHYSICAL_EXPONENT, 3);
    config.setUint16(CONFIG_MIN_IO, 4096 / SECTOR, true);
    config.setUint32(CONFIG_OPT_IO, 0, true);
    config.setUint8(CONFIG_WRITEBACK, 1);
    config.setUint16(CONFIG_NUM_QUEUES, 1, true);
    config.setUint32(CONFIG_DISCARD_SECTORS, DISCARD_SECTORS_MAX, true);
    config.setUint32(CONFIG_DISCARD_SEGMENTS, DISCARD_SEGMENTS_MAX, true);
    config.setUint32(CONFIG_DISCARD_ALIGNMENT, 4096 / SECTOR, true);
    config.setUint32(CONFIG_ZEROES_SECTORS, DISCARD_SECTORS_MAX, true);
    config.setUint32(CONFIG_ZEROES_SEGMENTS, DISCARD_SEGMENTS_MAX, true);
    config.setUint8(CONFIG_ZEROES_MAY_UNMAP, 1);
  }

  #setCapacity(): void {
    this.config.setBigUint64(CONFIG_CAPACITY, BigInt(Math.floor(this.#backend.sizeBytes / SECTOR)), true);
  }

  /** The backend has another size now: tells the driver. */
  resized(): void {
    this.#setCapacity();
    this.configChanged();
  }

  setLimits(limits: RateLimitOptions): void {
    this.#limiter.change(limits);
    // What waited may go now.
    if (this.#limitTimer.deadlineNs !== undefined) this.#limitTimer.arm(this.#clock.nowNs());
  }

  protected override stopped(): void {
    this.#underWay = new Set();
    this.#resubmit = [];
    this.#limitTimer.disarm();
    this.config.setUint8(CONFIG_WRITEBACK, 1);
  }

  protected override queueStopped(): void {
    this.#underWay = new Set();
    this.#resubmit = [];
  }

  override writeConfig(offset: number, size: number, value: number): void {
    if (offset === CONFIG_WRITEBACK && size === 1 && this.hasFeature(F_CONFIG_WCE)) {
      this.config.setUint8(CONFIG_WRITEBACK, value & 1);
    }
  }

  /** Without a flush command a finished write must be safe (5.2.6.2). */
  get #writeThrough(): boolean {
    return !this.hasFeature(F_FLUSH) || (this.hasFeature(F_CONFIG_WCE) && this.config.getUint8(CONFIG_WRITEBACK) === 0);
  }

  // ---- requests

  override kicked(): void {
    const again = this.#resubmit;
    this.#resubmit = [];
    for (const head of again) {
      const chain = this.queues[REQUESTS]?.reopen(head);
      if (chain !== undefined) this.#submit(chain);
    }
    this.drain(REQUESTS, (chain) => {
      const wait = this.#limiter.admit(chain.readableBytes + chain.writableBytes, this.#clock.nowNs());
      if (wait > 0) {
        this.#limitTimer.arm(this.#clock.nowNs() + wait);
        return false;
      }
      this.#submit(chain);
      return true;
    });
  }

  /** Starts a request; completes it now or when the backend is done. */
  #submit(chain: DescriptorChain): void {
    if (chain.readableBytes < HEADER_BYTES || chain.writableBytes < 1) {
      this.needsReset("a block request without header or status byte");
      return;
    }
    let done: MaybePromise<void>;
    try {
      const status = this.#execute(chain);
      if (typeof status === "number") {
        this.#finish(chain, status);
        return;
      }
      done = status;
    } catch {
      this.#finish(chain, STATUS_IOERR);
      return;
    }
    if (done === undefined) {
      this.#finish(chain, STATUS_OK);
      return;
    }
    const { head } = chain;
    const underWay = this.#underWay;
    underWay.add(head);
    const settled = (status: number): void => {
      // A reset has forgotten the request: the memory is no longer ours to write.
      if (underWay !== this.#underWay) return;
      underWay.delete(head);
      this.#finish(chain, status);
      this.flush(REQUESTS);
    };
    done.then(
      () => settled(STATUS_OK),
      () => settled(STATUS_IOERR),
    );
  }

  /** The status byte is the last of what the device writes; data that was not written stays as it was. */
  #finish(chain: DescriptorChain, status: number): void {
    if (status !== STATUS_OK) this.#counts.errors++;
    chain.skip(chain.roomBytes - 1);
    chain.write(Uint8Array.of(status));
    this.complete(REQUESTS, chain);
  }

  #execute(chain: DescriptorChain): number | MaybePromise<void> {
    const header = chain.readCopy(HEADER_BYTES);
    const view = new DataView(header.buffer, header.byteOffset);
    const sector = view.getUint32(8, true) + view.getUint32(12, true) * 0x100000000;
    switch (view.getUint32(0, true)) {
      case REQUEST_IN:
        return this.#read(chain, sector * SECTOR);
      case REQUEST_OUT:
        return this.#write(chain, sector * SECTOR);
      case REQUEST_FLUSH:
        this.#counts.flushes++;
        return this.#backend.flush();
      case REQUEST_GET_ID:
        if (chain.roomBytes - 1 < ID_BYTES) return STATUS_IOERR;
        chain.write(this.#serial);
        return STATUS_OK;
      case REQUEST_DISCARD:
        return this.offers(F_DISCARD) ? this.#discard(chain, false) : STATUS_UNSUPPORTED;
      case REQUEST_WRITE_ZEROES:
        return this.offers(F_WRITE_ZEROES) ? this.#discard(chain, true) : STATUS_UNSUPPORTED;
      default:
        return STATUS_UNSUPPORTED;
    }
  }

  #fits(offset: number, length: number): boolean {
    return length % SECTOR === 0 && offset + length <= this.#backend.sizeBytes;
  }

  #read(chain: DescriptorChain, offset: number): number | MaybePromise<void> {
    const length = chain.roomBytes - 1;
    if (!this.#fits(offset, length) || length > REQUEST_BYTES_MAX) return STATUS_IOERR;
    this.#counts.reads++;
    this.#counts.readBytes += length;
    // Not into guest RAM at once: the request may outlive a reset of the device.
    const data = new Uint8Array(length);
    const done = this.#backend.read(offset, data);
    if (done !== undefined) {
      const underWay = this.#underWay;
      return done.then(() => {
        if (underWay === this.#underWay) chain.write(data);
      });
    }
    chain.write(data);
  }

  #write(chain: DescriptorChain, offset: number): number | MaybePromise<void> {
    const length = chain.unreadBytes;
    if (this.#readOnly || !this.#fits(offset, length) || length > REQUEST_BYTES_MAX) return STATUS_IOERR;
    this.#counts.writes++;
    this.#counts.writtenBytes += length;
    const done = this.#backend.write(offset, chain.read(length));
    if (!this.#writeThrough) return done;
    return done === undefined ? this.#backend.flush() : done.then(() => this.#backend.flush());
  }

  #discard(chain: DescriptorChain, zeroes: boolean): number | MaybePromise<void> {
    const ranges = this.#ranges(chain, zeroes);
    if (ranges === undefined) return STATUS_IOERR;
    this.#counts.discards++;
    const { discard, writeZeroes } = this.#backend;
    const apply = ({ offset, length }: Range): MaybePromise<void> =>
      zeroes ? writeZeroes?.call(this.#backend, offset, length) : discard?.call(this.#backend, offset, length);
    for (const [i, range] of ranges.entries()) {
      const done = apply(range);
      if (done !== undefined) return oneByOne(done, ranges.slice(i + 1), apply);
    }
  }

  /** The segments of a discard or write-zeroes request, undefined if one is not valid (5.2.6.2). */
  #ranges(chain: DescriptorChain, zeroes: boolean): Range[] | undefined {
    const count = chain.unreadBytes / RANGE_BYTES;
    if (!Number.isInteger(count) || count === 0 || count > DISCARD_SEGMENTS_MAX) return undefined;
    const bytes = chain.readCopy(count * RANGE_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const ranges: Range[] = [];
    for (let at = 0; at < bytes.length; at += RANGE_BYTES) {
      const offset = (view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x100000000) * SECTOR;
      const length = view.getUint32(at + 8, true) * SECTOR;
      const flags = view.getUint32(at + 12, true);
      if (length > DISCARD_SECTORS_MAX * SECTOR || !this.#fits(offset, length)) return undefined;
      // Only write-zeroes has a flag, and only this one.
      if (flags & ~(zeroes ? RANGE_UNMAP : 0)) return undefined;
      ranges.push({ offset, length, unmap: flags === RANGE_UNMAP });
    }
    return ranges;
  }

  // ---- save and load

  protected override unfinished(): readonly number[] {
    return this.#underWay.size + this.#resubmit.length > 0 ? [REQUESTS] : [];
  }

  protected override saveDevice(): DeviceState {
    return {
      underWay: [...this.#resubmit, ...this.#underWay],
      limits: this.#limiter.save(),
    };
  }

  protected override loadDevice(saved: SavedState): void {
    const underWay = saved.nested("underWay");
    this.#resubmit = Array.isArray(underWay) ? underWay.filter((head) => Number.isInteger(head)) : [];
    this.#limiter.load(this.name, saved.nested("limits"));
    this.#setCapacity();
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    return { ...this.#counts, throttled: this.#limiter.throttled };
  }
}

async function oneByOne<T>(
  first: Promise<void>,
  rest: readonly T[],
  apply: (item: T) => MaybePromise<void>,
): Promise<void> {
  await first;
  for (const item of rest) await apply(item);
}
