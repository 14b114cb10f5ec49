// Bochs VBE ("dispi"): resolution, depth, panning and banks beyond what VGA registers can say (Bochs vbe_display_api.txt;
// QEMU docs/specs/standard-vga).
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";

// ---- registers by index
export const DISPI_ID = 0;
export const DISPI_X = 1;
export const DISPI_Y = 2;
export const DISPI_BPP = 3;
export const DISPI_ENABLE = 4;
export const DISPI_BANK = 5;
export const DISPI_VIRTUAL_WIDTH = 6;
export const DISPI_VIRTUAL_HEIGHT = 7;
export const DISPI_X_OFFSET = 8;
export const DISPI_Y_OFFSET = 9;
export const DISPI_MEMORY_64K = 10;
const REGISTERS = 11;

export const ENABLE_ON = 0x01;
const ENABLE_CAPABILITIES = 0x02;
const ENABLE_WIDE_DAC = 0x20;
const ENABLE_KEEP_MEMORY = 0x80;
const ID_FIRST = 0xb0c0;
const ID_LAST = 0xb0c5;
const DEPTHS: readonly number[] = [4, 8, 15, 16, 24, 32];
const DEPTH_DEFAULT = 8;

const X_MAX = 2560;
const Y_MAX = 1600;
const X_UNIT = 8;
const BANK_BYTES = 65536;

/** Bits of memory that a pixel takes. */
export const pixelBits = (depth: number): number => (depth === 15 ? 16 : depth);

export class Dispi {
  readonly #registers = new Uint16Array(REGISTERS);
  #index = 0;

  constructor(
    private readonly memoryBytes: number,
    private readonly hooks: {
      /** The mode was switched on or off, or the bank changed. */
      readonly changed: () => void;
      readonly wideDac: (wide: boolean) => void;
      /** Video memory from its start is to be black. */
      readonly clear: (bytes: number) => void;
    },
  ) {
    this.reset();
  }

  get enabled(): boolean {
    return (this.get(DISPI_ENABLE) & ENABLE_ON) !== 0;
  }
  get(index: number): number {
    return this.#registers[index] ?? 0;
  }
  /** Byte of video memory at which the window at A0000h begins. */
  get bankOffset(): number {
    return this.enabled ? this.get(DISPI_BANK) * BANK_BYTES : 0;
  }
  get lineBytes(): number {
    return (this.get(DISPI_VIRTUAL_WIDTH) * pixelBits(this.get(DISPI_BPP))) >> 3;
  }

  reset(): void {
    this.#registers.fill(0);
    this.#registers[DISPI_ID] = ID_LAST;
    this.#index = 0;
  }

  // ---- the index port and the data port

  readIndex(): number {
    return this.#index;
  }
  writeIndex(value: number): void {
    this.#index = value & 0xffff;
  }

  read(index = this.#index): number {
    if (index === DISPI_MEMORY_64K) return this.memoryBytes / BANK_BYTES;
    if (this.get(DISPI_ENABLE) & ENABLE_CAPABILITIES) {
      if (index === DISPI_X) return X_MAX;
      if (index === DISPI_Y) return Y_MAX;
      if (index === DISPI_BPP) return 32;
    }
    return index < REGISTERS ? this.get(index) : 0;
  }

  write(value: number, index = this.#index): void {
    const word = value & 0xffff;
    switch (index) {
      case DISPI_ID:
        if (word >= ID_FIRST && word <= ID_LAST) this.#registers[DISPI_ID] = word;
        return;
      case DISPI_X:
      case DISPI_Y:
      case DISPI_BPP:
      case DISPI_VIRTUAL_WIDTH:
      case DISPI_X_OFFSET:
      case DISPI_Y_OFFSET:
        this.#registers[index] = word;
        if (this.enabled) this.#fit();
        break;
      case DISPI_BANK:
        this.#registers[DISPI_BANK] = word % (this.memoryBytes / BANK_BYTES);
        break;
      case DISPI_ENABLE:
        this.#enable(word);
        break;
      default:
        return;
    }
    this.hooks.changed();
  }

  #enable(value: number): void {
    const was = this.enabled;
    this.#registers[DISPI_ENABLE] = value;
    this.hooks.wideDac((value & ENABLE_WIDE_DAC) !== 0);
    if (!this.enabled) {
      this.#registers[DISPI_BANK] = 0;
      return;
    }
    if (was) return;
    this.#registers[DISPI_VIRTUAL_WIDTH] = 0;
    this.#registers[DISPI_X_OFFSET] = 0;
    this.#registers[DISPI_Y_OFFSET] = 0;
    this.#fit();
    if (!(value & ENABLE_KEEP_MEMORY)) this.hooks.clear(this.lineBytes * this.get(DISPI_Y));
  }

  /** Makes the mode one that video memory can hold: what is shown is always inside it. */
  #fit(): void {
    const r = this.#registers;
    if (!DEPTHS.includes(this.get(DISPI_BPP))) r[DISPI_BPP] = DEPTH_DEFAULT;
    const bits = pixelBits(this.get(DISPI_BPP));
    const x = Math.min(X_MAX, Math.max(X_UNIT, this.get(DISPI_X) & -X_UNIT));
    r[DISPI_X] = x;
    const widest = Math.min(0xfff8, Math.floor((this.memoryBytes * 8) / bits));
    r[DISPI_VIRTUAL_WIDTH] = Math.min(widest, Math.max(x, this.get(DISPI_VIRTUAL_WIDTH) & -X_UNIT));
    const lines = Math.min(0xffff, Math.floor(this.memoryBytes / this.lineBytes));
    r[DISPI_VIRTUAL_HEIGHT] = lines;
    const y = Math.min(Y_MAX, lines, Math.max(1, this.get(DISPI_Y)));
    r[DISPI_Y] = y;
    if (this.get(DISPI_X_OFFSET) + x > this.get(DISPI_VIRTUAL_WIDTH)) r[DISPI_X_OFFSET] = 0;
    if (this.get(DISPI_Y_OFFSET) + y > lines) r[DISPI_Y_OFFSET] = 0;
  }

  // ---- save and load

  save(): DeviceState {
    return { registers: new Uint8Array(this.#registers.slice().buffer), index: this.#index };
  }
  load(saved: SavedState): void {
    const bytes = saved.bytes("registers", REGISTERS * 2);
    this.#index = saved.integer("index", 0xffff);
    this.#registers.set(new Uint16Array(bytes.buffer, bytes.byteOffset, REGISTERS));
    this.#registers[DISPI_BANK] = this.get(DISPI_BANK) % (this.memoryBytes / BANK_BYTES);
    if (this.enabled) this.#fit();
  }
}
