// Names of keys as QEMU's "sendkey" has them, for scripts: "ret", "ctrl-alt-delete".
import { SET1_MAKE } from "./scancodes.ts";

/** Name of the key as KeyboardEvent.code has it. */
const CODES: Readonly<Record<string, string>> = {
  ...Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz"].map((letter) => [letter, `Key${letter.toUpperCase()}`])),
  ...Object.fromEntries([..."0123456789"].map((digit) => [digit, `Digit${digit}`])),
  ...Object.fromEntries([..."0123456789"].map((digit) => [`kp_${digit}`, `Numpad${digit}`])),
  ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i + 1}`, `F${i + 1}`])),
  shift: "ShiftLeft",
  shift_r: "ShiftRight",
  ctrl: "ControlLeft",
  ctrl_r: "ControlRight",
  alt: "AltLeft",
  alt_r: "AltRight",
  altgr: "AltRight",
  meta_l: "MetaLeft",
  meta_r: "MetaRight",
  menu: "ContextMenu",
  esc: "Escape",
  minus: "Minus",
  equal: "Equal",
  backspace: "Backspace",
  tab: "Tab",
  bracket_left: "BracketLeft",
  bracket_right: "BracketRight",
  ret: "Enter",
  enter: "Enter",
  semicolon: "Semicolon",
  apostrophe: "Quote",
  grave_accent: "Backquote",
  backslash: "Backslash",
  less: "IntlBackslash",
  comma: "Comma",
  dot: "Period",
  slash: "Slash",
  spc: "Space",
  caps_lock: "CapsLock",
  num_lock: "NumLock",
  scroll_lock: "ScrollLock",
  pause: "Pause",
  print: "PrintScreen",
  sysrq: "PrintScreen",
  kp_multiply: "NumpadMultiply",
  asterisk: "NumpadMultiply",
  kp_divide: "NumpadDivide",
  kp_add: "NumpadAdd",
  kp_subtract: "NumpadSubtract",
  kp_decimal: "NumpadDecimal",
  kp_enter: "NumpadEnter",
  home: "Home",
  end: "End",
  pgup: "PageUp",
  pgdn: "PageDown",
  up: "ArrowUp",
  down: "ArrowDown",
  left: "ArrowLeft",
  right: "ArrowRight",
  insert: "Insert",
  delete: "Delete",
};

export const KEY_NAMES: readonly string[] = Object.keys(CODES);

/**
 * The keys of "ctrl-alt-delete", all but the last held while the next go down, by KeyboardEvent.code; such codes are names
 * too. The first word that names no key is in `unknown`.
 */
export function keysOfCombination(text: string): { codes: string[] } | { unknown: string } {
  const codes: string[] = [];
  for (const word of text === "-" ? ["minus"] : text.split("-")) {
    const name = word.toLowerCase();
    const code = Object.hasOwn(CODES, name) ? CODES[name] : Object.hasOwn(SET1_MAKE, word) ? word : undefined;
    if (code === undefined) return { unknown: word };
    codes.push(code);
  }
  return { codes };
}
