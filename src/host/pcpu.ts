// A pCPU: one thread that lends itself to many vCPUs, as its scheduling policy says. It runs in a worker of its own, or in
// the process's only thread; either way it comes back to the event loop every few milliseconds.
import type { Platform, Sleep } from "../platform/platform.ts";
import { type Executor, type Runnable, Turn } from "../vmm/executor.ts";
import { SoloExecutor } from "../vmm/solo-executor.ts";
import { LatencyHistogram, type LatencySummary } from "./latency.ts";
import { exchangePolicy } from "./sched/exchange.ts";
import { Heap, type HeapItem } from "./sched/heap.ts";
import type { Ns, SchedCarry, SchedParameters, SchedPolicy, VcpuId } from "./sched/policy.ts";
import { reservedWeights } from "./sched/reserved-weights.ts";

/** Host time after which messages and I/O get their turn. */
const YIELD_NS = 4e6;
/** Longest sleep; deadlines beyond it are looked at again. */
const SLEEP_MAX_MS = 1000;
/** Host timers count whole milliseconds: a rest shorter than this is waited out on the thread. */
const SLEEP_MIN_NS = 1e6;
/** Shortest turn worth the way into the core and back. */
const TURN_MIN_NS = 50e3;

/** What one vCPU got of its pCPUs. */
export interface VcpuAccount {
  readonly vcpu: VcpuId;
  readonly parameters: SchedParameters;
  /** Host ns it ran, and was runnable without running. */
  readonly ranNs: number;
  readonly stolenNs: number;
  /** Times that it was given the pCPU after another one or after idling. */
  readonly dispatches: number;
  /** From being woken to running. */
  readonly wakeLatency: LatencySummary;
  /** Runnable while another one runs. */
  readonly waiting: boolean;
  /** The policy lets it go to another pCPU. */
  readonly movable: boolean;
}

/** What a vCPU takes along to another pCPU. */
export interface VcpuCarry {
  readonly scheduling: SchedCarry;
  readonly ranNs: number;
  readonly stolenNs: number;
  readonly dispatches: number;
}

export interface PcpuAccount {
  readonly policy: string;
  /** Host ns since the pCPU started; busy: some vCPU ran. */
  readonly upNs: number;
  readonly busyNs: number;
  /** Changes from one vCPU to another. */
  readonly switches: number;
  readonly vcpus: readonly VcpuAccount[];
}

/** What the machine is told about its vCPU's fate, so that the guest can know. */
export interface StealSink {
  /** The vCPU was runnable for `ns` and others ran. */
  addStealNs(ns: number): void;
  /** Others run from here on although it could, or it runs again. */
  setPreempted(preempted: boolean): void;
}

class Task implements Executor, HeapItem {
  /** Among those whose own timer wakes them. */
  heapIndex = -1;
  /** Host ns of work for it outside its turns that its account does not have yet. */
  owedNs = 0;
  runnable: Runnable | undefined;
  ranNs = 0;
  stolenNs = 0;
  dispatches = 0;
  readonly wakeLatency = new LatencyHistogram();
  /** Since when it waits for the pCPU; undefined while it runs or is blocked. */
  waitingSinceNs: number | undefined;
  /** Since when it wants to run after idling; undefined where it was preempted. */
  wantedSinceNs: number | undefined;
  /** When its own timer wakes it; Infinity: only an interrupt or a request does. Undefined: not idle. */
  idleUntilNs: number | undefined;
  steal: StealSink | undefined;
  #finish: (() => void) | undefined;

  /** With which it is scheduled: its own, or what its reservation makes of it. */
  weight: number;

  constructor(
    readonly id: VcpuId,
    public parameters: SchedParameters,
    private readonly pcpu: Pcpu,
    private readonly stepper: SoloExecutor,
  ) {
    this.weight = parameters.weight;
  }

  run(runnable: Runnable): Promise<void> {
    this.runnable = runnable;
    return new Promise((resolve) => {
      this.#finish = resolve;
      this.pcpu.begin(this);
    });
  }

  sleep(runnable: Runnable): Promise<void> {
    return this.stepper.sleep(runnable);
  }

  bill<T>(work: () => Promise<T>): Promise<T> {
    return this.pcpu.bill(this, work);
  }

