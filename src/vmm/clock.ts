// The VM's clock and the timers of devices in the host. Guest time is nanoseconds since power-on; a JavaScript number
// holds 104 days of it exactly, and nanoseconds rounded to 2 after that.
import { VM_BASE, VM_CLOCK_OFFSET_NS, VM_HOST_DEADLINE_NS, VM_WALL_NS } from "../../spec/layout.ts";
import type { Core } from "./core.ts";
import type { DeviceClock, DeviceTimer } from "./device.ts";
import { VmError } from "./error.ts";

const NEVER = 0x7fffffffffffffffn;

/** A stopped clock. The virtual clock's time itself is in the VM's memory. */
export interface ClockState {
  readonly kind: "real" | "virtual";
  readonly nowNs: number;
  readonly wallOriginMs: number;
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
  /** Counts changes of the earliest deadline. */
  changes = 0;

  constructor(
    memory: WebAssembly.Memory,
    private readonly core: Core,
    private readonly vcpu: number,
    readonly kind: "real" | "virtual",
    private readonly monotonicNs: () => number,
    /** Milliseconds since 1970 at guest time 0. */
    private wallOriginMs: number,
  ) {
    this.#view = new DataView(memory.buffer);
    this.#setOffset(-Math.trunc(monotonicNs()));
    this.#publishWall();
  }

  /** A stopped real clock stands still, so that the guest does not see the pause. */
  nowNs(): number {
    if (this.kind === "real" && this.#pausedAtNs !== undefined) return this.#pausedAtNs;
    return Number(this.core.clockNowNs(this.vcpu));
  }

  wallMs(): number {
    return this.wallOriginMs + this.nowNs() / 1e6;
  }

  timer(name: string, fire: (nowNs: number) => void): DeviceTimer {
    const timer = new Timer(name, fire, this);
    this.#timers.push(timer);
    return timer;
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
    this.#setOffset(Math.trunc(this.#pausedAtNs) - Math.trunc(this.monotonicNs()));
    this.#pausedAtNs = undefined;
  }

  save(): ClockState {
    return {
      kind: this.kind,
      nowNs: this.nowNs(),
      wallOriginMs: this.wallOriginMs,
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
    this.wallOriginMs = state.wallOriginMs;
    this.#publishWall();
    if (this.kind === "real") this.#pausedAtNs = state.nowNs;
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

  /** Moves a stopped clock forward: timers that fall due meanwhile fire late, once. */
  skip(ns: number): void {
    if (!(ns > 0)) return;
    if (this.kind === "virtual") this.core.advanceClock(this.vcpu, BigInt(Math.trunc(ns)));
    else if (this.#pausedAtNs !== undefined) this.#pausedAtNs += Math.trunc(ns);
  }

  /** For kvm-clock's wall clock. */
  #publishWall(): void {
    // In microseconds a number holds every date.
    this.#view.setBigInt64(VM_BASE + VM_WALL_NS, BigInt(Math.round(this.wallOriginMs * 1e3)) * 1000n, true);
  }

  #setOffset(ns: number): void {
    this.#view.setBigInt64(VM_BASE + VM_CLOCK_OFFSET_NS, BigInt(ns), true);
  }
}
