// The 512 bytes that IDENTIFY DEVICE and IDENTIFY PACKET DEVICE give (ATA/ATAPI-6, 8.15 and 8.16).
import { SECTOR_BYTES } from "./registers.ts";

/** The geometry that a disk tells hosts without LBA. */
export interface DiskGeometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

const CHS_SECTORS_MAX = 16383 * 16 * 63;
export const MULTIPLE_MAX = 16;

export function defaultGeometry(totalSectors: number): DiskGeometry {
  const cylinders = Math.max(1, Math.min(16383, Math.floor(totalSectors / (16 * 63))));
  return { cylinders, heads: 16, sectors: 63 };
}

export interface IdentifyOptions {
  readonly serial: string;
  readonly model: string;
  /** The kind of DMA chosen by SET FEATURES: word 63 or 88, and which of its modes. */
  readonly dmaMode: { readonly word: 63 | 88; readonly mode: number } | undefined;
}

export interface IdentifyDiskOptions extends IdentifyOptions {
  readonly totalSectors: number;
  readonly geometry: DiskGeometry;
  /** As INITIALIZE DEVICE PARAMETERS has it. */
  readonly current: DiskGeometry;
  /** Sectors a block of READ MULTIPLE; 0 while it is not set. */
  readonly multiple: number;
  readonly writeCache: boolean;
  readonly smart: boolean;
  readonly trim: boolean;
}

class Words {
  readonly bytes = new Uint8Array(SECTOR_BYTES);
  readonly #view = new DataView(this.bytes.buffer);
  set(word: number, value: number): void {
    this.#view.setUint16(word * 2, value & 0xffff, true);
  }
  /** Low word first. */
  wide(word: number, value: number, words = 2): void {
    for (let i = 0; i < words; i++) this.set(word + i, Math.floor(value / 65536 ** i) % 65536);
  }
  /** Padded with spaces, the first character of each pair in the high byte. */
  text(word: number, words: number, value: string): void {
    const padded = value.padEnd(words * 2).slice(0, words * 2);
    for (let i = 0; i < words; i++)
      this.set(word + i, (padded.charCodeAt(i * 2) << 8) | (padded.charCodeAt(i * 2 + 1) & 0xff));
  }
}

const FIRMWARE_REVISION = "1.0";

function common(words: Words, { serial, model, dmaMode }: IdentifyOptions): void {
  words.text(10, 10, serial);
  words.text(23, 4, FIRMWARE_REVISION);
  words.text(27, 20, model);
  words.set(48, 1); // 32-bit accesses to the data port
  words.set(53, 0x0007); // words 54 to 58, 64 to 70 and 88 are valid
  const selected = (word: 63 | 88): number => (dmaMode?.word === word ? 0x100 << dmaMode.mode : 0);
  words.set(63, 0x0007 | selected(63)); // multiword DMA 0 to 2
  words.set(64, 0x0003); // PIO 3 and 4
  for (const word of [65, 66, 67, 68]) words.set(word, 120); // ns a cycle
  words.set(80, 0x00f0); // ATA-4 to ATA-7
  words.set(88, 0x003f | selected(88)); // Ultra DMA 0 to 5
}

export function identifyDisk(options: IdentifyDiskOptions): Uint8Array {
  const { totalSectors, geometry, current, multiple, writeCache, smart, trim } = options;
  const words = new Words();
  common(words, options);
  words.set(0, 0x0040); // a fixed disk
  words.set(1, geometry.cylinders);
  words.set(3, geometry.heads);
  words.set(6, geometry.sectors);
  words.set(47, 0x8000 | MULTIPLE_MAX);
  words.set(49, 0x0f00); // IORDY, LBA, DMA
  words.set(50, 0x4000);
  words.set(51, 0x0200);
  words.set(54, current.cylinders);
  words.set(55, current.heads);
  words.set(56, current.sectors);
  words.wide(57, Math.min(current.cylinders * current.heads * current.sectors, CHS_SECTORS_MAX));
  words.set(59, multiple === 0 ? 0 : 0x0100 | multiple);
  words.wide(60, Math.min(totalSectors, 0x0fffffff));
  // Command sets: NOP, write cache, power management, SMART; flush, 48-bit addresses; forced unit access.
  words.set(82, 0x4029);
  words.set(83, 0x7400);
  words.set(84, 0x4040);
  words.set(85, 0x4008 | (writeCache ? 0x20 : 0) | (smart ? 1 : 0));
  words.set(86, 0x3400);
  words.set(87, 0x4040);
  words.set(93, 0x6001); // 80-wire cable, device 0 by jumper
  words.wide(100, totalSectors, 4);
  if (trim) words.set(169, 1);
  words.set(217, 1); // nothing rotates
  return words.bytes;
}

export function identifyCd(options: IdentifyOptions): Uint8Array {
  const words = new Words();
  common(words, options);
  words.set(0, 0x85c0); // ATAPI, CD-ROM, removable, DRQ within 50 us, packets of 12 bytes
  words.set(49, 0x0f00);
  words.set(71, 30);
  words.set(72, 30);
  words.set(82, 0x4210); // NOP, DEVICE RESET, PACKET
  words.set(83, 0x4000);
  words.set(84, 0x4000);
  words.set(85, 0x4210);
  words.set(87, 0x4000);
  words.set(93, 0x6001);
  return words.bytes;
}
