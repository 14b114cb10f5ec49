// Which port of a switch an address was last seen behind. Bounded: a guest that makes up addresses forgets its own.
import { macKey } from "./frame.ts";

const ADDRESSES_MAX = 4096;
/** IEEE 802.1D, table 7-5. */
const AGEING_NS = 300e9;

interface Entry<P> {
  port: P;
  seenNs: number;
}

export class LearningTable<P> {
  /** In the order of when they were last seen. */
  readonly #entries = new Map<number, Entry<P>>();

  get size(): number {
    return this.#entries.size;
  }

  learn(mac: Uint8Array, port: P, nowNs: number): void {
    const key = macKey(mac);
    this.#entries.delete(key);
    this.#entries.set(key, { port, seenNs: nowNs });
    if (this.#entries.size <= ADDRESSES_MAX) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  find(mac: Uint8Array, nowNs: number): P | undefined {
    const key = macKey(mac);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (nowNs - entry.seenNs <= AGEING_NS) return entry.port;
    this.#entries.delete(key);
    return undefined;
  }

  forget(port: P): void {
    for (const [key, entry] of this.#entries) if (entry.port === port) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
