// What a guest prints, gathered until the pCPU comes back to the event loop: a guest that prints a line at a time, or a
// byte, costs the host a message every few milliseconds and no more.
import type { Platform } from "../platform/platform.ts";
import type { VmEvents } from "../vmm/status.ts";

type ConsoleName = "serial" | "debugcon" | "parallel";
type Report = <K extends ConsoleName>(name: K, event: VmEvents[K]) => void;

interface Waiting {
  readonly name: ConsoleName;
  readonly port: number;
  /** Large enough for `length`, the first of it used. */
  bytes: Uint8Array;
  length: number;
}

const FIRST_BYTES = 1024;

export class ConsoleBatch {
  #waiting: Waiting[] = [];

  constructor(
    private readonly platform: Platform,
    private readonly report: Report,
    /** Told what a flush took, host ns. */
    private readonly took: (ns: number) => void,
  ) {}

  put(name: ConsoleName, port: number, bytes: Uint8Array): void {
    if (this.#waiting.length === 0) void this.platform.yieldToEventLoop().then(() => this.flush());
    let waiting = this.#waiting.find((entry) => entry.name === name && entry.port === port);
    if (waiting === undefined) {
      waiting = { name, port, bytes: new Uint8Array(FIRST_BYTES), length: 0 };
      this.#waiting.push(waiting);
    }
    // Copied, not kept: of a guest that prints empty lines thousands of pieces would wait here, for the collector to move.
    const needed = waiting.length + bytes.length;
    if (needed > waiting.bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * waiting.bytes.length));
      larger.set(waiting.bytes);
      waiting.bytes = larger;
    }
    waiting.bytes.set(bytes, waiting.length);
    waiting.length = needed;
  }

  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const start = this.platform.monotonicNs();
    this.#waiting = [];
    for (const { name, port, bytes, length } of waiting) {
      const all = bytes.slice(0, length);
      if (name === "serial") this.report(name, { port, bytes: all });
      else this.report(name, { bytes: all });
    }
    this.took(this.platform.monotonicNs() - start);
  }
}
