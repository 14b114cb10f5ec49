// Frames on their way: what happens at which time, in the order of times, and of their making among equals.
import { Heap, type HeapItem } from "../../host/sched/heap.ts";
import type { NetworkClock, NetworkTimer } from "./clock.ts";

interface Event extends HeapItem {
  readonly atNs: number;
  readonly order: number;
  readonly happen: () => void;
}

export class EventQueue {
  readonly #events = new Heap<Event>((a, b) => a.atNs < b.atNs || (a.atNs === b.atNs && a.order < b.order));
  readonly #timer: NetworkTimer;
  #order = 0;
  #draining = false;

  constructor(private readonly clock: NetworkClock) {
    this.#timer = clock.timer(() => this.#drain());
  }

  get size(): number {
    return this.#events.size;
  }

  nowNs(): number {
    return this.clock.nowNs();
  }

  /** What is due already happens before this returns, unless it was called by such an event. */
  add(atNs: number, happen: () => void): void {
    this.#events.push({ atNs, order: this.#order++, happen, heapIndex: -1 });
    if (!this.#draining && this.#events.top?.happen === happen) this.#drain();
  }

  #drain(): void {
    this.#draining = true;
    try {
      for (let next = this.#events.top; next !== undefined; next = this.#events.top) {
        if (next.atNs > this.clock.nowNs()) {
          this.#timer.arm(next.atNs);
          return;
        }
        this.#events.pop();
        next.happen();
      }
    } finally {
      this.#draining = false;
    }
  }

  clear(): void {
    while (this.#events.pop() !== undefined);
    this.#timer.disarm();
  }
}
