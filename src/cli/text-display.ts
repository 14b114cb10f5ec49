// The guest's screen on this terminal, and this terminal's keys on its keyboard (`--display text`).
import { AnsiScreen } from "../display/ansi.ts";
import type { Screen } from "../display/screen.ts";
import { RawTerminal } from "../platform/node/terminal.ts";
import { VmError } from "../vmm/error.ts";
import { type EscapeAction, EscapeFilter } from "./escape.ts";
import type { CliIo, Machine } from "./machine.ts";
import { TerminalKeys } from "./terminal-keys.ts";
import { UsageError } from "./values.ts";

export interface TextDisplayHooks {
  readonly onAction: (action: EscapeAction) => void;
  /** The terminal is gone. */
  readonly onOutputClosed: () => void;
}

/** Throws UsageError where there is no terminal. */
export function requireTerminal({ stdin, stdout }: Pick<CliIo, "stdin" | "stdout">): void {
  if (!stdin.isTTY || !stdout.isTTY)
    throw new UsageError("--display text needs a terminal; --screenshot and --wait-screen do without");
}

/** From construction to `close` the terminal belongs to the guest's screen. */
export class TextDisplay {
  readonly #terminal: RawTerminal;
  readonly #ansi = new AnsiScreen();
  readonly #keys: TerminalKeys;
  readonly #subscription: Disposable;
  readonly #onDrain = (): void => this.#draw();
  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE" || error.code === "EIO") this.hooks.onOutputClosed();
  };
  #screen: Screen | undefined;
  /** Lines for the person, on the terminal's last rows until a key is pressed. */
  #message: string[] = [];
  #closed = false;

  constructor(
    private readonly io: CliIo,
    machine: Machine,
    private readonly hooks: TextDisplayHooks,
  ) {
    requireTerminal(io);
    const { stdin, stdout } = io;
    this.#keys = new TerminalKeys((keys) => {
      try {
        if ("text" in keys) machine.keyboard.type(keys.text);
        else machine.keyboard.send(keys.combination);
      } catch (error) {
        // Too much typed for a guest that does not read, or for one that has ended.
        if (!(error instanceof VmError)) throw error;
      }
    });
    const filter = new EscapeFilter();
    this.#terminal = new RawTerminal({
      stdin,
      stdout,
      screen: { enter: AnsiScreen.ENTER, leave: AnsiScreen.LEAVE },
      onInput: (typed) => {
        this.#clearMessage();
        const bytes = filter.push(typed, hooks.onAction);
        if (bytes.length > 0) this.#keys.push(bytes);
      },
      onResize: () => {
        this.#ansi.forget();
        this.#draw();
      },
    });
    stdout.on("drain", this.#onDrain);
    stdout.on("error", this.#onError);
    this.#subscription = machine.on("screen", ({ screen }) => {
      this.#screen = screen;
      this.#draw();
    });
  }

  /** Shows lines over the screen until the next key. */
  say(text: string): void {
    this.#message = text.split("\n");
    this.#ansi.forget();
    this.#draw();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription[Symbol.dispose]();
    this.#keys.dispose();
    this.io.stdout.off("drain", this.#onDrain);
    this.io.stdout.off("error", this.#onError);
    this.#terminal.dispose();
  }

  #clearMessage(): void {
    if (this.#message.length === 0) return;
    this.#message = [];
    this.#ansi.forget();
    this.#draw();
  }

  /** A terminal that is slow to take what it got is shown the next picture in place of all between. */
  #draw(): void {
    const { stdout } = this.io;
    if (this.#closed || stdout.writableNeedDrain) return;
    const { columns, rows } = this.#terminal;
    const screen = this.#screen;
    let text = screen === undefined ? "" : this.#ansi.update(screen, { columns, rows });
    if (this.#message.length > 0) text += overlay(this.#message, columns, rows);
    if (text !== "") stdout.write(text);
  }
}

/** Lines in reverse on the last rows. */
function overlay(lines: readonly string[], columns: number, rows: number): string {
  const shown = lines.slice(-rows);
  return shown
    .map(
      (line, i) =>
        `\u001b[${rows - shown.length + i + 1};1H\u001b[0;7m${line.slice(0, columns).padEnd(columns)}\u001b[0m`,
    )
    .join("");
}
