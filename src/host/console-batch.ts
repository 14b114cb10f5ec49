// What a guest prints, gathered until the pCPU comes back to the event loop: a guest that prints a line at a time, or a
// byte, costs the host a message every few milliseconds and no more.
import type { Platform } from "../platform/platform.ts";
import type { VmEvents } from "../vmm/status.ts";

type ConsoleName = "serial" | "debugcon" | "parallel";
type Report = <K extends ConsoleName>(name: K, event: VmEvents[K]) => void;

interface Waiting {
  readonly name: ConsoleName;
  readonly port: number;
  readonly chunks: Uint8Array[];
  bytes: number;
}

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
      waiting = { name, port, chunks: [], bytes: 0 };
      this.#waiting.push(waiting);
    }
    waiting.chunks.push(bytes);
    waiting.bytes += bytes.length;
  }

  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const start = this.platform.monotonicNs();
    this.#waiting = [];
    for (const { name, port, chunks, bytes } of waiting) {
      const all = new Uint8Array(bytes);
      let at = 0;
      for (const chunk of chunks) {
        all.set(chunk, at);
        at += chunk.length;
      }
      if (name === "serial") this.report(name, { port, bytes: all });
      else this.report(name, { bytes: all });
    }
    this.took(this.platform.monotonicNs() - start);
  }
}
