// The terminal of a guest's serial port: what the guest prints waits here for the frame that draws it.
import { formatBytes } from "./dom.ts";
import type { Xterm } from "./xterm.ts";

/** What is drawn at once: as much as the terminal reads in PARSE_MS, whatever it costs on this machine. */
const DRAW_BYTES_LEAST = 512;
const DRAW_BYTES_MOST = 32 * 1024;
const PARSE_MS = 6;
/** Times that a drawing took, before the next one: the page's thread is free that long, whatever a guest prints. */
const REST = 3;
/** Output that waits to be drawn; of what comes faster the oldest is left out. */
const BACKLOG_BYTES = 64 * 1024;
/** Pages that nobody sees have no frames. */
const HIDDEN_FRAME_MS = 250;

export interface TerminalOptions {
  /** What somebody types or pastes. */
  onInput(text: string): void;
  /** Ctrl-Alt-G: the keyboard goes back to the page. */
  onRelease(): void;
}

export class GuestTerminal {
  readonly element = document.createElement("div");
  readonly #resized: ResizeObserver;
  #xterm: Xterm | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #skippedBytes = 0;
  #drawing = false;
  #drawBytes = 4 * 1024;
  /** Somebody wants it focused, and it is not there yet. */
  #focusLater = false;
  #disposed = false;

  constructor(private readonly options: TerminalOptions) {
    this.element.className = "guest-terminal";
    this.#resized = new ResizeObserver(() => this.fit());
    this.#resized.observe(this.element);
  }

  /** Once its element is on the page. Rejects when the terminal's script cannot be loaded. */
  async open(): Promise<void> {
    const { openXterm } = await import("./xterm.ts");
    if (this.#disposed) return;
    const { onInput, onRelease } = this.options;
    this.#xterm = openXterm(this.element, {
      onInput,
      onKey: (event) => {
        if (!isReleaseKey(event)) return true;
        if (event.type === "keydown") onRelease();
        return false;
      },
    });
    this.fit();
    if (this.#focusLater) this.focus();
    if (this.#waitingBytes > 0) this.#drawSoon();
  }

  fit(): void {
    if (this.element.clientWidth > 0) this.#xterm?.fit.fit();
  }

  focus(): void {
    this.#focusLater = this.#xterm === undefined;
    this.#xterm?.terminal.focus();
  }

  clear(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#xterm?.terminal.reset();
  }

  /** What the guest printed. */
  write(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    while (this.#waitingBytes - (this.#waiting[0]?.length ?? 0) > BACKLOG_BYTES) {
      const oldest = this.#waiting.shift()?.length ?? 0;
      this.#waitingBytes -= oldest;
      this.#skippedBytes += oldest;
    }
    this.#drawSoon();
  }

  /** As if typed; ends of lines become returns. */
  paste(text: string): void {
    this.#xterm?.terminal.paste(text);
  }

  async applyTheme(): Promise<void> {
    if (this.#xterm === undefined) return;
    const { xtermTheme } = await import("./xterm.ts");
    this.#xterm.terminal.options.theme = xtermTheme();
  }

  dispose(): void {
    this.#disposed = true;
    this.#resized.disconnect();
    this.#xterm?.terminal.dispose();
    this.element.remove();
  }

  #drawSoon(): void {
    if (this.#drawing || this.#xterm === undefined) return;
    this.#drawing = true;
    nextFrame(() => this.#draw());
  }

  #draw(): void {
    const terminal = this.#xterm?.terminal;
    if (this.#disposed || terminal === undefined) return;
    if (this.#skippedBytes > 0)
      terminal.write(`\r\n\x1b[2m[${formatBytes(this.#skippedBytes)} came faster than they can be shown]\x1b[0m\r\n`);
    this.#skippedBytes = 0;
    const part = this.#take();
    const startMs = performance.now();
    terminal.write(part, () => {
      const parseMs = performance.now() - startMs;
      if (part.length === this.#drawBytes || parseMs > PARSE_MS) this.#drawBytes = nextDrawBytes(part.length, parseMs);
      // The terminal makes its rows in the next frame, and the browser shows them behind it.
      nextFrame(() => {
        const frameMs = performance.now();
        setTimeout(() => {
          const costMs = parseMs + performance.now() - frameMs;
          setTimeout(() => {
            this.#drawing = false;
            if (this.#waiting.length > 0) this.#drawSoon();
          }, REST * costMs);
        });
      });
    });
  }

  /** What one frame draws, of as many pieces as it takes. */
  #take(): Uint8Array {
    const part = new Uint8Array(Math.min(this.#drawBytes, this.#waitingBytes));
    for (let at = 0; at < part.length; ) {
      const first = this.#waiting.shift() as Uint8Array;
      const taken = first.subarray(0, part.length - at);
      part.set(taken, at);
      at += taken.length;
      if (taken.length < first.length) this.#waiting.unshift(first.subarray(taken.length));
    }
    this.#waitingBytes -= part.length;
    return part;
  }
}

/** At most twice as many as before. */
function nextDrawBytes(bytes: number, tookMs: number): number {
  const wanted = bytes * Math.min(2, PARSE_MS / Math.max(tookMs, 0.1));
  return Math.round(Math.min(DRAW_BYTES_MOST, Math.max(DRAW_BYTES_LEAST, wanted)));
}

function nextFrame(act: () => void): void {
  let done = false;
  const once = (): void => {
    if (!done) act();
    done = true;
  };
  requestAnimationFrame(once);
  setTimeout(once, HIDDEN_FRAME_MS);
}

/** Ctrl-Alt-G, as in QEMU's windows. */
export function isReleaseKey(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.altKey && event.code === "KeyG";
}
