// The virtio devices of a board: which a configuration asks for.
import { VirtioBalloon } from "../devices/virtio/balloon.ts";
import { VirtioBlk } from "../devices/virtio/blk.ts";
import { VirtioConsole } from "../devices/virtio/console.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { type InputKind, VirtioInput } from "../devices/virtio/input.ts";
import { VirtioNet } from "../devices/virtio/net.ts";
import { VirtioP9 } from "../devices/virtio/p9.ts";
import { VirtioPci } from "../devices/virtio/pci.ts";
import { type EntropySource, VirtioRng } from "../devices/virtio/rng.ts";
import { VirtioVsock } from "../devices/virtio/vsock.ts";
import type { CheckedConfig } from "./check-config.ts";
import { macBytes } from "./check-network.ts";
import type { OpenDrive } from "./drives.ts";
import type { OpenNic } from "./nics.ts";
import type { Card, CardParts, VirtioCards } from "./virtio-cards.ts";
import { noVirtio, type VirtioSet } from "./virtio-set.ts";
import { CLASSES, VIRTIO_SLOTS } from "./virtio-slots.ts";

export interface VirtioParts extends CardParts {
  readonly entropy: (into: Uint8Array) => void;
  readonly drives: readonly OpenDrive[];
  readonly nics: readonly OpenNic[];
}

export function addVirtio(config: CheckedConfig, cards: VirtioCards, parts: VirtioParts): VirtioSet {
  const { pci, memory, clock, msi } = parts;
  const devices: VirtioPci[] = [];
  const plug = <T extends VirtioDevice>(slot: number, classCode: number, device: T): T => {
    const carrier = new VirtioPci(device, { msi, clock, classCode });
    pci.add(slot, 0, carrier.pci);
    devices.push(carrier);
    return device;
  };

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
  const made = [
    ...parts.drives.flatMap((drive) => (drive.bus === "virtio" ? driveCard(drive, parts) : [])),
    ...parts.nics.flatMap((nic) => (nic.model === "virtio" ? nicCard(nic, parts) : [])),
  ];
  for (const card of made) {
    cards.add(card);
    devices.push(card.carrier);
  }
  return { ...noVirtio(cards), devices, balloon, console, vsock, inputs };
}

/** A card for a drive; none for one without a medium. */
export function driveCard(
  { id, unit = 0, backend, readOnly = false, limits = {} }: OpenDrive,
  parts: CardParts,
): Card[] {
  if (backend === undefined) return [];
  const { memory, clock, msi } = parts;
  const device = new VirtioBlk(`virtio-blk${unit}`, memory, { backend, clock, serial: id, readOnly, limits });
  const carrier = new VirtioPci(device, { msi, clock, classCode: CLASSES.storage });
  return [{ kind: "drive", id, slot: VIRTIO_SLOTS.drives + unit, device, carrier }];
}

export function nicCard(nic: OpenNic, parts: CardParts): Card {
  const { memory, clock, msi } = parts;
  const device = new VirtioNet(`virtio-net${nic.unit}`, memory, { ...nic, mac: macBytes(nic.mac), clock });
  const carrier = new VirtioPci(device, { msi, clock, classCode: CLASSES.network });
  if (nic.bootRom !== undefined) carrier.pci.setRom(nic.bootRom);
  return { kind: "nic", id: nic.id, slot: VIRTIO_SLOTS.nics + nic.unit, device, carrier };
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
