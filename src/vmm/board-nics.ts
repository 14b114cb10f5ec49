// The network cards of a board that are not virtio's.
import type { PciHost } from "../devices/pci/host.ts";
import { Rtl8139 } from "../devices/rtl8139/rtl8139.ts";
import { macBytes } from "./check-network.ts";
import type { DeviceClock, DmaMemory } from "./device.ts";
import type { OpenNic } from "./nics.ts";
import { VIRTIO_SLOTS } from "./virtio-slots.ts";

export interface NicParts {
  readonly pci: PciHost;
  readonly memory: DmaMemory;
  readonly clock: DeviceClock;
}

/** By the id in the configuration. */
export function addNics(nics: readonly OpenNic[], { pci, memory, clock }: NicParts): Map<string, Rtl8139> {
  const cards = new Map<string, Rtl8139>();
  for (const nic of nics) {
    if (nic.model === "virtio") continue;
    const plus = nic.model === "rtl8139";
    const card = new Rtl8139(`rtl8139-${nic.unit}`, memory, { ...nic, mac: macBytes(nic.mac), clock, plus });
    if (nic.bootRom !== undefined) card.pci.setRom(nic.bootRom);
    pci.add(VIRTIO_SLOTS.nics + nic.unit, 0, card.pci);
    cards.set(nic.id, card);
  }
  return cards;
}
