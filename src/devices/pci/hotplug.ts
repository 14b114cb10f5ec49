// PCI hot-plug by ACPI, with the registers that PIIX4 boards for virtual machines have (and that SeaBIOS' own tables drive):
// which slots got a card, which are asked to give theirs up, an eject register. GPE 1 says that there is something to see.
import type { Device, DeviceState, IoHandler, IoRange } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";

export const HOTPLUG_BASE = 0xae00;
export const HOTPLUG_BYTES = 16;
/** The general-purpose event whose method looks at the slots. */
export const HOTPLUG_GPE = 1;
/**
 * Slots that cards come to and go from: the first four of virtio disks and of network cards. A slot in the ACPI tables
 * costs a Linux guest 0.4 million instructions at boot.
 */
export const HOTPLUG_SLOTS: readonly number[] = [16, 17, 18, 19, 24, 25, 26, 27];

// ---- registers, 32 bits each, one bit a slot
/** Read: a card was put in; written: seen, for these slots. */
const INSERTED = 0;
/** Read: the host wants the card back. */
const REMOVE = 4;
/** Written: the guest has let go of the card, its slot loses power. */
const EJECT = 8;
/** Read: cards can be exchanged in these slots. */
const EXCHANGEABLE = 12;

export interface PciHotplugOptions {
  readonly raiseGpe: (bit: number) => void;
  /** The guest ejects what is in a slot. */
  readonly ejected: (slot: number) => void;
}

export class PciHotplug implements Device {
  readonly name = "pci-hotplug";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  #inserted = 0;
  #remove = 0;
  #counts = { insertions: 0, removalRequests: 0, ejections: 0 };

  constructor(private readonly options: PciHotplugOptions) {
    const handler: IoHandler = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    this.ports = [{ name: "pci.hotplug", first: HOTPLUG_BASE, count: HOTPLUG_BYTES, width: 4, handler }];
  }

  /** A reset guest looks for its cards itself; what it was asked for is forgotten. */
  reset(): void {
    this.#inserted = 0;
    this.#remove = 0;
  }

  // ---- the host's side

  /** A card is in the slot: the guest is told. */
  inserted(slot: number): void {
    this.#inserted |= 1 << slot;
    this.#counts.insertions++;
    this.options.raiseGpe(HOTPLUG_GPE);
  }

  /** Asks the guest for the card; it answers by ejecting it, or not at all. */
  requestRemoval(slot: number): void {
    this.#remove |= 1 << slot;
    this.#counts.removalRequests++;
    this.options.raiseGpe(HOTPLUG_GPE);
  }

  /** The card has gone, or the host does not want it any more. */
  settled(slot: number): void {
    this.#inserted &= ~(1 << slot);
    this.#remove &= ~(1 << slot);
  }

  // ---- registers

  #read(offset: number, size: number): number {
    const at = offset & ~3;
    const value = at === INSERTED ? this.#inserted : at === REMOVE ? this.#remove : at === EXCHANGEABLE ? SLOT_BITS : 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
  }

  #write(offset: number, size: number, value: number): void {
    if (size !== 4) return;
    if (offset === INSERTED) this.#inserted &= ~value;
    if (offset !== EJECT) return;
    for (const slot of HOTPLUG_SLOTS) {
      if (!((value >>> slot) & 1)) continue;
      this.#counts.ejections++;
      this.settled(slot);
      this.options.ejected(slot);
    }
  }

  // ---- save and load

  save(): DeviceState {
    return { inserted: this.#inserted >>> 0, remove: this.#remove >>> 0 };
  }
  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#inserted = saved.integer("inserted");
    this.#remove = saved.integer("remove");
  }

  metrics(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }
}

const SLOT_BITS = HOTPLUG_SLOTS.reduce((bits, slot) => bits | (1 << slot), 0) >>> 0;
