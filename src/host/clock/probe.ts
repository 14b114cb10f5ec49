// A guest that tells what time it is by its clocks (roms/clock/clock.asm), and the host's own date of that moment.
import { preciseWallMs } from "../../platform/date.ts";
import type { SnapshotStore } from "../../snapshot/store.ts";
import type { ClockSyncMode } from "../../vmm/config.ts";
import type { Executor } from "../../vmm/executor.ts";
import { Vm } from "../../vmm/vm.ts";

/** What a guest keeps time by: KVM's page, the TSC, or counting interrupts of the 8254. */
export type ClockSource = "kvm-clock" | "tsc" | "ticks";
export const CLOCK_SOURCES: readonly ClockSource[] = ["kvm-clock", "tsc", "ticks"];

// As roms/clock/clock.asm has them
const LOAD_ADDRESS = 0x10000;
const BLOCK = 0x8000;
const BLOCK_BYTES = 64;
const SPINS = 0;
const INTERVAL = 4;
const KVM_TIME = 16;
const TSC = 24;
const TICKS_SAMPLED = 36;
const WALL_SECONDS = 44;
const WALL_NANOSECONDS = 48;
const REPORT_PORT = 0x9000;
/** The 8254's input clock is 105/88 MHz; the guest divides it by 1193. */
const TICK_NS = (1193 * 88 * 1000) / 105;
const MEMORY_BYTES = 1 << 20;
const SNAPSHOT = "clock";

/** What one sample was off: the host's date minus the guest's, ns. */
export interface ProbeSample {
  /** The host's date, ms: the middle of the two between which the guest looked. */
  readonly hostMs: number;
  /** How far these are apart: the error is uncertain by half of it. */
  readonly uncertainNs: number;
  readonly errorNs: Readonly<Record<ClockSource, number>>;
}

export interface ProbeOptions {
  readonly image: Uint8Array;
  readonly clockSync: ClockSyncMode;
  readonly executor?: Executor;
  readonly name?: string;
  /** Ticks of 1 ms from one sample to the next. Default 10. */
  readonly intervalTicks?: number;
}

export class ClockProbe implements AsyncDisposable {
  readonly samples: ProbeSample[] = [];
  /** Of the first sample: what the count of ticks is reckoned from. */
  #base: { readonly ticks: number; readonly systemNs: number } | undefined;
  /** TSC minus system time: the least seen, as the TSC is read a little later. */
  #tscOffset = Number.POSITIVE_INFINITY;
  #beforeMs = 0;

  private constructor(public vm: Vm) {
    this.#listen();
  }

  #listen(): void {
    this.vm.on("trace", (event) => {
      if (event.kind !== "port" || !event.write || event.port !== REPORT_PORT) return;
      const hostMs = preciseWallMs();
      if (event.value === 0) this.#beforeMs = hostMs;
      else this.#sample(this.#beforeMs, hostMs);
    });
  }

  static async create(options: ProbeOptions): Promise<ClockProbe> {
    const vm = await Vm.create(
      {
        name: options.name ?? "clock",
        memoryBytes: MEMORY_BYTES,
        clock: "real",
        clockSync: options.clockSync,
        boot: { kind: "flat", image: options.image, address: LOAD_ADDRESS },
        trace: ["port"],
      },
      options.executor === undefined ? {} : { executor: options.executor },
    );
    const probe = new ClockProbe(vm);
    probe.#write(INTERVAL, options.intervalTicks ?? 10);
    return probe;
  }

  /** Busy between samples, or halted. */
  set spins(spins: boolean) {
    this.#write(SPINS, spins ? 1 : 0);
  }

  start(): void {
    this.vm.start();
  }
  /** Puts the VM into a snapshot and ends it; `restore` makes another of that. */
  async save(store: SnapshotStore): Promise<void> {
    await this.vm.pause();
    await this.vm.snapshot({ store, name: SNAPSHOT });
    await this.vm.stop();
  }
  async restore(store: SnapshotStore, executor: Executor): Promise<void> {
    this.vm = await Vm.restore(
      { store, name: SNAPSHOT },
      { identity: "same", config: { trace: ["port"] } },
      { executor },
    );
    this.#listen();
    this.vm.start();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm.stop();
  }

  #write(offset: number, value: number): void {
    this.vm.memory.write(BLOCK + offset, new Uint8Array(Uint32Array.of(value).buffer));
  }

  #sample(beforeMs: number, afterMs: number): void {
    const bytes = new Uint8Array(BLOCK_BYTES);
    this.vm.memory.read(BLOCK, bytes);
    const view = new DataView(bytes.buffer);
    const long = (offset: number): number => Number(view.getBigUint64(offset, true));
    const systemNs = long(KVM_TIME);
    const tsc = long(TSC);
    const ticks = view.getUint32(TICKS_SAMPLED, true);
    this.#base ??= { ticks, systemNs };
    this.#tscOffset = Math.min(this.#tscOffset, tsc - systemNs);
    const base = this.#base;
    const hostMs = (beforeMs + afterMs) / 2;
    // the date at system time 0
    const wallMs = view.getUint32(WALL_SECONDS, true) * 1e3 + view.getUint32(WALL_NANOSECONDS, true) / 1e6;
    const sinceNs = (hostMs - wallMs) * 1e6;
    this.samples.push({
      hostMs,
      uncertainNs: (afterMs - beforeMs) * 1e6,
      errorNs: {
        "kvm-clock": sinceNs - systemNs,
        // the TSC ticks once a nanosecond
        tsc: sinceNs - (tsc - this.#tscOffset),
        ticks: sinceNs - (base.systemNs + (ticks - base.ticks) * TICK_NS),
      },
    });
  }
}
