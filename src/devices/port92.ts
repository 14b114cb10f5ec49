// System control port A (92h): bit 0 pulses INIT on its rising edge, bit 1 gates A20.
import type { Device, DeviceState, IoRange } from "../vmm/device.ts";
import type { A20Gate } from "./a20.ts";
import { SavedState } from "./saved-state.ts";

const PORT_92 = 0x92;
const FAST_RESET = 0x01;
const A20 = 0x02;

export class Port92 implements Device {
  readonly name = "port92";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[] = [{ name: this.name, first: PORT_92, count: 1, handler: this }];
  #value = 0;

  constructor(
    private readonly a20: A20Gate,
    private readonly requestReset: () => void,
  ) {}

  reset(): void {
    this.#value = 0;
  }

  read(): number {
    return (this.#value & ~A20) | (this.a20.enabled ? A20 : 0);
  }

  write(_offset: number, _size: number, value: number): void {
    const rising = value & ~this.#value & FAST_RESET;
    this.#value = value;
    this.a20.set((value & A20) !== 0);
    if (rising) this.requestReset();
  }

  save(): DeviceState {
    return { value: this.#value };
  }
  load(state: DeviceState, version: number): void {
    this.#value = SavedState.open(this.name, state, version, this.stateVersion).integer("value", 0xff);
  }
}
