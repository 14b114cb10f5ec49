// The run loop of a vCPU: budget, run, handle the exit, look at clock and requests, and again. How long it runs, and who
// runs besides it, is its executor's business (executor.ts): alone in this process, or one of many on a pCPU.
//
// With a virtual clock every number here derives from guest state only, so where the executor yields, sleeps or lets others
// run cannot be seen by the guest: the same run twice is the same run.
import { EXIT_REASONS, Exit } from "../../spec/exits.ts";
import type { Platform } from "../platform/platform.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { VmClock } from "./clock.ts";
import type { ClockSync } from "./clock-sync.ts";
import type { Core } from "./core.ts";
import { asVmError, VmError } from "./error.ts";
import { type Executor, type Runnable, Turn } from "./executor.ts";
import { type ExitContext, Next } from "./exits/handler.ts";
import { exitHandlers, exitNames } from "./exits/index.ts";

/** Wasm does not replace the code of a running function by its optimised version: come back about this often. */
const SLICE_NS = 1e6;
/** Debugger: host time after which others get their turn on the event loop. */
const STEP_YIELD_NS = 4e6;
/** Instructions of a slice with the virtual clock: about a millisecond, and always the same number. */
const VIRTUAL_SLICE = 200_000;
const SLICE_MIN = 2_000;
const SLICE_MAX = 4_000_000;
/** Exits after which a slice ends even if its instructions have not run out: a port loop must not hold up the clock. */
const EXITS_PER_SLICE = 1024;
/** Timer values at or above this mean "none". */
const FAR_FUTURE_NS = 1n << 62n;

/** What the loop asks of the machine beside handling exits. */
export interface LoopControl {
  /** The next instruction runs with the debugger's controls off. */
  stepOverNext: boolean;
  /** Exits are being traced. */
  readonly traceExits: boolean;
  /** Interrupts are being traced: what happened to them before an exit is told before it. */
  readonly irqLog: { drain(): void } | undefined;
  setDebugControls(on: boolean): void;
  crash(error: VmError): void;
}

export class RunLoop implements Runnable {
  readonly exitCounts = new Float64Array(EXIT_REASONS);
  /** Host nanoseconds running the vCPU (exits included), and asleep because the guest was idle. */
  vcpuNs = 0;
  sleptNs = 0;
  /** Set by the executor: the guest may have something to do, or a request is there. */
  onWake: () => void = () => {};
  #woken = false;
  #nsPerInstruction: number;

  constructor(
    private readonly core: Core,
    private readonly vcpu: Vcpu,
    private readonly clock: VmClock,
    private readonly clockSync: ClockSync,
    private readonly machine: ExitContext & LoopControl,
    private readonly platform: Platform,
    private readonly executor: Executor,
    private readonly isRequested: () => boolean,
    /** Called whenever the loop comes round: at least every few milliseconds, and before it sleeps. */
    readonly onTurn: () => void,
    psPerInstruction: number,
  ) {
    // Real clock: a first guess, corrected by measurement. Virtual clock: the definition.
    this.#nsPerInstruction = clock.kind === "virtual" ? psPerInstruction / 1000 : 10;
  }

  /** True while something wants the loop to stop: pause, stop, reset, end. */
  get requested(): boolean {
    return this.isRequested();
  }

  /** Ends a sleep, or keeps the next one from starting: an interrupt or a request is there. */
  wake(): void {
    this.#woken = true;
    this.onWake();
  }

  /** Runs until a request is pending. */
  run(): Promise<void> {
    return this.executor.run(this);
  }

  /** About `limitNs` of host time, less when the guest idles or a request comes. */
  turn(limitNs: number): Turn {
    const start = this.platform.monotonicNs();
    let now = start;
    this.clockSync.turnBegins();
    while (!this.requested) {
      const next = this.#slice(limitNs - (now - start));
      now = this.platform.monotonicNs();
      if (next === Next.Idle && !this.requested) {
        this.vcpuNs += now - start;
        return Turn.Idle;
      }
      if (now - start >= limitNs || next === Next.Yield) {
        this.vcpuNs += now - start;
        this.clockSync.turnEnds();
        return Turn.Runnable;
      }
    }
    this.vcpuNs += now - start;
    return Turn.Requested;
  }

  /**
   * After Turn.Idle: host ns to wait for the next timer (Infinity: only an interrupt or a request ends it), 0 to go on at once.
   * A virtual clock skips the time here.
   */
  idleNs(): number {
    if (this.#woken || this.requested) {
      this.#woken = false;
      return 0;
    }
    const waitNs = this.#nsToDeadline();
    if (this.clock.kind !== "virtual" || waitNs === Number.POSITIVE_INFINITY) return this.clock.toHostNs(waitNs);
    // Nothing happens until then: be there at once.
    this.core.advanceClock(this.vcpu.address, BigInt(Math.ceil(waitNs)));
    return 0;
  }

