// SMART as far as tools ask for it (ATA/ATAPI-6, 8.55): a disk that is well.
import { SECTOR_BYTES } from "./registers.ts";

export const SMART_READ_DATA = 0xd0;
export const SMART_READ_THRESHOLDS = 0xd1;
export const SMART_AUTOSAVE = 0xd2;
export const SMART_EXECUTE_OFFLINE = 0xd4;
export const SMART_ENABLE = 0xd8;
export const SMART_DISABLE = 0xd9;
export const SMART_RETURN_STATUS = 0xda;
/** In LBA mid and high: says that the command is meant, and in the answer that all is well. */
export const SMART_SIGNATURE = [0x4f, 0xc2] as const;

/** Id, flags, normalised value, worst, raw value, threshold. */
const ATTRIBUTES: readonly (readonly [number, number, number, number, number, number])[] = [
  [1, 0x03, 100, 100, 0, 6], // read error rate
  [5, 0x03, 100, 100, 0, 36], // reallocated sectors
  [9, 0x03, 100, 100, 1, 0], // power-on hours
  [12, 0x03, 100, 100, 1, 0], // power cycles
  [190, 0x03, 69, 69, 31, 50], // temperature
];

function summed(bytes: Uint8Array): Uint8Array {
  bytes[SECTOR_BYTES - 1] = -bytes.subarray(0, SECTOR_BYTES - 1).reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

export function smartData(): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  bytes[0] = 1;
  for (const [i, [id, flags, value, worst, raw]] of ATTRIBUTES.entries())
    bytes.set([id, flags, 0, value, worst, raw & 0xff, raw >> 8], 2 + 12 * i);
  bytes[362] = 0x02; // off-line collection completed
  bytes[367] = 0x01; // and supported
  bytes[368] = 0x03;
  return summed(bytes);
}

export function smartThresholds(): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  bytes[0] = 1;
  for (const [i, [id, , , , , threshold]] of ATTRIBUTES.entries()) bytes.set([id, threshold], 2 + 12 * i);
  return summed(bytes);
}
