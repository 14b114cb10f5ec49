// One PCI function: its configuration space with what of it software may change, base address registers that map and
// unmap themselves, a capability list and its INTx pin (PCI Local Bus 3.0, chapter 6).
import type { DeviceState, IoHandler, IoRange } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";

// ---- the type 0 header
export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_REVISION = 0x08;
export const PCI_CLASS = 0x09;
export const PCI_CACHE_LINE = 0x0c;
export const PCI_LATENCY = 0x0d;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_BAR0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR = 0x2c;
export const PCI_SUBSYSTEM = 0x2e;
export const PCI_ROM = 0x30;
export const PCI_CAPABILITIES = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;

export const COMMAND_IO = 0x001;
export const COMMAND_MEMORY = 0x002;
export const COMMAND_MASTER = 0x004;
export const COMMAND_SERR = 0x100;
export const COMMAND_INTX_OFF = 0x400;
export const STATUS_INTERRUPT = 0x08;
export const STATUS_CAPABILITIES = 0x10;
const HEADER_MULTIFUNCTION = 0x80;
const BAR_IO = 1;
const BAR_PREFETCH = 8;
const CONFIG_BYTES = 256;
const BARS = 6;
/** Index of the expansion ROM's base address register, after those of the others (6.2.5.2). */
const ROM_BAR = BARS;
const ROM_ENABLE = 1;
/** Address bits begin here. */
const ROM_BYTES_MIN = 2048;

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** Class, subclass and programming interface: 0x060100 is an ISA bridge. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** 1..4 = INTA..INTD, 0 none. */
  readonly interruptPin?: number;
  /** Function 0 of a device with several. */
  readonly multifunction?: boolean;
}

export interface BarSpec {
  readonly space: "io" | "memory";
  /** Power of two; at least 4 (I/O) or 16 (memory). */
  readonly sizeBytes: number;
  readonly prefetchable?: boolean;
  readonly width?: 1 | 2 | 4;
  /** Answers accesses; what is left out reads as all ones. */
  readonly handler?: IoHandler;
  /** In place of a handler: shows memory at the base address that the guest has chosen. */
  readonly show?: (base: number) => { unmap(): void };
}

/** What the bus gives a function. */
export interface PciSlot {
  map(space: "io" | "memory", range: IoRange): { unmap(): void };
  /** Drives INTA..INTD (0..3) of this function's slot. */
  setIntx(pin: number, level: boolean): void;
}

interface Bar extends BarSpec {
  mapping: { unmap(): void } | undefined;
  mappedAt: number;
}

export class PciFunction {
  readonly config = new Uint8Array(CONFIG_BYTES);
  /** ISA IRQ that the function's interrupt is wired to beside the PCI links. */
  wiredIrq: number | undefined;
  /** Bits that software may change, and bits that it clears by writing 1. */
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #clearable = new Uint8Array(CONFIG_BYTES);
  #powerOn: Uint8Array | undefined;
  readonly #bars: (Bar | undefined)[] = new Array(BARS + 1).fill(undefined);
  #slot: PciSlot | undefined;
  #intx = false;
  #capabilityEnd = 0x40;
  #lastCapability = 0;

  constructor(
    readonly name: string,
    identity: PciIdentity,
  ) {
    this.set(PCI_VENDOR_ID, 2, identity.vendor);
    this.set(PCI_DEVICE_ID, 2, identity.device);
    this.set(PCI_REVISION, 1, identity.revision ?? 0);
    this.set(PCI_CLASS, 1, identity.classCode & 0xff);
    this.set(PCI_CLASS + 1, 2, identity.classCode >> 8);
    this.set(PCI_SUBSYSTEM_VENDOR, 2, identity.subsystemVendor ?? 0);
    this.set(PCI_SUBSYSTEM, 2, identity.subsystem ?? 0);
    this.set(PCI_INTERRUPT_PIN, 1, identity.interruptPin ?? 0);
    this.set(PCI_HEADER_TYPE, 1, identity.multifunction ? HEADER_MULTIFUNCTION : 0);
    this.allowWrites(
      PCI_COMMAND,
      2,
      COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_OFF | 0x40,
    );
    this.allowClears(PCI_STATUS, 2, 0xf900);
    this.allowWrites(PCI_CACHE_LINE, 1, 0xff);
    this.allowWrites(PCI_LATENCY, 1, 0xff);
    if (identity.interruptPin) this.allowWrites(PCI_INTERRUPT_LINE, 1, 0xff);
  }

