// Writes, flushes, and says so only then; until somebody kills it.
import { writeSync } from "node:fs";
import { openDisk } from "../../../src/platform/node/disk.ts";
import { pattern } from "./tools.ts";

const disk = await openDisk(process.argv[2] as string, { format: process.argv[2]?.endsWith("raw") ? "raw" : "qcow2" });
for (let n = 0; n < 1000; n++) {
  // Some bytes that nobody flushes, too.
  await disk.write(n * 65_536 + 8192, pattern(4096, n + 1));
  await disk.write(n * 65_536, pattern(4096, n));
  await disk.flush();
  writeSync(1, `${n}\n`);
}
