// The reset control register of PIIX (0xCF9): bit 1 chooses a hard reset, a rising bit 2 starts it. It shares a dword
// with CONFIG_ADDRESS of PCI; only byte accesses reach it, so the PCI host hands them on.
import type { Device, DeviceState } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

const SYSTEM_RESET = 0x02;
const RESET_CPU = 0x04;

export class ResetControl implements Device {
  readonly name = "reset-control";
  readonly stateVersion = 1;
  #value = 0;

  constructor(private readonly requestReset: () => void) {}

  reset(): void {
    this.#value = 0;
  }

  read(): number {
    return this.#value;
  }

  write(_offset: number, _size: number, value: number): void {
    const rising = value & ~this.#value & RESET_CPU;
    this.#value = value & (SYSTEM_RESET | RESET_CPU);
    if (rising) this.requestReset();
  }

  save(): DeviceState {
    return { value: this.#value };
  }
  load(state: DeviceState, version: number): void {
    this.#value = SavedState.open(this.name, state, version, this.stateVersion).integer("value", 6);
  }
}
