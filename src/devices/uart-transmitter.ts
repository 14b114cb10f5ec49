// The transmitter of a 16550: an ideal line takes every character at once; a limited one makes the guest wait, as a slow
// line does.
import type { DeviceClock, DeviceState, DeviceTimer } from "../vmm/device.ts";
import type { SavedState } from "./saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "./token-bucket.ts";
import { FIFO_DEPTH } from "./uart-registers.ts";

export class UartTransmitter {
  readonly #limiter = new RateLimiter();
  readonly #waiting: number[] = [];
  readonly #timer: DeviceTimer;
  #lost = 0;

  constructor(
    name: string,
    private readonly clock: DeviceClock,
    private readonly transmit: (byte: number) => void,
    /** All that waited is on its way. */
    private readonly emptied: () => void,
  ) {
    this.#timer = clock.timer(`${name}.transmit`, () => this.#drain());
  }

  /** THR and shift register have nothing. */
  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  limit(options: RateLimitOptions): void {
    this.#limiter.change(options);
    if (!this.empty) this.#drain();
  }

  /** A character that finds `depth` others waiting is lost, as a guest that does not look at LSR loses it. */
  send(byte: number, depth: number): void {
    if (this.#waiting.length >= depth) {
      this.#lost++;
      return;
    }
    this.#waiting.push(byte);
    if (this.#waiting.length === 1) this.#drain();
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#timer.disarm();
  }

  #drain(): void {
    const waited = this.#timer.deadlineNs !== undefined || this.#waiting.length > 1;
    this.#timer.disarm();
    const now = this.clock.nowNs();
    for (let byte = this.#waiting[0]; byte !== undefined; byte = this.#waiting[0]) {
      const wait = this.#limiter.admit(1, now);
      if (wait > 0) {
        this.#timer.arm(now + wait);
        return;
      }
      this.#waiting.shift();
      this.transmit(byte);
    }
    if (waited) this.emptied();
  }

  // ---- save and load

  save(): DeviceState {
    return { waiting: Uint8Array.from(this.#waiting), limits: this.#limiter.save() };
  }

  load(name: string, saved: SavedState): void {
    this.clear();
    this.#waiting.push(...saved.bytes("waiting", FIFO_DEPTH, false));
    this.#limiter.load(name, saved.nested("limits"));
    // The clock brings the timer back; one that was not armed has nothing to wait for.
  }

  metrics(): { readonly throttled: number; readonly lost: number } {
    return { throttled: this.#limiter.throttled, lost: this.#lost };
  }
}
