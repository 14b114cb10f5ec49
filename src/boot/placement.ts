// Where boot images go in guest RAM: every region is checked against the memory map and against those placed before.
import { badImage, hex, sizeText } from "./image.ts";
import { type BootMachine, E820_RAM } from "./machine.ts";

export const PAGE_BYTES = 4096;
const ZEROES = new Uint8Array(1 << 16);

export interface Region {
  readonly name: string;
  readonly base: number;
  readonly end: number;
}

export class Placement {
  readonly #machine: BootMachine;
  readonly #regions: Region[] = [];

  constructor(machine: BootMachine) {
    this.#machine = machine;
  }

  /** End of the highest region placed so far. */
  get end(): number {
    return this.#regions.reduce((end, region) => Math.max(end, region.end), 0);
  }

  /** End of the RAM that begins at 1 MiB, or of all RAM where none does. */
  get ramEnd(): number {
    const rows = this.#machine.e820.filter((row) => row.type === E820_RAM);
    const main = rows.find((row) => row.base <= 0x100000 && row.base + row.size > 0x100000);
    return main ? main.base + main.size : rows.reduce((end, row) => Math.max(end, row.base + row.size), 0);
  }

  /** Takes `size` bytes at `base` without writing. Throws VmError("bad-image") when that is not free RAM. */
  reserve(name: string, base: number, size: number): void {
    const end = base + size;
    if (size === 0) return;
    const inRam = this.#machine.e820.some(
      (row) => row.type === E820_RAM && base >= row.base && end <= row.base + row.size,
    );
    if (!inRam) {
      const next =
        end > this.ramEnd && base >= 0x100000
          ? `give the VM at least ${sizeText(end)} of memory`
          : "it must lie in RAM of the memory map, link it for 0x100000 or above";
      throw badImage(
        `The ${name} needs memory ${hex(base)} to ${hex(end - 1)}, but RAM ends at ${hex(this.ramEnd)} (with holes below 1 MiB): ${next}.`,
        { name, base, size, ramEnd: this.ramEnd },
      );
    }
    const other = this.#regions.find((region) => base < region.end && end > region.base);
    if (other) {
      throw badImage(
        `The ${name} at ${hex(base)} to ${hex(end - 1)} overlaps the ${other.name} at ${hex(other.base)} to ${hex(other.end - 1)}; link or load one of them elsewhere.`,
        { name, base, size, other: other.name },
      );
    }
    this.#regions.push({ name, base, end });
  }

  /** Reserves and writes; `size` beyond the bytes is zeroed: RAM keeps what it held across a reset. */
  place(name: string, base: number, bytes: Uint8Array, size = bytes.length): void {
    this.reserve(name, base, Math.max(size, bytes.length));
    this.write(base, bytes, size);
  }

  /** Writes into a region that was reserved before, zeroing up to `size`. */
  write(base: number, bytes: Uint8Array, size = bytes.length): void {
    this.#machine.memory.write(base, bytes);
    for (let at = bytes.length; at < size; at += ZEROES.length) {
      this.#machine.memory.write(base + at, ZEROES.subarray(0, Math.min(ZEROES.length, size - at)));
    }
  }

  /**
   * The highest page-aligned address at which `size` bytes of RAM are free between `floor` and `ceiling` (exclusive),
   * or undefined.
   */
  highest(size: number, floor: number, ceiling: number): number | undefined {
    let best: number | undefined;
    for (const row of this.#machine.e820) {
      if (row.type !== E820_RAM) continue;
      const base = this.#highestIn(size, Math.max(floor, row.base), Math.min(ceiling, row.base + row.size));
      if (base !== undefined && (best === undefined || base > best)) best = base;
    }
    return best;
  }

  #highestIn(size: number, floor: number, ceiling: number): number | undefined {
    let end = ceiling;
    // Each step moves below one region, so there are at most as many steps as regions.
    for (let step = 0; step <= this.#regions.length; step++) {
      const base = Math.floor((end - size) / PAGE_BYTES) * PAGE_BYTES;
      if (base < floor) return undefined;
      const other = this.#regions.find((region) => base < region.end && base + size > region.base);
      if (!other) return base;
      end = other.base;
    }
    return undefined;
  }
}
