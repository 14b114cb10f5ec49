// Guests of a few bytes, real mode at 7C00h, and the ROM hello.
import { readFile } from "node:fs/promises";
import type { BootSource } from "../../src/index.ts";

export function flat(code: readonly number[]): BootSource {
  return { kind: "flat", image: Uint8Array.from(code), address: 0x7c00, mode: "real" };
}

/** Counts in AX for ever. */
export const SPIN = flat([0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0xeb, 0xf6]);
/** cli; hlt */
export const HANG = flat([0xfa, 0xf4, 0xeb, 0xfc]);
/** Waits for interrupts with nothing that sends one. */
export const IDLE = flat([0xfb, 0xf4, 0xeb, 0xfc]);
/** Triple fault: an empty IDT, then INT 3. */
export const FAULT = flat([0x0f, 0x01, 0x1e, 0x08, 0x7c, 0xcc, 0xf4, 0xf4, 0, 0, 0, 0, 0, 0]);

/** Prints text on COM1, then leaves through the debug exit port. */
export function print(text: string, exit?: number): BootSource {
  const code: number[] = [0xba, 0xf8, 0x03];
  for (const character of text) code.push(0xb0, character.charCodeAt(0), 0xee);
  if (exit !== undefined) code.push(0xb0, exit, 0xe6, 0xf4);
  return flat([...code, 0xfa, 0xf4, 0xeb, 0xfc]);
}

/** Prints characters on COM1 for ever, as fast as it can. */
export const FLOOD = flat([0xba, 0xf8, 0x03, 0xb0, 0x0a, 0xee, 0xeb, 0xfd]);

/** Echoes COM1: in al, LSR; test al, 1; jz; in al, RBR; out THR, al. */
export const ECHO = flat([0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1]);

export async function hello(): Promise<BootSource> {
  return { kind: "multiboot", kernel: new Uint8Array(await readFile("roms/hello/hello.bin")) };
}

/** Resolves when `vm` has printed `text`. */
export async function untilPrinted(
  vm: { scrollback(port?: number): Uint8Array },
  text: string,
  timeoutMs = 10_000,
): Promise<void> {
  for (let i = 0; i < timeoutMs / 10; i++) {
    if (new TextDecoder().decode(vm.scrollback()).includes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`"${text}" was not printed; the console has: ${new TextDecoder().decode(vm.scrollback())}`);
}
