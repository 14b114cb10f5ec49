// In which order firmware tries what there is to boot from: the fw_cfg file "bootorder", with Open Firmware device paths.
import { IDE_FUNCTION } from "../devices/ide/piix3-ide.ts";
import { SOUTH_BRIDGE_SLOT } from "../devices/pci/piix3.ts";
import type { DriveConfig, NicConfig } from "./device-config.ts";
import { VIRTIO_SLOTS } from "./virtio-slots.ts";

type Drive = Pick<DriveConfig, "bus" | "unit" | "bootIndex">;
type Nic = Pick<NicConfig, "unit" | "bootIndex">;

function drivePath({ bus, unit = 0 }: Drive): string {
  switch (bus) {
    case "ide":
      return `/pci@i0cf8/ide@${SOUTH_BRIDGE_SLOT},${IDE_FUNCTION}/drive@${unit >> 1}/disk@${unit & 1}`;
    case "floppy":
      return `/pci@i0cf8/isa@${SOUTH_BRIDGE_SLOT}/fdc@03f0/floppy@${unit}`;
    case "hypercall":
      // firmware has no driver for it
      return "";
    case "virtio":
      return `/pci@i0cf8/scsi@${(VIRTIO_SLOTS.drives + unit).toString(16)}/disk@0,0`;
  }
}

const nicPath = ({ unit = 0 }: Nic): string =>
  `/pci@i0cf8/ethernet@${(VIRTIO_SLOTS.nics + unit).toString(16)}/ethernet-phy@0`;

/** The content of "bootorder"; undefined when nothing has a place in it. */
export function bootOrderFile(drives: readonly Drive[], nics: readonly Nic[]): Uint8Array | undefined {
  const places = [
    ...drives.map((drive) => ({ index: drive.bootIndex, path: drivePath(drive) })),
    ...nics.map((nic) => ({ index: nic.bootIndex, path: nicPath(nic) })),
  ].filter(({ index, path }) => index !== undefined && path !== "");
  if (places.length === 0) return undefined;
  places.sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
  return new TextEncoder().encode(`${places.map(({ path }) => path).join("\n")}\0`);
}
