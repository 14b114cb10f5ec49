// The debug console that Bochs and QEMU have at port 0xE9 (and firmware builds at 0x402): a write is a character, a read
// gives 0xE9, by which a guest knows that it is there.
import type { Device, DeviceState, IoRange } from "../vmm/device.ts";

export const DEBUGCON_PORT = 0xe9;
/** Where SeaBIOS sends its log. */
export const FIRMWARE_LOG_PORT = 0x402;
const PRESENT = 0xe9;

export class DebugConsole implements Device {
  readonly name: string;
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  #written = 0;

  constructor(
    name: string,
    port: number,
    private readonly output: (byte: number) => void,
  ) {
    this.name = name;
    this.ports = [{ name, first: port, count: 1, handler: this }];
  }

  reset(): void {}

  read(): number {
    return PRESENT;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#written++;
    this.output(value);
  }

  save(): DeviceState {
    return {};
  }
  load(): void {}

  metrics(): Readonly<Record<string, number>> {
    return { written: this.#written };
  }
}
