// Sector addresses in a task file: CHS in the geometry that the host set, 28-bit and 48-bit LBA (ATA/ATAPI-6, 6.2 and 6.20).
import type { DiskGeometry } from "./identify.ts";
import { DEVICE_HEAD, DEVICE_LBA } from "./registers.ts";

const LBA28_SECTORS = 0x10000000;

interface AddressBytes {
  lbaLow: number;
  lbaMid: number;
  lbaHigh: number;
}

/** The registers that hold an address; `previous` is what the upper three held before, for 48 bits. */
export interface AddressRegisters extends AddressBytes {
  device: number;
  readonly previous: AddressBytes;
}

/** The sector that the registers name; undefined for a CHS address that does not exist. */
export function readAddress(from: AddressRegisters, geometry: DiskGeometry, wide: boolean): number | undefined {
  const low = from.lbaLow + from.lbaMid * 256 + from.lbaHigh * 65536;
  if (wide) {
    const { lbaLow, lbaMid, lbaHigh } = from.previous;
    return low + (lbaLow + lbaMid * 256 + lbaHigh * 65536) * 0x1000000;
  }
  const head = from.device & DEVICE_HEAD;
  if (from.device & DEVICE_LBA) return low + head * 0x1000000;
  const { heads, sectors } = geometry;
  if (from.lbaLow === 0 || from.lbaLow > sectors || head >= heads) return undefined;
  return ((from.lbaHigh * 256 + from.lbaMid) * heads + head) * sectors + from.lbaLow - 1;
}

/** In the form that the registers are in: of CHS, LBA, or 48 bits. */
export function putAddress(into: AddressRegisters, geometry: DiskGeometry, lba: number, wide: boolean): void {
  if (!wide && !(into.device & DEVICE_LBA)) {
    const { heads, sectors } = geometry;
    const track = Math.floor(lba / sectors);
    const cylinder = Math.floor(track / heads);
    into.lbaLow = (lba % sectors) + 1;
    into.lbaMid = cylinder & 0xff;
    into.lbaHigh = (cylinder >> 8) & 0xff;
    into.device = (into.device & ~DEVICE_HEAD) | (track % heads);
    return;
  }
  const shown = wide ? lba : Math.min(lba, LBA28_SECTORS - 1);
  into.lbaLow = shown % 256;
  into.lbaMid = Math.floor(shown / 256) % 256;
  into.lbaHigh = Math.floor(shown / 65536) % 256;
  const high = Math.floor(shown / 0x1000000);
  if (!wide) {
    into.device = (into.device & ~DEVICE_HEAD) | (high & DEVICE_HEAD);
    return;
  }
  into.previous.lbaLow = high % 256;
  into.previous.lbaMid = Math.floor(high / 256) % 256;
  into.previous.lbaHigh = Math.floor(high / 65536) % 256;
}
