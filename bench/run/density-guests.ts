// The tiny guests of the density benchmark.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { BootSource } from "../../src/index.ts";

const HELLO = fileURLToPath(new URL("../../roms/hello/hello.bin", import.meta.url));
/** Eight times inc ax, then back: real mode. */
const SPIN = [0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0xeb, 0xf6];

/** The ROM with a prompt and a timer tick 100 times a second. */
export async function hello(): Promise<BootSource> {
  return { kind: "multiboot", kernel: new Uint8Array(await readFile(HELLO)) };
}

/** Counts for ever. */
export function spinner(): BootSource {
  return { kind: "flat", image: Uint8Array.from(SPIN), address: 0x7c00, mode: "real" };
}
