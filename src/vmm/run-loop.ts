// The run loop of a vCPU in this process: budget, run, handle the exit, look at clock and requests, and again; a
// cooperative citizen of the event loop.
//
// With a virtual clock every number here derives from guest state only, so where the loop yields or sleeps on the host
// cannot be seen by the guest: the same run twice is the same run.
import { EXIT_REASONS, Exit } from "../../spec/exits.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { Platform, Sleep } from "../platform/platform.ts";
import type { VmClock } from "./clock.ts";
import type { Core } from "./core.ts";
import { VmError } from "./error.ts";
import { exitHandlers, exitNames } from "./exits/index.ts";
import { type ExitContext, Next } from "./exits/handler.ts";

/** Wasm does not replace the code of a running function by its optimised version: come back about this often. */
const SLICE_NS = 1e6;
/** Host time after which others get their turn on the event loop. */
const YIELD_NS = 4e6;
/** Instructions of a slice with the virtual clock: about a millisecond, and always the same number. */
const VIRTUAL_SLICE = 200_000;
const SLICE_MIN = 2_000;
const SLICE_MAX = 4_000_000;
/** Exits of a slice that does not run out (port loops) before the host's clock is looked at. */
const EXITS_PER_LOOK = 64;
/** Longest sleep; deadlines of the core beyond it are looked at again. */
const SLEEP_MAX_MS = 1000;
/** Timer values at or above this mean "none". */
const FAR_FUTURE_NS = 1n << 62n;

export class RunLoop {
  readonly exitCounts = new Float64Array(EXIT_REASONS);
  /** Host nanoseconds inside runVcpu and asleep. */
  vcpuNs = 0;
  idleNs = 0;
  #sleep: Sleep | undefined;
  #writesToLook = EXITS_PER_LOOK;
  #woken = false;
  #nsPerInstruction: number;
  /** Called whenever the loop comes round: at least every few milliseconds, and before it sleeps. */
  onTurn: () => void = () => {};

  constructor(
    private readonly core: Core,
    private readonly vcpu: Vcpu,
    private readonly clock: VmClock,
    private readonly machine: ExitContext & { stepOverNext: boolean },
    private readonly platform: Platform,
    /** True while something wants the loop to stop: pause, stop, reset, end. */
    private readonly requested: () => boolean,
    /** Turns the debugger's controls off and on around one instruction. */
    private readonly setDebugControls: (on: boolean) => void,
    psPerInstruction: number,
  ) {
    // Real clock: a first guess, corrected by measurement. Virtual clock: the definition.
    this.#nsPerInstruction = clock.kind === "virtual" ? psPerInstruction / 1000 : 10;
  }

  /** Ends a sleep, or keeps the next one from starting: an interrupt or a request is there. */
  wake(): void {
    this.#woken = true;
    this.#sleep?.wake();
  }

