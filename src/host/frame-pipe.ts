// A network card's cable between two threads: frames in batches, both ways. Each side keeps account of what the other has not
// taken yet and drops what is too much, so that a guest that floods its network fills no memory.
import type { NetworkBackend } from "../vmm/network.ts";

/** On its way and not taken, in one direction. */
const WINDOW_BYTES = 1024 * 1024;
/** A frame costs this much beside its bytes. */
const FRAME_COST_BYTES = 128;
const BATCH_FRAMES = 64;
/** What was taken is told at the latest after so much. */
const TELL_BYTES = WINDOW_BYTES / 8;

export interface FrameBatch {
  readonly frames: readonly Uint8Array[];
  /** Of what came the other way since it was told last. */
  readonly takenBytes: number;
  /** The link, where it has changed. */
  readonly up?: boolean;
}

export class FramePipe implements NetworkBackend {
  readonly #receivers = new Set<(frame: Uint8Array) => void>();
  readonly #linkListeners = new Set<(up: boolean) => void>();
  #waiting: Uint8Array[] = [];
  #inFlightBytes = 0;
  #takenBytes = 0;
  #scheduled = false;
  #up = true;
  dropped = 0;

  constructor(
    private readonly post: (batch: FrameBatch) => void,
    /** Calls back when what goes on now is over. */
    private readonly soon: (flush: () => void) => void,
  ) {}

  send(frame: Uint8Array): void {
    const cost = frame.length + FRAME_COST_BYTES;
    if (this.#inFlightBytes + cost > WINDOW_BYTES) {
      this.dropped++;
      return;
    }
    this.#inFlightBytes += cost;
    this.#waiting.push(frame.slice());
    if (this.#waiting.length >= BATCH_FRAMES) this.#flush();
    else this.#schedule();
  }

  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void } {
    this.#receivers.add(listener);
    return { dispose: () => void this.#receivers.delete(listener) };
  }

  onLink(listener: (up: boolean) => void): { dispose(): void } {
    if (!this.#up) listener(false);
    this.#linkListeners.add(listener);
    return { dispose: () => void this.#linkListeners.delete(listener) };
  }

  /** From the other side. */
  receive({ frames, takenBytes, up }: FrameBatch): void {
    this.#inFlightBytes = Math.max(0, this.#inFlightBytes - takenBytes);
    if (up !== undefined && up !== this.#up) {
      this.#up = up;
      for (const listener of this.#linkListeners) listener(up);
    }
    for (const frame of frames) {
      this.#takenBytes += frame.length + FRAME_COST_BYTES;
      for (const receiver of this.#receivers) receiver(frame);
    }
    if (this.#takenBytes >= TELL_BYTES) this.#schedule();
  }

  /** Tells the other side that the link is up, or down. */
  setLink(up: boolean): void {
    this.post({ frames: [], takenBytes: 0, up });
  }

  /** There is another one at the other end: what was on its way is lost. */
  reset(): void {
    this.#waiting = [];
    this.#inFlightBytes = 0;
    this.#takenBytes = 0;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.soon(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#waiting.length === 0 && this.#takenBytes < TELL_BYTES) return;
    const batch = { frames: this.#waiting, takenBytes: this.#takenBytes };
    this.#waiting = [];
    this.#takenBytes = 0;
    this.post(batch);
  }
}
