// The PS/2 keyboard controller (Intel 8042, IBM PS/2 Technical Reference) with a keyboard and a mouse behind it.
import type { Device, DeviceClock, DeviceState, IoHandler, IoRange, IrqLine } from "../vmm/device.ts";
import type { A20Gate } from "./a20.ts";
import { Ps2Keyboard } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";
import { SavedState } from "./saved-state.ts";
import { SET1_OF_SET2 } from "./scancodes.ts";
import { Typist } from "./typist.ts";

// ---- registers
const DATA_PORT = 0x60;
const STATUS_PORT = 0x64;

const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08;
const STATUS_UNLOCKED = 0x10;
const STATUS_FROM_MOUSE = 0x20;

const MODE_KEYBOARD_IRQ = 0x01;
const MODE_MOUSE_IRQ = 0x02;
const MODE_SYSTEM = 0x04;
const MODE_KEYBOARD_OFF = 0x10;
const MODE_MOUSE_OFF = 0x20;
const MODE_TRANSLATE = 0x40;

const MODE_RESET = MODE_KEYBOARD_IRQ | MODE_MOUSE_IRQ;
/** A PC BIOS leaves the keyboard on, with interrupts, speaking set 1; the mouse off. */
const MODE_FIRMWARE = MODE_KEYBOARD_IRQ | MODE_SYSTEM | MODE_MOUSE_OFF | MODE_TRANSLATE;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_KEYBOARD_FULL = 0x10;
const OUTPUT_MOUSE_FULL = 0x20;
const OUTPUT_LINES = 0xcc; // clock and data lines at rest
const INPUT_PORT = 0x80; // keyboard not locked
const RELEASE_SET2 = 0xf0;

/** Who filled the output buffer. */
const NOBODY = 0;
const CONTROLLER = 1;
const KEYBOARD = 2;
const MOUSE = 3;

export interface I8042Options {
  readonly keyboardIrq: IrqLine;
  readonly mouseIrq: IrqLine;
  readonly a20: A20Gate;
  readonly clock: DeviceClock;
  readonly requestReset: () => void;
}

export class I8042 implements Device {
  readonly name = "i8042";
  readonly stateVersion = 2;
  readonly ports: readonly IoRange[];
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  /** Presses keys as fast as the guest takes them. */
  readonly typist: Typist;

  // ---- state
  #mode = MODE_RESET;
  /** The self test has passed since the reset. */
  #tested = false;
  #lastWasCommand = true;
  /** Command whose data byte comes next through the data port. */
  #awaiting = 0;
  #output = 0;
  #source = NOBODY;
  /** Translating: the last set 2 byte was the release prefix. */
  #releasing = false;
  #ram: Uint8Array = new Uint8Array(32);
  // ---- metrics
  #keyboardBytes = 0;
  #mouseBytes = 0;

  constructor(private readonly options: I8042Options) {
    this.keyboard = new Ps2Keyboard(() => this.#fill());
    this.mouse = new Ps2Mouse(() => this.#fill());
    this.typist = new Typist(options.clock, {
      ready: () => this.#source === NOBODY && !(this.#mode & MODE_KEYBOARD_OFF) && this.keyboard.ready,
      key: (make, down) => this.keyboard.key(make, down),
    });
    const data: IoHandler = {
      read: () => {
        const value = this.#readData();
        this.typist.taken();
        return value;
      },
      write: (_offset, _size, value) => {
        this.#writeData(value);
        this.typist.taken();
      },
    };
    const status: IoHandler = {
      read: () => this.#status(),
      write: (_offset, _size, value) => {
        this.#writeCommand(value);
        this.typist.taken();
      },
    };
    this.ports = [
      { name: "i8042.data", first: DATA_PORT, count: 1, handler: data },
      { name: "i8042.status", first: STATUS_PORT, count: 1, handler: status },
    ];
  }

  reset(): void {
    this.#mode = MODE_RESET;
    this.#tested = false;
    this.#lastWasCommand = true;
    this.#awaiting = 0;
    this.#source = NOBODY;
    this.#output = 0;
    this.#releasing = false;
    this.#ram.fill(0);
    this.keyboard.reset();
    this.mouse.reset();
    this.typist.reset();
    this.#updateIrqs();
  }

  /** The state in which a BIOS hands over to an operating system. */
  leaveAsFirmware(): void {
    this.#mode = MODE_FIRMWARE;
    this.#tested = true;
    this.#updateIrqs();
  }

  // ---- read

  #status(): number {
    return (
      (this.#source !== NOBODY ? STATUS_OUTPUT_FULL : 0) |
      (this.#tested || this.#mode & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      (this.#source === MOUSE ? STATUS_FROM_MOUSE : 0) |
      STATUS_UNLOCKED
    );
  }

  #readData(): number {
    if (this.#source === NOBODY) return this.#output;
    const value = this.#output;
    this.#source = NOBODY;
    // The line falls before the next byte raises it: the 8259 wants an edge a byte.
    this.#updateIrqs();
    this.#fill();
    return value;
  }

  // ---- write

  #writeData(value: number): void {
    this.#lastWasCommand = false;
    const awaited = this.#awaiting;
    this.#awaiting = 0;
    if (awaited >= 0x60 && awaited <= 0x7f) {
      if (awaited === 0x60) {
        this.#mode = value;
        this.#updateIrqs();
        this.#fill();
      } else {
        this.#ram[awaited & 0x1f] = value;
      }
      return;
    }
    switch (awaited) {
      case 0xd1:
        this.#writeOutputPort(value);
        return;
      case 0xd2:
        this.#put(value, KEYBOARD);
        return;
      case 0xd3:
        this.#put(value, MOUSE);
        return;
      case 0xd4:
        this.#mode &= ~MODE_MOUSE_OFF;
        this.mouse.command(value);
        return;
      default:
        // A byte for the keyboard also enables it.
        this.#mode &= ~MODE_KEYBOARD_OFF;
        this.keyboard.command(value);
    }
  }

  #writeCommand(value: number): void {
    this.#lastWasCommand = true;
    this.#awaiting = 0;
    if (value >= 0x20 && value <= 0x3f) {
      this.#put(value === 0x20 ? this.#mode : (this.#ram[value & 0x1f] ?? 0), CONTROLLER);
      return;
    }
    if (value >= 0x60 && value <= 0x7f) {
      this.#awaiting = value;
      return;
    }
    // F0..FF pulse the low output lines whose bit is 0; line 0 is the processor's reset.
    if (value >= 0xf0) {
      if (!(value & OUTPUT_NOT_RESET)) this.options.requestReset();
      return;
    }
    switch (value) {
      case 0xa7:
        this.#mode |= MODE_MOUSE_OFF;
        return;
      case 0xa8:
        this.#mode &= ~MODE_MOUSE_OFF;
        this.#fill();
        return;
      case 0xa9: // mouse interface test
      case 0xab: // keyboard interface test
        this.#put(0x00, CONTROLLER);
        return;
      case 0xaa: // self test
        this.#tested = true;
        this.#put(0x55, CONTROLLER);
        return;
      case 0xad:
        this.#mode |= MODE_KEYBOARD_OFF;
        return;
      case 0xae:
        this.#mode &= ~MODE_KEYBOARD_OFF;
        this.#fill();
        return;
      case 0xc0:
        this.#put(INPUT_PORT, CONTROLLER);
        return;
      case 0xd0:
        this.#put(this.#outputPort(), CONTROLLER);
        return;
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4:
        this.#awaiting = value;
        return;
      case 0xdd:
        this.options.a20.set(false);
        return;
      case 0xdf:
        this.options.a20.set(true);
        return;
      case 0xe0: // test inputs: both clock lines high
        this.#put(0x03, CONTROLLER);
        return;
    }
  }

  #outputPort(): number {
    return (
      OUTPUT_NOT_RESET |
      OUTPUT_LINES |
      (this.options.a20.enabled ? OUTPUT_A20 : 0) |
      (this.#source === KEYBOARD || this.#source === CONTROLLER ? OUTPUT_KEYBOARD_FULL : 0) |
      (this.#source === MOUSE ? OUTPUT_MOUSE_FULL : 0)
    );
  }

  #writeOutputPort(value: number): void {
    this.options.a20.set((value & OUTPUT_A20) !== 0);
    if (!(value & OUTPUT_NOT_RESET)) this.options.requestReset();
  }

  // ---- output buffer

  /** Puts a byte straight into the output buffer, over what may be there. */
  #put(value: number, source: number): void {
    this.#source = NOBODY;
    this.#updateIrqs();
    this.#output = value;
    this.#source = source;
    this.#updateIrqs();
  }

