// The life cycle of a VM: created, running, paused and ended, and who waits for its vCPU to stand between two instructions.
import { prepareBoot } from "../boot/index.ts";
import type { Platform } from "../platform/platform.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { ResumeTime } from "./config.ts";
import type { DetachedVm } from "./detached-vm.ts";
import { asVmError, VmError } from "./error.ts";
import type { Emitter } from "./events.ts";
import type { Executor } from "./executor.ts";
import type { Machine } from "./machine.ts";
import { saveMachine } from "./machine-state.ts";
import type { Outputs } from "./outputs.ts";
import { powerOn } from "./power-on.ts";
import { RunLoop } from "./run-loop.ts";
import type { ScreenWatch } from "./screen-watch.ts";
import { collectStatistics, loadUse, saveUse } from "./statistics.ts";
import type { DebugStop, ExitStatus, ResetCause, VmEvents, VmState, VmStatistics } from "./status.ts";

interface RestWork {
  readonly work: () => void;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export interface LifeCycleParts {
  readonly config: CheckedConfig;
  readonly platform: Platform;
  readonly machine: Machine;
  readonly events: Emitter<VmEvents>;
  readonly outputs: Outputs;
  readonly executor: Executor;
  readonly screenWatch: ScreenWatch | undefined;
}

/** Public methods are the VM's verbs, documented there (vm.ts). */
export class LifeCycle {
  /** Resolves once, when the VM has ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Resolves when what the machine had open is closed; rejects when that failed. Undefined before the end. */
  closed: Promise<void> | undefined;

  readonly #loop: RunLoop;
  #state: VmState = "created";
  #resolveExited: (status: ExitStatus) => void = () => {};
  /** The loop is to park: pause() waits for it. */
  #pauseRequested = false;
  #driving: Promise<void> | undefined;
  /** Another thread takes over: the loop parks, and nobody hears of it. */
  #detaching = false;
  #resets = 0;
  #hostNs = 0;
  #runningSince = 0;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  readonly #onAbort: () => void;
  /** What waits for the vCPU to stand between two instructions. */
  readonly #atRest: RestWork[] = [];

  constructor(private readonly parts: LifeCycleParts) {
    const { config, platform, machine, executor } = parts;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    this.#loop = new RunLoop(
      machine.core,
      machine.vcpu,
      machine.clock,
      machine.clockSync,
      machine,
      platform,
      executor,
      () => this.#pauseRequested || this.#atRest.length > 0 || machine.requested,
      () => this.#turn(),
      config.psPerInstruction,
    );
    this.#onAbort = () => void this.stop(config.signal?.reason);
    config.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get state(): VmState {
    return this.#state;
  }

  get ended(): boolean {
    return this.#state === "stopped" || this.#state === "crashed";
  }

  /** A halted vCPU may have something to do, or a request is there. */
  wake(): void {
    this.#loop.wake();
  }

