// Wires a machine's consoles to the terminal, to files and to pipes, and the keyboard to the machine.
import { RawTerminal } from "../platform/node/terminal.ts";
import { type OpenCharDevice, openCharDevice } from "./chardev.ts";
import { type EscapeAction, EscapeFilter } from "./escape.ts";
import type { CliIo, Machine } from "./machine.ts";
import type { RunOptions } from "./options.ts";

export interface ConsoleHooks {
  /** Every byte of every console, before it goes where it goes. */
  readonly onOutput?: (source: string, bytes: Uint8Array) => void;
  readonly onAction: (action: EscapeAction) => void;
  /** Nobody reads our output any more (EPIPE). */
  readonly onOutputClosed: () => void;
}

/** From construction to `close` the machine has the terminal (where one of its consoles asks for it). */
export class Consoles {
  readonly #io: CliIo;
  readonly #machine: Machine;
  readonly #devices: OpenCharDevice[] = [];
  readonly #subscriptions: Disposable[] = [];
  readonly #hooks: ConsoleHooks;
  #terminal: RawTerminal | undefined;
  #stopReading: (() => void) | undefined;
  #atLineStart = true;

  /** Throws UsageError when a file or pipe cannot be opened; nothing is left open then. */
  constructor(io: CliIo, machine: Machine, options: RunOptions, hooks: ConsoleHooks) {
    this.#io = io;
    this.#machine = machine;
    this.#hooks = hooks;
    try {
      this.#open(options);
    } catch (error) {
      for (const device of this.#devices) void device.close();
      throw error;
    }
    const inputPort = options.serial.findIndex((device) => device.kind === "terminal");
    if (inputPort >= 0) this.#readInput(inputPort);
  }

  /** Says a line to the person, on stderr, without tearing the guest's line or the raw terminal. */
  say(text: string): void {
    const line = `${this.#terminal && !this.#atLineStart ? "\n" : ""}${text}\n`;
    this.#io.stderr.write(this.#terminal ? line.replace(/\n/g, "\r\n") : line);
    this.#atLineStart = true;
  }

  /** Gives the terminal back and closes the files. */
  async close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#stopReading?.();
    if (this.#terminal && !this.#atLineStart) this.#io.stderr.write("\r\n");
    this.#terminal?.dispose();
    this.#terminal = undefined;
    await Promise.all(this.#devices.map((device) => device.close()));
  }

  #open(options: RunOptions): void {
    const serialSinks = options.serial.map((device, port) =>
      this.#sink(`serial${port}`, device, "--serial", (bytes) => this.#machine.serial(port).write(bytes)),
    );
    const parallelSink = this.#sink("parallel", options.parallel, "--parallel", () => {});
    const debugconSink = this.#sink("debugcon", options.debugcon, "--debugcon", () => {});
    this.#subscriptions.push(
      this.#machine.on("serial", ({ port, bytes }) => serialSinks[port]?.(bytes)),
      this.#machine.on("parallel", ({ bytes }) => parallelSink(bytes)),
      this.#machine.on("debugcon", ({ bytes }) => debugconSink(bytes)),
    );
  }

  #sink(
    source: string,
    device: RunOptions["parallel"],
    option: string,
    onInput: (bytes: Uint8Array) => void,
  ): (bytes: Uint8Array) => void {
    if (device.kind === "terminal") {
      return (bytes) => {
        this.#hooks.onOutput?.(source, bytes);
        this.#print(bytes);
      };
    }
    const open = openCharDevice(device, option, onInput);
    this.#devices.push(open);
    return (bytes) => {
      this.#hooks.onOutput?.(source, bytes);
      open.write(bytes);
    };
  }

  #print(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#atLineStart = bytes[bytes.length - 1] === 0x0a;
    // A copy: the machine may use its buffer again before a slow terminal has taken the bytes.
    this.#io.stdout.write(Uint8Array.from(bytes));
  }

  #readInput(port: number): void {
    const { stdin, stdout } = this.#io;
    const onError = (error: NodeJS.ErrnoException): void => {
      if (error.code === "EPIPE") this.#hooks.onOutputClosed();
    };
    stdout.on("error", onError);
    const serial = this.#machine.serial(port);
    if (stdin.isTTY) {
      const filter = new EscapeFilter();
      this.#terminal = new RawTerminal({
        stdin,
        stdout,
        onInput: (typed) => {
          const bytes = filter.push(typed, this.#hooks.onAction);
          if (bytes.length > 0) serial.write(bytes);
        },
      });
      return;
    }
    // The end of the input is no end of the machine: the guest goes on with nobody typing.
    const onData = (bytes: Buffer): void => serial.write(bytes);
    const onInputError = (): void => {};
    stdin.on("data", onData);
    stdin.on("error", onInputError);
    this.#stopReading = () => {
      stdout.off("error", onError);
      stdin.off("data", onData);
      stdin.pause();
      // A pipe that nobody closes must not keep this process.
      stdin.unref?.();
    };
  }
}