  /** Takes the next byte of an enabled device once the buffer is free; the keyboard goes first. */
  #fill(): void {
    while (this.#source === NOBODY) {
      if (!(this.#mode & MODE_KEYBOARD_OFF) && this.keyboard.pending) {
        const byte = this.#translate(this.keyboard.take() ?? 0);
        if (byte === undefined) continue;
        this.#keyboardBytes++;
        this.#put(byte, KEYBOARD);
      } else if (!(this.#mode & MODE_MOUSE_OFF) && this.mouse.pending) {
        this.#mouseBytes++;
        this.#put(this.mouse.take() ?? 0, MOUSE);
      } else {
        return;
      }
    }
  }

  /** Set 2 to set 1; the release prefix becomes bit 7 of the next byte. Undefined: nothing to pass on yet. */
  #translate(byte: number): number | undefined {
    if (!(this.#mode & MODE_TRANSLATE)) return byte;
    if (byte === RELEASE_SET2) {
      this.#releasing = true;
      return undefined;
    }
    const release = this.#releasing ? 0x80 : 0;
    this.#releasing = false;
    return (SET1_OF_SET2[byte] ?? byte) | release;
  }

  #updateIrqs(): void {
    const fromKeyboard = this.#source === KEYBOARD || this.#source === CONTROLLER;
    this.options.keyboardIrq.set(fromKeyboard && (this.#mode & MODE_KEYBOARD_IRQ) !== 0);
    this.options.mouseIrq.set(this.#source === MOUSE && (this.#mode & MODE_MOUSE_IRQ) !== 0);
  }

  // ---- save and load

  save(): DeviceState {
    return {
      mode: this.#mode,
      tested: this.#tested,
      lastWasCommand: this.#lastWasCommand,
      awaiting: this.#awaiting,
      output: this.#output,
      source: this.#source,
      releasing: this.#releasing,
      ram: this.#ram.slice(),
      keyboard: this.keyboard.save(),
      mouse: this.mouse.save(),
      typist: this.typist.save(),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const ram = saved.bytes("ram", 32);
    this.#mode = saved.integer("mode", 0xff);
    this.#tested = saved.flag("tested");
    this.#lastWasCommand = saved.flag("lastWasCommand");
    this.#awaiting = saved.integer("awaiting", 0xff);
    this.#output = saved.integer("output", 0xff);
    this.#source = saved.integer("source", MOUSE);
    this.#releasing = saved.flag("releasing");
    this.#ram = ram;
    this.keyboard.load(saved.nested("keyboard"));
    this.mouse.load(saved.nested("mouse"));
    this.typist.load(saved.nested("typist"));
    this.#updateIrqs();
  }

  metrics(): Readonly<Record<string, number>> {
    return { keyboardBytes: this.#keyboardBytes, mouseBytes: this.#mouseBytes };
  }
}
