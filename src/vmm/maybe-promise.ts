// Work that is usually done at once and sometimes later. Whoever can finish within the call should: a promise settles
// only when the run loop next lets the event loop turn, which is milliseconds while the guest is busy.
import type { MaybePromise } from "./block.ts";

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise;
}

/**
 * Calls `done` or `failed` once `work` is: within this call where it does not wait. Returns the promise that is being
 * waited for, which never rejects.
 */
export function whenDone<T>(
  work: () => MaybePromise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): Promise<void> | undefined {
  let result: MaybePromise<T>;
  try {
    result = work();
  } catch (error) {
    failed(error);
    return undefined;
  }
  if (isPromise(result)) return result.then(done, failed);
  done(result);
  return undefined;
}

/** A procedure in steps: each yielded promise is waited for, anything else is not. */
export type Steps<T> = Generator<MaybePromise<void>, T, void>;

/** Runs a procedure; without a promise on the way it is done on return. */
export function runSteps<T>(steps: Steps<T>): MaybePromise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (isPromise(value)) return continueSteps(steps, value);
  }
}

async function continueSteps<T>(steps: Steps<T>, first: Promise<void>): Promise<T> {
  let waiting: MaybePromise<void> = first;
  for (;;) {
    let thrown: { readonly error: unknown } | undefined;
    try {
      await waiting;
    } catch (error) {
      thrown = { error };
    }
    const { done, value } = thrown === undefined ? steps.next() : steps.throw(thrown.error);
    if (done) return value;
    waiting = value;
  }
}

/** Runs procedures one after the other, in the order in which they came. */
export class OneAtATime {
  #last: Promise<void> | undefined;

  run<T>(steps: () => Steps<T>): MaybePromise<T> {
    const result = this.#last === undefined ? runSteps(steps()) : this.#last.then(() => runSteps(steps()));
    if (isPromise(result)) this.#hold(result);
    return result;
  }

  #hold(work: Promise<unknown>): void {
    const settled: Promise<void> = work.then(
      () => {},
      () => {},
    );
    this.#last = settled;
    void settled.then(() => {
      if (this.#last === settled) this.#last = undefined;
    });
  }
}
