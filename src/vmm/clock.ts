// The VM's clock and the timers of devices in the host. Guest time is nanoseconds since power-on; a JavaScript number
// holds 104 days of it exactly, and nanoseconds rounded to 2 after that.
import {
  SLEW_LENGTH_MAX_NS,
  VM_BASE,
  VM_CLOCK_OFFSET_NS,
  VM_HOST_DEADLINE_NS,
  VM_SLEW_LENGTH_NS,
  VM_SLEW_PPM,
  VM_SLEW_START_NS,
  VM_WALL_NS,
} from "../../spec/layout.ts";
import type { Platform } from "../platform/platform.ts";
import type { Core } from "./core.ts";
import type { DeviceClock, DeviceTimer } from "./device.ts";
import { VmError } from "./error.ts";

const NEVER = 0x7fffffffffffffffn;
const DATE_TRIES = 5;

/** A stopped clock. The virtual clock's time itself is in the VM's memory. */
export interface ClockState {
  readonly kind: "real" | "virtual";
  readonly nowNs: number;
  readonly wallOriginMs: number;
  /** The host's date at guest time 0, had the clock never stood still; missing in older states: wallOriginMs. */
  readonly hostOriginMs?: number;
  /** Guest ns of every timer of a device, null while disarmed. */
  readonly timers: Readonly<Record<string, number | null>>;
}

class Timer implements DeviceTimer {
  deadlineNs: number | undefined;
  constructor(
    readonly name: string,
    readonly fire: (nowNs: number) => void,
    private readonly queue: VmClock,
  ) {}
  arm(deadlineNs: number): void {
    this.deadlineNs = deadlineNs;
    this.queue.timersChanged();
  }
  disarm(): void {
    if (this.deadlineNs === undefined) return;
    this.deadlineNs = undefined;
    this.queue.timersChanged();
  }
}

export class VmClock implements DeviceClock {
  readonly #timers: Timer[] = [];
  readonly #view: DataView;
  #pausedAtNs: number | undefined = 0;
  #firing = false;
  #next = Number.POSITIVE_INFINITY;
  /** The host's monotonic time and date at guest time 0, had the clock never stood still. */
  #originNs: number;
  #hostOriginMs: number;
  #wallOriginMs: number;
  /** Counts changes of the earliest deadline. */
  changes = 0;

  constructor(
    memory: WebAssembly.Memory,
    private readonly core: Core,
    private readonly vcpu: number,
    readonly kind: "real" | "virtual",
    private readonly host: Pick<Platform, "monotonicNs" | "wallMs">,
    /** Milliseconds since 1970 at guest time 0; undefined: the host's date. */
    wallOriginMs: number | undefined,
  ) {
    this.#view = new DataView(memory.buffer);
    const { ns, dateMs } = this.#hostDate();
    this.#originNs = ns;
    this.#hostOriginMs = dateMs;
    this.#wallOriginMs = wallOriginMs ?? this.#hostOriginMs;
    this.#setNow(0);
    this.#publishWall();
  }

