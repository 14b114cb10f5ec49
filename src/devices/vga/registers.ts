// The register file of a VGA: miscellaneous output, sequencer, CRT controller, graphics controller, attribute controller
// and DAC (IBM PS/2 Hardware Interface Technical Reference, Video Subsystem). What the registers mean is told by those
// who read them: planes.ts (accesses of the processor) and scan-out.ts (the picture).
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";

// ---- ports, with colour addresses; monochrome ones are at 3Bx
const ATTRIBUTE = 0x3c0;
const ATTRIBUTE_READ = 0x3c1;
/** Read: input status 0; write: miscellaneous output. */
const MISC_WRITE = 0x3c2;
const SEQUENCER_INDEX = 0x3c4;
const SEQUENCER_DATA = 0x3c5;
const PEL_MASK = 0x3c6;
/** Read: DAC state; write: index to read from. */
const DAC_READ_INDEX = 0x3c7;
const DAC_WRITE_INDEX = 0x3c8;
const DAC_DATA = 0x3c9;
const FEATURE_READ = 0x3ca;
const MISC_READ = 0x3cc;
const GRAPHICS_INDEX = 0x3ce;
const GRAPHICS_DATA = 0x3cf;
const CRTC_INDEX = 0x3d4;
const CRTC_DATA = 0x3d5;
/** Read: input status 1; write: feature control. */
const STATUS_1 = 0x3da;

// ---- registers by index
export const SEQ_CLOCK = 1;
export const SEQ_MAP_MASK = 2;
export const SEQ_CHARACTER_MAP = 3;
export const SEQ_MEMORY_MODE = 4;
export const GC_SET_RESET = 0;
export const GC_ENABLE_SET_RESET = 1;
export const GC_COLOR_COMPARE = 2;
export const GC_ROTATE = 3;
export const GC_READ_MAP = 4;
export const GC_MODE = 5;
export const GC_MISC = 6;
export const GC_COLOR_DONT_CARE = 7;
export const GC_BIT_MASK = 8;
export const AC_MODE = 0x10;
export const AC_OVERSCAN = 0x11;
export const AC_PLANE_ENABLE = 0x12;
export const AC_PANNING = 0x13;
export const AC_COLOR_SELECT = 0x14;
export const CR_HORIZONTAL_TOTAL = 0x00;
export const CR_HORIZONTAL_END = 0x01;
export const CR_VERTICAL_TOTAL = 0x06;
export const CR_OVERFLOW = 0x07;
export const CR_MAX_SCAN_LINE = 0x09;
export const CR_CURSOR_START = 0x0a;
export const CR_CURSOR_END = 0x0b;
export const CR_START_HIGH = 0x0c;
export const CR_START_LOW = 0x0d;
export const CR_CURSOR_HIGH = 0x0e;
export const CR_CURSOR_LOW = 0x0f;
export const CR_RETRACE_START = 0x10;
export const CR_RETRACE_END = 0x11;
export const CR_VERTICAL_END = 0x12;
export const CR_OFFSET = 0x13;
export const CR_MODE = 0x17;
export const CR_LINE_COMPARE = 0x18;

export const MISC_COLOR_ADDRESSES = 0x01;
export const MISC_RAM_ENABLE = 0x02;
/** CRTC registers 0 to 7 are read-only. */
const RETRACE_END_PROTECT = 0x80;
const OVERFLOW_LINE_COMPARE = 0x10;
/** The palette belongs to the picture, not to the processor. */
const ATTRIBUTE_SHOW = 0x20;
/** Input status 0: the monitor's sense line. */
const SWITCH_SENSE = 0x10;
const DAC_READING = 0x03;

/** Bits that exist, by index. */
const SEQUENCER_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0] as const;
const GRAPHICS_BITS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff] as const;
const CRTC_REGISTERS = 0x19;
const ATTRIBUTE_REGISTERS = 0x15;
const PALETTE_REGISTERS = 16;
/** Of the attribute controller's registers behind the palette, from AC_MODE on. */
const ATTRIBUTE_BITS = [0xef, 0xff, 0x3f, 0x0f, 0x0f] as const;
const DAC_BYTES = 768;

export class VgaRegisters {
  readonly sequencer = new Uint8Array(SEQUENCER_BITS.length);
  readonly graphics = new Uint8Array(GRAPHICS_BITS.length);
  readonly crtc = new Uint8Array(CRTC_REGISTERS);
  readonly attribute = new Uint8Array(ATTRIBUTE_REGISTERS);
  /** Red, green, blue of each colour: 6 bits, or 8 with `wideDac`. */
  readonly dac = new Uint8Array(DAC_BYTES);
  misc = 0;
  pelMask = 0xff;
  /** Eight bits a colour in the DAC (Bochs VBE). */
  wideDac = false;
  #feature = 0;
  #sequencerIndex = 0;
  #graphicsIndex = 0;
  #crtcIndex = 0;
  #attributeIndex = 0;
  /** The next write to the attribute controller is data. */
  #attributeData = false;
  #dacState = 0;
  #dacReadIndex = 0;
  #dacWriteIndex = 0;
  /** Component within a colour, and those of the colour being written. */
  #dacComponent = 0;
  readonly #dacLatch = new Uint8Array(3);

