// The virtio devices of a board: which a configuration asks for, and the PCI slot of each, the same in every machine so
// that a snapshot finds them again.
import type { PciHost } from "../devices/pci/host.ts";
import { VirtioBalloon } from "../devices/virtio/balloon.ts";
import { VirtioBlk } from "../devices/virtio/blk.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VirtioPci } from "../devices/virtio/pci.ts";
import { type EntropySource, VirtioRng } from "../devices/virtio/rng.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { Device, DeviceClock, DmaMemory, MsiSink } from "./device.ts";
import type { OpenDrive } from "./drives.ts";

/** Slots of bus 0. 1 is the south bridge, 2 to 4 are for graphics and cards of the full set. */
export const VIRTIO_SLOTS = { rng: 6, balloon: 7, drives: 16 } as const;

const CLASS_STORAGE_SCSI = 0x010000;
const CLASS_OTHER = 0x00ff00;

export interface VirtioParts {
  readonly pci: PciHost;
  readonly memory: DmaMemory;
  readonly clock: DeviceClock;
  readonly msi: MsiSink;
  readonly entropy: (into: Uint8Array) => void;
  readonly drives: readonly OpenDrive[];
}

/** The devices themselves, for who controls them from the host. */
export interface VirtioSet {
  readonly devices: readonly Device[];
  readonly balloon: VirtioBalloon | undefined;
  /** By the drive's id. */
  readonly drives: ReadonlyMap<string, VirtioBlk>;
}

export function addVirtio(config: CheckedConfig, parts: VirtioParts): VirtioSet {
  const { pci, memory, clock, msi } = parts;
  const devices: VirtioPci[] = [];
  const plug = <T extends VirtioDevice>(slot: number, classCode: number, device: T): T => {
    const carrier = new VirtioPci(device, { msi, clock, classCode });
    pci.add(slot, 0, carrier.pci);
    devices.push(carrier);
    return device;
  };
  if (config.rng) {
    const entropy = config.clock === "virtual" ? reproducible : parts.entropy;
    plug(VIRTIO_SLOTS.rng, CLASS_OTHER, new VirtioRng("virtio-rng", memory, entropy));
  }
  let balloon: VirtioBalloon | undefined;
  if (config.balloon !== undefined) {
    balloon = plug(
      VIRTIO_SLOTS.balloon,
      CLASS_OTHER,
      new VirtioBalloon("virtio-balloon", memory, { ...config.balloon, clock }),
    );
    balloon.setTarget(config.balloon.targetBytes ?? 0);
  }
  const drives = new Map<string, VirtioBlk>();
  for (const { id, bus, unit = 0, backend, readOnly = false, limits = {} } of parts.drives) {
    if (bus !== "virtio" || backend === undefined) continue;
    const disk = new VirtioBlk(`virtio-blk${unit}`, memory, { backend, clock, serial: id, readOnly, limits });
    drives.set(id, plug(VIRTIO_SLOTS.drives + unit, CLASS_STORAGE_SCSI, disk));
  }
  return { devices, balloon, drives };
}

/** The same bytes in every run: the virtual clock's promise. No secret, so never for a guest on the real clock. */
const reproducible: EntropySource = (into, position) => {
  for (let i = 0; i < into.length; i++) {
    // The finalizer of MurmurHash3 on the byte's number.
    let word = (position + i + 0x9e3779b9) | 0;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    into[i] = (word ^ (word >>> 16)) & 0xff;
  }
};
