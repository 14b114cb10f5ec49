// Looks at a guest's screen and types, step by step, as `--wait-screen`, `--type` and `--keys` say.
import { type Screen, screenShows } from "../display/screen.ts";
import type { ScreenStep } from "./display-options.ts";
import type { Machine } from "./machine.ts";

/** How often the keyboard is asked whether the guest has taken what was typed. */
const POLL_MS = 20;

export class ScreenScript {
  #next = 0;
  readonly #subscription: Disposable | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /**
   * Begins at once, with a machine that may not run yet. `onDone` is called after the last step; `onError` with what
   * stopped the script: a key that does not exist, a guest that does not read its keyboard.
   */
  constructor(
    private readonly steps: readonly ScreenStep[],
    private readonly machine: Machine,
    private readonly hooks: { readonly onDone: (last: ScreenStep) => void; readonly onError: (error: unknown) => void },
  ) {
    // Listening costs the machine looks at its screen.
    if (steps.some(({ kind }) => kind === "wait"))
      this.#subscription = machine.on("screen", ({ screen }) => this.#look(screen));
    if (steps[0]?.kind !== "wait") this.#go();
  }

  /** What it waits for on the screen; undefined when it waits for nothing there. */
  get waitsFor(): RegExp | undefined {
    const step = this.steps[this.#next];
    return step?.kind === "wait" ? step.pattern : undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#subscription?.[Symbol.dispose]();
  }

  #look(screen: Screen): void {
    const step = this.steps[this.#next];
    if (step?.kind !== "wait" || this.#timer !== undefined || !screenShows(screen, step.pattern)) return;
    this.#next++;
    this.#go();
  }

  /** Does what need not wait for a picture. */
  #go(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    try {
      for (;;) {
        const step = this.steps[this.#next];
        const { keyboard } = this.machine;
        if (keyboard.waiting > 0) {
          this.#timer = setTimeout(() => this.#go(), POLL_MS);
          return;
        }
        if (step === undefined) return this.#done();
        if (step.kind === "wait") {
          // It may be there already, and then nothing would change.
          if (!screenShows(this.machine.screen(), step.pattern)) return;
        } else if (step.kind === "type") keyboard.type(step.text);
        else for (const combination of step.combinations) keyboard.send(combination);
        this.#next++;
      }
    } catch (error) {
      this.close();
      this.hooks.onError(error);
    }
  }

  #done(): void {
    const last = this.steps[this.steps.length - 1];
    this.close();
    if (last !== undefined) this.hooks.onDone(last);
  }
}
