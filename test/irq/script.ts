// Scripts of port accesses that run on the chipset and, through QEMU's qtest protocol, on QEMU's devices. One line a step:
//   out PORT VALUE    in PORT    irq LINE LEVEL    wr GPA VALUE    rd GPA
// Numbers are hexadecimal except LINE and LEVEL. `in` and `rd` give one answer each.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Chipset } from "./machine.ts";

/** Runs a script on our chipset: one answer for each `in` and `rd`. */
export function runScript(chipset: Chipset, script: readonly string[]): number[] {
  const answers: number[] = [];
  for (const line of script) {
    const [verb, a, b] = line.split(" ") as [string, string, string];
    const first = Number.parseInt(a, 16);
    if (verb === "out") chipset.out(first, Number.parseInt(b, 16));
    else if (verb === "in") answers.push(chipset.in(first));
    else if (verb === "irq") chipset.irq(Number(a), Number(b));
    else if (verb === "rd") answers.push(Number(chipset.core.chipsetMmioRead(chipset.vcpu(0), first, 4)));
    else if (verb === "wr") chipset.core.chipsetMmioWrite!(chipset.vcpu(0), first, 4, BigInt(`0x${b}`));
    else throw new Error(`unknown step ${line}`);
  }
  return answers;
}

/** QOM paths of the devices of `-machine pc -nodefaults` in QEMU 7.2. */
const QEMU_PIC = ["/machine/unattached/device[6]", "/machine/unattached/device[7]"];
const QEMU_IOAPIC = "/machine/i440fx/ioapic";

function qtestCommand(line: string, ioapic: boolean): string {
  const [verb, a, b] = line.split(" ") as [string, string, string];
  if (verb === "out") return `outb 0x${a} 0x${b}`;
  if (verb === "in") return `inb 0x${a}`;
  if (verb === "wr") return `writel 0x${a} 0x${b}`;
  if (verb === "rd") return `readl 0x${a}`;
  const gsi = Number(a);
  if (ioapic) return `set_irq_in ${QEMU_IOAPIC} unnamed-gpio-in ${gsi === 0 ? 2 : gsi} ${b}`;
  return `set_irq_in ${QEMU_PIC[gsi >> 3]} unnamed-gpio-in ${gsi & 7} ${b}`;
}

/** Runs a script on a freshly started QEMU whose processor does not run. */
export async function runOnQemu(script: readonly string[], ioapic = false): Promise<number[]> {
  const args = "-machine pc,accel=tcg -display none -nodefaults -S -qtest stdio".split(" ");
  const qemu = spawn("qemu-system-i386", args, { stdio: ["pipe", "pipe", "ignore"] });
  const answers: number[] = [];
  let next = 0;
  for (const line of script) qemu.stdin.write(`${qtestCommand(line, ioapic)}\n`);
  for await (const reply of createInterface({ input: qemu.stdout })) {
    if (!/^(OK|FAIL|ERR)/.test(reply)) continue;
    const step = script[next++] ?? "";
    if (!reply.startsWith("OK")) throw new Error(`QEMU: ${reply} for "${step}"`);
    if (/^(in|rd) /.test(step)) answers.push(Number(reply.split(" ")[1]));
    if (next === script.length) break;
  }
  qemu.kill();
  return answers;
}

/** A script's digest and QEMU's answers in hexadecimal. */
export interface Recording {
  readonly script: string;
  readonly answers: string;
}

export function digest(script: readonly string[]): string {
  return createHash("sha256").update(script.join("\n")).digest("hex").slice(0, 16);
}

/** The recording of a script; throws when the script is not the one that was recorded. */
export function recordedText(name: string, script: readonly string[]): string {
  const all = JSON.parse(readFileSync(new URL("qemu-answers.json", import.meta.url), "utf8")) as Record<
    string,
    Recording
  >;
  const recording = all[name];
  if (recording?.script !== digest(script)) throw new Error(`"${name}" has changed: npx tsx test/irq/record.ts`);
  return recording.answers;
}

/** What QEMU answered to a script. */
export function recorded(name: string, script: readonly string[]): number[] {
  return recordedText(name, script)
    .split(" ")
    .map((a) => Number.parseInt(a, 16));
}
