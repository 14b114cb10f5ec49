// Fuzzes the virtio devices: `npx tsx test/fuzz/virtio/run.ts --seconds 600 --seed 1`. See docs/FUZZING.md.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Counts, runCase } from "./case.ts";

const STEPS = 2000;

export interface VirtioFuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly cases?: number;
}

/** Runs cases until time or number are used up. Throws with the seed of the first that fails. */
export function fuzzVirtio({ seed, seconds, cases = Number.POSITIVE_INFINITY }: VirtioFuzzOptions): Counts {
  const counts: Counts = { cases: 0, steps: 0, kicks: 0, chains: 0, faults: 0 };
  const directory = mkdtempSync(join(tmpdir(), "paravane-fuzz-"));
  const share = join(directory, "share");
  const end = performance.now() + seconds * 1000;
  try {
    for (let n = 0; n < cases && performance.now() < end; n++) {
      rmSync(share, { recursive: true, force: true });
      mkdirSync(share);
      symlinkSync("..", join(share, "link"));
      try {
        runCase(seed + n, STEPS, share, counts);
      } catch (cause) {
        throw new Error(`seed ${seed + n}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return counts;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, seed: { type: "string" }, cases: { type: "string" } },
  });
  const cases = values.cases === undefined ? {} : { cases: Number(values.cases) };
  console.log(fuzzVirtio({ seed: Number(values.seed ?? 1), seconds: Number(values.seconds ?? 60), ...cases }));
}
