// Who lends a vCPU a processor. The run loop says what it can do (Runnable); the executor decides when and how long.

/** How a turn ended. */
export const enum Turn {
  /** Its time is used up. */
  Runnable = 0,
  /** The guest waits for an interrupt. */
  Idle = 1,
  /** Pause, stop, reset or end: whoever called `run` has something to do. */
  Requested = 2,
}

/** A vCPU with its devices, as its executor sees it. */
export interface Runnable {
  readonly requested: boolean;
  /** Runs for about `limitNs` of host time, at least one instruction. */
  turn(limitNs: number): Turn;
  /** After Turn.Idle: host ns until it needs a processor again, 0 for at once, Infinity until `onWake`. */
  idleNs(): number;
  /** Called by the runnable, also while its turn runs: an interrupt or a request is there. */
  onWake: () => void;
  /** What the guest printed goes to its readers. */
  readonly onTurn: () => void;
  /** Host ns asleep, for the statistics. */
  sleptNs: number;
}

export interface Executor {
  /** Gives turns until a request is pending. */
  run(runnable: Runnable): Promise<void>;
  /** Does work of the host that the guest caused outside its turns, a reset for one: the time counts as the vCPU's. */
  bill<T>(work: () => Promise<T>): Promise<T>;
  /** Debugger: waits out the idle time of a vCPU that it steps. */
  sleep(runnable: Runnable): Promise<void>;
}
