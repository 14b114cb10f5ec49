// Worker threads of Node for pCPUs. The worker's program is the bundled one: Node 20 cannot load our sources.
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { WorkerThread } from "../platform.ts";
import { packageRoot } from "./core-file.ts";

/**
 * Young objects of a pCPU are answers to exits that are dead at once: a space of 16 MiB for them, V8's choice, is memory and
 * nothing else.
 */
const YOUNG_GENERATION_MIB = 4;

export function startNodeWorker(setup: unknown): WorkerThread {
  const worker = new Worker(join(packageRoot(), "dist", "pcpu-worker.js"), {
    workerData: setup,
    name: "pcpu",
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  });
  let lost: ((reason: Error) => void) | undefined;
  let asked = false;
  const lose = (reason: Error): void => {
    const listener = lost;
    lost = undefined;
    if (!asked) listener?.(reason);
  };
  worker.on("error", lose);
  worker.on("exit", (code) => lose(new Error(`the thread ended with code ${code}`)));
  // Messages that cannot be read are a defect of ours: the thread is of no more use.
  worker.on("messageerror", lose);
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => void worker.on("message", listener),
    onLost: (listener) => {
      lost = listener;
    },
    terminate: async () => {
      asked = true;
      await worker.terminate();
    },
  };
}
