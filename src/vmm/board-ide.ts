// The IDE and floppy drives of a board.

import type { Dma8237 } from "../devices/dma8237.ts";
import { FDC_DMA, FDC_IRQ, FloppyController } from "../devices/floppy/controller.ts";
import { FloppyDrive, floppyFormat } from "../devices/floppy/drive.ts";
import { AtaDrive } from "../devices/ide/ata-drive.ts";
import { AtapiDrive } from "../devices/ide/atapi-drive.ts";
import type { IdeDrive } from "../devices/ide/drive.ts";
import { IDE_CHANNELS, IDE_FUNCTION, Piix3Ide } from "../devices/ide/piix3-ide.ts";
import type { PciHost } from "../devices/pci/host.ts";
import { SOUTH_BRIDGE_SLOT } from "../devices/pci/piix3.ts";
import type { PortBus } from "./bus.ts";
import type { Device, DeviceClock, GuestMemory } from "./device.ts";
import type { OpenDrive } from "./drives.ts";
import type { IrqWiring } from "./irq.ts";
import type { MediaDrive, StorageSet } from "./storage-set.ts";

export interface StorageParts {
  readonly pci: PciHost;
  readonly ports: PortBus;
  readonly irqs: IrqWiring;
  readonly clock: DeviceClock;
  readonly memory: GuestMemory;
  readonly dma: Dma8237;
  readonly drives: readonly OpenDrive[];
}

/** The controllers that have drives: a guest does not look for what is not there. */
export function addStorage(parts: StorageParts): StorageSet {
  const { pci, ports, irqs, clock, memory, dma, drives } = parts;
  const devices: Device[] = [];
  const media = new Map<string, MediaDrive>();
  const limited = new Map<string, IdeDrive>();
  const places: (IdeDrive | undefined)[] = [undefined, undefined, undefined, undefined];
  for (const drive of drives) {
    if (drive.bus !== "ide") continue;
    const made = makeIdeDrive(drive);
    places[drive.unit ?? 0] = made;
    if (made !== undefined) limited.set(drive.id, made);
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
  const floppies: [FloppyDrive | undefined, FloppyDrive | undefined] = [undefined, undefined];
  for (const { bus, unit = 0, id, backend, readOnly = false } of drives) {
    if (bus !== "floppy") continue;
    const drive = new FloppyDrive({ id, backend, readOnly });
    floppies[unit] = drive;
    media.set(id, drive);
  }
  if (floppies.some((drive) => drive !== undefined)) {
    const channel = dma.channel(FDC_DMA);
    devices.push(new FloppyController({ irq: irqs.line(FDC_IRQ), dma: channel, clock, drives: floppies }));
  }
  return { devices, media, limited };
}

/** Numbers by which CMOS register 10h knows the two floppy drives; 0 for none. */
export function floppyTypes(drives: readonly OpenDrive[]): readonly [number, number] {
  const type = (unit: number): number => {
    const drive = drives.find((candidate) => candidate.bus === "floppy" && candidate.unit === unit);
    return drive === undefined ? 0 : floppyFormat(drive.backend?.sizeBytes ?? 0, drive.id).drive;
  };
  return [type(0), type(1)];
}

function makeIdeDrive({ id, media, backend, readOnly }: OpenDrive): IdeDrive | undefined {
  if (media === "cdrom") return new AtapiDrive({ backend, serial: id });
  return backend === undefined ? undefined : new AtaDrive({ backend, readOnly: readOnly ?? false, serial: id });
}