  statistics(): VmStatistics {
    const { machine, platform } = this.parts;
    const running = this.#driving !== undefined ? platform.monotonicNs() - this.#runningSince : 0;
    return collectStatistics(machine, this.#loop, this.#hostNs + running, this.#resets);
  }

  // ---- verbs

  start(): void {
    const { timeoutMs } = this.parts.config;
    if (this.#state !== "created") this.refuse("start", "created");
    if (timeoutMs !== undefined) this.#timeout = setTimeout(() => this.#timedOut(), timeoutMs);
    this.#run();
  }

  async pause(): Promise<void> {
    if (this.#state !== "running") this.refuse("pause", "running");
    this.#pauseRequested = true;
    this.#loop.wake();
    await this.#driving;
  }

  resume(time: ResumeTime | undefined): void {
    if (this.#state !== "paused") this.refuse("resume", "paused");
    this.parts.machine.leaveStop();
    this.#run(time);
  }

  async reset(): Promise<void> {
    if (this.#state === "running") {
      this.parts.machine.requestReset("host");
      return;
    }
    if (this.#state !== "paused" && this.#state !== "created") this.refuse("reset", "running, paused or created");
    await this.#reset("host");
  }

  async stop(reason?: unknown): Promise<ExitStatus> {
    if (this.#state === "running") {
      this.parts.machine.end({ kind: "killed", reason });
      await this.#driving;
    } else if (this.#state === "created" || this.#state === "paused") {
      this.#end({ kind: "killed", reason });
    }
    return this.exited;
  }

  async step(instructions: number): Promise<DebugStop> {
    if (this.#state !== "paused" && this.#state !== "created") this.refuse("step", "paused or created");
    if (!Number.isInteger(instructions) || instructions < 1) {
      throw new VmError("bad-config", `step takes a number of instructions from 1; ${instructions} given.`, {
        instructions,
      });
    }
    const { machine, outputs } = this.parts;
    if (this.#state === "created") this.#setState("paused");
    machine.clock.start();
    try {
      const end = machine.vcpu.retired + instructions;
      do {
        await this.#loop.step(end - machine.vcpu.retired);
        await machine.settleHold();
      } while (machine.vcpu.retired < end && !machine.requested);
    } catch (error) {
      machine.crash(asVmError(error));
    }
    machine.clock.stop();
    outputs.flush();
    const stop = machine.requests.debug ?? { reason: "step", address: machine.vcpu.pc };
    machine.requests.debug = undefined;
    if (machine.requests.reset !== undefined) await this.#takeReset();
    if (machine.requests.end !== undefined) this.#end(machine.requests.end);
    return stop;
  }

  /** Calls `work` with the vCPU between two instructions and the clock standing, whatever the VM's state. */
  async rest(verb: string, work: () => void): Promise<void> {
    if (this.ended) this.refuse(verb, "running, paused or created");
    if (this.#driving === undefined) return work();
    await new Promise<void>((done, failed) => {
      this.#atRest.push({ work, done, failed });
      this.#loop.wake();
    });
  }

  // ---- from thread to thread

  /** Brings the vCPU to rest for good; undefined when the VM has ended meanwhile. */
  async detach(): Promise<DetachedVm | undefined> {
    const { machine, platform, outputs } = this.parts;
    await machine.absent.finish();
    this.#detaching = true;
    if (this.#state === "running") {
      this.#pauseRequested = true;
      this.#loop.wake();
      await this.#driving;
    }
    const state = this.#state;
    if (state !== "running" && state !== "paused" && state !== "created") return undefined;
    const stoppedAtNs = platform.monotonicNs();
    outputs.flush();
    // The other thread has not opened the snapshot.
    machine.absent.complete();
    const saved = saveMachine(machine);
    // The other thread opens its disks anew.
    await machine.dispose();
    const use = saveUse(machine, this.#loop, this.#hostNs, this.#resets);
    return { memory: machine.memory, machine: saved, state, stoppedAtNs, use };
  }

  /** Goes on where another thread's ended; the machine's state is loaded. */
  adopt({ state, stoppedAtNs, use }: DetachedVm): void {
    const { machine, platform } = this.parts;
    loadUse(machine, this.#loop, use);
    this.#hostNs = use.hostNs;
    this.#resets = use.resets;
    this.#state = state;
    if (state !== "running") return;
    // A real clock went on meanwhile; a virtual one only moves with its vCPU.
    if (machine.clock.kind === "real") machine.clock.skip(platform.monotonicNs() - stoppedAtNs);
    this.#run();
  }

  refuse(verb: string, wanted: string): never {
    throw new VmError("bad-state", `Cannot ${verb} a VM that is ${this.#state}; it must be ${wanted}.`, {
      state: this.#state,
    });
  }

  // ---- inside

  #turn(): void {
    this.parts.outputs.flush();
    this.parts.screenWatch?.turn();
  }

  #timedOut(): void {
    if (this.#state === "running") this.parts.machine.end({ kind: "timeout" });
    else this.#end({ kind: "timeout" });
  }

  #run(time?: ResumeTime): void {
    this.#pauseRequested = false;
    this.#setState("running");
    this.#runningSince = this.parts.platform.monotonicNs();
    this.parts.machine.clockSync.start(time);
    this.#driving = this.#drive();
  }

  /** Runs until the VM is paused or has ended; never rejects. */
  async #drive(): Promise<void> {
    const { machine, platform } = this.parts;
    const { requests } = machine;
    try {
      // The first instructions run after start() or resume() has returned.
      await platform.yieldToEventLoop();
      while (true) {
        await this.#loop.run();
        this.#turn();
        if (requests.end !== undefined) return this.#park(requests.end);
        if (requests.hold !== undefined) await machine.settleHold();
        else if (requests.reset !== undefined) await this.#takeReset();
        else if (this.#atRest.length > 0 && requests.debug === undefined) this.#workAtRest();
        else return this.#park(undefined);
      }
    } catch (error) {
      this.#park({ kind: "crashed", error: asVmError(error) });
    }
  }

  #workAtRest(): void {
    const { machine } = this.parts;
    machine.clock.stop();
    for (const { work, done, failed } of this.#atRest.splice(0)) {
      try {
        work();
        done();
      } catch (error) {
        failed(error);
      }
    }
    if (this.#driving !== undefined) machine.clockSync.start();
  }

  #park(end: ExitStatus | undefined): void {
    const { machine, platform, events } = this.parts;
    machine.clock.stop();
    this.#hostNs += platform.monotonicNs() - this.#runningSince;
    this.#pauseRequested = false;
    this.#driving = undefined;
    if (end !== undefined) {
      this.#end(end);
      return;
    }
    this.#workAtRest();
    if (this.#detaching) return;
    this.#setState("paused");
    const stop = machine.requests.debug;
    machine.requests.debug = undefined;
    if (stop !== undefined) events.emit("debug-stop", stop);
  }

  async #takeReset(): Promise<void> {
    const { config, machine, executor } = this.parts;
    const { requests } = machine;
    const cause = requests.reset ?? "host";
    requests.reset = undefined;
    if (config.onReset === "exit" && cause !== "host") requests.end ??= { kind: "reset", cause };
    else await executor.bill(() => this.#reset(cause));
  }

  async #reset(cause: ResetCause): Promise<void> {
    const { config, machine, platform, events } = this.parts;
    this.#resets++;
    await powerOn(machine, (board) => prepareBoot(config.boot, board));
    // A guest that resets itself again and again leaves others their turn.
    await platform.yieldToEventLoop();
    events.emit("reset", { cause });
  }

  #end(status: ExitStatus): void {
    if (this.ended) return;
    const { config, machine, events, outputs, screenWatch } = this.parts;
    for (const { failed } of this.#atRest.splice(0)) {
      failed(new VmError("bad-state", "The VM ended before it could be brought to rest.", { state: this.#state }));
    }
    clearTimeout(this.#timeout);
    config.signal?.removeEventListener("abort", this.#onAbort);
    outputs.flush();
    outputs.close();
    screenWatch?.dispose();
    this.closed = machine.dispose();
    // Whoever disposes of the VM is told.
    this.closed.catch(() => {});
    this.#setState(status.kind === "crashed" ? "crashed" : "stopped");
    this.#resolveExited(status);
    events.emit("exit", status);
  }

  #setState(state: VmState): void {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.parts.events.emit("state", { state, previous });
  }
}
