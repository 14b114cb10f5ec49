// The processor's way to the four planes: latches, write modes 0 to 3, read modes 0 and 1, odd/even and chain-4 addresses
// (IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Graphics Controller").
//
// The planes are stored side by side: byte p of 32-bit word n is byte n of plane p. Odd/even and chain-4 addresses are
// packed (address / 2, address / 4) as Super VGA adapters do it, so that chain-4 memory is linear in the VM's memory.
import {
  GC_BIT_MASK,
  GC_COLOR_COMPARE,
  GC_COLOR_DONT_CARE,
  GC_ENABLE_SET_RESET,
  GC_MODE,
  GC_READ_MAP,
  GC_ROTATE,
  GC_SET_RESET,
  SEQ_MAP_MASK,
  SEQ_MEMORY_MODE,
  type VgaRegisters,
} from "./registers.ts";

const MODE_WRITE = 0x03;
const MODE_READ_COMPARE = 0x08;
const MODE_READ_ODD_EVEN = 0x10;
const MEMORY_SEQUENTIAL = 0x04;
const MEMORY_CHAIN_4 = 0x08;
const EVEN_PLANES = 0x5;

/** Four bits, one a plane, as four bytes of ones or zeros. */
const PLANE_BYTES = Uint32Array.from({ length: 16 }, (_, bits) =>
  [0, 1, 2, 3].reduce((word, plane) => word + ((bits >> plane) & 1) * 0xff * 2 ** (8 * plane), 0),
);

const planeBytes = (bits: number): number => PLANE_BYTES[bits & 0x0f] as number;
/** A byte on all four planes. */
const everywhere = (byte: number): number => Math.imul(byte, 0x01010101);

export class PlanarMemory {
  /** What the last read left. */
  latch = 0;

  constructor(
    private readonly registers: VgaRegisters,
    /** Video memory, one word a plane address. */
    private readonly words: Uint32Array,
    /** Called after a word was changed. */
    private readonly written: (word: number) => void,
  ) {}

  /** A byte, as the processor sees it at `address` of the window. */
  read(address: number): number {
    const { graphics, sequencer } = this.registers;
    const mode = graphics[GC_MODE] as number;
    let word = address;
    let plane = graphics[GC_READ_MAP] as number;
    if ((sequencer[SEQ_MEMORY_MODE] as number) & MEMORY_CHAIN_4) {
      word = address >> 2;
      plane = address & 3;
    } else if (mode & MODE_READ_ODD_EVEN) {
      word = address >> 1;
      plane = (plane & 2) | (address & 1);
    }
    // Addresses of the largest window are within the smallest video memory, banks need not be.
    this.latch = this.words[word] ?? 0;
    if (!(mode & MODE_READ_COMPARE)) return (this.latch >>> (8 * plane)) & 0xff;
    const differs =
      (this.latch ^ planeBytes(graphics[GC_COLOR_COMPARE] as number)) &
      planeBytes(graphics[GC_COLOR_DONT_CARE] as number);
    return ~(differs | (differs >>> 8) | (differs >>> 16) | (differs >>> 24)) & 0xff;
  }

  write(address: number, byte: number): void {
    const { sequencer } = this.registers;
    const memoryMode = sequencer[SEQ_MEMORY_MODE] as number;
    let planes = sequencer[SEQ_MAP_MASK] as number;
    let word = address;
    if (memoryMode & MEMORY_CHAIN_4) {
      word = address >> 2;
      planes &= 1 << (address & 3);
    } else if (!(memoryMode & MEMORY_SEQUENTIAL)) {
      word = address >> 1;
      planes &= EVEN_PLANES << (address & 1);
    }
    const old = this.words[word];
    if (old === undefined || planes === 0) return;
    const mask = planeBytes(planes);
    this.words[word] = (old & ~mask) | (this.#data(byte) & mask);
    this.written(word);
  }

  /** What a write of the processor puts on the four planes. */
  #data(byte: number): number {
    const { graphics } = this.registers;
    const setReset = planeBytes(graphics[GC_SET_RESET] as number);
    let bits = graphics[GC_BIT_MASK] as number;
    let data: number;
    switch ((graphics[GC_MODE] as number) & MODE_WRITE) {
      case 0: {
        const enabled = planeBytes(graphics[GC_ENABLE_SET_RESET] as number);
        data = (everywhere(this.#rotated(byte)) & ~enabled) | (setReset & enabled);
        break;
      }
      case 1:
        return this.latch;
      case 2:
        data = planeBytes(byte);
        break;
      default:
        bits &= this.#rotated(byte);
        data = setReset;
    }
    const mask = everywhere(bits);
    return (this.#combined(data) & mask) | (this.latch & ~mask);
  }

  #rotated(byte: number): number {
    const count = (this.registers.graphics[GC_ROTATE] as number) & 7;
    return ((byte >> count) | (byte << (8 - count))) & 0xff;
  }

  #combined(data: number): number {
    switch ((this.registers.graphics[GC_ROTATE] as number) >> 3) {
      case 1:
        return data & this.latch;
      case 2:
        return data | this.latch;
      case 3:
        return data ^ this.latch;
      default:
        return data;
    }
  }
}
