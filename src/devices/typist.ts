// Keys that wait to be pressed. A program types faster than a guest reads: each key goes down or up once the guest has
// taken what came before, and not before a moment has passed, as software that polls its keyboard expects of people.
import type { DeviceClock, DeviceState, DeviceTimer } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

/** Guest time between two movements of keys: a character takes two. */
const INTERVAL_NS = 5e6;
/** Movements that can wait; a screenful of text is 8,000. */
export const TYPED_MAX = 32768;
/** Added to a key that goes up. */
const RELEASE = 0x0100_0000;
const MAKE_MAX = 0xffff;
const BYTES = 4;

export class Typist {
  #waiting: number[] = [];
  readonly #timer: DeviceTimer;

  constructor(
    private readonly clock: Pick<DeviceClock, "nowNs" | "timer">,
    private readonly keyboard: {
      /** Everything has been read, and a key would be taken. */
      ready(): boolean;
      key(make: number, down: boolean): void;
    },
  ) {
    this.#timer = clock.timer("i8042.typist", () => this.#type());
  }

  /** Keys by their set 1 code, in order; all of them or, where there is no room for all, none. */
  push(keys: readonly { readonly make: number; readonly down: boolean }[]): boolean {
    if (this.#waiting.length + keys.length > TYPED_MAX) return false;
    for (const { make, down } of keys) this.#waiting.push(down ? make : make | RELEASE);
    // A key pressed by hand is felt at once.
    if (this.#timer.deadlineNs === undefined) this.#type();
    return true;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The guest has taken a byte, or told the keyboard something. */
  taken(): void {
    if (this.#waiting.length > 0 && this.#timer.deadlineNs === undefined && this.keyboard.ready()) this.#arm();
  }

  reset(): void {
    this.#waiting = [];
    this.#timer.disarm();
  }

  #type(): void {
    // Until then no timer runs: a guest that never reads is not woken for nothing.
    if (!this.keyboard.ready()) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.keyboard.key(next & MAKE_MAX, (next & RELEASE) === 0);
    this.#arm();
  }

  /** Also behind the last one: what comes next keeps its distance. */
  #arm(): void {
    this.#timer.arm(this.clock.nowNs() + INTERVAL_NS);
  }

  save(): DeviceState {
    const bytes = new Uint8Array(this.#waiting.length * BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, key] of this.#waiting.entries()) view.setUint32(i * BYTES, key, true);
    return { waiting: bytes };
  }

  load(state: DeviceState): void {
    const bytes = new SavedState("typist", state).bytes("waiting", TYPED_MAX * BYTES, false);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#waiting = Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(i * BYTES, true));
  }
}
