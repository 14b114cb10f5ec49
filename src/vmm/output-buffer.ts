// Gathers single bytes from a device into chunks: to listeners at the end of a line, when the buffer is full, or when the
// run loop comes round; to the stream likewise.
import type { StreamConsole } from "../backends/stream.ts";

const CAPACITY = 4096;
const NEWLINE = 0x0a;

export class OutputBuffer {
  readonly #bytes = new Uint8Array(CAPACITY);
  #length = 0;

  constructor(
    readonly console: StreamConsole,
    private readonly listener: (bytes: Uint8Array) => void,
  ) {}

  put(byte: number): void {
    this.#bytes[this.#length++] = byte;
    if (byte === NEWLINE || this.#length === CAPACITY) this.flush();
  }

  flush(): void {
    if (this.#length === 0) return;
    const chunk = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.listener(chunk);
    this.console.output(chunk);
  }
}
