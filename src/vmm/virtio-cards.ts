// Disks and network cards on virtio: those of the configuration, and those that come and go while the machine runs.
import type { PciHost } from "../devices/pci/host.ts";
import type { VirtioBlk } from "../devices/virtio/blk.ts";
import type { VirtioNet } from "../devices/virtio/net.ts";
import type { VirtioPci } from "../devices/virtio/pci.ts";
import type { DeviceClock, DmaMemory, MsiSink } from "./device.ts";

/** A card in a slot. */
export type Card = DriveCard | NicCard;
interface DriveCard extends Place {
  readonly kind: "drive";
  readonly device: VirtioBlk;
}
interface NicCard extends Place {
  readonly kind: "nic";
  readonly device: VirtioNet;
}
interface Place {
  /** Of the drive or network card. */
  readonly id: string;
  readonly slot: number;
  readonly carrier: VirtioPci;
}

/** What a card is wired to. */
export interface CardParts {
  readonly pci: PciHost;
  readonly memory: DmaMemory;
  readonly clock: DeviceClock;
  readonly msi: MsiSink;
}

export class VirtioCards {
  readonly #drives = new Map<string, VirtioBlk>();
  readonly #nics = new Map<string, VirtioNet>();
  readonly #bySlot = new Map<number, Card>();

  constructor(readonly parts: CardParts) {}

  /** By the id in the configuration. */
  get drives(): ReadonlyMap<string, VirtioBlk> {
    return this.#drives;
  }
  get nics(): ReadonlyMap<string, VirtioNet> {
    return this.#nics;
  }
  inSlot(slot: number): Card | undefined {
    return this.#bySlot.get(slot);
  }
  byId(kind: Card["kind"], id: string): Card | undefined {
    return [...this.#bySlot.values()].find((card) => card.kind === kind && card.id === id);
  }
  byCarrier(carrier: VirtioPci): Card | undefined {
    return [...this.#bySlot.values()].find((card) => card.carrier === carrier);
  }

  /** Puts a card on the bus. */
  add(card: Card): void {
    this.parts.pci.add(card.slot, 0, card.carrier.pci);
    this.#bySlot.set(card.slot, card);
    if (card.kind === "drive") this.#drives.set(card.id, card.device);
    else this.#nics.set(card.id, card.device);
  }

  /** Takes a card off the bus, and ends it: its requests under way are forgotten, its name is free. */
  remove({ kind, id, slot, carrier }: Card): void {
    this.parts.pci.remove(slot, 0);
    carrier.reset();
    carrier.dispose();
    this.#bySlot.delete(slot);
    if (kind === "drive") this.#drives.delete(id);
    else this.#nics.delete(id);
  }
}
