// Fuzzing with a watchdog: `npm run fuzz -- --seconds 60 --seed 1`. See docs/FUZZING.md.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { exitNames } from "../../../src/vmm/exits/index.ts";
import type { Minimal } from "./minimise.ts";

export interface Report {
  cases: number;
  instructions: number;
  exits: number;
  /** Cases whose runs were not compared, because the guest changed page tables without flushing. */
  incomparable: number;
  modes: Record<string, number>;
  ends: Record<string, number>;
  failures: Minimal[];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly cases?: number;
  /** Failures after which to stop. */
  readonly failures?: number;
}

export interface WorkerTask extends Required<FuzzOptions> {
  readonly progress: SharedArrayBuffer;
}

/** A case takes milliseconds, making a failing one smaller some seconds. */
const HANG_MS = 60_000;
const LOOK_MS = 500;
const root = new URL("../../../", import.meta.url);
// as deep below the root as the sources, whose relative paths it keeps
const BUNDLE = fileURLToPath(new URL("build/fuzz/machine-code/worker.mjs", root));

/** Runs cases until time, number or failures are used up. Rejects with the seed of a case that hangs. */
export async function fuzz(options: FuzzOptions): Promise<Report> {
  await build({
    entryPoints: [fileURLToPath(new URL("test/fuzz/machine-code/worker.ts", root))],
    outfile: BUNDLE,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
  const progress = new SharedArrayBuffer(8);
  const seen = new Int32Array(progress);
  const task: WorkerTask = { cases: Number.POSITIVE_INFINITY, failures: 5, ...options, progress };
  const worker = new Worker(BUNDLE, { workerData: task });
  let last = -1;
  let since = Date.now();
  try {
    return await new Promise<Report>((resolve, reject) => {
      const watchdog = setInterval(() => {
        const cases = Atomics.load(seen, 1);
        if (cases !== last) {
          last = cases;
          since = Date.now();
        } else if (Date.now() - since > HANG_MS) {
          reject(new Error(`seed ${Atomics.load(seen, 0)} hangs: no end after ${HANG_MS / 1000} s`));
        }
      }, LOOK_MS);
      worker.once("exit", () => clearInterval(watchdog));
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  } finally {
    await worker.terminate();
  }
}

export function describeFailure({ failure, limit, code }: Minimal): string {
  const { seed, kind, message, setup } = failure;
  const where = setup ? ` (${setup.mode}, ${setup.paging} paging)` : "";
  return `seed ${seed}: ${kind}${where} with ${limit} instructions\n  ${message}\n  program ${code}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, seed: { type: "string" }, cases: { type: "string" } },
  });
  const seed = Number(values.seed ?? Date.now() & 0x7fffffff) | 0;
  const cases = values.cases === undefined ? undefined : Number(values.cases);
  const seconds = Number(values.seconds ?? (cases === undefined ? 60 : 86_400));
  process.stdout.write(`fuzzing machine code from seed ${seed} for at most ${seconds} s\n`);
  const report = await fuzz({ seed, seconds, ...(cases === undefined ? {} : { cases }) });
  const ends = Object.entries(report.ends).map(([end, n]) => `${exitNames[Number(end)] ?? end} ${n}`);
  process.stdout.write(
    `${report.cases} cases, ${report.instructions} instructions, ${report.exits} exits; not compared: ${report.incomparable}; ended by: ${ends.join(", ")}\n`,
  );
  for (const failure of report.failures) process.stdout.write(`${describeFailure(failure)}\n`);
  process.stdout.write(`${report.failures.length} failures\n`);
  if (report.failures.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
