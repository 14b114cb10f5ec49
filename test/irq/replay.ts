// Scripts that run as a guest program under QEMU (test/irq/replay.asm), which logs each answer with the time it was given,
// and on our chipset with its clock set to those times. One line a step, numbers hexadecimal except NS:
//   out PORT VALUE   in PORT   wr GPA VALUE   rd GPA   wait NS   window
// `window` lets at most one interrupt in; its answer is the vector, or -1.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Chipset } from "./machine.ts";
import { recordedText } from "./script.ts";

/** What a step answered (`in`, `rd`, `window`; else 0) and when, ns. */
export interface Answer {
  readonly timeNs: number;
  readonly value: number;
}

const OPERATIONS = ["end", "out", "in", "wr", "rd", "wait", "window"];

function encode(script: readonly string[]): Buffer {
  const words = script.flatMap((line) => {
    const [verb, a, b] = line.split(" ") as [string, string, string];
    const operation = OPERATIONS.indexOf(verb);
    if (operation < 1) throw new Error(`unknown step ${line}`);
    if (verb === "wait") return [operation, 0, Number(a)];
    return [operation, Number.parseInt(a ?? "0", 16), Number.parseInt(b ?? "0", 16)];
  });
  return Buffer.from(Uint32Array.from(words).buffer);
}

/** Runs a script under QEMU with an instruction counter as clock: one nanosecond an instruction. */
export function replayOnQemu(script: readonly string[]): Answer[] {
  const dir = mkdtempSync(join(tmpdir(), "replay-"));
  try {
    const [source, binary, log] = [join(dir, "script"), join(dir, "replay.bin"), join(dir, "log")];
    writeFileSync(source, encode(script));
    const asm = fileURLToPath(new URL("replay.asm", import.meta.url));
    execFileSync("nasm", ["-f", "bin", `-DSCRIPT="${source}"`, asm, "-o", binary]);
    const flags =
      "-machine pc,accel=tcg,hpet=off -cpu qemu32,+apic,+tsc-deadline -icount shift=0,sleep=off -m 16 -nodefaults -display none";
    const exit = "-device isa-debug-exit,iobase=0xf4 -no-reboot";
    const args = [...flags.split(" "), ...exit.split(" "), "-debugcon", `file:${log}`, "-kernel", binary];
    spawnSync("qemu-system-i386", args, { timeout: 30000, stdio: "ignore" });
    return decode(script, readFileSync(log));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function decode(script: readonly string[], log: Buffer): Answer[] {
  const answers: Answer[] = script.map(() => ({ timeNs: -1, value: 0 }));
  // SeaBIOS may write to the debug console before: the log begins with step 1.
  let at = 0;
  let base: number | undefined;
  for (; at + 12 <= log.length; at += 12) {
    const [step, time, value] = [log.readUInt32LE(at), log.readUInt32LE(at + 4), log.readUInt32LE(at + 8)];
    base ??= time;
    const timeNs = (time - base) >>> 0;
    if (value >>> 31 && script[step - 1] === "window") answers[step - 1] = { timeNs, value: value & 0xff };
    else answers[step - 1] = { timeNs, value: script[step - 1] === "window" ? -1 : value };
  }
  if (answers.some((a, i) => a.timeNs < 0 && !script[i]!.startsWith("wait")))
    throw new Error("QEMU did not finish the script");
  return answers;
}

/** Runs a script under QEMU and packs the answers: "nanoseconds since the last one.value" in hexadecimal. */
export function recordReplay(script: readonly string[]): string {
  let last = 0;
  return replayOnQemu(script)
    .map(({ timeNs, value }) => {
      if (timeNs < 0) return "-";
      const packed = `${(timeNs - last).toString(16)}.${value.toString(16)}`;
      last = timeNs;
      return packed;
    })
    .join(" ");
}

/** The recorded answers to a script; throws when the script is not the one that was recorded. */
export function recordedReplay(name: string, script: readonly string[]): Answer[] {
  let timeNs = 0;
  return recordedText(name, script)
    .split(" ")
    .map((packed) => {
      if (packed === "-") return { timeNs: -1, value: 0 };
      const [delta, value] = packed.split(".") as [string, string];
      timeNs += Number.parseInt(delta, 16);
      return { timeNs, value: Number.parseInt(value, 16) };
    });
}

/** Runs a script on our chipset, each step at the time QEMU made it. */
export function replayOnChipset(c: Chipset, script: readonly string[], times: readonly Answer[]): number[] {
  const start = c.hostNs;
  return script.map((line, i) => {
    const [verb, a, b] = line.split(" ") as [string, string, string];
    if (verb === "wait") return 0;
    c.wait(start + times[i]!.timeNs - c.hostNs);
    const first = Number.parseInt(a ?? "0", 16);
    if (verb === "out") c.out(first, Number.parseInt(b, 16));
    else if (verb === "in") return c.in(first);
    else if (verb === "wr") c.core.chipsetMmioWrite!(c.vcpu(0), first, 4, BigInt(`0x${b}`));
    else if (verb === "rd") return Number(c.core.chipsetMmioRead(c.vcpu(0), first | 0, 4)) >>> 0;
    else return c.ack();
    return 0;
  });
}