  // ---- making one

  set(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.config[offset + i] = value >>> (8 * i);
  }
  get(offset: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.config[(offset + i) & 0xff] ?? 0);
    return value;
  }
  /** Adds to the bits that software may change. */
  allowWrites(offset: number, size: number, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[offset + i] = (this.#writable[offset + i] ?? 0) | (mask >>> (8 * i));
  }
  /** Adds to the bits that software clears by writing 1. */
  allowClears(offset: number, size: number, mask: number): void {
    for (let i = 0; i < size; i++)
      this.#clearable[offset + i] = (this.#clearable[offset + i] ?? 0) | (mask >>> (8 * i));
  }

  addBar(index: number, spec: BarSpec): void {
    const at = PCI_BAR0 + index * 4;
    this.set(at, 4, spec.space === "io" ? BAR_IO : spec.prefetchable ? BAR_PREFETCH : 0);
    this.allowWrites(at, 4, ~(spec.sizeBytes - 1) >>> 0);
    this.#bars[index] = { ...spec, mapping: undefined, mappedAt: 0 };
  }

  /** Gives the function an expansion ROM, which firmware copies and runs. What is beyond its end reads as all ones. */
  setRom(image: Uint8Array): void {
    let sizeBytes = ROM_BYTES_MIN;
    while (sizeBytes < image.length) sizeBytes *= 2;
    const read = (offset: number, size: number): number => {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + (image[offset + i] ?? 0xff);
      return value;
    };
    this.allowWrites(PCI_ROM, 4, (~(sizeBytes - 1) | ROM_ENABLE) >>> 0);
    const handler: IoHandler = { read, write: () => {} };
    this.#bars[ROM_BAR] = { space: "memory", sizeBytes, handler, mapping: undefined, mappedAt: 0 };
  }

  /**
   * Appends a capability; `body` is what follows the id and next bytes, `writable` the bits of it that software may
   * change. Returns its offset.
   */
  addCapability(id: number, body: Uint8Array, writable: Uint8Array = new Uint8Array(body.length)): number {
    const at = this.#capabilityEnd;
    this.config[at] = id;
    this.config[at + 1] = 0;
    this.config.set(body, at + 2);
    for (const [i, mask] of writable.entries()) this.allowWrites(at + 2 + i, 1, mask);
    if (this.#lastCapability === 0) {
      this.set(PCI_CAPABILITIES, 1, at);
      this.set(PCI_STATUS, 2, this.get(PCI_STATUS, 2) | STATUS_CAPABILITIES);
    } else {
      this.config[this.#lastCapability + 1] = at;
    }
    this.#lastCapability = at;
    this.#capabilityEnd = (at + 2 + body.length + 3) & ~3;
    return at;
  }

  /** Puts the function on a bus; what configuration space holds now is its power-on content. */
  attach(slot: PciSlot): void {
    this.#slot = slot;
    this.#powerOn = this.config.slice();
  }

  /** Off the bus: decodes nothing, interrupts nobody. */
  detach(): void {
    this.#intx = false;
    this.#driveIntx();
    this.#slot = undefined;
    for (const bar of this.#bars) {
      bar?.mapping?.unmap();
      if (bar !== undefined) bar.mapping = undefined;
    }
  }

  // ---- configuration accesses

  readConfig(offset: number, size: number): number {
    return this.get(offset, size) >>> 0;
  }

  writeConfig(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = (offset + i) & 0xff;
      const byte = (value >>> (8 * i)) & 0xff;
      const old = this.config[at] ?? 0;
      const writable = this.#writable[at] ?? 0;
      this.config[at] = ((old & ~writable) | (byte & writable)) & ~(byte & (this.#clearable[at] ?? 0));
    }
    if (offset < PCI_ROM + 4 && offset + size > PCI_COMMAND) this.#updateMappings();
    if (offset < PCI_STATUS && offset + size > PCI_COMMAND) this.#driveIntx();
    this.configWritten(offset, size);
  }

  /** For functions with registers of their own: software has written here. */
  protected configWritten(_offset: number, _size: number): void {}

  /** Registers of its own that firmware sets, for guests that start without any. */
  leaveAsFirmware(): void {}

  /** Command bits, for functions that move data: nothing may without COMMAND_MASTER. */
  get command(): number {
    return this.get(PCI_COMMAND, 2);
  }

  /** Base address of a BAR that decodes now, undefined while it does not. */
  barAddress(index: number): number | undefined {
    const bar = this.#bars[index];
    return bar?.mapping === undefined ? undefined : bar.mappedAt;
  }
  barSpec(index: number): BarSpec | undefined {
    return this.#bars[index];
  }

  // ---- interrupt

  /** Asserts or releases the function's INTx pin. */
  setIntx(level: boolean): void {
    this.#intx = level;
    this.#driveIntx();
  }

  #driveIntx(): void {
    const status = this.config[PCI_STATUS] ?? 0;
    this.config[PCI_STATUS] = this.#intx ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT;
    const pin = this.config[PCI_INTERRUPT_PIN] ?? 0;
    if (pin > 0) this.#slot?.setIntx(pin - 1, this.#intx && !(this.command & COMMAND_INTX_OFF));
  }

  // ---- base address registers

  #updateMappings(): void {
    for (const [i, bar] of this.#bars.entries()) {
      if (bar === undefined || this.#slot === undefined) continue;
      const register = this.get(i === ROM_BAR ? PCI_ROM : PCI_BAR0 + i * 4, 4);
      const enabled =
        this.command & (bar.space === "io" ? COMMAND_IO : COMMAND_MEMORY) && (i !== ROM_BAR || register & ROM_ENABLE);
      const base = (register & ~(bar.sizeBytes - 1)) >>> 0;
      // Base 0 is "not yet assigned"; so is the all-ones pattern of sizing, and whatever would not fit the space.
      const top = bar.space === "io" ? 0x10000 : 0xfff00000;
      const wanted = enabled && base !== 0 && base + bar.sizeBytes <= top ? base : undefined;
      if (bar.mapping !== undefined && wanted === bar.mappedAt) continue;
      bar.mapping?.unmap();
      bar.mapping = undefined;
      if (wanted === undefined) continue;
      bar.mappedAt = wanted;
      bar.mapping = bar.show?.(wanted) ?? this.#mapHandler(this.#slot, bar, i, wanted);
    }
  }

  #mapHandler(slot: PciSlot, bar: Bar, index: number, first: number): { unmap(): void } | undefined {
    const { space, handler, sizeBytes: count, width = 4 } = bar;
    if (handler === undefined) return undefined;
    return slot.map(space, {
      name: `${this.name}.${index === ROM_BAR ? "rom" : `bar${index}`}`,
      first,
      count,
      width,
      handler,
    });
  }

  // ---- reset, save and load

  reset(): void {
    if (this.#powerOn !== undefined) this.config.set(this.#powerOn);
    this.#intx = false;
    this.#updateMappings();
    this.#driveIntx();
    this.configWritten(0, CONFIG_BYTES);
  }

  saveConfig(): DeviceState {
    return { config: this.config.slice(), intx: this.#intx };
  }

  loadConfig(state: DeviceState): void {
    const saved = new SavedState(this.name, state);
    const config = saved.bytes("config", CONFIG_BYTES);
    this.#intx = saved.flag("intx");
    this.config.set(config);
    this.#updateMappings();
    this.#driveIntx();
    this.configWritten(0, CONFIG_BYTES);
  }
}
