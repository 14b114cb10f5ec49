// A backend that keeps what the guest sent and lets a program send input: tests, and consoles as Web Streams.
import type { ByteBackend } from "../vmm/device.ts";

export class MemoryBackend implements ByteBackend {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();

  /** Keeps the newest `capacity` bytes. */
  constructor(private readonly capacity = 16 * 1024 * 1024) {}

  write(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
    this.#length += bytes.length;
    while (this.#length > this.capacity && this.#chunks.length > 1) this.#length -= this.#chunks.shift()?.length ?? 0;
  }

  onInput(listener: (bytes: Uint8Array) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  /** Sends input to the guest. */
  send(bytes: Uint8Array): void {
    for (const listener of this.#listeners) listener(bytes);
  }

  /** Everything kept. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** Everything kept, as UTF-8. */
  text(): string {
    return new TextDecoder().decode(this.bytes());
  }
}
