// The chipset's latch between the FPU's FERR# pin and IRQ 13 (PIIX datasheet, coprocessor error register): a write to
// port 0xF0 clears it.
import type { Device, DeviceState, IoRange, IrqLine } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

const COPROCESSOR_ERROR_PORT = 0xf0;

export class FerrLatch implements Device {
  readonly name = "ferr";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[] = [{ name: this.name, first: COPROCESSOR_ERROR_PORT, count: 1, handler: this }];
  #latched = false;

  /** `ignne` asserts IGNNE#: the FPU goes on despite the pending error. */
  constructor(
    private readonly irq: IrqLine,
    private readonly ignne: () => void,
  ) {}

  assert(): void {
    this.#latched = true;
    this.irq.set(true);
  }

  reset(): void {
    this.#latched = false;
    this.irq.set(false);
  }

  read(): number {
    return 0xff;
  }

  write(): void {
    if (this.#latched) this.ignne();
    this.#latched = false;
    this.irq.set(false);
  }

  save(): DeviceState {
    return { latched: this.#latched };
  }
  load(state: DeviceState, version: number): void {
    this.#latched = SavedState.open(this.name, state, version, this.stateVersion).flag("latched");
    this.irq.set(this.#latched);
  }
}
