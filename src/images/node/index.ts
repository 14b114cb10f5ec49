// The guest images that `paravane images` and `paravane run NAME` know.
import { rm } from "node:fs/promises";
import { VmError } from "../../vmm/error.ts";
import type { BuiltImage } from "./built-image.ts";
import { type FileRecord, ImageCache, type ImageManifest, sha256 } from "./cache.ts";
import { buildGuestImage, type GuestImageOptions, guestImageDigest } from "./guest-image.ts";
import type { SourceOptions } from "./packages.ts";
import { imageSets } from "./sets.ts";

export { defaultCacheRoot, ImageCache } from "./cache.ts";
export type { GuestImageOptions } from "./guest-image.ts";
export type { Progress } from "./packages.ts";

const FIRST_RECIPE = 1;

export interface PullOptions extends SourceOptions {
  /** Make it again although it is there. */
  readonly force?: boolean | undefined;
  readonly cache?: ImageCache;
}

export interface ImageEntry {
  readonly name: string;
  readonly title: string;
  readonly sizeBytes: number;
  /** Hex SHA-256 over the digests of its files. */
  readonly digest: string;
  readonly createdMs: number;
  /** Packages and versions. */
  readonly source: string;
}

export interface OpenedImage {
  /** How `prepareBoot` starts it; with "firmware", `kernel` is the firmware image. */
  readonly kind: "linux" | "firmware";
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly append: string;
  readonly memoryBytes?: number;
  readonly cpu?: string;
  /** It is used through its screen. */
  readonly display?: "vga";
}

/** A disk that firmware boots. */
export interface OpenedDisk {
  /** A qcow2 image in the cache. What a guest writes belongs into an overlay. */
  readonly path: string;
  readonly memoryBytes?: number;
}

export interface KnownImage {
  readonly name: string;
  readonly title: string;
  /** "yes": by `openImage`; "disk": by `openDiskImage` and firmware; "no": its files are parts of machines. */
  readonly runs: "yes" | "disk" | "no";
}

export const knownImages: readonly KnownImage[] = imageSets.map(({ name, title, runs = "yes" }) => ({
  name,
  title,
  runs,
}));

/**
 * Fetches or builds an image unless it is in the cache and intact.
 * Throws VmError("not-found" | "host" | "bad-config") with the next step in its message.
 */
export async function pullImage(name: string, options: PullOptions = {}): Promise<ImageEntry> {
  const set = imageSets.find((candidate) => candidate.name === name);
  if (!set) throw unknownImage(name);
  const { title, recipe } = set;
  const made = { name, title, ...(recipe === undefined ? {} : { recipe }) };
  return await pull(made, (directory) => set.build(directory, options), options);
}

/**
 * The same for an image of one's own: a Linux guest with Debian packages and kernel modules in its initramfs, kept
 * under `name`, which must not be a known image's. One that was made of something else is made anew.
 */
export async function pullGuestImage(name: string, options: GuestImageOptions & PullOptions): Promise<ImageEntry> {
  if (!/^[\w.+-]+$/.test(name) || knownImages.some((image) => image.name === name)) {
    throw new VmError(
      "bad-config",
      `"${name}" cannot name an image of one's own: letters, digits, ".", "+", "-" and "_" are accepted, and no known image's name.`,
      { name },
    );
  }
  const title = `Linux with ${[...(options.packages ?? []), ...(options.modules ?? [])].join(", ") || "a busybox shell"}`;
  const made = { name, title, options: guestImageDigest(options) };
  return await pull(made, (directory) => buildGuestImage(directory, options), options);
}

