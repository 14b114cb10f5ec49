// A console as Web Streams. Output that nobody reads is kept up to a bound, oldest dropped first: a guest that talks to
// nobody cannot fill the host's memory, and a slow reader cannot slow the guest.
const CAPACITY = 4 * 1024 * 1024;
/** Small pieces are gathered in blocks: a guest that prints empty lines makes a million pieces a second. */
const BLOCK_BYTES = 16 * 1024;

interface Block {
  readonly bytes: Uint8Array;
  /** What of it waits. */
  from: number;
  to: number;
}

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
  #waiting: Block[] = [];
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
          this.#waitingBytes = 0;
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({ write: (chunk) => this.write(chunk) });
  }

  /** From the guest. */
  output(bytes: Uint8Array): void {
    if (this.#controller === undefined || this.#closed) return;
    this.#keep(bytes);
    while (this.#waitingBytes > CAPACITY) {
      const oldest = this.#waiting[0] as Block;
      const lost = Math.min(oldest.to - oldest.from, this.#waitingBytes - CAPACITY);
      oldest.from += lost;
      this.#waitingBytes -= lost;
      this.droppedBytes += lost;
      if (oldest.from === oldest.to) this.#waiting.shift();
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

  #keep(bytes: Uint8Array): void {
    let last = this.#waiting.at(-1);
    if (last === undefined || last.bytes.length - last.to < bytes.length) {
      // What a reader waits for goes on at once: no room for more is needed.
      const room = this.#pulled ? bytes.length : Math.max(bytes.length, BLOCK_BYTES);
      last = { bytes: new Uint8Array(room), from: 0, to: 0 };
      this.#waiting.push(last);
    }
    last.bytes.set(bytes, last.to);
    last.to += bytes.length;
    this.#waitingBytes += bytes.length;
  }

  #deliver(): void {
    if (this.#waiting.length === 0) {
      this.#pulled = true;
      return;
    }
    this.#pulled = false;
    const all = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const { bytes, from, to } of this.#waiting) {
      all.set(bytes.subarray(from, to), at);
      at += to - from;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#controller?.enqueue(all);
    if (this.#closed) this.#controller?.close();
  }
}
