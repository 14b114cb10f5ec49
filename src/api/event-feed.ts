// What happens on a host, as lines of JSON: kept for who asks later, streamed to who listens.
import type { Host } from "../host/host.ts";

export interface FeedEvent {
  /** Counts up from 1 without gaps. */
  readonly sequence: number;
  /** ISO 8601. */
  readonly time: string;
  readonly event: string;
  readonly vm?: string;
  readonly [key: string]: unknown;
}

const KEPT = 1000;
/** Events that a slow listener may lag behind before the oldest are dropped for it. */
const BACKLOG = 1000;

export class EventFeed {
  readonly #kept: FeedEvent[] = [];
  readonly #listeners = new Set<(event: FeedEvent) => void>();
  #sequence = 0;

  constructor(host: Host, wallMs: () => number) {
    const add = (event: string, more: Record<string, unknown>): void => {
      const entry: FeedEvent = { sequence: ++this.#sequence, time: new Date(wallMs()).toISOString(), event, ...more };
      this.#kept.push(entry);
      if (this.#kept.length > KEPT) this.#kept.shift();
      for (const listener of this.#listeners) listener(entry);
    };
    host.on("vm-created", ({ vm }) => {
      add("created", { vm: vm.name });
      vm.on("exit", (status) => add("exit", { vm: vm.name, kind: status.kind }));
      vm.on("removed", ({ kind, id }) => add("removed", { vm: vm.name, kind, id }));
      vm.on("reset", ({ cause }) => add("reset", { vm: vm.name, cause }));
    });
    host.on("vm-state", ({ vm, state, previous }) => add("state", { vm: vm.name, state, previous }));
    host.on("vm-destroyed", ({ vm }) => add("destroyed", { vm: vm.name }));
    host.on("pcpu-lost", (lost) => add("pcpu-lost", lost));
  }

  /** The last events, oldest first, at most 1,000. */
  recent(): readonly FeedEvent[] {
    return [...this.#kept];
  }

  /** Events from now on, until the signal. */
  async *follow(signal: AbortSignal): AsyncIterable<FeedEvent> {
    const waiting: FeedEvent[] = [];
    let wake = (): void => {};
    const listener = (event: FeedEvent): void => {
      waiting.push(event);
      if (waiting.length > BACKLOG) waiting.shift();
      wake();
    };
    const onAbort = (): void => wake();
    this.#listeners.add(listener);
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) yield event;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0 || signal.aborted) resolve();
        });
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", onAbort);
    }
  }
}
