// The serial consoles of a hosted VM: they outlive its runs, and remember what was printed lately.
import { type ByteConsole, StreamConsole } from "../backends/stream.ts";
import { VmError } from "../vmm/error.ts";
import { Scrollback } from "./scrollback.ts";

const SCROLLBACK_BYTES = 64 * 1024;

interface HostedConsole {
  readonly stream: StreamConsole;
  readonly scrollback: Scrollback;
}

export class HostedConsoles {
  readonly #consoles = new Map<number, HostedConsole>();

  constructor(
    private readonly vm: string,
    private readonly input: (port: number, bytes: Uint8Array) => void,
  ) {}

  /** The machine has so many serial ports; consoles that are there already stay the same. */
  open(ports: number): void {
    for (let port = 0; port < ports; port++) {
      if (this.#consoles.has(port)) continue;
      const stream = new StreamConsole();
      stream.onInput((bytes) => this.input(port, bytes));
      this.#consoles.set(port, { stream, scrollback: new Scrollback(SCROLLBACK_BYTES) });
    }
  }

  output(port: number, bytes: Uint8Array): void {
    const console = this.#consoles.get(port);
    console?.scrollback.push(bytes);
    console?.stream.output(bytes);
  }

  /** Throws VmError("not-found"). */
  stream(port: number): ByteConsole {
    return this.#get(port).stream;
  }

  /** The last 64 KiB. Throws VmError("not-found"). */
  scrollback(port: number): Uint8Array {
    return this.#get(port).scrollback.contents();
  }

  close(): void {
    for (const { stream } of this.#consoles.values()) stream.close();
  }

  #get(port: number): HostedConsole {
    const console = this.#consoles.get(port);
    if (console !== undefined) return console;
    const there = [...this.#consoles.keys()].join(", ") || "none";
    throw new VmError("not-found", `${this.vm} has no serial port ${port}; there are: ${there}.`, { port });
  }
}
