// What a snapshot says in words: configuration, state of the machine, origin. JSON, read with suspicion.
import type { MachineState } from "../vmm/machine-state.ts";
import { imagesOf, type SavedConfig } from "./config.ts";
import { checkDisk, imagesOfDisks, type SavedDisk } from "./disks.ts";
import { type Blob, checkBlob, hex, PAGE_BYTES, refuse } from "./format.ts";
import type { MemorySizes } from "./guest-pages.ts";
import { fromJson, toJson } from "./state-json.ts";

export interface ParentReference {
  /** Digest that the parent must have. */
  readonly id: string;
  /** Name in the store that it had when this snapshot was taken. */
  readonly name: string;
}

/** A boot image for a later reset, packed into the file. In an incremental snapshot only those that the parents lack. */
export interface ImageBlob extends Blob {
  /** SHA-256 of the image itself, hex. */
  readonly image: string;
}

export interface Manifest extends SavedConfig, MemorySizes {
  /** ISO 8601, from the host's clock; also what "now" is measured against. */
  readonly createdAt: string;
  readonly parent: ParentReference | null;
  readonly images: readonly ImageBlob[];
  readonly disks: readonly SavedDisk[];
  /** Checked by loadMachine. */
  readonly machine: MachineState;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const images = manifest.images.map((image) => ({ ...image, digest: hex(image.digest) }));
  return new TextEncoder().encode(toJson({ ...manifest, images }));
}

/** Throws VmError("bad-snapshot") naming the field. */
export function decodeManifest(bytes: Uint8Array, indexOffset: number): Manifest {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    refuse("manifest", "is not UTF-8", cause);
  }
  const raw = object(fromJson(text, "manifest"), "manifest");
  const parent = raw["parent"] === null ? null : object(raw["parent"], "parent");
  const manifest: Manifest = {
    createdAt: string(raw, "createdAt"),
    parent: parent === null ? null : { id: digest(parent, "id"), name: string(parent, "name") },
    ramBytes: pages(raw, "ramBytes"),
    // Machines had none before there were displays.
    vramBytes: raw["vramBytes"] === undefined ? 0 : pages(raw, "vramBytes"),
    romBytes: pages(raw, "romBytes"),
    config: object(raw["config"], "config"),
    external: list(raw["external"], "external").map((path) =>
      typeof path === "string" ? path : refuse("external", "is no list of names"),
    ),
    images: list(raw["images"], "images").map((item, i) => imageBlob(object(item, `images[${i}]`), indexOffset)),
    // Snapshots had none before.
    disks: list(raw["disks"] ?? [], "disks").map((item, i) => checkDisk(object(item, `disks[${i}]`), `disks[${i}]`)),
    machine: object(raw["machine"], "machine") as unknown as MachineState,
  };
  if (Number.isNaN(Date.parse(manifest.createdAt))) refuse("createdAt", "is no time");
  if (manifest.parent === null) {
    const have = new Set(manifest.images.map(({ image }) => image));
    for (const image of imagesOf(manifest)) if (!have.has(image)) refuse("images", `lack ${image}, which config needs`);
    for (const image of imagesOfDisks(manifest.disks))
      if (!have.has(image)) refuse("images", `lack ${image}, which disks need`);
  }
  return manifest;
}

function imageBlob(raw: Record<string, unknown>, indexOffset: number): ImageBlob {
  const blob = {
    image: digest(raw, "image"),
    offset: integer(raw, "offset"),
    storedBytes: integer(raw, "storedBytes"),
    method: integer(raw, "method"),
    sizeBytes: integer(raw, "sizeBytes"),
    digest: Uint8Array.from(digest(raw, "digest").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
  };
  checkBlob(blob, `image ${blob.image}`, indexOffset);
  return blob;
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    refuse(field, "is not an object");
  }
  return value as Record<string, unknown>;
}
function list(value: unknown, field: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(field, "is not a list");
}
function string(raw: Record<string, unknown>, field: string): string {
  const value = raw[field];
  return typeof value === "string" ? value : refuse(field, "is not text");
}
function digest(raw: Record<string, unknown>, field: string): string {
  const value = string(raw, field);
  return /^[0-9a-f]{64}$/.test(value) ? value : refuse(field, "is not a SHA-256 digest");
}
function integer(raw: Record<string, unknown>, field: string): number {
  const value = raw[field];
  return Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : refuse(field, "is not a whole number");
}
function pages(raw: Record<string, unknown>, field: string): number {
  const value = integer(raw, field);
  return value % PAGE_BYTES === 0 && value <= 0xffffffff ? value : refuse(field, "is not a size of memory");
}
