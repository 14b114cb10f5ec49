// The terminal of a guest's serial port.
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import { formatBytes } from "./dom.ts";

/** Output that waits for the terminal to draw it; what a guest prints beyond that is left out. */
const BACKLOG_BYTES = 256 * 1024;
const END_BYTES = 16 * 1024;
const SCROLLBACK_LINES = 5000;

const LIGHT: ITheme = {
  background: "#fbfcfd",
  foreground: "#1c2733",
  cursor: "#0e7490",
  cursorAccent: "#fbfcfd",
  selectionBackground: "#b6e3ee",
  black: "#1c2733",
  red: "#b42318",
  green: "#1a7f37",
  yellow: "#8a6100",
  blue: "#0b5cad",
  magenta: "#8e3a9d",
  cyan: "#0e7490",
  white: "#6b7885",
  brightBlack: "#4d5966",
  brightRed: "#d92d20",
  brightGreen: "#218739",
  brightYellow: "#a37200",
  brightBlue: "#1570cf",
  brightMagenta: "#a64bb5",
  brightCyan: "#0891a8",
  brightWhite: "#39434e",
};
const DARK: ITheme = {
  background: "#0c1117",
  foreground: "#d7dee6",
  cursor: "#67d7ec",
  cursorAccent: "#0c1117",
  selectionBackground: "#1f4b5a",
  black: "#0c1117",
  red: "#ff7b72",
  green: "#6fdd8b",
  yellow: "#e3b341",
  blue: "#79b8ff",
  magenta: "#d8a5ef",
  cyan: "#67d7ec",
  white: "#c3ccd6",
  brightBlack: "#76828f",
  brightRed: "#ffa198",
  brightGreen: "#8ff0a8",
  brightYellow: "#f2cc60",
  brightBlue: "#a5d0ff",
  brightMagenta: "#e7c3f7",
  brightCyan: "#a3ebf7",
  brightWhite: "#ffffff",
};

export interface TerminalOptions {
  /** What somebody types or pastes. */
  onInput(text: string): void;
  /** Ctrl-Alt-G: the keyboard goes back to the page. */
  onRelease(): void;
}

export class GuestTerminal {
  readonly element = document.createElement("div");
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #resized: ResizeObserver;
  #waitingBytes = 0;
  #end: Uint8Array[] = [];
  #endBytes = 0;
  #skippedBytes = 0;

  constructor(options: TerminalOptions) {
    this.element.className = "guest-terminal";
    this.#terminal = new Terminal({
      fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 13,
      lineHeight: 1.15,
      scrollback: SCROLLBACK_LINES,
      cursorBlink: true,
      screenReaderMode: false,
      macOptionIsMeta: true,
      theme: currentTheme(),
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.onData(options.onInput);
    // Mouse reports and the like, whose bytes are no UTF-8.
    this.#terminal.onBinary(options.onInput);
    this.#terminal.attachCustomKeyEventHandler((event) => {
      if (!isReleaseKey(event)) return true;
      if (event.type === "keydown") options.onRelease();
      return false;
    });
    this.#resized = new ResizeObserver(() => this.fit());
    this.#resized.observe(this.element);
  }

  /** Once its element is on the page. */
  open(): void {
    adoptStyles();
    this.#terminal.open(this.element);
    this.#terminal.textarea?.setAttribute("aria-label", "Terminal of the guest; Ctrl-Alt-G leaves it");
    this.fit();
  }

  fit(): void {
    if (this.element.clientWidth > 0) this.#fit.fit();
  }

  focus(): void {
    this.#terminal.focus();
  }

  clear(): void {
    this.#terminal.reset();
  }

  /** What the guest printed. Never more is kept waiting than can be drawn in a moment. */
  write(bytes: Uint8Array): void {
    if (this.#waitingBytes > BACKLOG_BYTES) {
      this.#keepEnd(bytes);
      return;
    }
    this.#waitingBytes += bytes.length;
    this.#terminal.write(bytes, () => {
      this.#waitingBytes -= bytes.length;
      if (this.#waitingBytes === 0) this.#writeEnd();
    });
  }

  /** As if typed; ends of lines become returns. */
  paste(text: string): void {
    this.#terminal.paste(text);
  }

  /** A line of the page's, not the guest's. */
  note(text: string): void {
    this.#terminal.write(`\r\n\x1b[2m[${text}]\x1b[0m\r\n`);
  }

  /** The last lines, as text. */
  text(): string {
    const buffer = this.#terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++) lines.push(buffer.getLine(row)?.translateToString(true) ?? "");
    return lines.join("\n").trimEnd();
  }

  applyTheme(): void {
    this.#terminal.options.theme = currentTheme();
  }

  dispose(): void {
    this.#resized.disconnect();
    this.#terminal.dispose();
    this.element.remove();
  }

  /** Of what comes too fast the end is shown. */
  #keepEnd(bytes: Uint8Array): void {
    this.#end.push(bytes);
    this.#endBytes += bytes.length;
    while (this.#endBytes - (this.#end[0]?.length ?? 0) > END_BYTES) {
      const oldest = this.#end.shift()?.length ?? 0;
      this.#endBytes -= oldest;
      this.#skippedBytes += oldest;
    }
  }

  #writeEnd(): void {
    if (this.#skippedBytes > 0) this.note(`${formatBytes(this.#skippedBytes)} came faster than they can be shown`);
    const end = this.#end;
    this.#end = [];
    this.#endBytes = 0;
    this.#skippedBytes = 0;
    for (const bytes of end) this.write(bytes);
  }
}

/** Ctrl-Alt-G, as in QEMU's windows. */
export function isReleaseKey(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.altKey && event.code === "KeyG";
}

function currentTheme(): ITheme {
  return getComputedStyle(document.documentElement).colorScheme.startsWith("dark") ? DARK : LIGHT;
}

let adopted = false;

/**
 * The terminal styles itself by <style> elements, which a policy without 'unsafe-inline' forbids. Style sheets that a script
 * makes are allowed: something else takes the elements' place, and their text goes there.
 */
function adoptStyles(): void {
  if (adopted) return;
  adopted = true;
  const create = document.createElement.bind(document);
  document.createElement = ((tag: string, options?: ElementCreationOptions): HTMLElement => {
    return tag === "style" ? styleSheetElement(create("template")) : create(tag, options);
  }) as typeof document.createElement;
}

/** Of a <style> element the terminal uses the text, and that it can be removed. */
function styleSheetElement(element: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value: string) => {
      text = value;
      sheet.replaceSync(value);
    },
  });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    remove();
  };
  return element;
}
