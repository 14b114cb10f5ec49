// A PC parallel port in compatibility mode (IEEE 1284 SPP) with a printer that takes every byte at once. A byte is
// printed on the falling edge of nSTROBE (control bit 0 going to 1); nACK then pulses IRQ 7 when control bit 4 allows.
import type { Device, DeviceState, IoRange, IrqLine } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

// ---- registers
const DATA = 0;
const STATUS = 1;
const CONTROL = 2;

const STATUS_NOT_BUSY = 0x80;
const STATUS_NOT_ACK = 0x40;
const STATUS_SELECTED = 0x10;
const STATUS_NOT_ERROR = 0x08;
const STATUS_LOW_BITS = 0x07;
const CONTROL_STROBE = 0x01;
const CONTROL_NOT_INIT = 0x04;
const CONTROL_SELECT = 0x08;
const CONTROL_IRQ_ENABLE = 0x10;
const CONTROL_INPUT = 0x20;
const CONTROL_UNUSED = 0xc0;

export class ParallelPort implements Device {
  readonly name = "parallel0";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];

  // ---- state
  #data = 0;
  #control = CONTROL_NOT_INIT | CONTROL_SELECT;
  #printed = 0;

  constructor(
    basePort: number,
    private readonly irq: IrqLine,
    private readonly print: (byte: number) => void,
  ) {
    this.ports = [{ name: this.name, first: basePort, count: 4, handler: this }];
  }

  reset(): void {
    this.#data = 0;
    this.#control = CONTROL_NOT_INIT | CONTROL_SELECT;
    this.irq.set(false);
  }

  read(offset: number): number {
    switch (offset) {
      case DATA:
        // In input mode the data pins float.
        return this.#control & CONTROL_INPUT ? 0xff : this.#data;
      case STATUS:
        return STATUS_NOT_BUSY | STATUS_NOT_ACK | STATUS_SELECTED | STATUS_NOT_ERROR | STATUS_LOW_BITS;
      case CONTROL:
        return this.#control | CONTROL_UNUSED;
      default:
        return 0xff;
    }
  }

  write(offset: number, _size: number, value: number): void {
    if (offset === DATA) {
      this.#data = value;
    } else if (offset === CONTROL) {
      const strobe = value & ~this.#control & CONTROL_STROBE && value & CONTROL_NOT_INIT;
      this.#control = value & ~CONTROL_UNUSED;
      if (!strobe) return;
      this.#printed++;
      this.print(this.#data);
      if (value & CONTROL_IRQ_ENABLE) {
        this.irq.set(true);
        this.irq.set(false);
      }
    }
  }

  save(): DeviceState {
    return { data: this.#data, control: this.#control };
  }
  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#data = saved.integer("data", 0xff);
    this.#control = saved.integer("control", 0x3f);
  }

  metrics(): Readonly<Record<string, number>> {
    return { printed: this.#printed };
  }
}
