// Records what QEMU's interrupt controllers and timers answer to the scripts of the tests: npx tsx test/irq/record.ts
// Needs qemu-system-i386 and nasm (recorded with QEMU 7.2.22 of Debian 12). The tests read the file and need no QEMU.
import { writeFileSync } from "node:fs";
import { ALL } from "../time/timer-scripts.ts";
import { IOAPIC_SCRIPTS } from "./ioapic-scripts.ts";
import { picScripts } from "./pic-scripts.ts";
import { recordReplay } from "./replay.ts";
import { digest, type Recording, runOnQemu } from "./script.ts";

const recordings: Record<string, Recording> = {};
for (const [name, script] of picScripts()) {
  const answers = await runOnQemu(script);
  recordings[name] = { script: digest(script), answers: answers.map((a) => a.toString(16)).join(" ") };
}
for (const [name, script] of Object.entries(IOAPIC_SCRIPTS)) {
  const answers = await runOnQemu(script, true);
  recordings[name] = { script: digest(script), answers: answers.map((a) => a.toString(16)).join(" ") };
}
for (const [name, script] of Object.entries(ALL)) {
  recordings[name] = { script: digest(script), answers: recordReplay(script) };
}
writeFileSync(new URL("qemu-answers.json", import.meta.url), `${JSON.stringify(recordings, null, 2)}\n`);
