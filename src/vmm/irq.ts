// Interrupt lines of devices in the host. The controllers themselves live in the core.
import type { IrqLine } from "./device.ts";
import { VmError } from "./error.ts";

/** Highest input of the I/O APIC. */
export const GSI_COUNT = 24;

/**
 * Wires devices to GSIs. Several sources on one GSI are a wired OR (shared PCI interrupts); the core is only told of
 * changes.
 */
export class IrqWiring {
  /** How many sources hold each GSI high. */
  readonly #asserted = new Uint16Array(GSI_COUNT);
  readonly #sources: { reset(): void }[] = [];
  /** Devices take up a saved state: the controllers have theirs, edges included, and must see none of it. */
  #muted = false;

  constructor(private readonly setIrqLine: (gsi: number, level: number) => void) {}

  /** A new source on a GSI. */
  line(gsi: number): IrqLine {
    let high = false;
    const line = {
      set: (level: boolean): void => {
        if (level === high) return;
        high = level;
        const before = this.#asserted[gsi] ?? 0;
        const after = before + (level ? 1 : -1);
        this.#asserted[gsi] = after;
        if ((before === 0) !== (after === 0) && !this.#muted) this.setIrqLine(gsi, level ? 1 : 0);
      },
    };
    this.#sources.push({ reset: () => line.set(false) });
    return line;
  }

  /** All lines low, as after a reset of every device. */
  reset(): void {
    for (const source of this.#sources) source.reset();
  }

  /** How many sources hold each GSI high. */
  save(): Uint8Array {
    return Uint8Array.from(this.#asserted);
  }

  /**
   * Runs `loadDevices`, which makes each device drive its lines as its saved state says, without telling the controllers.
   * Throws VmError("bad-snapshot") when they do not come to what was saved.
   */
  load(saved: Uint8Array, loadDevices: () => void): void {
    this.#muted = true;
    try {
      loadDevices();
    } finally {
      this.#muted = false;
    }
    for (let gsi = 0; gsi < GSI_COUNT; gsi++) {
      if (saved[gsi] === this.#asserted[gsi]) continue;
      throw new VmError(
        "bad-snapshot",
        `irqs: GSI ${gsi} was held by ${saved[gsi] ?? "no number of"} devices when it was saved, and by ${this.#asserted[gsi]} now.`,
        { field: "irqs", gsi },
      );
    }
  }
}
