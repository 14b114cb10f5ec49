// What a terminal sends for keys (ECMA-48, xterm's control sequences), as keys of a PC: text to type and combinations to
// press. A sequence may arrive in pieces; an ESC alone is the key once nothing has followed for a moment.

export type TypedKeys = { readonly text: string } | { readonly combination: string };

/** How long the rest of a sequence may take. */
const ESCAPE_MS = 50;
const ESC = 0x1b;
const DEL = 0x7f;

/** By the final letter of CSI or SS3 sequences. */
const LETTERS: Readonly<Record<string, string>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  P: "f1",
  Q: "f2",
  R: "f3",
  S: "f4",
  M: "kp_enter",
};
/** By the number before "~". */
const NUMBERS: Readonly<Record<number, string>> = {
  1: "home",
  2: "insert",
  3: "delete",
  4: "end",
  5: "pgup",
  6: "pgdn",
  7: "home",
  8: "end",
  ...Object.fromEntries([11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24].map((number, i) => [number, `f${i + 1}`])),
};
/** Of Linux's console: F1 to F5 behind "[[". */
const LINUX_LETTERS: Readonly<Record<string, string>> = { A: "f1", B: "f2", C: "f3", D: "f4", E: "f5" };
/** Of xterm's modifier parameter, less one. */
const MODIFIERS = [
  [1, "shift"],
  [2, "alt"],
  [4, "ctrl"],
] as const;
const SEQUENCE = /^\u001b(?:\[\[([A-E])|\[([\d;]*)([A-Za-z~])|O([A-Za-z]))/;
const UNFINISHED = /^\u001b(?:$|\[\[?$|\[[\d;]*$|O$)/;
/** Beyond this it is no key. */
const SEQUENCE_MAX = 32;

export class TerminalKeys {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly onKeys: (keys: TypedKeys) => void) {}

  push(bytes: Uint8Array): void {
    clearTimeout(this.#timer);
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    this.#take(false);
    if (this.#rest !== "") this.#timer = setTimeout(() => this.#take(true), ESCAPE_MS);
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }

  #take(noMore: boolean): void {
    while (this.#rest !== "") {
      const text = this.#rest;
      const first = text.charCodeAt(0);
      if (first !== ESC) {
        const end = text.indexOf("\u001b");
        this.#rest = end < 0 ? "" : text.slice(end);
        for (const character of end < 0 ? text : text.slice(0, end)) this.#plain(character);
        continue;
      }
      if (!noMore && UNFINISHED.test(text) && text.length < SEQUENCE_MAX) return;
      const match = SEQUENCE.exec(text);
      if (match !== null) {
        this.#rest = text.slice(match[0].length);
        const combination = combinationOf(match);
        if (combination !== undefined) this.onKeys({ combination });
      } else if (text.length > 1 && text.charCodeAt(1) !== ESC) {
        // Alt with a key.
        const character = String.fromCodePoint(text.codePointAt(1) ?? 0);
        this.#rest = text.slice(1 + character.length);
        const key = nameOf(character);
        if (key !== undefined) this.onKeys({ combination: `alt-${key}` });
      } else {
        this.#rest = text.slice(1);
        this.onKeys({ combination: "esc" });
      }
    }
  }

  #plain(character: string): void {
    const code = character.charCodeAt(0);
    const key = code < 0x20 || code === DEL ? nameOf(character) : undefined;
    this.onKeys(key === undefined ? { text: character } : { combination: key });
  }
}

function combinationOf([, linux, parameters, final, application]: RegExpExecArray): string | undefined {
  if (linux !== undefined) return LINUX_LETTERS[linux];
  if (application !== undefined) return LETTERS[application];
  if (final === "Z") return "shift-tab";
  const [number = 1, modifier = 1] = (parameters ?? "").split(";").map((text) => (text === "" ? 1 : Number(text)));
  const key = final === "~" ? NUMBERS[number] : LETTERS[final ?? ""];
  if (key === undefined) return undefined;
  const held = MODIFIERS.filter(([bit]) => (modifier - 1) & bit).map(([, name]) => name);
  return [...held, key].join("-");
}

/** The key, with its modifiers, of a character that is typed with Alt or is a control character. */
function nameOf(character: string): string | undefined {
  const code = character.charCodeAt(0);
  if (code === 0x0d || code === 0x0a) return "ret";
  if (code === 0x09) return "tab";
  if (code === DEL || code === 0x08) return "backspace";
  if (code === 0) return "ctrl-spc";
  if (code >= 1 && code <= 26) return `ctrl-${String.fromCharCode(0x60 + code)}`;
  if (code === 0x1c) return "ctrl-backslash";
  if (code === 0x1d) return "ctrl-bracket_right";
  if (code === 0x1f) return "ctrl-minus";
  if (/[a-z0-9]/.test(character)) return character;
  if (/[A-Z]/.test(character)) return `shift-${character.toLowerCase()}`;
  return PUNCTUATION[character];
}

const PUNCTUATION: Readonly<Record<string, string>> = {
  " ": "spc",
  "-": "minus",
  "=": "equal",
  "[": "bracket_left",
  "]": "bracket_right",
  ";": "semicolon",
  "'": "apostrophe",
  "`": "grave_accent",
  "\\": "backslash",
  ",": "comma",
  ".": "dot",
  "/": "slash",
};
