// Port and MMIO dispatch. Nothing here trusts the guest: any address, any size, any order of accesses is answered.
//
// A range says how wide its device's data path is (`width`, default 1 for ports and 4 for MMIO). A wider access is
// split into halves at rising addresses, each looked up on its own, as the ISA bus does. Nobody there: reads give all
// ones, writes vanish, both are counted.
import type { IoRange } from "./device.ts";
import { VmError } from "./error.ts";

export type BusObserver = (write: boolean, address: number, size: number, value: number, known: boolean) => void;

/** A mapping that can be taken back (PCI BARs move). */
export interface Mapping {
  unmap(): void;
}

const NOBODY = 0;

function allOnes(size: number): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

/** The 64 KiB port space. */
export class PortBus {
  /** Index into #ranges by port; 0 = nobody. */
  readonly #table = new Uint16Array(65536);
  readonly #ranges: (IoRange | undefined)[] = [undefined];
  /** Accesses nobody answered, by port. Bounded by the number of ports. */
  readonly unknown = new Map<number, number>();
  observer: BusObserver | undefined;

  /** Claims a range for a fixed device. Throws VmError("internal") on an overlap: that is a mistake of the machine. */
  add(range: IoRange): Mapping {
    for (let port = range.first; port < range.first + range.count; port++) {
      const owner = this.#ranges[this.#table[port] ?? NOBODY];
      if (port > 0xffff || owner !== undefined) {
        throw new VmError(
          "internal",
          `Port range ${range.name} overlaps ${owner?.name ?? "the end of the port space"}.`,
          { port },
        );
      }
    }
    return this.#claim(range);
  }

  /** Claims what is still free of a range that the guest chose: a fixed device always wins. */
  addMovable(range: IoRange): Mapping {
    return this.#claim(range);
  }

  #claim(range: IoRange): Mapping {
    let index = this.#ranges.indexOf(undefined, 1);
    if (index < 0) index = this.#ranges.length;
    this.#ranges[index] = range;
    const end = Math.min(0x10000, range.first + range.count);
    for (let port = range.first; port < end; port++) if (this.#table[port] === NOBODY) this.#table[port] = index;
    return {
      unmap: () => {
        for (let port = range.first; port < end; port++) if (this.#table[port] === index) this.#table[port] = NOBODY;
        if (this.#ranges[index] === range) this.#ranges[index] = undefined;
      },
    };
  }

  /** Value of IN: 1, 2 or 4 bytes, unsigned. */
  read(port: number, size: number): number {
    const known = this.#known(port, size);
    const value = known ? this.#read(port, size) : allOnes(size);
    if (!known) this.#count(port);
    this.observer?.(false, port, size, value, known);
    return value;
  }

  write(port: number, size: number, value: number): void {
    const known = this.#known(port, size);
    this.observer?.(true, port, size, value, known);
    if (known) this.#write(port, size, value);
    else this.#count(port);
  }

  /** INS: fills `into` with values of `size` bytes from one port. */
  readBlock(port: number, size: number, into: Uint8Array): void {
    const range = this.#blockRange(port, size);
    if (range?.handler.readBlock !== undefined) {
      range.handler.readBlock(port - range.first, size, into);
      return;
    }
    for (let at = 0; at < into.length; ) {
      let value = this.read(port, size);
      for (let i = 0; i < size; i++, value >>>= 8) into[at++] = value;
    }
  }

  /** OUTS: `from` in values of `size` bytes to one port. */
  writeBlock(port: number, size: number, from: Uint8Array): void {
    const range = this.#blockRange(port, size);
    if (range?.handler.writeBlock !== undefined) {
      range.handler.writeBlock(port - range.first, size, from);
      return;
    }
    for (let at = 0; at < from.length; ) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (from[at++] ?? 0) << (8 * i);
      this.write(port, size, value >>> 0);
    }
  }

  /** Whoever traces ports wants to see each access. */
  #blockRange(port: number, size: number): IoRange | undefined {
    const range = this.#ranges[this.#table[port] ?? NOBODY];
    return range !== undefined && this.observer === undefined && fits(range, port, size, 1) ? range : undefined;
  }

  #known(port: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (this.#table[(port + i) & 0xffff] !== NOBODY) return true;
    return false;
  }

  #read(port: number, size: number): number {
    const range = this.#ranges[this.#table[port] ?? NOBODY];
    if (range !== undefined && fits(range, port, size, 1)) return range.handler.read(port - range.first, size) >>> 0;
    if (size === 1) return 0xff;
    const half = size >> 1;
    const low = this.#read(port, half);
    const high = this.#read((port + half) & 0xffff, half);
    return (low | (high << (half * 8))) >>> 0;
  }

  #write(port: number, size: number, value: number): void {
    const range = this.#ranges[this.#table[port] ?? NOBODY];
    if (range !== undefined && fits(range, port, size, 1)) {
      range.handler.write(port - range.first, size, value >>> 0);
      return;
    }
    if (size === 1) return;
    const half = size >> 1;
    this.#write(port, half, (value & allOnes(half)) >>> 0);
    this.#write((port + half) & 0xffff, half, value >>> (half * 8));
  }

  #count(port: number): void {
    this.unknown.set(port, (this.unknown.get(port) ?? 0) + 1);
  }
}

/** Guest-physical addresses that are not memory. Few ranges, so a list. */
export class MmioBus {
  #ranges: IoRange[] = [];
  /** Accesses nobody answered. */
  unknownCount = 0;
  observer: BusObserver | undefined;

  /** Maps a range; ranges mapped earlier win where two overlap. */
  add(range: IoRange): Mapping {
    this.#ranges.push(range);
    return {
      unmap: () => {
        this.#ranges = this.#ranges.filter((r) => r !== range);
      },
    };
  }

  /** 1, 2 or 4 bytes, unsigned. An access of 8 bytes is two of 4: the caller splits it. */
  read(address: number, size: number): number {
    const known = this.#find(address) !== undefined;
    const value = known ? this.#read(address, size) : allOnes(size);
    if (!known) this.unknownCount++;
    this.observer?.(false, address, size, value, known);
    return value;
  }

  write(address: number, size: number, value: number): void {
    const known = this.#find(address) !== undefined;
    this.observer?.(true, address, size, value, known);
    if (known) this.#write(address, size, value);
    else this.unknownCount++;
  }

  #read(address: number, size: number): number {
    const range = this.#find(address);
    if (range !== undefined && fits(range, address, size, 4))
      return range.handler.read(address - range.first, size) >>> 0;
    if (size === 1) return 0xff;
    const half = size >> 1;
    return (this.#read(address, half) | (this.#read(address + half, half) << (half * 8))) >>> 0;
  }

  #write(address: number, size: number, value: number): void {
    const range = this.#find(address);
    if (range !== undefined && fits(range, address, size, 4)) {
      range.handler.write(address - range.first, size, value >>> 0);
      return;
    }
    if (size === 1) return;
    const half = size >> 1;
    this.#write(address, half, (value & allOnes(half)) >>> 0);
    this.#write(address + half, half, value >>> (half * 8));
  }

  #find(address: number): IoRange | undefined {
    for (const range of this.#ranges) if (address >= range.first && address < range.first + range.count) return range;
    return undefined;
  }
}

function fits(range: IoRange, address: number, size: number, width: number): boolean {
  return size <= (range.width ?? width) && address + size <= range.first + range.count;
}
