// The virtio devices of a board: which a configuration asks for.
import type { PciHost } from "../devices/pci/host.ts";
import { VirtioBalloon } from "../devices/virtio/balloon.ts";
import type { VirtioBlk } from "../devices/virtio/blk.ts";
import { VirtioConsole } from "../devices/virtio/console.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { type InputKind, VirtioInput } from "../devices/virtio/input.ts";
import type { VirtioNet } from "../devices/virtio/net.ts";
import { VirtioP9 } from "../devices/virtio/p9.ts";
import { VirtioPci } from "../devices/virtio/pci.ts";
import { type EntropySource, VirtioRng } from "../devices/virtio/rng.ts";
import { VirtioVsock } from "../devices/virtio/vsock.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { Device, DeviceClock, DmaMemory, MsiSink } from "./device.ts";
import type { OpenDrive } from "./drives.ts";
import type { OpenNic } from "./nics.ts";
import { VirtioCards } from "./virtio-cards.ts";
import { CLASSES, VIRTIO_SLOTS } from "./virtio-slots.ts";

export interface VirtioParts {
  readonly pci: PciHost;
  readonly memory: DmaMemory;
  readonly clock: DeviceClock;
  readonly msi: MsiSink;
  readonly entropy: (into: Uint8Array) => void;
  readonly drives: readonly OpenDrive[];
  readonly nics: readonly OpenNic[];
}

/** The devices themselves, for who controls them from the host. */
export interface VirtioSet {
  readonly devices: readonly Device[];
  /** What cards that come and go are made with. */
  readonly cards: VirtioCards;
  readonly balloon: VirtioBalloon | undefined;
  readonly console: VirtioConsole | undefined;
  readonly vsock: VirtioVsock | undefined;
  /** By the id in the configuration. */
  readonly drives: ReadonlyMap<string, VirtioBlk>;
  readonly nics: ReadonlyMap<string, VirtioNet>;
  readonly inputs: ReadonlyMap<InputKind, VirtioInput>;
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
  const cards = new VirtioCards(parts);

  let console: VirtioConsole | undefined;
  if (config.consoles.length > 0) {
    const ports = config.consoles.map((port) => ({ ...port, kind: port.kind ?? ("console" as const) }));
    console = plug(
      VIRTIO_SLOTS.console,
      CLASSES.communication,
      new VirtioConsole("virtio-console", memory, clock, ports),
    );
  }
  if (config.rng) {
    const entropy = config.clock === "virtual" ? reproducible : parts.entropy;
    plug(VIRTIO_SLOTS.rng, CLASSES.other, new VirtioRng("virtio-rng", memory, entropy));
  }
  let balloon: VirtioBalloon | undefined;
  if (config.balloon !== undefined) {
    const options = { ...config.balloon, clock };
    balloon = plug(VIRTIO_SLOTS.balloon, CLASSES.other, new VirtioBalloon("virtio-balloon", memory, options));
    balloon.setTarget(config.balloon.targetBytes ?? 0);
  }
  let vsock: VirtioVsock | undefined;
  if (config.vsock !== undefined) {
    vsock = plug(VIRTIO_SLOTS.vsock, CLASSES.communication, new VirtioVsock("virtio-vsock", memory, config.vsock));
  }
  const inputs = new Map<InputKind, VirtioInput>();
  for (const kind of config.inputs) {
    inputs.set(kind, plug(VIRTIO_SLOTS[kind], CLASSES[kind], new VirtioInput(`virtio-${kind}`, memory, kind)));
  }
  for (const [i, share] of config.shares.entries()) {
    const options = { ...share, wallMs: () => clock.wallMs() };
    plug(VIRTIO_SLOTS.shares + i, CLASSES.other, new VirtioP9(`virtio-9p${i}`, memory, options));
  }
  for (const drive of parts.drives) if (drive.bus === "virtio") devices.push(...cards.addDrive(drive));
  for (const nic of parts.nics) if (nic.model === "virtio") devices.push(cards.addNic(nic));
  return { devices, cards, balloon, console, vsock, drives: cards.drives, nics: cards.nics, inputs };
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
