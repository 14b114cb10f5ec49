// Memory balloon (virtio 1.2, section 5.5): pages that the guest lends to the host, statistics of its memory, and reports
// of pages it does not use. Nothing in a page that was given back survives: it reads as zeros, so that the host may
// keep it nowhere.
import type { DeviceClock, DeviceState, DeviceTimer, DmaMemory } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import type { DescriptorChain } from "./chain.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_BALLOON = 5;
const PAGE = 4096;
const PFN_BYTES = 4;
/** Page numbers of 64 MiB; Linux sends those of 1 MiB. */
const CHAIN_BYTES_MAX = 64 * 1024;
const INFLATE = 0;
const DEFLATE = 1;
const STATISTICS = 2;

// ---- features
const F_STATS_VQ = 1;
const F_DEFLATE_ON_OOM = 2;
const F_REPORTING = 5;

// ---- configuration
const CONFIG_NUM_PAGES = 0;
const CONFIG_ACTUAL = 4;
const CONFIG_BYTES = 8;

/** Tags of statistics, in order of their numbers (5.5.6.3). */
const STATISTIC_NAMES = [
  "swapInBytes",
  "swapOutBytes",
  "majorFaults",
  "minorFaults",
  "freeBytes",
  "totalBytes",
  "availableBytes",
  "diskCacheBytes",
  "hugePageAllocations",
  "hugePageFailures",
] as const;
const STATISTIC_BYTES = 10;

export type BalloonStatistics = Readonly<Partial<Record<(typeof STATISTIC_NAMES)[number], number>>>;

export interface VirtioBalloonOptions {
  readonly clock: DeviceClock;
  /** The guest takes pages back rather than kill a process. Default true. */
  readonly deflateOnOom?: boolean;
  /** Milliseconds of guest time between requests for statistics; 0 for none but the first. Default 0. */
  readonly statisticsIntervalMs?: number;
  /** Pages in the balloon are the host's: called when a range leaves the guest or goes back to it. */
  readonly onChange?: (balloonBytes: number) => void;
}

export class VirtioBalloon extends VirtioDevice {
  readonly #clock: DeviceClock;
  readonly #intervalNs: number;
  readonly #timer: DeviceTimer;
  readonly #onChange: (balloonBytes: number) => void;
  /** One bit a page: it is in the balloon. */
  #held: Uint8Array;
  #heldPages = 0;
  #statisticsHead: number | undefined;
  #statistics: BalloonStatistics = {};
  #waiting: ((statistics: BalloonStatistics) => void)[] = [];
  #counts = { inflatedPages: 0, deflatedPages: 0, reportedBytes: 0, refusedPages: 0 };

  constructor(name: string, memory: DmaMemory, options: VirtioBalloonOptions) {
    const features = [F_STATS_VQ, F_REPORTING];
    if (options.deflateOnOom ?? true) features.push(F_DEFLATE_ON_OOM);
    super({ name, type: TYPE_BALLOON, queueSizes: [128, 128, 16, 128], features, configBytes: CONFIG_BYTES }, memory);
    this.#clock = options.clock;
    this.#intervalNs = (options.statisticsIntervalMs ?? 0) * 1e6;
    this.#timer = options.clock.timer(`${name}.statistics`, () => this.#pollStatistics());
    this.#onChange = options.onChange ?? (() => {});
    this.#held = new Uint8Array(Math.ceil(memory.sizeBytes / PAGE / 8));
  }

  // ---- for the host

