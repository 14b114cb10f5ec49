// QEMU's isa-debug-exit: a write ends the VM with exit code (value << 1) | 1, so that no guest can report success (0)
// by accident. Reads give 0.
import type { Device, DeviceState, IoRange } from "../vmm/device.ts";

export class IsaDebugExit implements Device {
  readonly name = "debug-exit";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];

  /** `exit` receives the code, 32 bits; a process keeps the low 8 of it. */
  constructor(
    basePort: number,
    private readonly exit: (code: number) => void,
  ) {
    this.ports = [{ name: this.name, first: basePort, count: 4, width: 4, handler: this }];
  }

  reset(): void {}

  read(): number {
    return 0;
  }

  write(_offset: number, _size: number, value: number): void {
    this.exit(((value << 1) | 1) >>> 0);
  }

  save(): DeviceState {
    return {};
  }
  load(): void {}
}
