// The power-on self-test display: firmware writes progress codes, everybody else writes to it to wait about a
// microsecond. Codes are only reported when they change, since Linux uses the port as its I/O delay.
import type { Device, DeviceState, IoRange } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

export class PostDisplay implements Device {
  readonly name = "post";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  #code = 0;
  #writes = 0;

  /** `delay` stands for the microsecond that the access takes on an ISA bus. */
  constructor(
    port: number,
    private readonly show: (code: number) => void,
    private readonly delay: () => void = () => {},
  ) {
    this.ports = [{ name: this.name, first: port, count: 1, handler: this }];
  }

  reset(): void {
    this.#code = 0;
  }

  /** On a PC this is a page register of the DMA controller that nobody uses: it reads back. */
  read(): number {
    return this.#code;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#writes++;
    this.delay();
    if (value === this.#code) return;
    this.#code = value;
    this.show(value);
  }

  save(): DeviceState {
    return { code: this.#code };
  }
  load(state: DeviceState, version: number): void {
    this.#code = SavedState.open(this.name, state, version, this.stateVersion).integer("code", 0xff);
  }

  metrics(): Readonly<Record<string, number>> {
    return { writes: this.#writes };
  }
}
