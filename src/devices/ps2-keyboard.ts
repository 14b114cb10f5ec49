// A PS/2 keyboard (IBM PS/2 Technical Reference, keyboard): speaks scan code set 2 (or 1) to the controller
// and answers its commands.
import type { DeviceState } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";
import { LONG_KEYS, SET2_OF_SET1 } from "./scancodes.ts";

const ACK = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
const ECHO = 0xee;
/** A key was lost: the buffer is full. */
const OVERRUN = 0x00;
/** MF2 keyboard. */
const ID = [0xab, 0x83];
const RELEASE_SET2 = 0xf0;
const EXTENDED = 0xe0;
const BUFFER_BYTES = 256;

export class Ps2Keyboard {
  readonly #queue: number[] = [];
  #enabled = true;
  #set = 2;
  #leds = 0;
  #typematic = 0x2b;
  /** Command whose parameter byte comes next. */
  #awaiting = 0;

  /** `onData` is called when a byte waits. */
  constructor(private readonly onData: () => void) {}

  get leds(): number {
    return this.#leds;
  }
  get pending(): boolean {
    return this.#queue.length > 0;
  }
  take(): number | undefined {
    return this.#queue.shift();
  }

  reset(): void {
    this.#queue.length = 0;
    this.#setDefaults();
    this.#leds = 0;
    this.#awaiting = 0;
  }

  /** The guest has taken everything and listens. */
  get ready(): boolean {
    return this.#enabled && this.#queue.length === 0;
  }

  /** A key goes down or up; `make` is its code as SET1_MAKE has it. */
  key(make: number, down: boolean): void {
    if (!this.#enabled) return;
    const long = LONG_KEYS[make]?.[this.#set === 1 ? 1 : 2];
    if (long !== undefined) {
      this.#send(long[down ? 0 : 1]);
      return;
    }
    const extended = make >> 8 === EXTENDED;
    const code = make & 0x7f;
    const bytes: number[] = extended ? [EXTENDED] : [];
    if (this.#set === 1) {
      bytes.push(down ? code : code | 0x80);
    } else {
      const set2 = SET2_OF_SET1[code] ?? 0;
      if (set2 === 0) return;
      if (!down) bytes.push(RELEASE_SET2);
      bytes.push(set2);
    }
    this.#send(bytes);
  }

  /** Raw bytes as the keyboard would send them in its current set. */
  sendRaw(bytes: readonly number[]): void {
    if (this.#enabled) this.#send(bytes);
  }

  /** A byte from the controller. */
  command(byte: number): void {
    const awaited = this.#awaiting;
    this.#awaiting = 0;
    switch (awaited) {
      case 0xed:
        this.#leds = byte & 7;
        this.#reply([ACK]);
        return;
      case 0xf0:
        if (byte === 0) {
          this.#reply([ACK, this.#set]);
          return;
        }
        if (byte > 3) {
          this.#reply([RESEND]);
          return;
        }
        this.#set = byte;
        this.#reply([ACK]);
        return;
      case 0xf3:
        this.#typematic = byte & 0x7f;
        this.#reply([ACK]);
        return;
    }
    switch (byte) {
      case 0xed: // set LEDs
      case 0xf0: // choose the scan code set
      case 0xf3: // typematic rate and delay
        this.#awaiting = byte;
        this.#reply([ACK]);
        return;
      case 0xee:
        this.#reply([ECHO]);
        return;
      case 0xf2:
        this.#reply([ACK, ...ID]);
        return;
      case 0xf4:
        this.#enabled = true;
        this.#queue.length = 0;
        this.#reply([ACK]);
        return;
      case 0xf5: // defaults and disable
        this.#setDefaults();
        this.#enabled = false;
        this.#reply([ACK]);
        return;
      case 0xf6:
        this.#setDefaults();
        this.#reply([ACK]);
        return;
      case 0xf7: // set 3 key types: accepted, all keys stay typematic
      case 0xf8:
      case 0xf9:
      case 0xfa:
        this.#reply([ACK]);
        return;
      case 0xff:
        this.#queue.length = 0;
        this.#setDefaults();
        this.#reply([ACK, SELF_TEST_PASSED]);
        return;
      default:
        this.#reply([RESEND]);
        return;
    }
  }

  #setDefaults(): void {
    this.#enabled = true;
    this.#set = 2;
    this.#typematic = 0x2b;
  }

  /** A guest that sends commands and never reads loses answers, not the host its memory. */
  #reply(bytes: readonly number[]): void {
    if (this.#queue.length < BUFFER_BYTES * 2 - 8) this.#queue.push(...bytes);
    this.onData();
  }

  /** Keys beyond the buffer are lost, whole; the last place says so. */
  #send(bytes: readonly number[]): void {
    if (this.#queue.length + bytes.length < BUFFER_BYTES) this.#queue.push(...bytes);
    else if (this.#queue[this.#queue.length - 1] !== OVERRUN) this.#queue.push(OVERRUN);
    this.onData();
  }

  save(): DeviceState {
    return {
      queue: Uint8Array.from(this.#queue),
      enabled: this.#enabled,
      set: this.#set,
      leds: this.#leds,
      typematic: this.#typematic,
      awaiting: this.#awaiting,
    };
  }
  load(state: DeviceState): void {
    const saved = new SavedState("keyboard", state);
    const queue = saved.bytes("queue", BUFFER_BYTES * 2, false);
    this.#enabled = saved.flag("enabled");
    this.#set = saved.integer("set", 3);
    this.#leds = saved.integer("leds", 7);
    this.#typematic = saved.integer("typematic", 0x7f);
    this.#awaiting = saved.integer("awaiting", 0xff);
    this.#queue.splice(0, this.#queue.length, ...queue);
  }
}
