// What a page began before its scripts were all there: the first worker, the core, and files. The script that begins it is
// another file than those that go on with it, so it lies where both find it.

/** A worker whose program loads already, and what went wrong with it meanwhile. */
export interface EarlyWorker {
  readonly worker: Worker;
  failure: ErrorEvent | undefined;
}

export interface EarlyStart {
  /** Taken by the first pCPU. */
  worker?: EarlyWorker;
  core?: Promise<WebAssembly.Module>;
  /** By address; taken by whoever asks first. */
  readonly responses: Map<string, Promise<Response>>;
}

const KEY = Symbol.for("paravane.early-start");

export function earlyStart(): EarlyStart {
  const scope = globalThis as { [KEY]?: EarlyStart };
  scope[KEY] ??= { responses: new Map() };
  return scope[KEY];
}

/** fetch, of what may be on its way. */
export function fetchOnce(url: string): Promise<Response> {
  const { responses } = earlyStart();
  const early = responses.get(url);
  responses.delete(url);
  return early ?? fetch(url);
}
