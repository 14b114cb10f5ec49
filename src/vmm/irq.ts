// Interrupt lines of devices in the host. The controllers themselves live in the core.
import type { IrqLine } from "./device.ts";

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
        if ((before === 0) !== (after === 0)) this.setIrqLine(gsi, level ? 1 : 0);
      },
    };
    this.#sources.push({ reset: () => line.set(false) });
    return line;
  }

  /** All lines low, as after a reset of every device. */
  reset(): void {
    for (const source of this.#sources) source.reset();
  }
}
