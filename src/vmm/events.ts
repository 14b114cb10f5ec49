// Typed events: every listener is disposable, and one that throws harms neither the VM nor the other listeners.

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): Disposable {
    let set = this.#listeners.get(name);
    if (set === undefined) {
      set = new Set();
      this.#listeners.set(name, set);
    }
    // A wrapper of its own, so that adding one function twice gives two registrations.
    const entry = (event: Events[K]): void => listener(event);
    set.add(entry);
    return { [Symbol.dispose]: () => void set.delete(entry) };
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    const set = this.#listeners.get(name);
    if (set === undefined) return;
    for (const listener of [...set]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        // Not ours to swallow: reported as uncaught, outside the run loop.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
