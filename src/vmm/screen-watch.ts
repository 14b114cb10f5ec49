// Tells listeners of a changed screen, at most 60 times a second; without listeners it looks at nothing.
import { type Frame, sameFrame } from "../display/frame.ts";

const INTERVAL_NS = 1e9 / 60;

export class ScreenWatch {
  #last: Frame | undefined;
  #lookedAtNs = Number.NEGATIVE_INFINITY;
  #later: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly frame: () => Frame,
    private readonly nowNs: () => number,
    private readonly isWatched: () => boolean,
    private readonly changed: (frame: Frame) => void,
  ) {}

  /** The guest may have drawn something. Called often. */
  turn(): void {
    if (!this.isWatched()) {
      this.#last = undefined;
      return;
    }
    const wait = this.#lookedAtNs + INTERVAL_NS - this.nowNs();
    if (wait <= 0) this.#look();
    else if (this.#later === undefined) {
      // The guest may sleep from here on, and nobody would ask again.
      this.#later = setTimeout(() => {
        this.#later = undefined;
        if (this.isWatched()) this.#look();
      }, wait / 1e6);
      (this.#later as { unref?: () => void }).unref?.();
    }
  }

  dispose(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
  }

  #look(): void {
    this.#lookedAtNs = this.nowNs();
    const frame = this.frame();
    const same = this.#last !== undefined && sameFrame(frame, this.#last);
    this.#last = frame;
    if (!same) this.changed(frame);
  }
}
