// Entropy device (virtio 1.2, section 5.4): the driver gives buffers, the device fills them.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_RNG = 4;
const REQUESTS = 0;
/** A buffer is filled up to here: the driver must take what it gets (5.4.6.1). */
const BYTES_PER_BUFFER = 64 * 1024;

/** Fills with random bytes. `position` counts the bytes handed out before: a reproducible source derives them from it. */
export type EntropySource = (into: Uint8Array, position: number) => void;

export class VirtioRng extends VirtioDevice {
  readonly #scratch = new Uint8Array(BYTES_PER_BUFFER);
  #bytes = 0;

  constructor(
    name: string,
    memory: DmaMemory,
    private readonly entropy: EntropySource,
  ) {
    super({ name, type: TYPE_RNG, queueSizes: [64], features: [], configBytes: 0 }, memory);
  }

  override kicked(): void {
    this.drain(REQUESTS, (chain) => {
      if (chain.writableBytes === 0) {
        this.needsReset("an entropy buffer that cannot be written");
        return true;
      }
      const random = this.#scratch.subarray(0, Math.min(chain.writableBytes, BYTES_PER_BUFFER));
      this.entropy(random, this.#bytes);
      this.#bytes += chain.write(random);
      this.complete(REQUESTS, chain);
      return true;
    });
    this.#scratch.fill(0);
  }

  protected override saveDevice(): DeviceState {
    return { bytes: this.#bytes };
  }
  protected override loadDevice(saved: SavedState): void {
    this.#bytes = saved.integer("bytes", Number.MAX_SAFE_INTEGER);
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    return { bytes: this.#bytes };
  }
}
