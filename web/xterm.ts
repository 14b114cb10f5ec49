// xterm.js as the page uses it: its look, and its styles under a strict policy. Loaded when the first guest has been started.
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import css from "@xterm/xterm/css/xterm.css";

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

export interface XtermOptions {
  /** What somebody types or pastes, and what the terminal answers. */
  onInput(text: string): void;
  /** False: the key is not the terminal's. */
  onKey(event: KeyboardEvent): boolean;
}

export interface Xterm {
  readonly terminal: Terminal;
  readonly fit: FitAddon;
}

/** A terminal in `element`, which is on the page. */
export function openXterm(element: HTMLElement, { onInput, onKey }: XtermOptions): Xterm {
  adoptStyles();
  const terminal = new Terminal({
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
    fontSize: 13,
    lineHeight: 1.15,
    scrollback: SCROLLBACK_LINES,
    cursorBlink: true,
    screenReaderMode: false,
    macOptionIsMeta: true,
    theme: xtermTheme(),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.onData(onInput);
  // Mouse reports and the like, whose bytes are no UTF-8.
  terminal.onBinary(onInput);
  terminal.attachCustomKeyEventHandler(onKey);
  terminal.open(element);
  terminal.textarea?.setAttribute("aria-label", "Terminal of the guest; Ctrl-Alt-G leaves it");
  return { terminal, fit };
}

export function xtermTheme(): ITheme {
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
  const own = new CSSStyleSheet();
  own.replaceSync(css);
  document.adoptedStyleSheets.push(own);
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
