// Raw images: the bytes of the disk, as they are. Also CD images (ISO 9660 and others), whose sectors have 2048 bytes.
import type { BlockBackend, MaybePromise } from "../../vmm/block.ts";
import { checkRange, checkWritable, MemoryFile, type RandomAccessFile } from "./random-access.ts";

export const DISK_SECTOR_BYTES = 512;
export const CD_SECTOR_BYTES = 2048;

export interface RawOptions {
  readonly readOnly?: boolean;
  /** A last sector that the file does not fill reads as if zeros followed. Default 512. */
  readonly sectorBytes?: typeof DISK_SECTOR_BYTES | typeof CD_SECTOR_BYTES;
}

export class RawDisk implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;

  /** The file's present size is the disk's. */
  constructor(
    private readonly file: RandomAccessFile,
    options: RawOptions = {},
  ) {
    const sector = options.sectorBytes ?? DISK_SECTOR_BYTES;
    this.sizeBytes = Math.ceil(file.sizeBytes / sector) * sector;
    this.readOnly = options.readOnly ?? file.readOnly;
  }

  read(offset: number, into: Uint8Array): MaybePromise<void> {
    checkRange(this.file.name, this.sizeBytes, offset, into.length);
    return this.file.read(offset, into);
  }

  write(offset: number, from: Uint8Array): MaybePromise<void> {
    checkWritable(this.file.name, this.readOnly);
    checkRange(this.file.name, this.sizeBytes, offset, from.length);
    return this.file.write(offset, from);
  }

  flush(): MaybePromise<void> {
    return this.readOnly ? undefined : this.file.flush();
  }

  close(): MaybePromise<void> {
    return this.file.close();
  }
}

/** A disk in memory: of so many bytes of zeros, or with this content. */
export function memoryDisk(content: Uint8Array | number, options: RawOptions = {}): RawDisk {
  return new RawDisk(new MemoryFile(content), options);
}

/** A CD from a whole image. */
export function memoryCd(image: Uint8Array): RawDisk {
  return new RawDisk(new MemoryFile(image), { readOnly: true, sectorBytes: CD_SECTOR_BYTES });
}
