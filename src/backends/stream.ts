// A console as Web Streams. Output that nobody reads is kept up to a bound, oldest dropped first: a guest that talks to
// nobody cannot fill the host's memory, and a slow reader cannot slow the guest.
const CAPACITY = 4 * 1024 * 1024;

export interface ByteConsole {
  /** What the guest sends; ends with the VM. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Input to the guest. */
  readonly writable: WritableStream<Uint8Array>;
  /** Input to the guest, at once. */
  write(data: Uint8Array | string): void;
  /** Bytes lost because nobody read them. */
  readonly droppedBytes: number;
}

export class StreamConsole implements ByteConsole {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #closed = false;
  /** A reader waits. */
  #pulled = false;
  droppedBytes = 0;

  constructor() {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#deliver(),
        cancel: () => {
          this.#controller = undefined;
          this.#waiting = [];
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({ write: (chunk) => this.write(chunk) });
  }

  /** From the guest. */
  output(bytes: Uint8Array): void {
    if (this.#controller === undefined || this.#closed) return;
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    while (this.#waitingBytes > CAPACITY) {
      const lost = this.#waiting.shift()?.length ?? 0;
      this.#waitingBytes -= lost;
      this.droppedBytes += lost;
    }
    if (this.#pulled) this.#deliver();
  }

  write(data: Uint8Array | string): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (const listener of this.#listeners) listener(bytes);
  }

  onInput(listener: (bytes: Uint8Array) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  /** The VM has ended: what waits is still read, then the stream ends. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#waiting.length === 0) this.#controller?.close();
    else if (this.#pulled) this.#deliver();
  }

  #deliver(): void {
    if (this.#waiting.length === 0) {
      this.#pulled = true;
      return;
    }
    this.#pulled = false;
    const all = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const chunk of this.#waiting) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#controller?.enqueue(all);
    if (this.#closed) this.#controller?.close();
  }
}
