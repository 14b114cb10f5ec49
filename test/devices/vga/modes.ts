// Firmware that sets a video mode through Debian's VGA BIOS and draws (modes.asm), and what the screen shows then: here,
// and under QEMU as the file of its "screendump".
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isInstalled } from "../../../src/images/node/process.ts";
import { Vm, type VmConfig } from "../../../src/index.ts";
import { Scratch } from "../../backends/block/tools.ts";

export const VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin";
const HALF = 0x10000;
/** Where modes.asm has its mode, in its half of the image. */
const MODE_AT = 0xff00;
const DRAWN = 0xa5;
const LIMIT_MS = 60_000;

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Of each pixel the first three bytes count. */
  readonly bytes: Uint8Array | Uint8ClampedArray;
  readonly bytesAPixel: 3 | 4;
}

export async function haveTools(): Promise<boolean> {
  return existsSync(VGA_BIOS) && (await isInstalled("nasm")) && (await isInstalled("qemu-system-i386"));
}

let assembled: Uint8Array | undefined;
function assemble(): Uint8Array {
  using scratch = new Scratch();
  const out = scratch.path("modes.bin");
  execFileSync("nasm", ["-f", "bin", "-o", out, new URL("modes.asm", import.meta.url).pathname]);
  return readFileSync(out);
}

/** The firmware image for a mode. */
export function modesImage(mode: number): Uint8Array {
  assembled ??= assemble();
  const image = new Uint8Array(2 * HALF);
  image.set(readFileSync(VGA_BIOS));
  image.set(assembled, HALF);
  new DataView(image.buffer).setUint16(HALF + MODE_AT, mode, true);
  return image;
}

/** A VM that has drawn the mode, paused. */
export async function drawn(mode: number, config: Partial<VmConfig> = {}): Promise<Vm> {
  const vm = await Vm.create({
    boot: { kind: "firmware", image: modesImage(mode) },
    memoryBytes: 16 << 20,
    clock: "virtual",
    timeoutMs: LIMIT_MS,
    ...config,
  });
  const done = new Promise<void>((resolve, reject) => {
    vm.on("debugcon", ({ bytes }) => bytes.includes(DRAWN) && resolve());
    vm.on("exit", (status) => reject(new Error(`mode ${mode.toString(16)}: the machine ended: ${status.kind}`)));
  });
  vm.start();
  await done;
  await vm.pause();
  return vm;
}

/** The same under QEMU. */
export async function drawnByQemu(mode: number): Promise<Pixels> {
  using scratch = new Scratch();
  const [bios, log, dump] = [scratch.path("bios"), scratch.path("log"), scratch.path("dump.ppm")];
  writeFileSync(bios, modesImage(mode));
  const qemu = spawn(
    "qemu-system-i386",
    // biome-ignore format: options and their values
    ["-M", "pc", "-accel", "tcg", "-m", "16", "-bios", bios, "-vga", "std", "-display", "none", "-net", "none",
      "-debugcon", `file:${log}`, "-monitor", "stdio"],
    { stdio: ["pipe", "ignore", "ignore"] },
  );
  try {
    for (const end = Date.now() + LIMIT_MS; ; await sleep(20)) {
      if (existsSync(log) && readFileSync(log).includes(DRAWN)) break;
      if (qemu.exitCode !== null || Date.now() > end) throw new Error(`QEMU did not draw mode ${mode.toString(16)}`);
    }
    qemu.stdin.write(`screendump ${dump}\n`);
    const ended = new Promise((resolve) => qemu.once("exit", resolve));
    qemu.stdin.end("quit\n");
    await ended;
    return readPpm(readFileSync(dump));
  } finally {
    qemu.kill();
  }
}

function readPpm(file: Uint8Array): Pixels {
  const [header = "", width = "", height = ""] =
    /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(new TextDecoder("latin1").decode(file.subarray(0, 64))) ?? [];
  return { width: Number(width), height: Number(height), bytes: file.subarray(header.length), bytesAPixel: 3 };
}
