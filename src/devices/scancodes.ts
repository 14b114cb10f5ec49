// Keyboard scan codes. A key is named as KeyboardEvent.code of the UI Events specification names it; its number here is
// its set 1 make code, with 0xE000 added for keys that send an E0 prefix; Pause has one of E1.

/** Set 1 make code of each key of a 102-key keyboard. */
// biome-ignore format: a table
export const SET1_MAKE: Readonly<Record<string, number>> = {
  Escape: 0x01, Digit1: 0x02, Digit2: 0x03, Digit3: 0x04, Digit4: 0x05, Digit5: 0x06, Digit6: 0x07, Digit7: 0x08, Digit8: 0x09,
  Digit9: 0x0a, Digit0: 0x0b, Minus: 0x0c, Equal: 0x0d, Backspace: 0x0e, Tab: 0x0f, KeyQ: 0x10, KeyW: 0x11, KeyE: 0x12, KeyR: 0x13,
  KeyT: 0x14, KeyY: 0x15, KeyU: 0x16, KeyI: 0x17, KeyO: 0x18, KeyP: 0x19, BracketLeft: 0x1a, BracketRight: 0x1b, Enter: 0x1c,
  ControlLeft: 0x1d, KeyA: 0x1e, KeyS: 0x1f, KeyD: 0x20, KeyF: 0x21, KeyG: 0x22, KeyH: 0x23, KeyJ: 0x24, KeyK: 0x25, KeyL: 0x26,
  Semicolon: 0x27, Quote: 0x28, Backquote: 0x29, ShiftLeft: 0x2a, Backslash: 0x2b, KeyZ: 0x2c, KeyX: 0x2d, KeyC: 0x2e, KeyV: 0x2f,
  KeyB: 0x30, KeyN: 0x31, KeyM: 0x32, Comma: 0x33, Period: 0x34, Slash: 0x35, ShiftRight: 0x36, NumpadMultiply: 0x37, AltLeft: 0x38,
  Space: 0x39, CapsLock: 0x3a, F1: 0x3b, F2: 0x3c, F3: 0x3d, F4: 0x3e, F5: 0x3f, F6: 0x40, F7: 0x41, F8: 0x42, F9: 0x43, F10: 0x44,
  NumLock: 0x45, ScrollLock: 0x46, Numpad7: 0x47, Numpad8: 0x48, Numpad9: 0x49, NumpadSubtract: 0x4a, Numpad4: 0x4b, Numpad5: 0x4c,
  Numpad6: 0x4d, NumpadAdd: 0x4e, Numpad1: 0x4f, Numpad2: 0x50, Numpad3: 0x51, Numpad0: 0x52, NumpadDecimal: 0x53,
  IntlBackslash: 0x56, F11: 0x57, F12: 0x58, NumpadEnter: 0xe01c, ControlRight: 0xe01d, NumpadDivide: 0xe035, PrintScreen: 0xe037,
  AltRight: 0xe038, Home: 0xe047, ArrowUp: 0xe048, PageUp: 0xe049, ArrowLeft: 0xe04b, ArrowRight: 0xe04d, End: 0xe04f,
  ArrowDown: 0xe050, PageDown: 0xe051, Insert: 0xe052, Delete: 0xe053, MetaLeft: 0xe05b, MetaRight: 0xe05c, ContextMenu: 0xe05d,
  Pause: 0xe11d,
};

/** Keys that send more than a code: their bytes when they go down and up, in sets 1 and 2. */
export const LONG_KEYS: Readonly<Record<number, Readonly<Record<1 | 2, readonly [down: number[], up: number[]]>>>> = {
  // With the shift that tells it from the keypad's *.
  57399: {
    1: [
      [0xe0, 0x2a, 0xe0, 0x37],
      [0xe0, 0xb7, 0xe0, 0xaa],
    ],
    2: [
      [0xe0, 0x12, 0xe0, 0x7c],
      [0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12],
    ],
  },
  // It goes up by itself.
  57629: { 1: [[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], []], 2: [[0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77], []] },
};

/** Set 2 make code of each set 1 code 00..5F (IBM PS/2 Technical Reference, keyboard scan code tables); 0 = no key. */
// biome-ignore format: a table
export const SET2_OF_SET1: readonly number[] = [
  0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
  0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,
  0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,
  0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,
  0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,
  0x72, 0x7a, 0x70, 0x71, 0x84, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f,
];

/** The controller's translation, set 2 to set 1; what is no key passes unchanged. */
export const SET1_OF_SET2: readonly number[] = Array.from({ length: 256 }, (_, set2) => {
  const set1 = SET2_OF_SET1.indexOf(set2);
  return set1 > 0 ? set1 : set2;
});

/** The character's key and whether shift is held, on a US layout. */
export function keyOfCharacter(character: string): { code: string; shift: boolean } | undefined {
  if (/^[a-z]$/.test(character)) return { code: `Key${character.toUpperCase()}`, shift: false };
  if (/^[A-Z]$/.test(character)) return { code: `Key${character}`, shift: true };
  if (/^[0-9]$/.test(character)) return { code: `Digit${character}`, shift: false };
  const plain = PLAIN.indexOf(character);
  if (plain >= 0) return { code: PUNCTUATION[plain] ?? "", shift: false };
  const shifted = SHIFTED.indexOf(character);
  if (shifted >= 0) return { code: PUNCTUATION[shifted] ?? "", shift: true };
  const digit = ")!@#$%^&*(".indexOf(character);
  if (digit >= 0) return { code: `Digit${digit}`, shift: true };
  if (character === "\n" || character === "\r") return { code: "Enter", shift: false };
  return undefined;
}

const PLAIN = "-=[];'`\\,./ \t\b";
const SHIFTED = '_+{}:"~|<>?';
const PUNCTUATION = [
  "Minus",
  "Equal",
  "BracketLeft",
  "BracketRight",
  "Semicolon",
  "Quote",
  "Backquote",
  "Backslash",
  "Comma",
  "Period",
  "Slash",
  "Space",
  "Tab",
  "Backspace",
];
