// Where things lie on a FAT volume (Microsoft FAT specification 1.03): sizes, boot sector, partition table.
const SECTOR = 512;
const MIB_SECTORS = 2048;

export interface FatGeometry {
  readonly bits: 12 | 16 | 32;
  /** Sectors before the volume: the partition table's track. 0 on a floppy. */
  readonly hiddenSectors: number;
  /** Of the volume. */
  readonly totalSectors: number;
  readonly sectorsPerCluster: number;
  readonly reservedSectors: number;
  readonly sectorsPerFat: number;
  readonly rootEntries: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
  readonly media: number;
  /** Data clusters; numbered from 2. */
  readonly clusters: number;
  /** Sector of cluster 2, from the volume's start. */
  readonly dataSector: number;
}

const FATS = 2;
const FAT32_RESERVED = 32;
/** 1008 cylinders of 16 heads and 63 sectors: the largest disk that needs no translation, 496 MiB. */
const SMALL_DISK_SECTORS = 1008 * 16 * 63;
const SMALL_CONTENT_BYTES = 440 << 20;
const ROOT_ENTRIES_MAX = 8192;

function layOut(fixed: Omit<FatGeometry, "sectorsPerFat" | "clusters" | "dataSector">): FatGeometry {
  const rootSectors = Math.ceil((fixed.rootEntries * 32) / SECTOR);
  let sectorsPerFat = 1;
  for (;;) {
    const dataSector = fixed.reservedSectors + FATS * sectorsPerFat + rootSectors;
    const clusters = Math.floor((fixed.totalSectors - dataSector) / fixed.sectorsPerCluster);
    const wanted = Math.ceil(((clusters + 2) * fixed.bits) / 8 / SECTOR);
    if (wanted <= sectorsPerFat) return { ...fixed, sectorsPerFat, clusters, dataSector };
    sectorsPerFat = wanted;
  }
}

/** A 1.44 MB floppy. */
export function floppyGeometry(): FatGeometry {
  return layOut({
    bits: 12,
    hiddenSectors: 0,
    totalSectors: 2880,
    sectorsPerCluster: 1,
    reservedSectors: 1,
    rootEntries: 224,
    heads: 2,
    sectorsPerTrack: 18,
    media: 0xf0,
  });
}

/** A hard disk with one partition that has room for the content and more. */
export function diskGeometry(contentBytes: number, rootEntries: number): FatGeometry {
  const common = { hiddenSectors: 63, sectorsPerTrack: 63, media: 0xf8 } as const;
  if (contentBytes <= SMALL_CONTENT_BYTES && rootEntries <= ROOT_ENTRIES_MAX) {
    return layOut({
      ...common,
      bits: 16,
      totalSectors: SMALL_DISK_SECTORS - common.hiddenSectors,
      sectorsPerCluster: 16,
      reservedSectors: 1,
      rootEntries: Math.max(512, Math.ceil(rootEntries / 16) * 16),
      heads: 16,
    });
  }
  const sectors = Math.ceil((contentBytes * 1.25) / SECTOR) + 512 * MIB_SECTORS;
  const gib = sectors / (1024 * MIB_SECTORS);
  return layOut({
    ...common,
    bits: 32,
    totalSectors: sectors,
    sectorsPerCluster: gib <= 8 ? 8 : gib <= 16 ? 16 : gib <= 32 ? 32 : 64,
    reservedSectors: FAT32_RESERVED,
    rootEntries: 0,
    heads: 255,
  });
}

/** INT 18h: the firmware goes on with the next boot device; and a halt should it come back. */
const NOT_BOOTABLE = [0xcd, 0x18, 0xf4, 0xeb, 0xfd];

function signed(sector: Uint8Array): Uint8Array {
  sector[510] = 0x55;
  sector[511] = 0xaa;
  return sector;
}

