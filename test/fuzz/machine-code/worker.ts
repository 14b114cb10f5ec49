// Runs cases one after the other on a thread of its own, so that the watchdog in run.ts can end one that hangs.
import { parentPort, workerData } from "node:worker_threads";
import { runCase } from "./case.ts";
import { FuzzMachine } from "./machine.ts";
import { minimise } from "./minimise.ts";
import type { Report, WorkerTask } from "./run.ts";

const task = workerData as WorkerTask;
/** [0] the seed that runs now, [1] how many have run. */
const progress = new Int32Array(task.progress);
const machine = new FuzzMachine();
const report: Report = { cases: 0, instructions: 0, exits: 0, incomparable: 0, modes: {}, ends: {}, failures: [] };
const count = (of: Record<string, number>, name: string): void => {
  of[name] = (of[name] ?? 0) + 1;
};
const until = Date.now() + task.seconds * 1000;
for (let seed = task.seed; report.cases < task.cases && Date.now() < until; seed = (seed + 1) | 0) {
  Atomics.store(progress, 0, seed);
  const outcome = runCase(machine, seed);
  Atomics.add(progress, 1, 1);
  report.cases++;
  report.instructions += outcome.retired;
  report.exits += outcome.exits;
  if (outcome.incomparable) report.incomparable++;
  if (outcome.setup) count(report.modes, `${outcome.setup.mode}, ${outcome.setup.paging}`);
  count(report.ends, outcome.failure ? "failed" : outcome.end);
  if (!outcome.failure) continue;
  report.failures.push(minimise(machine, outcome.failure));
  if (report.failures.length >= task.failures) break;
}
parentPort?.postMessage(report);
