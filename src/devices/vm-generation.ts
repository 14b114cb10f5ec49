// The virtual machine generation ID (Microsoft, "Virtual Machine Generation ID", 2012): 16 bytes of memory that change when
// the machine becomes a copy of what it was, and an ACPI event that says so. Linux then reseeds its random numbers.
import type { Device, DeviceState, GuestMemory } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

/** Where the ID lies: a page of its own in the BIOS area, which no guest takes for memory. */
export const VM_GENERATION_GPA = 0xef000;
/** The general-purpose event whose method notifies the guest. */
export const VM_GENERATION_GPE = 5;
const ID_BYTES = 16;

export class VmGeneration implements Device {
  readonly name = "vm-generation";
  readonly stateVersion = 1;
  #id: Uint8Array;
  #renewals = 0;

  constructor(
    private readonly memory: GuestMemory,
    /** Raises the general-purpose event. */
    private readonly notify: () => void,
    id: Uint8Array,
  ) {
    this.#id = id.slice(0, ID_BYTES);
  }

  get id(): Uint8Array {
    return this.#id.slice();
  }

  /** A reset is the same generation. */
  reset(): void {}

  /** Writes the ID where the ACPI tables say that it is. */
  publish(): void {
    this.memory.write(VM_GENERATION_GPA, this.#id);
  }

  renewIdentity(entropy: (into: Uint8Array) => void): void {
    entropy(this.#id);
    this.#renewals++;
    this.publish();
    this.notify();
  }

  save(): DeviceState {
    return { id: this.id };
  }
  load(state: DeviceState, version: number): void {
    this.#id = SavedState.open(this.name, state, version, this.stateVersion).bytes("id", ID_BYTES);
  }

  metrics(): Readonly<Record<string, number>> {
    return { renewals: this.#renewals };
  }
}
