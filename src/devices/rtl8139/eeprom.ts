// The 93C46 beside the chip: 64 words, read a bit at a time over three wires of 9346CR (93C46 datasheet). Drivers read the
// card's address in it. Writes are ignored, as by one whose write enable was never given.
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";

const WORDS = 64;
const ADDRESS_BITS = 6;
const COMMAND_BITS = 2;
const READ = 2;

// ---- pins, as bits of 9346CR
const PIN_SELECT = 0x08;
const PIN_CLOCK = 0x04;
const PIN_IN = 0x02;
const PIN_OUT = 0x01;

/** What drivers look for in word 0. */
const SIGNATURE = 0x8129;
const AT_ADDRESS = 7;

export class Eeprom {
  readonly #words = new Uint16Array(WORDS);
  #pins = 0;
  /** Bits of the command that have come, after the start bit. */
  #bits = 0;
  #count = -1;
  /** What is clocked out, and how many bits of it are left. */
  #output = 0;
  #outputBits = 0;
  #out = 1;

  constructor(mac: Uint8Array) {
    this.#words[0] = SIGNATURE;
    this.setMac(mac);
  }

  setMac(mac: Uint8Array): void {
    for (let i = 0; i < 3; i++) this.#words[AT_ADDRESS + i] = (mac[2 * i] ?? 0) | ((mac[2 * i + 1] ?? 0) << 8);
  }

  reset(): void {
    this.#pins = 0;
    this.#count = -1;
    this.#outputBits = 0;
    this.#out = 1;
  }

  /** The data pin as software reads it. */
  get pins(): number {
    return (this.#pins & (PIN_SELECT | PIN_CLOCK | PIN_IN)) | (this.#out ? PIN_OUT : 0);
  }

  write(pins: number): void {
    const rises = (pins & PIN_CLOCK) !== 0 && (this.#pins & PIN_CLOCK) === 0;
    const selected = (pins & PIN_SELECT) !== 0;
    this.#pins = pins;
    if (!selected) {
      this.#count = -1;
      this.#outputBits = 0;
      this.#out = 1;
    } else if (rises) {
      this.#clock((pins & PIN_IN) !== 0 ? 1 : 0);
    }
  }

  #clock(bit: number): void {
    if (this.#outputBits > 0) {
      this.#outputBits--;
      this.#out = (this.#output >> this.#outputBits) & 1;
      return;
    }
    if (this.#count < 0) {
      // Zeros before the start bit are nothing.
      if (bit) {
        this.#count = 0;
        this.#bits = 0;
      }
      return;
    }
    if (this.#count === COMMAND_BITS + ADDRESS_BITS) return;
    this.#bits = (this.#bits << 1) | bit;
    if (++this.#count < COMMAND_BITS + ADDRESS_BITS || this.#bits >> ADDRESS_BITS !== READ) return;
    this.#output = this.#words[this.#bits & (WORDS - 1)] ?? 0;
    this.#outputBits = 16;
    // A zero comes before the first bit.
    this.#out = 0;
  }

  save(): DeviceState {
    return {
      pins: this.#pins,
      bits: this.#bits,
      count: this.#count + 1,
      output: this.#output,
      outputBits: this.#outputBits,
      out: this.#out,
    };
  }

  load(saved: SavedState): void {
    this.#pins = saved.integer("pins", 0xff);
    this.#bits = saved.integer("bits", 0xff);
    this.#count = saved.integer("count", COMMAND_BITS + ADDRESS_BITS + 1) - 1;
    this.#output = saved.integer("output", 0xffff);
    this.#outputBits = saved.integer("outputBits", 16);
    this.#out = saved.integer("out", 1);
  }
}
