// The network cards of a board: one PCI slot each, whatever the model.
import type { PciHost } from "../devices/pci/host.ts";
import { Rtl8139 } from "../devices/rtl8139/rtl8139.ts";
import type { RateLimitOptions } from "../devices/token-bucket.ts";
import { VIRTIO_SLOTS, type VirtioSet } from "./board-virtio.ts";
import { macBytes } from "./check-network.ts";
import type { Device, DeviceClock, DmaMemory } from "./device.ts";
import type { OpenNic } from "./nics.ts";

/** A card as the host controls it. */
export interface NetworkCard {
  setLink(up: boolean): void;
  /** From now on; what is left out stays. */
  setLimits(limits: { readonly receiveLimits?: RateLimitOptions; readonly transmitLimits?: RateLimitOptions }): void;
}

export interface NicSet {
  /** Those that are not virtio's. */
  readonly devices: readonly Device[];
  /** All, by the id in the configuration. */
  readonly cards: ReadonlyMap<string, NetworkCard>;
}

export function addNics(
  nics: readonly OpenNic[],
  virtio: VirtioSet,
  parts: { readonly pci: PciHost; readonly memory: DmaMemory; readonly clock: DeviceClock },
): NicSet {
  const { pci, memory, clock } = parts;
  const devices: Rtl8139[] = [];
  const cards = new Map<string, NetworkCard>(virtio.nics);
  for (const [i, nic] of nics.entries()) {
    if (nic.model === "virtio") continue;
    const plus = nic.model === "rtl8139";
    const card = new Rtl8139(`rtl8139-${i}`, memory, { ...nic, mac: macBytes(nic.mac), clock, plus });
    pci.add(VIRTIO_SLOTS.nics + i, 0, card.pci);
    devices.push(card);
    cards.set(nic.id, card);
  }
  return { devices, cards };
}
