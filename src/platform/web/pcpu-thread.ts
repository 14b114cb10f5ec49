// Web Workers for pCPUs.
import type { MemoryKind, WorkerThread } from "../platform.ts";
import { loadCoreModule } from "./core-module.ts";
import { type EarlyWorker, earlyStart } from "./early.ts";

/** What a worker is told before anything else. */
export interface WorkerStart {
  readonly setup: unknown;
}
/** And as soon as there is one, the core that the page compiled; without it the worker fetches its own. */
export interface WorkerCore {
  readonly core: WebAssembly.Module | undefined;
}

/** Starts the first worker before its host is there: its program and the core load beside the page's own scripts. */
export function startWebWorkerEarly(memory: MemoryKind): void {
  const early: EarlyWorker = { worker: newWorker(), failure: undefined };
  early.worker.onerror = (event) => {
    event.preventDefault();
    early.failure = event;
  };
  const core = loadCoreModule(memory);
  Object.assign(earlyStart(), { worker: early, core });
  // Whoever needs it hears of a failure.
  core.catch(() => {});
}

/** Others than the first of a host start when they are needed, or this long after it, in milliseconds: its guest is being waited for. */
const OTHERS_LATER_MS = 1000;
/** A host makes its workers in one go. */
let firstStarted = false;

export function startWebWorker(setup: unknown, memory: MemoryKind): WorkerThread {
  if (!firstStarted) {
    firstStarted = true;
    queueMicrotask(() => {
      firstStarted = false;
    });
    return startNow(setup, memory);
  }
  let thread: WorkerThread | undefined;
  const listening: ((thread: WorkerThread) => void)[] = [];
  const start = (): WorkerThread => {
    clearTimeout(timer);
    if (thread === undefined) {
      thread = startNow(setup, memory);
      for (const listen of listening) listen(thread);
    }
    return thread;
  };
  const timer = setTimeout(start, OTHERS_LATER_MS);
  const listen = (act: (thread: WorkerThread) => void): void => {
    if (thread === undefined) listening.push(act);
    else act(thread);
  };
  return {
    post: (message) => start().post(message),
    onMessage: (listener) => listen((there) => there.onMessage(listener)),
    onLost: (listener) => listen((there) => there.onLost(listener)),
    terminate: async () => {
      clearTimeout(timer);
      await thread?.terminate();
    },
  };
}

function startNow(setup: unknown, memory: MemoryKind): WorkerThread {
  const start = earlyStart();
  const taken = start.worker;
  delete start.worker;
  const worker = taken?.worker ?? newWorker();
  worker.postMessage({ setup } satisfies WorkerStart);
  void loadCoreModule(memory)
    .catch(() => undefined)
    .then((core) => worker.postMessage({ core } satisfies WorkerCore));
  let lost: ((reason: Error) => void) | undefined;
  let asked = false;
  const lose = (reason: Error): void => {
    const listener = lost;
    lost = undefined;
    worker.terminate();
    if (!asked) listener?.(reason);
  };
  const fail = (event: ErrorEvent): void => {
    event.preventDefault();
    // A script that could not be loaded has no message.
    lose(new Error(event.message || "the worker's script could not be loaded"));
  };
  worker.onerror = fail;
  const failure = taken?.failure;
  // Its listener is not there yet.
  if (failure !== undefined) setTimeout(() => fail(failure));
  worker.onmessageerror = () => lose(new Error("a message of the worker could not be read"));
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => {
      worker.onmessage = ({ data }) => listener(data);
    },
    onLost: (listener) => {
      lost = listener;
    },
    terminate: async () => {
      asked = true;
      worker.terminate();
    },
  };
}

/**
 * A page may start workers of its own origin only. Where the library comes from elsewhere, or the page has no origin at all
 * (a sandboxed frame), the worker is a script of a few lines that imports it. Not a module: Chromium refuses to load those
 * from a Blob of a page without an origin.
 */
function newWorker(): Worker {
  const program = new URL("./pcpu-worker.js", import.meta.url);
  if (program.origin === globalThis.origin)
    return new Worker(new URL("./pcpu-worker.js", import.meta.url), { type: "module", name: "pcpu" });
  const script = URL.createObjectURL(new Blob([importing(program)], { type: "text/javascript" }));
  const worker = new Worker(script, { name: "pcpu" });
  // The worker reads it after we have returned.
  setTimeout(() => URL.revokeObjectURL(script), REVOKE_MS);
  return worker;
}

const REVOKE_MS = 60_000;

/** Messages that come before the program is there wait for it; where it cannot be loaded, the worker fails. */
function importing(program: URL): string {
  return `const early = [];
onmessage = (event) => early.push(event);
import(${JSON.stringify(program.href)}).then(
  () => early.forEach((event) => onmessage(event)),
  (error) => setTimeout(() => { throw error; }),
);`;
}
