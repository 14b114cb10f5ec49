// A floppy drive with its medium: formats, head position, disk change line.
import type { BlockBackend } from "../../vmm/block.ts";
import { VmError } from "../../vmm/error.ts";

export interface FloppyFormat {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
  /** Data rate as DSR and CCR number it: 0 500, 1 300, 2 250, 3 1000 kbit/s. */
  readonly rate: number;
  /** The drive it is made for, as CMOS numbers drives. */
  readonly drive: FloppyType;
}

/** CMOS register 10h: 1.2 MB 5.25", 1.44 MB 3.5", 2.88 MB 3.5". */
export type FloppyType = 2 | 4 | 5;

const SECTOR_BYTES = 512;
const FORMATS: readonly FloppyFormat[] = [
  { cylinders: 80, heads: 2, sectors: 18, rate: 0, drive: 4 },
  { cylinders: 80, heads: 2, sectors: 36, rate: 3, drive: 5 },
  { cylinders: 80, heads: 2, sectors: 15, rate: 0, drive: 2 },
  { cylinders: 80, heads: 2, sectors: 9, rate: 2, drive: 4 },
  { cylinders: 40, heads: 2, sectors: 9, rate: 1, drive: 2 },
  { cylinders: 40, heads: 2, sectors: 8, rate: 1, drive: 2 },
  { cylinders: 40, heads: 1, sectors: 9, rate: 1, drive: 2 },
  { cylinders: 40, heads: 1, sectors: 8, rate: 1, drive: 2 },
  // More than the standard says, and quite common.
  { cylinders: 80, heads: 2, sectors: 21, rate: 0, drive: 4 },
  { cylinders: 82, heads: 2, sectors: 21, rate: 0, drive: 4 },
  { cylinders: 83, heads: 2, sectors: 21, rate: 0, drive: 4 },
];
const HIGH_DENSITY = FORMATS[0] as FloppyFormat;

function bytesOf({ cylinders, heads, sectors }: FloppyFormat): number {
  return cylinders * heads * sectors * SECTOR_BYTES;
}

/** The format of an image; a short one is the beginning of a 1.44 MB disk. Throws VmError("bad-image"). */
export function floppyFormat(sizeBytes: number, name: string): FloppyFormat {
  const exact = FORMATS.find((format) => bytesOf(format) === sizeBytes);
  if (exact !== undefined) return exact;
  if (sizeBytes < bytesOf(HIGH_DENSITY)) return HIGH_DENSITY;
  throw new VmError(
    "bad-image",
    `The image of drive ${name} has ${sizeBytes} bytes, which no floppy has; 1474560 (1.44 MB), 2949120, 1228800, 737280 and 368640 are usual.`,
    { name, sizeBytes },
  );
}

export interface FloppyDriveOptions {
  readonly id: string;
  readonly backend: BlockBackend | undefined;
  readonly readOnly: boolean;
}

export class FloppyDrive {
  /** Of the first medium; a 1.44 MB drive while there was none. */
  readonly type: FloppyType;
  #backend: BlockBackend | undefined;
  #format: FloppyFormat = HIGH_DENSITY;
  #readOnly: boolean;
  /** Where the head is. */
  track = 0;
  /** The DSKCHG line: until the head moves with a medium in the drive. */
  changed = true;

  constructor(private readonly options: FloppyDriveOptions) {
    this.#readOnly = options.readOnly;
    this.#insert(options.backend);
    this.type = this.#format.drive;
  }

  /** Puts a disk in, or takes it out (undefined). Throws VmError("bad-image") for a size that no floppy has. */
  changeMedium(backend: BlockBackend | undefined): void {
    this.#insert(backend);
    this.#readOnly = false;
    this.changed = true;
  }

  #insert(backend: BlockBackend | undefined): void {
    if (backend !== undefined) this.#format = floppyFormat(backend.sizeBytes, this.options.id);
    this.#backend = backend;
  }

  get backend(): BlockBackend | undefined {
    return this.#backend;
  }
  get format(): FloppyFormat {
    return this.#format;
  }
  get writeProtected(): boolean {
    return this.#readOnly || (this.#backend?.readOnly ?? false);
  }

  seek(track: number): void {
    this.track = Math.min(track, this.#format.cylinders + 2);
    if (this.#backend !== undefined) this.changed = false;
  }

  /** Byte offset of a sector (from 1), undefined where the disk has none. */
  offsetOf(cylinder: number, head: number, sector: number): number | undefined {
    const { cylinders, heads, sectors } = this.#format;
    if (cylinder >= cylinders || head >= heads || sector < 1 || sector > sectors) return undefined;
    return ((cylinder * heads + head) * sectors + sector - 1) * SECTOR_BYTES;
  }
}
