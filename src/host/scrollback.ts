// The last bytes of a console, for who attaches later.

export class Scrollback {
  readonly #bytes: Uint8Array;
  /** Bytes ever written; the next goes to this modulo the capacity. */
  #written = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  push(bytes: Uint8Array): void {
    const capacity = this.#bytes.length;
    const kept = bytes.length > capacity ? bytes.subarray(bytes.length - capacity) : bytes;
    this.#written += bytes.length - kept.length;
    const at = this.#written % capacity;
    const first = Math.min(kept.length, capacity - at);
    this.#bytes.set(kept.subarray(0, first), at);
    this.#bytes.set(kept.subarray(first), 0);
    this.#written += kept.length;
  }

  /** Oldest first; at most the capacity. */
  contents(): Uint8Array {
    const capacity = this.#bytes.length;
    if (this.#written <= capacity) return this.#bytes.slice(0, this.#written);
    const at = this.#written % capacity;
    const all = new Uint8Array(capacity);
    all.set(this.#bytes.subarray(at));
    all.set(this.#bytes.subarray(0, at), capacity - at);
    return all;
  }
}
