// Builds and runs the hardware harness. Needs an x86 Linux machine with gcc.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Batch } from "./format.ts";
import { requireRuns } from "./runs-here.ts";

const SOURCE = fileURLToPath(new URL("harness.c", import.meta.url));

/** Compiles the harness when it is missing or older than its source; returns its path. */
export function buildHarness(): string {
  const folder = join(tmpdir(), "paravane-oracle");
  mkdirSync(folder, { recursive: true });
  const out = join(folder, "harness");
  if (!existsSync(out) || statSync(out).mtimeMs < statSync(SOURCE).mtimeMs) {
    execFileSync(
      "gcc",
      [
        "-m32",
        "-O2",
        "-msse2",
        "-mstackrealign",
        "-ffreestanding",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-fno-pic",
        "-fno-stack-protector",
        "-fno-asynchronous-unwind-tables",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        out,
        SOURCE,
      ],
      { stdio: "inherit" },
    );
  }
  requireRuns(out);
  return out;
}

/** Runs a batch on the CPU; returns the results in order. */
export function runOnHardware(harness: string, batch: Batch): Buffer {
  const run = spawnSync(harness, [], { input: batch.stream, maxBuffer: 1 << 30 });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Error(`the oracle harness failed (${run.status ?? run.signal}): ${run.stderr}`);
  return run.stdout;
}
