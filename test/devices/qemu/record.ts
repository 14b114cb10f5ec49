// Records what QEMU's devices answer to the scenarios: `npx tsx test/devices/qemu/record.ts` (needs qemu-system-i386).
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { floppyImage, floppyScenarios } from "./floppy-scenarios.ts";
import { cdImage, diskImage, ideScenarios } from "./ide-scenarios.ts";
import { type Scenario, type Step, scenarios, WALL_START } from "./scenarios.ts";

const ARGS = [
  "-machine",
  "pc",
  "-m",
  "64",
  "-nodefaults",
  "-display",
  "none",
  "-qtest",
  "stdio",
  "-serial",
  "null",
  "-rtc",
  `base=${WALL_START},clock=vm`,
  "-device",
  "isa-debugcon,chardev=log",
  "-chardev",
  "null,id=log",
  "-device",
  "isa-debug-exit,iobase=0xf4,iosize=4",
  "-device",
  "pc-testdev",
  "-global",
  "PIIX4_PM.disable_s3=1",
  "-S",
];
const HLT = 0xf4;
const WIDTHS = { 1: "b", 2: "w", 4: "l" } as const;

async function record(scenario: Scenario): Promise<number[]> {
  // A fresh machine a scenario: no state from the one before. Its processor halts at once; its clock stands still but
  // for the waits, in which the machine runs.
  const folder = mkdtempSync(join(tmpdir(), "paravane-record-"));
  const bios = join(folder, "halt.bin");
  const control = join(folder, "qmp");
  writeFileSync(bios, new Uint8Array(65536).fill(HLT));
  const qemu = spawn(
    "qemu-system-i386",
    [
      ...testdevFree(scenario),
      ...driveArguments(scenario, folder),
      "-bios",
      bios,
      "-qmp",
      `unix:${control},server=on,wait=off`,
    ],
    { stdio: ["pipe", "pipe", "ignore"] },
  );
  const lines = createInterface({ input: qemu.stdout })[Symbol.asyncIterator]();
  const ask = async (command: string): Promise<string> => {
    qemu.stdin.write(`${command}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`QEMU ended at "${command}" of "${scenario.name}"`);
      if (value.startsWith("OK")) return value;
      if (!value.startsWith("IRQ")) throw new Error(`QEMU said "${value}" to "${command}"`);
    }
  };
  const answers: number[] = [];
  for (const step of scenario.steps) {
    if (step[0] === "wait") {
      await runFor(control, step[1] / 1e6);
      continue;
    }
    const reply = await ask(commandOf(step));
    if (step[0] === "in" || step[0] === "load") answers.push(Number(reply.split(" ")[1]));
  }
  qemu.kill();
  rmSync(folder, { recursive: true });
  return answers;
}

/** The same disks that the replay has. */
function driveArguments({ drives }: Scenario, folder: string): string[] {
  if (drives === undefined) return [];
  if (drives === "floppy") {
    const floppy = join(folder, "floppy.img");
    writeFileSync(floppy, floppyImage());
    return ["-drive", `file=${floppy},format=raw,if=floppy,index=0,cache=unsafe`];
  }
  const [disk, cd] = [join(folder, "disk.img"), join(folder, "cd.img")];
  writeFileSync(disk, diskImage());
  writeFileSync(cd, cdImage());
  return [
    "-drive",
    `file=${disk},format=raw,if=ide,index=0,cache=unsafe`,
    "-drive",
    `file=${cd},format=raw,if=ide,index=2,media=cdrom,readonly=on`,
  ];
}

/** Lets the machine run for so many milliseconds. */
async function runFor(control: string, ms: number): Promise<void> {
  const socket = connect(control);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  await lines.next();
  const command = async (execute: string): Promise<void> => {
    socket.write(`${JSON.stringify({ execute })}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done || JSON.parse(value).return !== undefined) return;
    }
  };
  await command("qmp_capabilities");
  await command("cont");
  await sleep(ms);
  await command("stop");
  socket.end();
}

/** The test device's byte register covers the debug console's port: each scenario gets the one it talks to. */
function testdevFree(scenario: Scenario): string[] {
  const drop = scenario.name.startsWith("test device") ? "isa-debugcon,chardev=log" : "pc-testdev";
  const at = ARGS.indexOf(drop);
  return ARGS.filter((_, i) => i !== at && i !== at - 1);
}

function commandOf(step: Exclude<Step, readonly ["wait", number]>): string {
  if (step[0] === "load") return `readl 0x${step[1].toString(16)}`;
  if (step[0] === "store") return `writel 0x${step[1].toString(16)} 0x${step[2].toString(16)}`;
  const access = `${step[0] === "out" ? "out" : "in"}${WIDTHS[step[2]]} 0x${step[1].toString(16)}`;
  return step[0] !== "out" ? access : `${access} 0x${step[3].toString(16)}`;
}

const recorded: Record<string, number[]> = {};
for (const scenario of [...scenarios, ...ideScenarios, ...floppyScenarios])
  recorded[scenario.name] = await record(scenario);
const rows = Object.entries(recorded).map(([name, answers]) => `  ${JSON.stringify(name)}: ${JSON.stringify(answers)}`);
writeFileSync(new URL("recorded.json", import.meta.url), `{\n${rows.join(",\n")}\n}\n`);