  /** Runs until a request is pending. */
  async run(): Promise<void> {
    let turnStart = this.platform.monotonicNs();
    let exitsToLook = EXITS_PER_LOOK;
    while (!this.requested()) {
      const { reason, next } = this.enter(this.#budget());
      if (next === Next.Run && --exitsToLook > 0) continue;
      exitsToLook = EXITS_PER_LOOK;
      if (next === Next.Idle && !this.requested()) {
        this.onTurn();
        await this.#idle();
        if (this.clock.kind === "real") turnStart = this.platform.monotonicNs();
      }
      if (reason === Exit.PortOut || reason === Exit.MmioWrite) {
        // Look at requests (the loop's condition), but at the clock only now and then.
        if (--this.#writesToLook > 0) continue;
        this.#writesToLook = EXITS_PER_LOOK;
      }
      if (this.platform.monotonicNs() - turnStart >= YIELD_NS) {
        this.onTurn();
        await this.platform.yieldToEventLoop();
        turnStart = this.platform.monotonicNs();
      }
    }
  }

  /** Debugger: so many instructions, exits handled, unless something asks to stop. Idle time is skipped or waited for. */
  async step(instructions: number): Promise<void> {
    const { vcpu } = this;
    let turnStart = this.platform.monotonicNs();
    this.machine.stepOverNext = true;
    for (let end = vcpu.retired + instructions; vcpu.retired < end && !this.requested(); ) {
      const { next } = this.enter(1n);
      if (next === Next.Idle) await this.#idle();
      if (this.platform.monotonicNs() - turnStart < YIELD_NS) continue;
      await this.platform.yieldToEventLoop();
      turnStart = this.platform.monotonicNs();
    }
  }

  /** One runVcpu and its exit, timers included. */
  enter(budget: bigint): { reason: Exit; next: Next } {
    const { core, vcpu, clock } = this;
    clock.fireDue();
    core.advanceTimers(vcpu.address, core.clockNowNs(vcpu.address));
    const stepOver = this.machine.stepOverNext;
    if (stepOver) {
      this.machine.stepOverNext = false;
      this.setDebugControls(false);
    }
    const before = this.platform.monotonicNs();
    const retiredBefore = vcpu.retired;
    const reason = core.runVcpu(vcpu.address, stepOver ? 1n : budget);
    const spent = this.platform.monotonicNs() - before;
    this.vcpuNs += spent;
    if (stepOver) this.setDebugControls(true);
    const handler = exitHandlers[reason];
    if (handler === undefined) throw new VmError("internal", `The core returned exit reason ${reason}, which does not exist.`, { reason });
    this.exitCounts[reason] = (this.exitCounts[reason] ?? 0) + 1;
    if (reason === Exit.Budget && clock.kind === "real") this.#learnSpeed(spent, vcpu.retired - retiredBefore);
    this.machine.tracer("exit")?.({ kind: "exit", reason: exitNames[reason] ?? "" });
    return { reason, next: handler(this.machine) };
  }

  /** Instructions up to the nearest of: end of the slice, next timer of the core or of a device. */
  #budget(): bigint {
    const slice =
      this.clock.kind === "virtual" ? VIRTUAL_SLICE : Math.min(SLICE_MAX, Math.max(SLICE_MIN, SLICE_NS / this.#nsPerInstruction));
    const wait = this.#nsToDeadline();
    const left = Math.ceil(wait / this.#nsPerInstruction);
    return BigInt(Math.trunc(Math.max(1, Math.min(slice, left))));
  }

  /** Guest ns to the next timer; Infinity for none, never negative. */
  #nsToDeadline(): number {
    const inCore = this.core.nextDeadlineNs(this.vcpu.address);
    const next = Math.min(inCore >= FAR_FUTURE_NS ? Number.POSITIVE_INFINITY : Number(inCore), this.clock.nextDeadlineNs());
    return next === Number.POSITIVE_INFINITY ? next : Math.max(0, next - this.clock.nowNs());
  }

  async #idle(): Promise<void> {
    const waitNs = this.#nsToDeadline();
    if (this.clock.kind === "virtual" && waitNs !== Number.POSITIVE_INFINITY) {
      // Nothing happens until then: be there at once.
      this.core.advanceClock(this.vcpu.address, BigInt(Math.ceil(waitNs)));
      return;
    }
    const woken = this.#woken;
    this.#woken = false;
    if (woken || waitNs === 0) return;
    // Timers of the host count whole milliseconds and fire late rather than early: aim short, the rest is yields.
    const waitMs = Math.min(SLEEP_MAX_MS, waitNs / 1e6);
    const start = this.platform.monotonicNs();
    if (waitMs < 0.5) {
      await this.platform.yieldToEventLoop();
    } else {
      this.#sleep = this.platform.sleep(Math.max(1, Math.floor(waitMs)));
      await this.#sleep.done;
      this.#sleep = undefined;
    }
    this.#woken = false;
    this.idleNs += this.platform.monotonicNs() - start;
  }

  #learnSpeed(spentNs: number, instructions: number): void {
    if (instructions < SLICE_MIN / 2 || spentNs <= 0) return;
    this.#nsPerInstruction = 0.75 * this.#nsPerInstruction + 0.25 * (spentNs / instructions);
  }
}
