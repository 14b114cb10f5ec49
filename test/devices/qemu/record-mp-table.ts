// Records the MultiProcessor tables that SeaBIOS makes on QEMU's "pc": `npx tsx test/devices/qemu/record-mp-table.ts`.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { readMpConfiguration } from "../mp-configuration.ts";

const BIOS_AREA = 0xe0000;
const BIOS_AREA_BYTES = 0x20000;
const TRIES = 30;

const folder = mkdtempSync(join(tmpdir(), "paravane-mp-"));
const dump = join(folder, "bios");
const qemu = spawn("qemu-system-i386", [
  "-machine",
  "pc",
  "-m",
  "64",
  "-nodefaults",
  "-display",
  "none",
  "-qmp",
  "stdio",
]);
try {
  const lines = createInterface({ input: qemu.stdout })[Symbol.asyncIterator]();
  const ask = async (execute: string, args: object = {}): Promise<void> => {
    qemu.stdin.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error("QEMU ended");
      const answer = JSON.parse(value) as { return?: unknown; error?: { desc: string } };
      if (answer.error) throw new Error(answer.error.desc);
      if (answer.return !== undefined) return;
    }
  };
  await ask("qmp_capabilities");
  for (let n = 0; ; n++) {
    await sleep(500);
    await ask("pmemsave", { val: BIOS_AREA, size: BIOS_AREA_BYTES, filename: dump });
    try {
      const configuration = readMpConfiguration(readFileSync(dump), BIOS_AREA);
      const file = new URL("mp-table.json", import.meta.url);
      writeFileSync(
        file,
        `${JSON.stringify({ how: "npx tsx test/devices/qemu/record-mp-table.ts", ...configuration }, undefined, 2)}\n`,
      );
      break;
    } catch (error) {
      // The firmware is not there yet.
      if (n === TRIES) throw error;
    }
  }
} finally {
  qemu.kill();
  rmSync(folder, { recursive: true });
}
