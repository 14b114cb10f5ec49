// Worker threads of Node for pCPUs. The worker's program is the bundled one: Node 20 cannot load our sources.
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { WorkerThread } from "../platform.ts";
import { packageRoot } from "./core-file.ts";

export function startNodeWorker(setup: unknown): WorkerThread {
  const worker = new Worker(join(packageRoot(), "dist", "pcpu-worker.js"), { workerData: setup, name: "pcpu" });
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
