// The terminal that a person sits at: raw while a guest has it, restored whatever happens to this process.
import { spawn, spawnSync } from "node:child_process";
import type { ReadStream, WriteStream } from "node:tty";

export interface TerminalOptions {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  /** What is typed, as it comes. */
  readonly onInput: (bytes: Uint8Array) => void;
  /** The window changed. */
  readonly onResize?: (columns: number, rows: number) => void;
  /** Control sequences that give the terminal a screen for us, and take it away again. */
  readonly screen?: { readonly enter: string; readonly leave: string };
}

/**
 * Raw mode from construction to `dispose`. Restored also by process.exit, an uncaught error, a signal that stops the
 * process (and raw again when it continues), and - through a small watching process - when this process is killed
 * or aborts and can do nothing more itself.
 */
export class RawTerminal {
  readonly #options: TerminalOptions;
  readonly #watch: TerminalWatch | undefined;
  readonly #onData = (bytes: Buffer) => this.#options.onInput(bytes);
  readonly #onResize = () => this.#options.onResize?.(this.columns, this.rows);
  readonly #onExit = () => this.dispose();
  readonly #onStop = () => this.#suspend();
  readonly #onContinue = () => this.#resume();
  #disposed = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    const { stdin, stdout } = options;
    this.#watch = TerminalWatch.start(stdin, options.screen?.leave ?? "");
    process.on("exit", this.#onExit);
    process.on("SIGTSTP", this.#onStop);
    process.on("SIGCONT", this.#onContinue);
    stdout.on("resize", this.#onResize);
    this.#raw(true);
    this.#write(options.screen?.enter);
    stdin.on("data", this.#onData);
    stdin.resume();
  }

  get columns(): number {
    return this.#options.stdout.columns || 80;
  }

  get rows(): number {
    return this.#options.stdout.rows || 24;
  }

  /** Gives the terminal back. May be called more than once. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { stdin, stdout } = this.#options;
    process.off("exit", this.#onExit);
    process.off("SIGTSTP", this.#onStop);
    process.off("SIGCONT", this.#onContinue);
    stdout.off("resize", this.#onResize);
    stdin.off("data", this.#onData);
    this.#write(this.#options.screen?.leave);
    this.#raw(false);
    // A paused stdin does not keep the process alive.
    stdin.pause();
    stdin.unref();
    this.#watch?.dismiss();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #raw(on: boolean): void {
    try {
      this.#options.stdin.setRawMode(on);
    } catch {
      // The terminal is gone (window closed): nothing is left to restore.
      return;
    }
    // Node's raw mode still turns \n into \r\n, which full-screen programs of a guest do not expect. What Node puts
    // back later are the settings from before its own change, so this one goes with it.
    if (on && process.platform !== "win32") stty(this.#options.stdin, "-opost");
  }

  #suspend(): void {
    this.#write(this.#options.screen?.leave);
    this.#raw(false);
    process.kill(process.pid, "SIGSTOP");
  }

  #resume(): void {
    this.#raw(true);
    if (this.#options.screen === undefined) return;
    this.#write(this.#options.screen.enter);
    this.#onResize();
  }

  #write(sequence: string | undefined): void {
    if (sequence !== undefined) this.#options.stdout.write(sequence);
  }
}

/** A shell that sleeps on a pipe and puts the terminal's settings back if the pipe closes without a word. */
class TerminalWatch {
  /** `leave`: control sequences that it sends then. */
  static start(tty: ReadStream, leave: string): TerminalWatch | undefined {
    if (process.platform === "win32") return undefined;
    const saved = stty(tty, "-g");
    if (saved === undefined) return undefined;
    // TTOU is ignored because a background process may not set the terminal otherwise; INT, QUIT and HUP because
    // they reach the whole group and the watch must outlive its charge.
    const script = `trap '' TTOU INT QUIT HUP TERM TSTP; read word || { printf %s "$2" >&3; stty "$1" <&3; }`;
    const child = spawn("/bin/sh", ["-c", script, "paravane-tty", saved.trim(), leave], {
      stdio: ["pipe", "ignore", "ignore", fdOf(tty)],
    });
    child.on("error", () => {});
    child.stdin?.on("error", () => {});
    child.unref();
    (child.stdin as unknown as { unref?: () => void } | null)?.unref?.();
    return new TerminalWatch(child);
  }

  private constructor(private readonly child: ReturnType<typeof spawn>) {}

  dismiss(): void {
    // A word on the pipe says that all is well. Killing is for process.exit, where the pipe may not be flushed.
    this.child.stdin?.end("restored\n");
    this.child.kill("SIGKILL");
  }
}

function fdOf(tty: ReadStream): number {
  return (tty as ReadStream & { readonly fd: number }).fd;
}

/** Runs stty on the terminal; its output, or undefined where it failed or does not exist. */
function stty(tty: ReadStream, argument: string): string | undefined {
  const result = spawnSync("stty", [argument], { stdio: [fdOf(tty), "pipe", "ignore"], encoding: "utf8" });
  return result.status === 0 ? result.stdout : undefined;
}
