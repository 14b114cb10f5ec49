/** Bytes waiting for a device, first in first out, with a bound. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #head = 0;
  #length = 0;
  /** Bytes refused because the queue was full. */
  dropped = 0;

  constructor(private readonly capacity: number) {}

  get length(): number {
    return this.#length;
  }

  /** Takes what fits; the rest is dropped and counted. */
  push(bytes: Uint8Array): void {
    const room = Math.min(bytes.length, this.capacity - this.#length);
    this.dropped += bytes.length - room;
    if (room === 0) return;
    this.#chunks.push(bytes.slice(0, room));
    this.#length += room;
  }

  shift(): number | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    const byte = chunk[this.#head++];
    this.#length--;
    if (this.#head === chunk.length) {
      this.#chunks.shift();
      this.#head = 0;
    }
    return byte;
  }

  /** The oldest bytes, at most `count`. */
  take(count: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(count, this.#length));
    for (let at = 0; at < bytes.length; ) {
      const chunk = this.#chunks[0] as Uint8Array;
      const part = chunk.subarray(this.#head, this.#head + bytes.length - at);
      bytes.set(part, at);
      at += part.length;
      this.#head += part.length;
      if (this.#head < chunk.length) continue;
      this.#chunks.shift();
      this.#head = 0;
    }
    this.#length -= bytes.length;
    return bytes;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#length = 0;
  }

  toBytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    this.#chunks.forEach((chunk, i) => {
      const part = i === 0 ? chunk.subarray(this.#head) : chunk;
      all.set(part, at);
      at += part.length;
    });
    return all;
  }
}
