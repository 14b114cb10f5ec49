// The network cards of a board: one PCI slot each, whatever the model.
import type { PciHost } from "../devices/pci/host.ts";
import { Rtl8139 } from "../devices/rtl8139/rtl8139.ts";
import type { RateLimitOptions } from "../devices/token-bucket.ts";
import type { VirtioSet } from "./board-virtio.ts";
import { macBytes } from "./check-network.ts";
import type { Device, DeviceClock, DmaMemory } from "./device.ts";
import type { OpenNic } from "./nics.ts";
import { VIRTIO_SLOTS } from "./virtio-slots.ts";

/** A card as the host controls it. */
export interface NetworkCard {
  setLink(up: boolean): void;
  /** From now on; {} for none. */
  setLimits(receive: RateLimitOptions, transmit: RateLimitOptions): void;
}

export interface NicSet {
  /** Those that are not virtio's. */
  readonly devices: readonly Device[];
  /** All, by the id in the configuration. */
  readonly cards: { get(id: string): NetworkCard | undefined };
}

export function addNics(
  nics: readonly OpenNic[],
  virtio: VirtioSet,
  parts: { readonly pci: PciHost; readonly memory: DmaMemory; readonly clock: DeviceClock },
): NicSet {
  const { pci, memory, clock } = parts;
  const devices: Rtl8139[] = [];
  const others = new Map<string, NetworkCard>();
  for (const nic of nics) {
    if (nic.model === "virtio") continue;
    const plus = nic.model === "rtl8139";
    const card = new Rtl8139(`rtl8139-${nic.unit}`, memory, { ...nic, mac: macBytes(nic.mac), clock, plus });
    if (nic.bootRom !== undefined) card.pci.setRom(nic.bootRom);
    pci.add(VIRTIO_SLOTS.nics + nic.unit, 0, card.pci);
    devices.push(card);
    others.set(nic.id, card);
  }
  // Virtio's come and go.
  const find = (id: string): NetworkCard | undefined => others.get(id) ?? virtio.nics.get(id);
  return { devices, cards: { get: find } };
}
