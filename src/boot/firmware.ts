// A firmware image (BIOS) at the reset vector: it ends at 4 GiB, and its last 128 KiB are also seen below 1 MiB.
import type { BootSource } from "../vmm/config.ts";
import { badImage, sizeText } from "./image.ts";
import type { BootMachine } from "./machine.ts";

const UNIT_BYTES = 64 << 10;
const MAX_BYTES = 8 << 20;

export const isFirmwareSize = (bytes: number): boolean => bytes > 0 && bytes % UNIT_BYTES === 0 && bytes <= MAX_BYTES;

/** Throws VmError("bad-image") for a size that no firmware chip has. */
export function prepareFirmware(source: Extract<BootSource, { kind: "firmware" }>, machine: BootMachine): void {
  const bytes = source.image.length;
  if (!isFirmwareSize(bytes)) {
    throw badImage(
      `The firmware image has ${bytes} bytes (${sizeText(bytes)}); a multiple of 64 KiB from 64 KiB to 8 MiB is accepted: pad it at its beginning, the reset vector is its last 16 bytes.`,
      { bytes },
    );
  }
  machine.loadFirmware(source.image);
}
