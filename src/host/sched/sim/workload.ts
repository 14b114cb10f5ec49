// What a simulated vCPU does: jobs of CPU time, and sleep between them.
import type { Ns } from "../policy.ts";
import type { Random } from "./random.ts";
import { toNs, type Workload } from "./scenario.ts";

/** A job that a vCPU has to do. */
export interface Job {
  readonly arrivedNs: Ns;
  readonly sizeNs: Ns;
}

/** The pending jobs of one vCPU, and when it will have more. */
export interface JobSource {
  /** The job it is at, or the next one. Undefined: it sleeps. */
  current(now: Ns): Job | undefined;
  /** CPU time that the current job still takes when `ranNs` of it are done and it is dispatched now. */
  restNs(job: Job, ranNs: Ns, now: Ns): Ns;
  /** The current job is done. */
  done(now: Ns): void;
  /** When `current` will have something though nothing is done; Infinity for never. Asked while it sleeps, or has work. */
  nextArrivalNs(now: Ns): Ns;
}

/** So many jobs may wait; an overloaded vCPU's further arrivals are dropped. */
const MAX_PENDING = 10_000;

export function jobSource(workload: Workload, startNs: Ns, random: Random): JobSource {
  switch (workload.kind) {
    case "cpu-bound":
      return new Loop(workload.jobs, startNs, () => [toNs(random.draw(workload.jobMs, workload.spread)), 0]);
    case "io-bound":
      return new Loop(workload.jobs, startNs, () => [
        toNs(random.draw(workload.burstMs, workload.spread)),
        toNs(random.draw(workload.thinkMs, workload.spread)),
      ]);
    case "arrivals":
      return new Arrivals(workload, startNs, random);
    case "tick-dodger":
      return new TickDodger(toNs(workload.tickMs), toNs(workload.marginMs), startNs);
  }
}

/** Works, sleeps, works: the next job comes some time after the last one is done. */
class Loop implements JobSource {
  #job: Job | undefined;
  #wakeNs: Ns;
  #left: number;
  #nextSizeNs: Ns;
  #thinkNs: Ns;

  constructor(
    jobs: number,
    startNs: Ns,
    private readonly draw: () => [size: Ns, think: Ns],
  ) {
    this.#left = jobs === 0 ? Infinity : jobs;
    this.#wakeNs = startNs;
    [this.#nextSizeNs, this.#thinkNs] = draw();
  }

  current(now: Ns): Job | undefined {
    if (!this.#job && this.#left > 0 && this.#wakeNs <= now)
      this.#job = { arrivedNs: this.#wakeNs, sizeNs: this.#nextSizeNs };
    return this.#job;
  }

  restNs(job: Job, ranNs: Ns): Ns {
    return job.sizeNs - ranNs;
  }

  done(now: Ns): void {
    this.#job = undefined;
    this.#left--;
    this.#wakeNs = now + this.#thinkNs;
    [this.#nextSizeNs, this.#thinkNs] = this.draw();
  }

  nextArrivalNs(): Ns {
    return this.#job || this.#left === 0 ? Infinity : this.#wakeNs;
  }
}

/** Jobs come whether or not those before are done. */
class Arrivals implements JobSource {
  readonly #pending: Job[] = [];
  #first = 0;
  #nextNs: Ns;

  constructor(
    private readonly workload: Extract<Workload, { kind: "arrivals" }>,
    startNs: Ns,
    private readonly random: Random,
  ) {
    this.#nextNs = startNs + this.#interval();
  }

  current(now: Ns): Job | undefined {
    const { burstMs, batch, spread } = this.workload;
    while (this.#nextNs <= now) {
      for (let i = 0; i < batch; i++) {
        const sizeNs = toNs(this.random.draw(burstMs, spread));
        if (this.#pending.length - this.#first < MAX_PENDING) this.#pending.push({ arrivedNs: this.#nextNs, sizeNs });
      }
      this.#nextNs += this.#interval();
    }
    return this.#pending[this.#first];
  }

  restNs(job: Job, ranNs: Ns): Ns {
    return job.sizeNs - ranNs;
  }

  done(): void {
    this.#first++;
    if (this.#first < 1024 && this.#first < this.#pending.length) return;
    this.#pending.splice(0, this.#first);
    this.#first = 0;
  }

  nextArrivalNs(): Ns {
    return this.#nextNs;
  }

  #interval(): Ns {
    return toNs(this.random.draw(this.workload.intervalMs, this.workload.spread));
  }
}

/** Works whenever it is let, but is asleep at every tick of the host: where ticks are what is charged, it runs for nothing. */
class TickDodger implements JobSource {
  #job: Job | undefined;
  #wakeNs: Ns;

  constructor(
    private readonly tickNs: Ns,
    private readonly marginNs: Ns,
    startNs: Ns,
  ) {
    this.#wakeNs = startNs + marginNs;
  }

  current(now: Ns): Job | undefined {
    if (!this.#job && this.#wakeNs <= now) this.#job = { arrivedNs: now, sizeNs: this.#untilTick(now) };
    return this.#job;
  }

  /** It sees the time: wherever it is let run, it stops before the next tick. */
  restNs(_job: Job, _ranNs: Ns, now: Ns): Ns {
    return this.#untilTick(now);
  }

  done(now: Ns): void {
    this.#job = undefined;
    this.#wakeNs = (Math.floor(now / this.tickNs) + 1) * this.tickNs + this.marginNs;
  }

  nextArrivalNs(): Ns {
    return this.#job ? Infinity : this.#wakeNs;
  }

  #untilTick(now: Ns): Ns {
    return Math.max(1, this.tickNs - this.marginNs - (now % this.tickNs));
  }
}