async function pull(
  made: Pick<ImageManifest, "name" | "title" | "recipe" | "options">,
  build: (directory: string) => Promise<BuiltImage>,
  options: PullOptions,
): Promise<ImageEntry> {
  const cache = options.cache ?? new ImageCache();
  const { name } = made;
  if (!options.force) {
    const present = await intactManifest(cache, name);
    if (present && present.options === made.options) return entryOf(present);
  }
  const directory = await cache.workDirectory(name.replace(/[^\w-]/g, ""));
  try {
    const built = await build(directory);
    options.onProgress?.({ phase: "writing the image" });
    const files: Record<string, FileRecord> = {};
    for (const [file, bytes] of Object.entries(built.files)) files[file] = await cache.put(bytes);
    for (const [file, path] of Object.entries(built.largeFiles ?? {})) files[file] = await cache.move(path);
    const { kind, source, append, memoryBytes, display } = built;
    const manifest: ImageManifest = {
      format: 1,
      ...made,
      kind,
      createdMs: Date.now(),
      source,
      files,
      append,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(display === undefined ? {} : { display }),
    };
    await cache.writeManifest(manifest);
    return entryOf(manifest);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A damaged image counts as absent: pulling is how one repairs it. */
async function intactManifest(cache: ImageCache, name: string): Promise<ImageManifest | undefined> {
  try {
    const manifest = await cache.readManifest(name);
    if (!manifest || isOutdated(manifest)) return undefined;
    for (const [file, record] of Object.entries(manifest.files)) await cache.verify(name, file, record);
    return manifest;
  } catch (error) {
    if (error instanceof VmError && error.code === "bad-image") return undefined;
    throw error;
  }
}

/** What is in the cache, by name. */
export async function listImages(cache = new ImageCache()): Promise<ImageEntry[]> {
  return (await cache.manifests()).map(entryOf);
}

/** Whether it was there. */
export async function removeImage(name: string, cache = new ImageCache()): Promise<boolean> {
  return await cache.remove(name);
}

/** Throws VmError("not-found") when it has not been pulled, VmError("bad-image") when it is damaged or a disk. */
export async function openImage(name: string, cache = new ImageCache()): Promise<OpenedImage> {
  const manifest = await requireManifest(name, cache);
  const { kind, append, memoryBytes, display } = manifest;
  if (kind === "disk" || kind === "roms") {
    const what = kind === "disk" ? "a disk, which firmware boots" : "for network cards, which --boot n gives it to";
    throw new VmError("bad-image", `The image ${name} is ${what}; there is no kernel in it.`, { name });
  }
  const kernel = await readImageFile(name, kind === "firmware" ? "firmware" : "kernel", cache);
  const initrd = manifest.files.initrd === undefined ? {} : { initrd: await readImageFile(name, "initrd", cache) };
  const needs = {
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(display === undefined ? {} : { display }),
  };
  return { kind, kernel, append, ...initrd, ...needs };
}

/** Throws as `openImage` does, and for an image that is no disk. */
export async function openDiskImage(name: string, cache = new ImageCache()): Promise<OpenedDisk> {
  const { files, memoryBytes } = await requireManifest(name, cache);
  if (files.disk === undefined) throw new VmError("bad-image", `The image ${name} is no disk.`, { name });
  const path = await cache.verify(name, "disk", files.disk);
  return { path, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
}

/** One file of an image: "kernel", "initrd", "firmware", "vgabios". Throws as `openImage` does. */
export async function readImageFile(name: string, file: string, cache = new ImageCache()): Promise<Uint8Array> {
  const manifest = await requireManifest(name, cache);
  const record = manifest.files[file];
  if (!record) {
    throw new VmError(
      "not-found",
      `The image ${name} has no file "${file}"; it has ${Object.keys(manifest.files).join(", ")}.`,
      { name, file },
    );
  }
  return await cache.get(name, file, record);
}

/** Of a known image, made in another way than now. */
function isOutdated({ name, recipe = FIRST_RECIPE }: ImageManifest): boolean {
  const set = imageSets.find((candidate) => candidate.name === name);
  return set !== undefined && (set.recipe ?? FIRST_RECIPE) !== recipe;
}

async function requireManifest(name: string, cache: ImageCache): Promise<ImageManifest> {
  const manifest = await cache.readManifest(name);
  if (manifest && !isOutdated(manifest)) return manifest;
  if (!knownImages.some((image) => image.name === name)) throw unknownImage(name);
  throw new VmError(
    "not-found",
    `The image ${name} is ${manifest ? "an older one than this version makes" : "not in the cache"}; run "paravane images pull ${name}".`,
    {
      name,
    },
  );
}

function unknownImage(name: string): VmError {
  return new VmError(
    "not-found",
    `There is no image "${name}"; ${knownImages.map((image) => image.name).join(", ")} can be pulled.`,
    { name },
  );
}

function entryOf(manifest: ImageManifest): ImageEntry {
  const files = Object.entries(manifest.files).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    name: manifest.name,
    title: manifest.title,
    sizeBytes: files.reduce((sum, [, file]) => sum + file.sizeBytes, 0),
    digest: sha256(Buffer.from(files.map(([file, record]) => `${file} ${record.digest}\n`).join(""))),
    createdMs: manifest.createdMs,
    source: manifest.source,
  };
}
