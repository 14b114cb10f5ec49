// One vCPU by itself in this process: runs, sleeps when the guest idles, and gives the event loop its turn.
import type { Platform, Sleep } from "../platform/platform.ts";
import { type Executor, type Runnable, Turn } from "./executor.ts";

/** Host time after which others get their turn on the event loop. */
const YIELD_NS = 4e6;
/** Longest sleep; deadlines beyond it are looked at again. */
const SLEEP_MAX_MS = 1000;
/** Waits shorter than this are not worth a timer of the host. */
const SLEEP_MIN_MS = 0.5;

export class SoloExecutor implements Executor {
  constructor(private readonly platform: Platform) {}

  async run(runnable: Runnable): Promise<void> {
    const { platform } = this;
    let turnStart = platform.monotonicNs();
    while (!runnable.requested) {
      const turn = runnable.turn(YIELD_NS - (platform.monotonicNs() - turnStart));
      if (turn === Turn.Idle) {
        runnable.onTurn();
        if (await this.#sleep(runnable)) turnStart = platform.monotonicNs();
      }
      if (platform.monotonicNs() - turnStart >= YIELD_NS) {
        runnable.onTurn();
        await platform.yieldToEventLoop();
        turnStart = platform.monotonicNs();
      }
    }
  }

  bill<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  async sleep(runnable: Runnable): Promise<void> {
    await this.#sleep(runnable);
  }

  /** Until the next timer, interrupt or request. True if others had their turn on the event loop meanwhile. */
  async #sleep(runnable: Runnable): Promise<boolean> {
    const { platform } = this;
    const start = platform.monotonicNs();
    let waited = false;
    let sleep: Sleep | undefined;
    runnable.onWake = () => sleep?.wake();
    for (let left = runnable.idleNs(); left > 0; left = runnable.idleNs()) {
      waited = true;
      const leftMs = Math.min(SLEEP_MAX_MS, left / 1e6);
      if (leftMs < SLEEP_MIN_MS) {
        await platform.yieldToEventLoop();
        continue;
      }
      // Timers of the host count whole milliseconds and fire late rather than early: aim short, the rest is yields.
      sleep = platform.sleep(Math.max(1, Math.floor(leftMs)));
      await sleep.done;
      sleep = undefined;
    }
    runnable.onWake = () => {};
    runnable.sleptNs += platform.monotonicNs() - start;
    return waited;
  }
}