  /** `status1` gives input status 1. `changed` is called when accesses of the processor may have changed their meaning. */
  constructor(
    private readonly status1: () => number,
    private readonly changed: () => void,
  ) {}

  /** The picture is on: otherwise the screen is dark, whatever the mode. */
  get shown(): boolean {
    return (this.#attributeIndex & ATTRIBUTE_SHOW) !== 0 && ((this.sequencer[SEQ_CLOCK] as number) & 0x20) === 0;
  }

  /** A field of the vertical timing: eight bits of a register, with bits 8 and 9 in the overflow register. */
  vertical(register: number, bit8: number, bit9: number): number {
    const overflow = this.crtc[CR_OVERFLOW] as number;
    return (this.crtc[register] as number) | (((overflow >> bit8) & 1) << 8) | (((overflow >> bit9) & 1) << 9);
  }

  reset(): void {
    for (const registers of [this.sequencer, this.graphics, this.crtc, this.attribute, this.dac, this.#dacLatch])
      registers.fill(0);
    this.misc = 0;
    this.pelMask = 0xff;
    this.wideDac = false;
    this.#feature = 0;
    this.#sequencerIndex = 0;
    this.#graphicsIndex = 0;
    this.#crtcIndex = 0;
    this.#attributeIndex = 0;
    this.#attributeData = false;
    this.#dacState = 0;
    this.#dacReadIndex = 0;
    this.#dacWriteIndex = 0;
    this.#dacComponent = 0;
  }

  // ---- read: a byte of port 3B0h..3DFh

  read(port: number): number {
    switch (this.#colorPort(port)) {
      case ATTRIBUTE:
        return this.#attributeData ? 0 : this.#attributeIndex;
      case ATTRIBUTE_READ:
        return this.attribute[this.#attributeIndex & 0x1f] ?? 0;
      case MISC_WRITE:
        return SWITCH_SENSE;
      case SEQUENCER_INDEX:
        return this.#sequencerIndex;
      case SEQUENCER_DATA:
        return this.sequencer[this.#sequencerIndex] ?? 0;
      case PEL_MASK:
        return this.pelMask;
      case DAC_READ_INDEX:
        return this.#dacState;
      case DAC_WRITE_INDEX:
        return this.#dacWriteIndex;
      case DAC_DATA:
        return this.#readDac();
      case FEATURE_READ:
        return this.#feature;
      case MISC_READ:
        return this.misc;
      case GRAPHICS_INDEX:
        return this.#graphicsIndex;
      case GRAPHICS_DATA:
        return this.graphics[this.#graphicsIndex] ?? 0;
      case CRTC_INDEX:
        return this.#crtcIndex;
      case CRTC_DATA:
        return this.crtc[this.#crtcIndex] ?? 0;
      case STATUS_1:
        this.#attributeData = false;
        return this.status1();
      default:
        return 0xff;
    }
  }

  // ---- write

  write(port: number, value: number): void {
    switch (this.#colorPort(port)) {
      case ATTRIBUTE:
        this.#writeAttribute(value);
        break;
      case MISC_WRITE:
        this.misc = value & 0xef;
        this.changed();
        break;
      case SEQUENCER_INDEX:
        this.#sequencerIndex = value & 7;
        break;
      case SEQUENCER_DATA:
        this.sequencer[this.#sequencerIndex] = value & (SEQUENCER_BITS[this.#sequencerIndex] ?? 0);
        this.changed();
        break;
      case PEL_MASK:
        this.pelMask = value;
        break;
      case DAC_READ_INDEX:
        this.#dacReadIndex = value;
        this.#dacComponent = 0;
        this.#dacState = DAC_READING;
        break;
      case DAC_WRITE_INDEX:
        this.#dacWriteIndex = value;
        this.#dacComponent = 0;
        this.#dacState = 0;
        break;
      case DAC_DATA:
        this.#writeDac(value);
        break;
      case GRAPHICS_INDEX:
        this.#graphicsIndex = value & 0x0f;
        break;
      case GRAPHICS_DATA:
        // Indexes without a register are outside the array.
        this.graphics[this.#graphicsIndex] = value & (GRAPHICS_BITS[this.#graphicsIndex] ?? 0);
        this.changed();
        break;
      case CRTC_INDEX:
        this.#crtcIndex = value & 0x3f;
        break;
      case CRTC_DATA:
        this.#writeCrtc(value);
        break;
      case STATUS_1:
        this.#feature = value & 0x10;
        break;
    }
  }

  /** The port's colour address; undefined where the registers are at the other set of addresses now. */
  #colorPort(port: number): number | undefined {
    if (port >= 0x3c0 && port < 0x3d0) return port;
    const color = (this.misc & MISC_COLOR_ADDRESSES) !== 0;
    if (port >= 0x3d0) return color ? port : undefined;
    return color ? undefined : port + 0x20;
  }

  #writeAttribute(value: number): void {
    if (!this.#attributeData) {
      this.#attributeIndex = value & 0x3f;
    } else {
      const index = this.#attributeIndex & 0x1f;
      if (index < PALETTE_REGISTERS) this.attribute[index] = value & 0x3f;
      else if (index < ATTRIBUTE_REGISTERS) this.attribute[index] = value & (ATTRIBUTE_BITS[index - AC_MODE] ?? 0);
    }
    this.#attributeData = !this.#attributeData;
  }

  #writeCrtc(value: number): void {
    const index = this.#crtcIndex;
    if (index < CR_OVERFLOW + 1 && (this.crtc[CR_RETRACE_END] as number) & RETRACE_END_PROTECT) {
      if (index !== CR_OVERFLOW) return;
      const kept = (this.crtc[CR_OVERFLOW] as number) & ~OVERFLOW_LINE_COMPARE;
      this.crtc[CR_OVERFLOW] = kept | (value & OVERFLOW_LINE_COMPARE);
      return;
    }
    this.crtc[index] = value;
  }

  #readDac(): number {
    const value = this.dac[this.#dacReadIndex * 3 + this.#dacComponent] as number;
    if (++this.#dacComponent === 3) {
      this.#dacComponent = 0;
      this.#dacReadIndex = (this.#dacReadIndex + 1) & 0xff;
    }
    return value;
  }

  /** A colour takes effect when all three components have come. */
  #writeDac(value: number): void {
    this.#dacLatch[this.#dacComponent] = this.wideDac ? value : value & 0x3f;
    if (++this.#dacComponent < 3) return;
    this.dac.set(this.#dacLatch, this.#dacWriteIndex * 3);
    this.#dacComponent = 0;
    this.#dacWriteIndex = (this.#dacWriteIndex + 1) & 0xff;
  }

  // ---- save and load

  save(): DeviceState {
    return {
      sequencer: this.sequencer.slice(),
      graphics: this.graphics.slice(),
      crtc: this.crtc.slice(),
      attribute: this.attribute.slice(),
      dac: this.dac.slice(),
      misc: this.misc,
      pelMask: this.pelMask,
      wideDac: this.wideDac,
      feature: this.#feature,
      sequencerIndex: this.#sequencerIndex,
      graphicsIndex: this.#graphicsIndex,
      crtcIndex: this.#crtcIndex,
      attributeIndex: this.#attributeIndex,
      attributeData: this.#attributeData,
      dacState: this.#dacState,
      dacReadIndex: this.#dacReadIndex,
      dacWriteIndex: this.#dacWriteIndex,
      dacComponent: this.#dacComponent,
      dacLatch: this.#dacLatch.slice(),
    };
  }

  load(saved: SavedState): void {
    this.sequencer.set(saved.bytes("sequencer", this.sequencer.length));
    this.graphics.set(saved.bytes("graphics", this.graphics.length));
    this.crtc.set(saved.bytes("crtc", this.crtc.length));
    this.attribute.set(saved.bytes("attribute", this.attribute.length));
    this.dac.set(saved.bytes("dac", this.dac.length));
    this.misc = saved.integer("misc", 0xff);
    this.pelMask = saved.integer("pelMask", 0xff);
    this.wideDac = saved.flag("wideDac");
    this.#feature = saved.integer("feature", 0xff);
    this.#sequencerIndex = saved.integer("sequencerIndex", 7);
    this.#graphicsIndex = saved.integer("graphicsIndex", 0x0f);
    this.#crtcIndex = saved.integer("crtcIndex", 0x3f);
    this.#attributeIndex = saved.integer("attributeIndex", 0x3f);
    this.#attributeData = saved.flag("attributeData");
    this.#dacState = saved.integer("dacState", DAC_READING);
    this.#dacReadIndex = saved.integer("dacReadIndex", 0xff);
    this.#dacWriteIndex = saved.integer("dacWriteIndex", 0xff);
    this.#dacComponent = saved.integer("dacComponent", 2);
    this.#dacLatch.set(saved.bytes("dacLatch", 3));
  }
}
