// The other side of the benchmark's network cards: by the first byte after the Ethernet header a frame is counted, sent
// back, or answered with the count (roms/kernel/bench/net.c). Answers come at once, so that a run on the virtual clock repeats.
import type { NetworkBackend } from "../../vmm/network.ts";

/** EtherType for local experiments (IEEE 802). */
const ETHERTYPE = 0x88b5;
const ETHERTYPE_AT = 12;
const WHAT_AT = 14;
const NUMBER_AT = 16;
const HEADER_BYTES = 20;
const SWALLOW = 0x53; // S
const SEND_BACK = 0x45; // E
const ASK_COUNT = 0x43; // C

export class EchoNetwork implements NetworkBackend {
  readonly #listeners = new Set<(frame: Uint8Array) => void>();
  #count = 0;

  send(frame: Uint8Array): void {
    if (frame.length < HEADER_BYTES) return;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (view.getUint16(ETHERTYPE_AT) !== ETHERTYPE) return;
    const what = frame[WHAT_AT];
    if (what === SWALLOW) this.#count = (this.#count + 1) >>> 0;
    if (what !== SEND_BACK && what !== ASK_COUNT) return;
    const answer = frame.slice();
    answer.copyWithin(0, 6, 12); // to who asked
    if (what === ASK_COUNT) new DataView(answer.buffer).setUint32(NUMBER_AT, this.#count, true);
    for (const listener of [...this.#listeners]) listener(answer);
  }

  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }
}