  /** How large the host wants the balloon. */
  get targetBytes(): number {
    return this.config.getUint32(CONFIG_NUM_PAGES, true) * PAGE;
  }
  setTarget(bytes: number): void {
    const pages = Math.floor(Math.min(Math.max(0, bytes), this.memory.sizeBytes) / PAGE);
    if (pages * PAGE === this.targetBytes) return;
    this.config.setUint32(CONFIG_NUM_PAGES, pages, true);
    this.configChanged();
  }
  /** Guest RAM that is the host's now. */
  get balloonBytes(): number {
    return this.#heldPages * PAGE;
  }
  /** What the guest said last. */
  get statistics(): BalloonStatistics {
    return this.#statistics;
  }
  /** What the guest uses of its RAM, by what it said last; undefined where it does not keep these statistics. */
  get usedBytes(): number | undefined {
    const { totalBytes, availableBytes } = this.#statistics;
    if (totalBytes === undefined || availableBytes === undefined) return undefined;
    return Math.max(0, totalBytes - availableBytes);
  }
  /** Asks the guest; resolves with its answer, or with what it said last when it does not keep statistics. */
  requestStatistics(): Promise<BalloonStatistics> {
    if (!this.running || !this.hasFeature(F_STATS_VQ)) return Promise.resolve(this.#statistics);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#askStatistics();
    });
  }

  // ---- for the driver

  /** Which queue is which depends on what was negotiated: a queue of a feature that is not is not there (5.5.2). */
  get #reporting(): number {
    if (!this.hasFeature(F_REPORTING)) return -1;
    return this.hasFeature(F_STATS_VQ) ? STATISTICS + 1 : STATISTICS;
  }

  override kicked(queue: number): void {
    if (queue === INFLATE || queue === DEFLATE)
      this.drain(queue, (chain) => this.#move(queue, chain), PAGE / PFN_BYTES);
    else if (queue === this.#reporting) this.drain(queue, (chain) => this.#report(queue, chain));
    else if (queue === STATISTICS && this.hasFeature(F_STATS_VQ)) this.#receiveStatistics();
  }

  override writeConfig(offset: number, size: number, value: number): void {
    if (offset === CONFIG_ACTUAL && size === 4) this.config.setUint32(CONFIG_ACTUAL, value, true);
  }

  #move(queue: number, chain: DescriptorChain): boolean {
    if (chain.readableBytes > CHAIN_BYTES_MAX) {
      this.needsReset("more page numbers in a chain than a balloon takes at once");
      return true;
    }
    const inflate = queue === INFLATE;
    for (let pfns = chain.read(PAGE); pfns.length > 0; pfns = chain.read(PAGE)) {
      const view = new DataView(pfns.buffer, pfns.byteOffset, pfns.length);
      for (let at = 0; at + PFN_BYTES <= pfns.length; at += PFN_BYTES) {
        const pfn = view.getUint32(at, true);
        if (inflate) this.#inflate(pfn);
        else this.#deflate(pfn);
      }
    }
    this.complete(queue, chain);
    this.#onChange(this.balloonBytes);
    return true;
  }

  #inflate(pfn: number): void {
    const byte = this.#held[pfn >>> 3] ?? 0;
    const bit = 1 << (pfn & 7);
    if (byte & bit || !this.#discard(pfn * PAGE, PAGE)) {
      this.#counts.refusedPages++;
      return;
    }
    this.#held[pfn >>> 3] = byte | bit;
    this.#heldPages++;
    this.#counts.inflatedPages++;
  }

  #deflate(pfn: number): void {
    const byte = this.#held[pfn >>> 3] ?? 0;
    const bit = 1 << (pfn & 7);
    if (!(byte & bit)) {
      this.#counts.refusedPages++;
      return;
    }
    this.#held[pfn >>> 3] = byte & ~bit;
    this.#heldPages--;
    this.#counts.deflatedPages++;
  }

  #report(queue: number, chain: DescriptorChain): boolean {
    const before = chain.roomBytes;
    chain.fill(before, clear);
    this.#counts.reportedBytes += before;
    // Nothing was written that the driver is to read (5.5.6.5).
    chain.writtenBytes = 0;
    this.complete(queue, chain);
    return true;
  }

  /** False for what is not RAM. */
  #discard(gpa: number, sizeBytes: number): boolean {
    const view = this.memory.view(gpa, sizeBytes);
    if (view === undefined) return false;
    clear(view);
    this.memory.written(gpa, sizeBytes);
    return true;
  }

  // ---- statistics: the driver leaves a buffer with figures; giving it back asks for new ones

  #receiveStatistics(): void {
    const chain = this.take(STATISTICS);
    if (chain === undefined) return;
    // It keeps one buffer there; a second is a driver's mistake that does no harm.
    if (this.#statisticsHead !== undefined) this.queues[STATISTICS]?.push(this.#statisticsHead, 0);
    this.#statisticsHead = chain.head;
    const bytes = chain.readCopy(STATISTIC_BYTES * 64);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const statistics: Partial<Record<(typeof STATISTIC_NAMES)[number], number>> = {};
    for (let at = 0; at + STATISTIC_BYTES <= bytes.length; at += STATISTIC_BYTES) {
      const name = STATISTIC_NAMES[view.getUint16(at, true)];
      const value = view.getUint32(at + 2, true) + view.getUint32(at + 6, true) * 0x100000000;
      if (name !== undefined) statistics[name] = value;
    }
    this.#statistics = statistics;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(statistics);
    if (this.#intervalNs > 0) this.#timer.arm(this.#clock.nowNs() + this.#intervalNs);
  }

  #askStatistics(): void {
    if (this.#statisticsHead === undefined || !this.running) return;
    this.queues[STATISTICS]?.push(this.#statisticsHead, 0);
    this.#statisticsHead = undefined;
    this.flush(STATISTICS);
  }

  #pollStatistics(): void {
    this.#askStatistics();
    if (this.#intervalNs > 0) this.#timer.arm(this.#clock.nowNs() + this.#intervalNs);
  }

  // ---- reset, save and load

  protected override stopped(): void {
    this.#statisticsHead = undefined;
    this.#timer.disarm();
    for (const resolve of this.#waiting) resolve(this.#statistics);
    this.#waiting = [];
    // A guest that resets the device has all its pages; the target is the host's and stays.
    this.#held.fill(0);
    this.#heldPages = 0;
    this.config.setUint32(CONFIG_ACTUAL, 0, true);
    this.#onChange(0);
  }

  protected override queueStopped(queue: number): void {
    if (queue === STATISTICS) this.#statisticsHead = undefined;
  }

  protected override saveDevice(): DeviceState {
    return {
      held: this.#held.slice(),
      statisticsHead: this.#statisticsHead ?? null,
      nextStatisticsNs: this.#timer.deadlineNs ?? null,
    };
  }

  protected override loadDevice(saved: SavedState): void {
    this.#held = saved.bytes("held", this.#held.length);
    this.#heldPages = this.#held.reduce((sum, byte) => sum + bitCount(byte), 0);
    this.#statisticsHead = saved.deadline("statisticsHead");
    const next = saved.deadline("nextStatisticsNs");
    if (next !== undefined) this.#timer.arm(next);
    this.#onChange(this.balloonBytes);
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    const { usedBytes } = this;
    const told: Record<string, number> = usedBytes === undefined ? {} : { usedBytes };
    return { balloonBytes: this.balloonBytes, targetBytes: this.targetBytes, ...told, ...this.#counts };
  }
}

/** Zeros, without touching what is zero already: reading a page that was never written costs the host no memory. */
function clear(bytes: Uint8Array): void {
  const words = bytes.byteOffset % 8 === 0 ? new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3) : [];
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== 0n) {
      bytes.fill(0, i * 8);
      return;
    }
  }
  bytes.fill(0, words.length * 8);
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
