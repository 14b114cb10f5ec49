// The IDE and floppy drives of a board, and in which order firmware tries what there is to boot from.
import { AtaDrive } from "../devices/ide/ata-drive.ts";
import { AtapiDrive } from "../devices/ide/atapi-drive.ts";
import type { IdeDrive } from "../devices/ide/drive.ts";
import { IDE_CHANNELS, IDE_FUNCTION, Piix3Ide } from "../devices/ide/piix3-ide.ts";
import type { PciHost } from "../devices/pci/host.ts";
import type { BlockBackend } from "./block.ts";
import type { PortBus } from "./bus.ts";
import type { Device, DeviceClock, GuestMemory } from "./device.ts";
import type { OpenDrive } from "./drives.ts";
import type { IrqWiring } from "./irq.ts";

/** A drive whose medium the host can change. */
export interface MediaDrive {
  /** Throws VmError("bad-state") while the guest has locked it, unless forced. */
  changeMedium(backend: BlockBackend | undefined, force?: boolean): void;
}

export interface StorageParts {
  readonly pci: PciHost;
  readonly ports: PortBus;
  readonly irqs: IrqWiring;
  readonly clock: DeviceClock;
  readonly memory: GuestMemory;
  readonly drives: readonly OpenDrive[];
}

export interface StorageSet {
  readonly devices: readonly Device[];
  /** By the drive's id. */
  readonly media: ReadonlyMap<string, MediaDrive>;
}

const SOUTH_BRIDGE_SLOT = 1;

/** Nothing is added for a bus without drives: a guest does not look for what is not there. */
export function addStorage(parts: StorageParts): StorageSet {
  const { pci, ports, irqs, clock, memory, drives } = parts;
  const devices: Device[] = [];
  const media = new Map<string, MediaDrive>();
  const places: (IdeDrive | undefined)[] = [undefined, undefined, undefined, undefined];
  for (const drive of drives) {
    if (drive.bus !== "ide") continue;
    const made = makeIdeDrive(drive);
    places[drive.unit ?? 0] = made;
    if (made instanceof AtapiDrive) media.set(drive.id, made);
  }
  if (places.some((drive) => drive !== undefined)) {
    const ide = new Piix3Ide({
      memory,
      clock,
      irqs: [irqs.line(IDE_CHANNELS[0].irq), irqs.line(IDE_CHANNELS[1].irq)],
      drives: places,
      mapPorts: (range) => ports.addMovable(range),
    });
    pci.add(SOUTH_BRIDGE_SLOT, IDE_FUNCTION, ide.pci);
    devices.push(ide);
  }
  return { devices, media };
}

function makeIdeDrive({ id, media, backend, readOnly }: OpenDrive): IdeDrive | undefined {
  if (media === "cdrom") return new AtapiDrive({ backend, serial: id });
  return backend === undefined ? undefined : new AtaDrive({ backend, readOnly: readOnly ?? false, serial: id });
}
