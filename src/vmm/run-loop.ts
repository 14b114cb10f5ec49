// The run loop of a vCPU in this process: budget, run, handle the exit, look at clock and requests, and again; a
// cooperative citizen of the event loop.
//
// With a virtual clock every number here derives from guest state only, so where the loop yields or sleeps on the host
// cannot be seen by the guest: the same run twice is the same run.
import { EXIT_REASONS, Exit } from "../../spec/exits.ts";
import type { Platform, Sleep } from "../platform/platform.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { VmClock } from "./clock.ts";
import type { Core } from "./core.ts";
import { VmError } from "./error.ts";
import { type ExitContext, Next } from "./exits/handler.ts";
import { exitHandlers, exitNames } from "./exits/index.ts";

/** Wasm does not replace the code of a running function by its optimised version: come back about this often. */
const SLICE_NS = 1e6;
/** Host time after which others get their turn on the event loop. */
const YIELD_NS = 4e6;
/** Instructions of a slice with the virtual clock: about a millisecond, and always the same number. */
const VIRTUAL_SLICE = 200_000;
const SLICE_MIN = 2_000;
const SLICE_MAX = 4_000_000;
/** Exits after which a slice ends even if its instructions have not run out: a port loop must not hold up the clock. */
const EXITS_PER_SLICE = 1024;
/** Longest sleep; deadlines of the core beyond it are looked at again. */
const SLEEP_MAX_MS = 1000;
/** Waits shorter than this are not worth a timer of the host. */
const SLEEP_MIN_MS = 0.5;
/** Timer values at or above this mean "none". */
const FAR_FUTURE_NS = 1n << 62n;

/** What the loop asks of the machine beside handling exits. */
export interface LoopControl {
  /** The next instruction runs with the debugger's controls off. */
  stepOverNext: boolean;
  /** Exits are being traced. */
  readonly traceExits: boolean;
  setDebugControls(on: boolean): void;
}

export class RunLoop {
  readonly exitCounts = new Float64Array(EXIT_REASONS);
  /** Host nanoseconds running the vCPU (exits included), and asleep because the guest was idle. */
  vcpuNs = 0;
  idleNs = 0;
  /** Called whenever the loop comes round: at least every few milliseconds, and before it sleeps. */
  onTurn: () => void = () => {};
  #sleep: Sleep | undefined;
  #woken = false;
  #nsPerInstruction: number;

  constructor(
    private readonly core: Core,
    private readonly vcpu: Vcpu,
    private readonly clock: VmClock,
    private readonly machine: ExitContext & LoopControl,
    private readonly platform: Platform,
    /** True while something wants the loop to stop: pause, stop, reset, end. */
    private readonly requested: () => boolean,
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
    while (!this.requested()) {
      const before = this.platform.monotonicNs();
      const next = this.#slice();
      const after = this.platform.monotonicNs();
      this.vcpuNs += after - before;
      if (next === Next.Idle && !this.requested()) {
        this.onTurn();
        if (await this.#idle()) turnStart = this.platform.monotonicNs();
      }
      if (after - turnStart >= YIELD_NS) {
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
    this.machine.stepOver();
    for (const end = vcpu.retired + instructions; vcpu.retired < end && !this.requested(); ) {
      this.#advanceTimers();
      const before = this.platform.monotonicNs();
      const next = this.#enter(1).next;
      this.vcpuNs += this.platform.monotonicNs() - before;
      if (next === Next.Idle) await this.#idle();
      if (this.platform.monotonicNs() - turnStart < YIELD_NS) continue;
      await this.platform.yieldToEventLoop();
      turnStart = this.platform.monotonicNs();
    }
  }

  /** About a millisecond of instructions, or up to the next timer, with the exits on the way. */
  #slice(): Next {
    const { vcpu, clock } = this;
    this.#advanceTimers();
    const { changes } = clock;
    const start = vcpu.retired;
    const end = start + this.#budget();
    const before = clock.kind === "real" ? this.platform.monotonicNs() : 0;
    for (let exits = 0; exits < EXITS_PER_SLICE; exits++) {
      const { reason, next } = this.#enter(end - vcpu.retired);
      if (next === Next.Idle) return next;
      if (reason === Exit.Budget) {
        if (clock.kind === "real") this.#learnSpeed(this.platform.monotonicNs() - before, vcpu.retired - start);
        return next;
      }
      // A device moved its deadline, or the core says that one is due: look at the clock.
      if (reason === Exit.Deadline || clock.changes !== changes || vcpu.retired >= end) return next;
      if (next === Next.Look && this.requested()) return next;
    }
    return Next.Look;
  }

  #result = { reason: Exit.Budget as Exit, next: Next.Run as Next };

  /** One runVcpu and its exit. */
  #enter(budget: number): { readonly reason: Exit; readonly next: Next } {
    const { core, vcpu, machine } = this;
    const reason = machine.stepOverNext ? this.#enterStepOver() : core.runVcpu(vcpu.address, BigInt(budget));
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

  /** Instructions up to the nearest of: end of the slice, next timer of the core or of a device. */
  #budget(): number {
    const slice =
      this.clock.kind === "virtual"
        ? VIRTUAL_SLICE
        : Math.min(SLICE_MAX, Math.max(SLICE_MIN, SLICE_NS / this.#nsPerInstruction));
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

  /** Waits for the next timer, interrupt or request. True if others had their turn on the event loop meanwhile. */
  async #idle(): Promise<boolean> {
    const waitNs = this.#nsToDeadline();
    if (this.clock.kind === "virtual" && waitNs !== Number.POSITIVE_INFINITY) {
      // Nothing happens until then: be there at once.
      this.core.advanceClock(this.vcpu.address, BigInt(Math.ceil(waitNs)));
      return false;
    }
    const start = this.platform.monotonicNs();
    let waited = false;
    for (let left = waitNs; left > 0 && !this.#woken && !this.requested(); left = this.#nsToDeadline()) {
      waited = true;
      const leftMs = Math.min(SLEEP_MAX_MS, left / 1e6);
      if (leftMs < SLEEP_MIN_MS) {
        await this.platform.yieldToEventLoop();
        continue;
      }
      // Timers of the host count whole milliseconds and fire late rather than early: aim short, the rest is yields.
      this.#sleep = this.platform.sleep(Math.max(1, Math.floor(leftMs)));
      await this.#sleep.done;
      this.#sleep = undefined;
    }
    this.#woken = false;
    this.idleNs += this.platform.monotonicNs() - start;
    return waited;
  }

  #learnSpeed(spentNs: number, instructions: number): void {
    if (instructions < SLICE_MIN / 2 || spentNs <= 0) return;
    this.#nsPerInstruction = 0.75 * this.#nsPerInstruction + 0.25 * (spentNs / instructions);
  }
}
