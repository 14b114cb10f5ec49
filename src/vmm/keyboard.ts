// The host's keyboard, as users of the library see it.
import type { I8042 } from "../devices/i8042.ts";
import { keyOfCharacter, SET1_MAKE } from "../devices/scancodes.ts";
import { VmError } from "./error.ts";

export class Keyboard {
  constructor(private readonly controller: I8042) {}

  /** A key by its KeyboardEvent.code ("KeyA", "Enter"). Throws VmError("not-found") for a name that no PC keyboard has. */
  press(code: string): void {
    this.#key(code, true);
  }
  release(code: string): void {
    this.#key(code, false);
  }

  /** Types text on a US layout; characters that are not on it are skipped. Returns how many were typed. */
  type(text: string): number {
    let typed = 0;
    for (const character of text) {
      const key = keyOfCharacter(character);
      if (key === undefined) continue;
      if (key.shift) this.press("ShiftLeft");
      this.press(key.code);
      this.release(key.code);
      if (key.shift) this.release("ShiftLeft");
      typed++;
    }
    return typed;
  }

  /** Bytes as the keyboard itself would send them (scan code set 2, unless the guest chose another). */
  sendScancodes(bytes: readonly number[]): void {
    this.controller.keyboard.sendRaw(bytes.map((byte) => byte & 0xff));
  }

  /** Mouse movement in counts (y up), wheel clicks and buttons (1 left, 2 right, 4 middle). */
  moveMouse(dx: number, dy: number, wheel = 0, buttons = 0): void {
    this.controller.mouse.move(dx, dy, wheel, buttons);
  }

  #key(code: string, down: boolean): void {
    const make = SET1_MAKE[code];
    if (make === undefined)
      throw new VmError("not-found", `There is no key "${code}"; names are those of KeyboardEvent.code.`, { code });
    this.controller.keyboard.key(make, down);
  }
}
