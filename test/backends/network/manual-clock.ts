// A clock that a test moves by hand.
import type { NetworkClock } from "../../../src/backends/network/clock.ts";

export class ManualClock implements NetworkClock {
  #now = 0;
  readonly #timers: { deadline: number; readonly fire: () => void }[] = [];

  nowNs(): number {
    return this.#now;
  }

  timer(fire: () => void) {
    const timer = { deadline: Number.POSITIVE_INFINITY, fire };
    this.#timers.push(timer);
    return {
      arm: (deadlineNs: number) => {
        timer.deadline = deadlineNs;
      },
      disarm: () => {
        timer.deadline = Number.POSITIVE_INFINITY;
      },
    };
  }

  /** Goes on to that time, firing what is due on the way in order. */
  advanceTo(ns: number): void {
    for (;;) {
      const next = this.#timers.reduce((a, b) => (b.deadline < a.deadline ? b : a), { deadline: ns, fire: () => {} });
      if (next.deadline > ns || !this.#timers.includes(next)) break;
      this.#now = Math.max(this.#now, next.deadline);
      next.deadline = Number.POSITIVE_INFINITY;
      next.fire();
    }
    this.#now = ns;
  }

  advanceMs(ms: number): void {
    this.advanceTo(this.#now + ms * 1e6);
  }
}