  finish(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    this.runnable = undefined;
    this.waitingSinceNs = undefined;
    finish?.();
  }
}

export class Pcpu {
  readonly #tasks = new Map<VcpuId, Task>();
  /** Those that idle until a time of their own, the first to wake on top. */
  readonly #timers = new Heap<Task>((a, b) => {
    const [x, y] = [a.idleUntilNs ?? 0, b.idleUntilNs ?? 0];
    return x < y || (x === y && a.id < b.id);
  });
  readonly #stepper: SoloExecutor;
  readonly #startedNs: Ns;
  #policy: SchedPolicy;
  #running: Task | undefined;
  #last: Task | undefined;
  #busyNs = 0;
  #switches = 0;
  /** The turn that runs should end: somebody better came, or the policy's mind changed. */
  #reschedule = false;
  #driving = false;
  #closed = false;
  #sleep: Sleep | undefined;
  /** When the last rest ended. */
  #restedNs: Ns = 0;
  /** Host ns in which nobody could run. */
  #idleNs = 0;

  constructor(
    private readonly platform: Platform,
    policy: SchedPolicy,
  ) {
    this.#policy = policy;
    this.#stepper = new SoloExecutor(platform);
    this.#startedNs = platform.monotonicNs();
  }

  // ---- who is here

  /**
   * A vCPU that will run here; `carry` is what it brings from another pCPU. Throws VmError("admission") where the policy has
   * no room for its reservation.
   */
  add(vcpu: VcpuId, parameters: SchedParameters, carry?: VcpuCarry): Executor {
    const now = this.platform.monotonicNs();
    this.#policy.add(vcpu, parameters, now, carry?.scheduling);
    const task = new Task(vcpu, parameters, this, this.#stepper);
    task.ranNs = carry?.ranNs ?? 0;
    task.stolenNs = carry?.stolenNs ?? 0;
    task.dispatches = carry?.dispatches ?? 0;
    this.#tasks.set(vcpu, task);
    this.#reweigh();
    return task;
  }

  /** Who shares by weight gives everybody what is held for it. */
  #reweigh(): void {
    const tasks = [...this.#tasks.values()];
    const weights = reservedWeights(tasks.map(({ parameters }) => parameters));
    const now = this.platform.monotonicNs();
    for (const [i, task] of tasks.entries()) {
      const weight = weights[i] ?? task.parameters.weight;
      if (weight === task.weight) continue;
      task.weight = weight;
      this.#policy.set(task.id, { ...task.parameters, weight }, now);
    }
  }

  /** Where the guest hears of stolen time. */
  reportSteal(vcpu: VcpuId, sink: StealSink | undefined): void {
    const task = this.#tasks.get(vcpu);
    if (task !== undefined) task.steal = sink;
  }

  /** It must not be running (its `run` has resolved). Returns what it takes along. */
  remove(vcpu: VcpuId): VcpuCarry | undefined {
    const task = this.#tasks.get(vcpu);
    if (task === undefined) return undefined;
    this.#tasks.delete(vcpu);
    this.#setIdle(task, undefined);
    const { ranNs, stolenNs, dispatches } = task;
    const scheduling = this.#policy.remove(vcpu, this.platform.monotonicNs());
    this.#reweigh();
    return { scheduling, ranNs, stolenNs, dispatches };
  }

  set(vcpu: VcpuId, parameters: SchedParameters): void {
    const task = this.#tasks.get(vcpu);
    if (task === undefined) return;
    this.#policy.set(vcpu, parameters, this.platform.monotonicNs());
    task.parameters = parameters;
    task.weight = parameters.weight;
    this.#reweigh();
    this.#lookAgain();
  }

  /** Work of the host for a vCPU outside its turns, host ns: its account bears it from its next turn on. */
  charge(vcpu: VcpuId, ns: number): void {
    const task = this.#tasks.get(vcpu);
    if (task !== undefined) task.owedNs += ns;
  }

  /** Charges what `work` takes, less the turns of others in between. */
  async bill<T>(task: Task, work: () => Promise<T>): Promise<T> {
    const others = (): number => this.#busyNs + this.#idleNs;
    const [start, before] = [this.platform.monotonicNs(), others()];
    try {
      return await work();
    } finally {
      task.owedNs += Math.max(0, this.platform.monotonicNs() - start - (others() - before));
    }
  }

  /** Another policy takes over everybody. Throws VmError("admission") and changes nothing where it cannot take all. */
  setPolicy(policy: SchedPolicy): void {
    exchangePolicy(this.#policy, policy, this.platform.monotonicNs());
    this.#policy = policy;
    this.#lookAgain();
  }

  account(): PcpuAccount {
    return {
      policy: this.#policy.name,
      upNs: this.platform.monotonicNs() - this.#startedNs,
      busyNs: this.#busyNs,
      switches: this.#switches,
      vcpus: [...this.#tasks.values()].map((task) => ({
        vcpu: task.id,
        parameters: task.parameters,
        ranNs: task.ranNs,
        stolenNs: task.stolenNs,
        dispatches: task.dispatches,
        wakeLatency: task.wakeLatency.summary(),
        // Who is parked at its cap waits for no pCPU.
        waiting: task.waitingSinceNs !== undefined && this.#policy.waits(task.id),
        movable: this.#policy.movable(task.id),
      })),
    };
  }

  /** No more turns. Everybody must have been removed. */
  close(): void {
    this.#closed = true;
    this.#lookAgain();
  }

  // ---- turns

  /** Called by a task whose machine wants to run. */
  begin(task: Task): void {
    const { runnable } = task;
    if (runnable === undefined) return;
    if (runnable.requested) {
      this.#finish(task);
      return;
    }
    runnable.onWake = () => this.#wake(task);
    this.#ready(task, this.platform.monotonicNs());
    if (!this.#driving) {
      this.#driving = true;
      void this.#drive();
    }
  }

  /** The machine has something to do: an interrupt for an idle vCPU, or a request, which needs no turn. */
  #wake(task: Task): void {
    if (task === this.#running) return;
    if (task.runnable?.requested) {
      this.#retire(task);
      return;
    }
    if (task.idleUntilNs !== undefined) this.#ready(task, this.platform.monotonicNs());
  }

  /** `since`: when it wanted to run; its timer may have been due before anybody looked. */
  #ready(task: Task, now: Ns, since = now): void {
    this.#setIdle(task, undefined);
    task.wantedSinceNs = since;
    // A timer of the host that fires late took the processor from nobody; another vCPU did.
    task.waitingSinceNs = Math.max(since, Math.min(now, this.#restedNs));
    if (this.#policy.wake(task.id, now)) this.#reschedule = true;
    if (this.#running === undefined) this.#sleep?.wake();
  }

  /** Ends a task's run: whoever called it goes on. */
  #retire(task: Task): void {
    this.#policy.block(task.id, this.platform.monotonicNs());
    this.#finish(task);
  }

  #finish(task: Task): void {
    this.#setIdle(task, undefined);
    task.finish();
  }

  #setIdle(task: Task, untilNs: Ns | undefined): void {
    if (this.#timers.has(task)) this.#timers.delete(task);
    task.idleUntilNs = untilNs;
    if (untilNs !== undefined && untilNs < Number.POSITIVE_INFINITY) this.#timers.push(task);
  }

  #lookAgain(): void {
    this.#reschedule = true;
    this.#sleep?.wake();
  }

  async #drive(): Promise<void> {
    const { platform } = this;
    let yieldedNs = platform.monotonicNs();
    while (!this.#closed && this.#anybody()) {
      const now = platform.monotonicNs();
      const nextTimerNs = this.#wakeDue(now);
      const pick = this.#policy.pick(now);
      const task = pick && this.#tasks.get(pick.vcpu);
      if (pick === undefined || task === undefined) {
        await this.#rest(Math.min(nextTimerNs, this.#policy.nextEventNs(now)) - now);
        yieldedNs = platform.monotonicNs();
        continue;
      }
      this.#dispatch(task, now);
      yieldedNs = await this.#slice(task, now + pick.sliceNs, yieldedNs);
      this.#running = undefined;
    }
    this.#driving = false;
  }

  #anybody(): boolean {
    for (const task of this.#tasks.values()) if (task.runnable !== undefined) return true;
    return false;
  }

  #dispatch(task: Task, now: Ns): void {
    if (task.waitingSinceNs !== undefined) {
      const waited = now - task.waitingSinceNs;
      task.stolenNs += waited;
      task.steal?.addStealNs(waited);
      task.steal?.setPreempted(false);
      if (task.wantedSinceNs !== undefined) task.wakeLatency.add(now - task.wantedSinceNs);
      task.dispatches++;
    }
    task.waitingSinceNs = undefined;
    task.wantedSinceNs = undefined;
    if (task !== this.#last) this.#switches++;
    this.#last = task;
    this.#running = task;
    this.#reschedule = false;
  }

  /** Turns of one vCPU until its slice ends, it idles, or somebody better comes. Returns when it last yielded. */
  async #slice(task: Task, endNs: Ns, yieldedNs: Ns): Promise<Ns> {
    const { platform } = this;
    let now = platform.monotonicNs();
    while (task.runnable !== undefined) {
      const nextTimerNs = this.#nextTimerNs();
      const limit = Math.min(endNs, nextTimerNs, yieldedNs + YIELD_NS) - now;
      const turn = task.runnable.turn(Math.max(TURN_MIN_NS, limit));
      const after = platform.monotonicNs();
      this.#account(task, after - now, after);
      now = after;
      if (turn === Turn.Requested) {
        this.#retire(task);
        break;
      }
      if (turn === Turn.Idle && this.#settle(task, now)) break;
      this.#wakeDue(now);
      if (now - yieldedNs >= YIELD_NS) {
        this.#flush(task, task.runnable);
        await platform.yieldToEventLoop();
        now = yieldedNs = platform.monotonicNs();
        if (task.runnable === undefined) break;
        if (task.runnable.requested) {
          this.#retire(task);
          break;
        }
      }
      if (now >= endNs || this.#reschedule) {
        task.waitingSinceNs = now;
        task.steal?.setPreempted(true);
        break;
      }
    }
    return yieldedNs;
  }

  /** The guest idles. True when the vCPU is blocked now; false when it can go on at once. */
  #settle(task: Task, now: Ns): boolean {
    const { runnable } = task;
    if (runnable === undefined) return true;
    this.#flush(task, runnable);
    const idleNs = runnable.idleNs();
    if (idleNs <= 0) return false;
    this.#policy.block(task.id, now);
    this.#setIdle(task, now + idleNs);
    return true;
  }

  #account(task: Task, turnNs: number, now: Ns): void {
    const ranNs = turnNs + task.owedNs;
    task.owedNs = 0;
    task.ranNs += ranNs;
    this.#busyNs += ranNs;
    this.#policy.account(task.id, ranNs, now);
  }

  /** What the guest printed goes to its readers, on its own account. */
  #flush(task: Task, runnable: Runnable): void {
    const start = this.platform.monotonicNs();
    runnable.onTurn();
    task.owedNs += this.platform.monotonicNs() - start;
  }

  /** Makes everybody runnable whose timer is due; returns when the next one is. */
  #wakeDue(now: Ns): Ns {
    for (;;) {
      const next = this.#nextTimerNs();
      const task = this.#timers.top;
      if (task === undefined || next > now) return next;
      this.#ready(task, now, next);
    }
  }

  #nextTimerNs(): Ns {
    return this.#timers.top?.idleUntilNs ?? Number.POSITIVE_INFINITY;
  }

  /** Nobody may run for `ns`. */
  async #rest(ns: number): Promise<void> {
    const { platform } = this;
    const start = platform.monotonicNs();
    if (ns >= SLEEP_MIN_NS) {
      // Timers fire late rather than early: aim short, the remainder is waited out on the thread.
      this.#sleep = platform.sleep(Math.min(SLEEP_MAX_MS, Math.max(1, Math.floor(ns / 1e6))));
      await this.#sleep.done;
      this.#sleep = undefined;
    } else if (ns > 0 && platform.blockThread !== undefined) {
      platform.blockThread(ns);
      await platform.yieldToEventLoop();
    } else {
      await platform.yieldToEventLoop();
    }
    this.#restedNs = platform.monotonicNs();
    const slept = this.#restedNs - start;
    this.#idleNs += slept;
    for (const task of this.#tasks.values())
      if (task.idleUntilNs !== undefined && task.runnable) task.runnable.sleptNs += slept;
  }
}
