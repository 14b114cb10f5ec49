// Disks and network cards on virtio: those of the configuration, and those that come and go while the machine runs.
import { VirtioBlk } from "../devices/virtio/blk.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VirtioNet } from "../devices/virtio/net.ts";
import { VirtioPci } from "../devices/virtio/pci.ts";
import type { VirtioParts } from "./board-virtio.ts";
import { macBytes } from "./check-network.ts";
import type { OpenDrive } from "./drives.ts";
import type { OpenNic } from "./nics.ts";
import { CLASSES, VIRTIO_SLOTS } from "./virtio-slots.ts";

/** A card in a slot. */
export interface Card {
  readonly kind: "drive" | "nic";
  /** Of the drive or network card. */
  readonly id: string;
  readonly slot: number;
  readonly carrier: VirtioPci;
}

export class VirtioCards {
  readonly #drives = new Map<string, VirtioBlk>();
  readonly #nics = new Map<string, VirtioNet>();
  readonly #bySlot = new Map<number, Card>();

  constructor(private readonly parts: Omit<VirtioParts, "drives" | "nics">) {}

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

  /** The device, on the bus; none for a drive without a medium. */
  addDrive({ id, unit = 0, backend, readOnly = false, limits = {} }: OpenDrive): VirtioPci[] {
    if (backend === undefined) return [];
    const { memory, clock } = this.parts;
    const blk = new VirtioBlk(`virtio-blk${unit}`, memory, { backend, clock, serial: id, readOnly, limits });
    this.#drives.set(id, blk);
    return [this.#plug({ kind: "drive", id, slot: VIRTIO_SLOTS.drives + unit }, CLASSES.storage, blk)];
  }

  addNic(nic: OpenNic): VirtioPci {
    const { memory, clock } = this.parts;
    const net = new VirtioNet(`virtio-net${nic.unit}`, memory, { ...nic, mac: macBytes(nic.mac), clock });
    this.#nics.set(nic.id, net);
    return this.#plug(
      { kind: "nic", id: nic.id, slot: VIRTIO_SLOTS.nics + nic.unit },
      CLASSES.network,
      net,
      nic.bootRom,
    );
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

  #plug(place: Omit<Card, "carrier">, classCode: number, device: VirtioDevice, rom?: Uint8Array): VirtioPci {
    const { pci, clock, msi } = this.parts;
    const carrier = new VirtioPci(device, { msi, clock, classCode });
    if (rom !== undefined) carrier.pci.setRom(rom);
    pci.add(place.slot, 0, carrier.pci);
    this.#bySlot.set(place.slot, { ...place, carrier });
    return carrier;
  }
}
