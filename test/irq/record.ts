// Records what QEMU's interrupt controllers answer to the scripts of this folder: npx tsx test/irq/record.ts
// Needs qemu-system-i386 (recorded with 7.2.22 of Debian 12). The tests read the file and need no QEMU.
import { writeFileSync } from "node:fs";
import { IOAPIC_SCRIPTS } from "./ioapic-scripts.ts";
import { picScripts } from "./pic-scripts.ts";
import { digest, runOnQemu, type Recording } from "./script.ts";

const recordings: Record<string, Recording> = {};
for (const [name, script] of picScripts()) {
  const answers = await runOnQemu(script);
  recordings[name] = { script: digest(script), answers: answers.map((a) => a.toString(16)).join(" ") };
}
for (const [name, script] of Object.entries(IOAPIC_SCRIPTS)) {
  const answers = await runOnQemu(script, true);
  recordings[name] = { script: digest(script), answers: answers.map((a) => a.toString(16)).join(" ") };
}
writeFileSync(new URL("qemu-answers.json", import.meta.url), `${JSON.stringify(recordings, null, 1)}\n`);
