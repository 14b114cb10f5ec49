// The host's keyboard and mouse, as users of the library see them.
import type { I8042 } from "../devices/i8042.ts";
import { KEY_NAMES, keysOfCombination } from "../devices/key-names.ts";
import { keyOfCharacter, SET1_MAKE } from "../devices/scancodes.ts";
import { TYPED_MAX } from "../devices/typist.ts";
import { VmError } from "./error.ts";

interface KeyMove {
  readonly code: string;
  readonly down: boolean;
}

/** Keys are pressed in order, each once the guest has taken the one before: nothing is lost while it is busy. */
export class Keyboard {
  constructor(
    private readonly controller: I8042,
    /** Throws where there is no machine any more. */
    private readonly requireAlive: () => void,
  ) {}

  /**
   * A key goes down, by its KeyboardEvent.code ("KeyA", "Enter"); lost while too many wait for the guest. Throws
   * VmError("not-found") for a name that no PC keyboard has.
   */
  press(code: string): void {
    this.#move([{ code, down: true }]);
  }
  release(code: string): void {
    this.#move([{ code, down: false }]);
  }

  /**
   * Types text on a US layout; characters that are not on it are skipped. Returns how many were typed. Throws
   * VmError("bad-state") where more keys wait than there is room for, and types nothing then.
   */
  type(text: string): number {
    const moves: KeyMove[] = [];
    let typed = 0;
    for (const character of text.replace(/\r\n/g, "\n")) {
      const key = keyOfCharacter(character);
      if (key === undefined) continue;
      const stroke = strokeOf([key.code]);
      moves.push(...(key.shift ? strokeAround("ShiftLeft", stroke) : stroke));
      typed++;
    }
    this.#moveAll(moves);
    return typed;
  }

  /**
   * Presses the keys of "ctrl-alt-delete", "ret", "f10", as QEMU's "sendkey" names them, all together, and lets them go.
   * Throws VmError("not-found") naming the key that does not exist.
   */
  send(combination: string): void {
    const keys = keysOfCombination(combination);
    if ("unknown" in keys) {
      throw new VmError(
        "not-found",
        `There is no key "${keys.unknown}"; keys are ${KEY_NAMES.slice(-12).join(", ")}, letters, digits, f1 to f12 and more, joined by "-".`,
        { key: keys.unknown },
      );
    }
    this.#moveAll(strokeOf(keys.codes));
  }

  /** Moves of keys that the guest has not taken yet. */
  get waiting(): number {
    return this.controller.typist.waiting;
  }

  /** Bytes as the keyboard itself would send them (scan code set 2, unless the guest chose another). */
  sendScancodes(bytes: readonly number[]): void {
    this.requireAlive();
    this.controller.keyboard.sendRaw(bytes.map((byte) => byte & 0xff));
  }

  /** Mouse movement in counts (y up), wheel clicks (down is positive) and buttons (1 left, 2 right, 4 middle). */
  moveMouse(dx: number, dy: number, wheel = 0, buttons = 0): void {
    this.requireAlive();
    this.controller.mouse.move(dx, dy, wheel, buttons);
  }

  #moveAll(moves: readonly KeyMove[]): void {
    if (this.#move(moves)) return;
    throw new VmError(
      "bad-state",
      `The guest does not read its keyboard: ${this.waiting} moves of keys wait, and there is room for ${TYPED_MAX}.`,
      { waiting: this.waiting },
    );
  }

  /** All of them, or false. */
  #move(moves: readonly KeyMove[]): boolean {
    this.requireAlive();
    const keys = moves.map(({ code, down }) => {
      const make = Object.hasOwn(SET1_MAKE, code) ? SET1_MAKE[code] : undefined;
      if (make === undefined)
        throw new VmError("not-found", `There is no key "${code}"; names are those of KeyboardEvent.code.`, { code });
      return { make, down };
    });
    return this.controller.typist.push(keys);
  }
}

/** All down, and up again in the other order. */
function strokeOf(codes: readonly string[]): KeyMove[] {
  return [
    ...codes.map((code) => ({ code, down: true })),
    ...[...codes].reverse().map((code) => ({ code, down: false })),
  ];
}

function strokeAround(modifier: string, inner: readonly KeyMove[]): KeyMove[] {
  return [{ code: modifier, down: true }, ...inner, { code: modifier, down: false }];
}
