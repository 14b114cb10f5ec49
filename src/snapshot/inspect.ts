// What a snapshot is, for people and programs, and whether all of it can be read.
import { loadPlatform } from "../platform/platform.ts";
import { openFile, SnapshotChain } from "./chain.ts";
import { externalOf, imagesOfDisks, reportDisk } from "./disks.ts";
import { countPages, FORMAT_VERSION, PAGE_BYTES } from "./format.ts";
import type { ImageBlob, Manifest } from "./manifest.ts";
import type { SnapshotName } from "./restore.ts";

/** Plain data; `paravane snapshot inspect --json` prints it. */
export interface SnapshotReport {
  readonly name: string;
  readonly id: string;
  readonly formatVersion: number;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly parent: { readonly name: string; readonly id: string } | null;
  /** Guest memory: all of it, and what of it is in this file. */
  readonly memoryBytes: number;
  readonly videoMemoryBytes: number;
  readonly romBytes: number;
  readonly storedMemoryBytes: number;
  /** Without images and what only the host had. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Fields that must be given to restore it. */
  readonly external: readonly string[];
  readonly images: readonly { readonly sha256: string; readonly sizeBytes: number }[];
  /** Disks whose content it has, or what lies above it. */
  readonly disks: readonly {
    readonly drive: string;
    readonly kind: "overlay" | "whole";
    readonly sizeBytes: number;
    readonly savedBytes: number;
  }[];
  readonly clock: { readonly kind: string; readonly guestSeconds: number };
  readonly cpuFeatures: readonly string[];
  readonly devices: Readonly<Record<string, number>>;
}

/** Reads one file's frame and manifest; its parents need not be there. Throws VmError as `Vm.restore` does. */
export async function inspectSnapshot({ store, name }: SnapshotName): Promise<SnapshotReport> {
  const file = await openFile(store, name, await loadPlatform());
  await file.source.close();
  const { manifest, rows } = file;
  const { machine } = manifest;
  return {
    name,
    id: file.id,
    formatVersion: FORMAT_VERSION,
    sizeBytes: file.sizeBytes,
    createdAt: manifest.createdAt,
    parent: manifest.parent,
    memoryBytes: manifest.ramBytes,
    videoMemoryBytes: manifest.vramBytes,
    romBytes: manifest.romBytes,
    storedMemoryBytes: rows.reduce((sum, row) => sum + countPages(row.present), 0) * PAGE_BYTES,
    config: manifest.config,
    external: externalOf(manifest),
    images: bootImages(manifest).map(({ image, sizeBytes }) => ({ sha256: image, sizeBytes })),
    disks: manifest.disks.map(reportDisk),
    // What of the machine's state is not as it should be shows when it is restored; here it is left out.
    clock: { kind: String(machine.clock?.kind), guestSeconds: Number(machine.clock?.nowNs) / 1e9 },
    cpuFeatures: Array.isArray(machine.cpu?.features) ? machine.cpu.features : [],
    devices: Object.fromEntries(
      Object.entries(machine.devices ?? {}).map(([device, saved]) => [device, Number(saved?.version)]),
    ),
  };
}

function bootImages({ images, disks }: Manifest): readonly ImageBlob[] {
  const pieces = imagesOfDisks(disks);
  return images.filter(({ image }) => !pieces.has(image));
}

/** Reads and unpacks every byte of a snapshot and its parents. Throws VmError naming what is damaged or missing. */
export async function verifySnapshot({ store, name }: SnapshotName): Promise<{ readonly files: readonly string[] }> {
  const chain = await SnapshotChain.open(store, name, await loadPlatform());
  try {
    await chain.verify();
    return { files: chain.files.map((file) => file.name) };
  } finally {
    await chain.close();
  }
}