/** The volume's reserved sectors: boot sector, and on FAT32 its information sector and the copies of both. */
export function reservedArea(geometry: FatGeometry, serial: number, usedClusters: number): Uint8Array {
  const area = new Uint8Array(geometry.reservedSectors * SECTOR);
  const boot = bootSector(geometry, serial);
  area.set(boot, 0);
  if (geometry.bits !== 32) return area;
  const info = signed(new Uint8Array(SECTOR));
  const view = new DataView(info.buffer);
  view.setUint32(0, 0x41615252, true);
  view.setUint32(484, 0x61417272, true);
  view.setUint32(488, geometry.clusters - usedClusters, true);
  view.setUint32(492, 2 + usedClusters, true);
  area.set(info, SECTOR);
  area.set(boot, 6 * SECTOR);
  area.set(info, 7 * SECTOR);
  return area;
}

function bootSector(geometry: FatGeometry, serial: number): Uint8Array {
  const sector = signed(new Uint8Array(SECTOR));
  const view = new DataView(sector.buffer);
  const text = (at: number, value: string): void => sector.set(new TextEncoder().encode(value), at);
  const wide = geometry.bits === 32;
  const codeAt = wide ? 0x5a : 0x3e;
  sector.set([0xeb, codeAt - 2, 0x90], 0);
  text(3, "PARAVANE");
  view.setUint16(11, SECTOR, true);
  sector[13] = geometry.sectorsPerCluster;
  view.setUint16(14, geometry.reservedSectors, true);
  sector[16] = FATS;
  view.setUint16(17, geometry.rootEntries, true);
  const small = geometry.totalSectors < 0x10000 && !wide;
  view.setUint16(19, small ? geometry.totalSectors : 0, true);
  sector[21] = geometry.media;
  view.setUint16(22, wide ? 0 : geometry.sectorsPerFat, true);
  view.setUint16(24, geometry.sectorsPerTrack, true);
  view.setUint16(26, geometry.heads, true);
  view.setUint32(28, geometry.hiddenSectors, true);
  view.setUint32(32, small ? 0 : geometry.totalSectors, true);
  if (wide) {
    view.setUint32(36, geometry.sectorsPerFat, true);
    view.setUint32(44, 2, true); // the root directory's cluster
    view.setUint16(48, 1, true);
    view.setUint16(50, 6, true);
  }
  const extended = wide ? 64 : 36;
  sector[extended] = geometry.hiddenSectors === 0 ? 0x00 : 0x80;
  sector[extended + 2] = 0x29;
  view.setUint32(extended + 3, serial, true);
  text(extended + 7, VOLUME_LABEL);
  text(extended + 18, `FAT${geometry.bits}   `);
  sector.set(NOT_BOOTABLE, codeAt);
  return sector;
}

export const VOLUME_LABEL = "PARAVANE   ";

/** The first track: partition table with the volume as its only entry. */
export function partitionTrack(geometry: FatGeometry, serial: number): Uint8Array {
  const track = new Uint8Array(geometry.hiddenSectors * SECTOR);
  const mbr = signed(track.subarray(0, SECTOR));
  const view = new DataView(mbr.buffer);
  mbr.set(NOT_BOOTABLE, 0);
  view.setUint32(440, serial, true);
  const chs = (lba: number): number[] => {
    const cylinder = Math.floor(lba / (geometry.heads * 63));
    // What CHS cannot say is the largest address that it has.
    if (cylinder > 1023) return [254, 255, 255];
    return [Math.floor(lba / 63) % geometry.heads, ((cylinder >> 2) & 0xc0) | ((lba % 63) + 1), cylinder & 0xff];
  };
  mbr.set(chs(geometry.hiddenSectors), 447);
  mbr[450] = geometry.bits === 32 ? 0x0c : 0x06;
  mbr.set(chs(geometry.hiddenSectors + geometry.totalSectors - 1), 451);
  view.setUint32(454, geometry.hiddenSectors, true);
  view.setUint32(458, geometry.totalSectors, true);
  return track;
}
