// The console of our hypercalls: the other end of COM1's line, without its registers. docs/HYPERCALLS.md.
import { HC_CONSOLE_MAX, HC_EFAULT, HC_EINVAL } from "../../spec/hypercalls.ts";
import type { Device, DeviceState, DmaMemory, IrqLine } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

/** Bytes from the host that wait for the guest. */
export interface ConsoleInput {
  readonly waiting: number;
  take(most: number): Uint8Array;
  /** Called when there are more or fewer. */
  onWaiting: () => void;
}

export interface HypercallConsoleOptions {
  readonly memory: DmaMemory;
  readonly irq: IrqLine;
  /** Undefined where the machine has no serial port. */
  readonly input: ConsoleInput | undefined;
  readonly output: (byte: number) => void;
}

export class HypercallConsole implements Device {
  readonly name = "hypercall-console";
  readonly stateVersion = 1;
  /** The guest has asked for input once: it wants interrupts. */
  #listening = false;
  #written = 0;
  #read = 0;

  constructor(private readonly options: HypercallConsoleOptions) {
    if (options.input !== undefined) options.input.onWaiting = () => this.#update();
  }

  reset(): void {
    this.#listening = false;
    this.#update();
  }

  write(address: number, count: number): number {
    if (count > HC_CONSOLE_MAX) return -HC_EINVAL;
    if (count === 0) return 0;
    const bytes = this.options.memory.view(address, count);
    if (bytes === undefined) return -HC_EFAULT;
    for (const byte of bytes) this.options.output(byte);
    this.#written += count;
    return count;
  }

  read(address: number, room: number): number {
    this.#listening = true;
    const { input, memory } = this.options;
    const count = Math.min(room, input?.waiting ?? 0, HC_CONSOLE_MAX);
    const into = count === 0 ? undefined : memory.view(address, count);
    if (count > 0 && into === undefined) return -HC_EFAULT;
    if (input !== undefined && into !== undefined) {
      into.set(input.take(count));
      memory.written(address, count);
      this.#read += count;
    }
    this.#update();
    return count;
  }

  #update(): void {
    this.options.irq.set(this.#listening && (this.options.input?.waiting ?? 0) > 0);
  }

  save(): DeviceState {
    return { listening: this.#listening };
  }
  load(state: DeviceState, version: number): void {
    this.#listening = SavedState.open(this.name, state, version, this.stateVersion).flag("listening");
  }

  metrics(): Readonly<Record<string, number>> {
    return { written: this.#written, read: this.#read };
  }
}