  /** Debugger: so many instructions, exits handled, unless something asks to stop. Idle time is skipped or waited for. */
  async step(instructions: number): Promise<void> {
    const { vcpu } = this;
    let turnStart = this.platform.monotonicNs();
    this.machine.stepOver();
    for (const end = vcpu.retired + instructions; vcpu.retired < end && !this.requested; ) {
      this.#advanceTimers();
      const before = this.platform.monotonicNs();
      const next = this.#enter(1).next;
      this.vcpuNs += this.platform.monotonicNs() - before;
      if (next === Next.Idle) await this.executor.sleep(this);
      if (this.platform.monotonicNs() - turnStart < STEP_YIELD_NS) continue;
      await this.platform.yieldToEventLoop();
      turnStart = this.platform.monotonicNs();
    }
  }

  /** About a millisecond of instructions, `limitNs`, or up to the next timer, with the exits on the way. */
  #slice(limitNs: number): Next {
    const { vcpu, clock } = this;
    this.#advanceTimers();
    const { changes } = clock;
    const start = vcpu.retired;
    const end = start + this.#budget(limitNs);
    const before = clock.kind === "real" ? this.platform.monotonicNs() : 0;
    for (let exits = 0; exits < EXITS_PER_SLICE; exits++) {
      const { reason, next } = this.#enter(end - vcpu.retired);
      if (next === Next.Idle || next === Next.Yield) return next;
      if (reason === Exit.Budget) {
        if (clock.kind === "real") this.#learnSpeed(this.platform.monotonicNs() - before, vcpu.retired - start);
        return next;
      }
      // A device moved its deadline, or the core says that one is due: look at the clock.
      if (reason === Exit.Deadline || clock.changes !== changes || vcpu.retired >= end) return next;
      if (next === Next.Look && this.requested) return next;
    }
    return Next.Look;
  }

  #result = { reason: Exit.Budget as Exit, next: Next.Run as Next };

  /** One runVcpu and its exit. */
  #enter(budget: number): { readonly reason: Exit; readonly next: Next } {
    try {
      return this.#enterCore(budget);
    } catch (error) {
      // A page of memory that cannot be read, or a fault of ours: this VM ends, others on its thread go on.
      this.machine.crash(asVmError(error));
      this.#result.next = Next.Look;
      return this.#result;
    }
  }

  #enterCore(budget: number): { readonly reason: Exit; readonly next: Next } {
    const { core, vcpu, machine } = this;
    const reason = machine.stepOverNext ? this.#enterStepOver() : core.runVcpu(vcpu.address, BigInt(budget));
    machine.irqLog?.drain();
    const handler = exitHandlers[reason];
    if (handler === undefined)
      throw new VmError("internal", `The core returned exit reason ${reason}, which does not exist.`, { reason });
    this.exitCounts[reason] = (this.exitCounts[reason] ?? 0) + 1;
    if (machine.traceExits) machine.tracer("exit")?.({ kind: "exit", reason: exitNames[reason] ?? "" });
    const result = this.#result;
    result.reason = reason;
    result.next = handler(machine);
    return result;
  }

  /** One instruction with the debugger's controls off, so that it does not stop where it just stopped. */
  #enterStepOver(): Exit {
    const { core, vcpu, machine } = this;
    const before = vcpu.retired;
    machine.setDebugControls(false);
    const reason = core.runVcpu(vcpu.address, 1n);
    machine.setDebugControls(true);
    // An instruction that needs the host first has not got past the place yet.
    machine.stepOverNext = reason !== Exit.Budget && reason !== Exit.Hlt && vcpu.retired === before;
    return reason;
  }

  #advanceTimers(): void {
    const { core, vcpu, clock } = this;
    clock.fireDue();
    core.advanceTimers(vcpu.address, core.clockNowNs(vcpu.address));
  }

  /** Instructions up to the nearest of: end of the slice, `limitNs`, next timer of the core or of a device. */
  #budget(limitNs: number): number {
    const slice =
      this.clock.kind === "virtual"
        ? VIRTUAL_SLICE
        : Math.min(SLICE_MAX, Math.max(SLICE_MIN, Math.min(SLICE_NS, limitNs) / this.#nsPerInstruction));
    const left = this.#nsToDeadline() / this.#nsPerInstruction;
    return Math.max(1, Math.ceil(Math.min(slice, left)));
  }

  /** Guest ns to the next timer; Infinity for none, never negative. */
  #nsToDeadline(): number {
    const inCore = this.core.nextDeadlineNs(this.vcpu.address);
    const next = Math.min(
      inCore >= FAR_FUTURE_NS ? Number.POSITIVE_INFINITY : Number(inCore),
      this.clock.nextDeadlineNs(),
    );
    return next === Number.POSITIVE_INFINITY ? next : Math.max(0, next - this.clock.nowNs());
  }

  #learnSpeed(spentNs: number, instructions: number): void {
    if (instructions < SLICE_MIN / 2 || spentNs <= 0) return;
    this.#nsPerInstruction = 0.75 * this.#nsPerInstruction + 0.25 * (spentNs / instructions);
  }
}
