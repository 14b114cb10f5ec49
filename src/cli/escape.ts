// The escape key of the terminal: Ctrl-A, then a letter, talks to Paravane instead of the guest, as in QEMU and screen.

export const ESCAPE_KEY = 0x01;

/** Letter after Ctrl-A -> what it does. */
export const ESCAPE_COMMANDS = {
  x: { action: "quit", help: "quit" },
  h: { action: "help", help: "this help" },
  s: { action: "stats", help: "print statistics" },
  p: { action: "power", help: "press the power button" },
  r: { action: "reset", help: "reset the machine" },
} as const;

export type EscapeAction = (typeof ESCAPE_COMMANDS)[keyof typeof ESCAPE_COMMANDS]["action"];

export const ESCAPE_HELP = [
  ...Object.entries(ESCAPE_COMMANDS).map(([key, { help }]) => `Ctrl-A ${key}       ${help}`),
  "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
].join("\n");

/** Splits what is typed into bytes for the guest and commands for us. The pair may arrive in two pieces. */
export class EscapeFilter {
  #escaped = false;

  /** Returns the guest's bytes; calls `onAction` in the order typed. Bytes after a command still go to the guest. */
  push(typed: Uint8Array, onAction: (action: EscapeAction) => void): Uint8Array {
    const guest = new Uint8Array(typed.length + 1);
    let length = 0;
    for (const byte of typed) {
      if (!this.#escaped) {
        if (byte === ESCAPE_KEY) this.#escaped = true;
        else guest[length++] = byte;
        continue;
      }
      this.#escaped = false;
      if (byte === ESCAPE_KEY) {
        guest[length++] = byte;
        continue;
      }
      const command = (ESCAPE_COMMANDS as Record<string, { action: EscapeAction } | undefined>)[
        String.fromCharCode(byte).toLowerCase()
      ];
      // A letter without a meaning asks for the list of those that have one.
      onAction(command?.action ?? "help");
    }
    return guest.subarray(0, length);
  }
}