  /** A stopped real clock stands still, so that the guest does not see the pause. */
  nowNs(): number {
    if (this.kind === "real" && this.#pausedAtNs !== undefined) return this.#pausedAtNs;
    return Number(this.core.clockNowNs(this.vcpu));
  }

  wallMs(): number {
    return this.#wallOriginMs + this.nowNs() / 1e6;
  }

  timer(name: string, fire: (nowNs: number) => void): DeviceTimer {
    const timer = new Timer(name, fire, this);
    this.#timers.push(timer);
    return timer;
  }

  /** The timers of a device that is gone, by its name, fire no more. */
  forgetTimers(device: string): void {
    const kept = this.#timers.filter(({ name }) => !name.startsWith(`${device}.`));
    this.#timers.splice(0, this.#timers.length, ...kept);
    this.timersChanged();
  }

  /** Guest ns of the earliest armed timer; Infinity for none. */
  nextDeadlineNs(): number {
    return this.#next;
  }

  /** Fires what is due, in order of deadline (creation order among equals), each timer at most once a call. */
  fireDue(): void {
    if (this.#next === Number.POSITIVE_INFINITY) return;
    const now = this.nowNs();
    if (this.#next > now) return;
    const due = this.#timers.filter((t) => t.deadlineNs !== undefined && t.deadlineNs <= now);
    due.sort((a, b) => (a.deadlineNs ?? 0) - (b.deadlineNs ?? 0));
    this.#firing = true;
    try {
      for (const timer of due) {
        // An earlier one may have disarmed or moved it.
        if (timer.deadlineNs === undefined || timer.deadlineNs > now) continue;
        timer.deadlineNs = undefined;
        timer.fire(now);
      }
    } finally {
      this.#firing = false;
      this.timersChanged();
    }
  }

  /** Tells the core when it must come back for a device. */
  timersChanged(): void {
    if (this.#firing) return;
    let next = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers)
      if (timer.deadlineNs !== undefined && timer.deadlineNs < next) next = timer.deadlineNs;
    if (next === this.#next) return;
    this.#next = next;
    this.changes++;
    const value = next < Number.MAX_SAFE_INTEGER ? BigInt(Math.ceil(Math.max(0, next))) : NEVER;
    this.#view.setBigInt64(VM_BASE + VM_HOST_DEADLINE_NS, value, true);
  }

  /** The clock stands still from here (real mode; a virtual clock only moves when the vCPU does). */
  stop(): void {
    if (this.kind === "real" && this.#pausedAtNs === undefined)
      this.#pausedAtNs = Number(this.core.clockNowNs(this.vcpu));
  }

  /** And moves on from where it stood. */
  start(): void {
    if (this.kind !== "real" || this.#pausedAtNs === undefined) return;
    this.#setNow(this.#pausedAtNs);
    this.#pausedAtNs = undefined;
  }

  // ---- the host's time

  /** Whole nanoseconds of the host's monotonic clock. */
  hostNs(): number {
    return Math.trunc(this.host.monotonicNs());
  }

  /** The host's monotonic time and date of one moment: of a few tries, the one that was disturbed least. */
  #hostDate(): { readonly ns: number; readonly dateMs: number } {
    let best = { ns: 0, dateMs: 0, apart: Number.POSITIVE_INFINITY };
    for (let i = 0; i < DATE_TRIES; i++) {
      const before = this.hostNs();
      const dateMs = this.host.wallMs();
      const apart = this.hostNs() - before;
      if (apart < best.apart) best = { ns: before + Math.round(apart / 2), dateMs, apart };
    }
    return best;
  }

  /** By how much the clock is behind where it would be had it never stood still; a virtual clock is never behind. */
  get lagNs(): number {
    if (this.kind !== "real") return 0;
    const host = this.hostNs();
    return host - this.#originNs - (this.#pausedAtNs ?? this.#peekNs(host));
  }

  /** The lag there is now is meant to be: the VM was resumed at the time of its snapshot. */
  forgiveLag(): void {
    const { lagNs } = this;
    this.#originNs += lagNs;
    this.#hostOriginMs += lagNs / 1e6;
  }

  /**
   * Moves the clock forward by `ns`; timers that fall due meanwhile fire late, once. Returns by how much it moved: 0 where
   * `ns` is not positive, since a clock never goes back.
   */
  skip(ns: number): number {
    if (!(ns > 0)) return 0;
    const whole = Math.trunc(ns);
    if (this.kind === "virtual") this.core.advanceClock(this.vcpu, BigInt(whole));
    else if (this.#pausedAtNs !== undefined) this.#pausedAtNs += whole;
    else this.#setOffset(this.#offset + whole);
    return whole;
  }

  /** From now and for `forNs` of the host's time a running real clock runs by `ppm` millionths faster; above -1,000,000. */
  slew(ppm: number, forNs: number): void {
    if (this.kind !== "real" || this.#pausedAtNs !== undefined) return;
    const host = this.hostNs();
    this.#setNow(this.#peekNs(host), host);
    this.#view.setBigInt64(VM_BASE + VM_SLEW_START_NS, BigInt(host), true);
    this.#view.setBigInt64(VM_BASE + VM_SLEW_LENGTH_NS, BigInt(Math.min(Math.round(forNs), SLEW_LENGTH_MAX_NS)), true);
    this.#view.setInt32(VM_BASE + VM_SLEW_PPM, Math.round(ppm), true);
  }

  /** A running real clock that is past `deadlineNs` goes on from there, as far as nobody has read a later time yet. */
  holdBack(deadlineNs: number): void {
    if (this.kind === "real" && this.#pausedAtNs === undefined && deadlineNs < this.#peekNs(this.hostNs()))
      this.#setNow(deadlineNs);
  }

  /** Host nanoseconds until the clock has moved by `ns`. */
  toHostNs(ns: number): number {
    const ppm = this.#view.getInt32(VM_BASE + VM_SLEW_PPM, true);
    if (ppm === 0 || ns === Number.POSITIVE_INFINITY) return ns;
    const { start, length } = this.#slew();
    const left = Math.max(0, start + length - this.hostNs());
    const rate = 1 + ppm / 1e6;
    return ns <= left * rate ? ns / rate : left + (ns - left * rate);
  }

  // ---- snapshots

  save(): ClockState {
    return {
      kind: this.kind,
      nowNs: this.nowNs(),
      wallOriginMs: this.#wallOriginMs,
      hostOriginMs: this.#hostOriginMs,
      timers: Object.fromEntries(this.#timers.map((timer) => [timer.name, timer.deadlineNs ?? null])),
    };
  }

  /** Takes up guest time, before any device does; the clock must be stopped. */
  load(state: ClockState): void {
    if (state.kind !== this.kind) {
      throw new VmError(
        "bad-snapshot",
        `clock: the saved machine has a ${state.kind} clock, this one a ${this.kind} one.`,
        {
          field: "clock",
        },
      );
    }
    this.#wallOriginMs = state.wallOriginMs;
    this.#publishWall();
    if (this.kind === "real") this.#pausedAtNs = state.nowNs;
    this.#hostOriginMs = state.hostOriginMs ?? state.wallOriginMs;
    const { ns, dateMs } = this.#hostDate();
    this.#originNs = ns - Math.round((dateMs - this.#hostOriginMs) * 1e6);
  }

  /** Arms the devices' timers exactly as they were: what a device computes anew may differ by a rounding. */
  loadTimers(timers: ClockState["timers"]): void {
    const known = new Set(this.#timers.map((timer) => timer.name));
    for (const name of Object.keys(timers)) {
      if (known.delete(name)) continue;
      throw new VmError("bad-snapshot", `clock: no device of this machine has the timer "${name}".`, { field: name });
    }
    for (const name of known) {
      throw new VmError("bad-snapshot", `clock: the saved machine does not have the timer "${name}".`, { field: name });
    }
    for (const timer of this.#timers) timer.deadlineNs = timers[timer.name] ?? undefined;
    this.timersChanged();
  }

  /** For kvm-clock's wall clock. */
  #publishWall(): void {
    // In microseconds a number holds every date.
    this.#view.setBigInt64(VM_BASE + VM_WALL_NS, BigInt(Math.round(this.#wallOriginMs * 1e3)) * 1000n, true);
  }

  #slew(): { readonly start: number; readonly length: number } {
    const field = (offset: number): number => Number(this.#view.getBigInt64(VM_BASE + offset, true));
    return { start: field(VM_SLEW_START_NS), length: field(VM_SLEW_LENGTH_NS) };
  }

  /**
   * What a running real clock shows at the host's time `host`. The core does not hear of this look, and so may yet be told
   * of an earlier time.
   */
  #peekNs(host: number): number {
    const ppm = this.#view.getInt32(VM_BASE + VM_SLEW_PPM, true);
    const { start, length } = this.#slew();
    const slewed = ppm === 0 ? 0 : (Math.max(0, Math.min(host - start, length)) * ppm) / 1e6;
    return host + this.#offset + slewed;
  }

  /** The clock shows `ns` at the host's time `host` and runs as the host's does. */
  #setNow(ns: number, host = this.hostNs()): void {
    this.#view.setInt32(VM_BASE + VM_SLEW_PPM, 0, true);
    this.#setOffset(Math.trunc(ns) - host);
  }

  get #offset(): number {
    return Number(this.#view.getBigInt64(VM_BASE + VM_CLOCK_OFFSET_NS, true));
  }

  #setOffset(ns: number): void {
    this.#view.setBigInt64(VM_BASE + VM_CLOCK_OFFSET_NS, BigInt(ns), true);
  }
}
