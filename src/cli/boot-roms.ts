// Option ROMs for network cards: what boots a machine over the network.
import type { BootDevice } from "../vmm/config.ts";
import type { NicConfig } from "../vmm/device-config.ts";

/** The image that has them, a file for each model of card. */
export const BOOT_ROM_IMAGE = "ipxe";

/** Whether somebody asks for it: by the boot order, by a card's place in it, by what a card's network offers. */
export function bootsOverNetwork(nics: readonly NicConfig[], bootOrder: readonly BootDevice[] = []): boolean {
  const offers = ({ backend, bootIndex }: NicConfig): boolean =>
    bootIndex !== undefined || ("kind" in backend && backend.kind === "user" && backend.bootFile !== undefined);
  return nics.length > 0 && (bootOrder.includes("network") || nics.some(offers));
}

/** The cards with iPXE, where they have no ROM of their own. Throws VmError("not-found") when the image is not here. */
export async function withBootRoms(nics: readonly NicConfig[]): Promise<NicConfig[]> {
  const { readImageFile } = await import("../images/node/index.ts");
  const roms = {
    virtio: await readImageFile(BOOT_ROM_IMAGE, "virtio"),
    rtl8139: await readImageFile(BOOT_ROM_IMAGE, "rtl8139"),
  };
  return nics.map((nic) => ({ ...nic, bootRom: nic.bootRom ?? roms[nic.model === "virtio" ? "virtio" : "rtl8139"] }));
}
