// The cache of guest images: files under the name of their SHA-256, and a manifest an image. Everything is verified
// each time it is read, and written under a temporary name first, so an interrupted or parallel pull does no harm.
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { VmError } from "../../vmm/error.ts";

export interface FileRecord {
  /** Hex SHA-256. */
  readonly digest: string;
  readonly sizeBytes: number;
}

const IMAGE_KINDS = ["linux", "firmware", "disk", "roms"] as const;
/** How it is started; "roms" are parts of machines. */
export type ImageKind = (typeof IMAGE_KINDS)[number];

/** What an image is made of and where it came from. `format` changes when older readers would misread it. */
export interface ImageManifest {
  readonly format: 1;
  readonly name: string;
  readonly title: string;
  /** Which of the ways in which the image was made over time; 1 where it does not say. */
  readonly recipe?: number;
  /** Digest of what an image of one's own was asked to be made of. */
  readonly options?: string;
  readonly kind: ImageKind;
  readonly createdMs: number;
  /** Packages and versions, for people. */
  readonly source: string;
  /** "kernel" and "initrd", or "firmware", or "disk"; and more that the image brings along. */
  readonly files: Readonly<Record<string, FileRecord>>;
  readonly append: string;
  readonly memoryBytes?: number;
  readonly display?: "vga";
}

const READ_BYTES = 1 << 20;
const HEX_DIGEST = /^[0-9a-f]{64}$/;

/** $PARAVANE_CACHE, else paravane in $XDG_CACHE_HOME, else in ~/.cache. */
export function defaultCacheRoot(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.PARAVANE_CACHE) return env.PARAVANE_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "paravane");
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export class ImageCache {
  readonly root: string;

  constructor(root: string = defaultCacheRoot()) {
    this.root = resolve(root);
  }

  /** Keeps the bytes; the same bytes are kept once. */
  async put(bytes: Uint8Array): Promise<FileRecord> {
    const digest = sha256(bytes);
    await this.#writeAtomically(this.#blobPath(digest), bytes);
    return { digest, sizeBytes: bytes.length };
  }

  /** Keeps a file, which is gone from where it was. */
  async move(path: string): Promise<FileRecord> {
    const { digest, sizeBytes } = await digestOfFile(path);
    const target = this.#blobPath(digest);
    await this.#mkdir(join(target, ".."));
    await rename(path, target);
    return { digest, sizeBytes };
  }

  /** Throws VmError("bad-image") when the file is missing or no longer what its digest says. */
  async get(image: string, file: string, record: FileRecord): Promise<Uint8Array> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#blobPath(record.digest));
    } catch (cause) {
      throw missing(image, file, cause);
    }
    checkDigest(image, file, record, sha256(bytes));
    return bytes;
  }

  /** Where a file is that is not read into memory. Throws as `get` does. */
  async verify(image: string, file: string, record: FileRecord): Promise<string> {
    const path = this.#blobPath(record.digest);
    let found: FileRecord;
    try {
      found = await digestOfFile(path);
    } catch (cause) {
      throw missing(image, file, cause);
    }
    checkDigest(image, file, record, found.digest);
    return path;
  }

  async writeManifest(manifest: ImageManifest): Promise<void> {
    await this.#writeAtomically(
      this.#manifestPath(manifest.name),
      Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`),
    );
  }

  /** Undefined when there is none. Throws VmError("bad-image") when there is one that cannot be understood. */
  async readManifest(name: string): Promise<ImageManifest | undefined> {
    let content: string;
    try {
      content = await readFile(this.#manifestPath(name), "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new VmError(
        "host",
        `The manifest of image ${name} cannot be read: ${(cause as Error).message}.`,
        { name },
        { cause },
      );
    }
    const manifest = parseManifest(content);
    if (!manifest) {
      throw new VmError(
        "bad-image",
        `The manifest of image ${name} is damaged or of another version; run "paravane images pull ${name} --force".`,
        { name },
      );
    }
    return manifest;
  }

  /** The images that have a manifest, by name; damaged ones are left out. */
  async manifests(): Promise<ImageManifest[]> {
    const found: ImageManifest[] = [];
    for (const file of await this.#list("images")) {
      if (!file.endsWith(".json")) continue;
      const manifest = parseManifest(await readFile(join(this.root, "images", file), "utf8"));
      if (manifest) found.push(manifest);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whether there was one. Files that no other image uses go with it. */
  async remove(name: string): Promise<boolean> {
    const existed = await stat(this.#manifestPath(name)).then(
      () => true,
      () => false,
    );
    if (!existed) return false;
    await rm(this.#manifestPath(name), { force: true });
    const used = new Set(
      (await this.manifests()).flatMap((manifest) => Object.values(manifest.files).map((file) => file.digest)),
    );
    for (const digest of await this.#list("blobs")) {
      if (HEX_DIGEST.test(digest) && !used.has(digest)) await rm(this.#blobPath(digest), { force: true });
    }
    return true;
  }

  /** A directory for work in progress; the caller removes it. */
  async workDirectory(name: string): Promise<string> {
    const path = join(this.root, "work", `${name}-${randomUUID().slice(0, 8)}`);
    await this.#mkdir(path);
    return path;
  }

  #blobPath(digest: string): string {
    return join(this.root, "blobs", digest);
  }

  #manifestPath(name: string): string {
    return join(this.root, "images", `${name}.json`);
  }

  async #list(directory: string): Promise<string[]> {
    return await readdir(join(this.root, directory)).catch(() => []);
  }

  async #mkdir(path: string): Promise<void> {
    try {
      await makeFolder(path);
    } catch (cause) {
      throw new VmError(
        "host",
        `The image cache ${this.root} cannot be written (${(cause as Error).message}); set PARAVANE_CACHE to a directory that can.`,
        { root: this.root },
        { cause },
      );
    }
  }

  async #writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
    await this.#mkdir(join(path, ".."));
    const temporary = `${path}.${randomUUID().slice(0, 8)}.part`;
    try {
      await writeFile(temporary, bytes);
      await rename(temporary, path);
    } catch (cause) {
      await rm(temporary, { force: true });
      throw new VmError(
        "host",
        `The image cache ${this.root} cannot be written: ${(cause as Error).message}.`,
        { path },
        { cause },
      );
    }
  }
}

/** As mkdir with `recursive`, which in Node 20 never ends where a file system such as /proc says ENOENT to all. */
async function makeFolder(path: string): Promise<void> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  try {
    await mkdir(path);
  } catch (error) {
    // Somebody else may make the same one.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

async function digestOfFile(path: string): Promise<FileRecord> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { digest: hash.digest("hex"), sizeBytes };
}

const repair = (image: string): string => `run "paravane images pull ${image} --force"`;

function missing(image: string, file: string, cause: unknown): VmError {
  return new VmError(
    "bad-image",
    `The ${file} of image ${image} is missing from the cache; ${repair(image)}.`,
    { image, file },
    { cause },
  );
}

function checkDigest(image: string, file: string, record: FileRecord, found: string): void {
  if (found === record.digest) return;
  throw new VmError(
    "bad-image",
    `The ${file} of image ${image} is damaged: its SHA-256 is ${found.slice(0, 12)} and should be ${record.digest.slice(0, 12)}; ${repair(image)}.`,
    { image, file, found, expected: record.digest },
  );
}

function parseManifest(content: string): ImageManifest | undefined {
  let value: Partial<ImageManifest> | null;
  try {
    value = JSON.parse(content) as Partial<ImageManifest> | null;
  } catch {
    return undefined;
  }
  const isRecord = (file: unknown): boolean => {
    const record = file as Partial<FileRecord> | null;
    return typeof record?.digest === "string" && HEX_DIGEST.test(record.digest) && typeof record.sizeBytes === "number";
  };
  const valid =
    value?.format === 1 &&
    typeof value.name === "string" &&
    typeof value.append === "string" &&
    IMAGE_KINDS.some((kind) => kind === value.kind) &&
    (value.display === undefined || value.display === "vga") &&
    typeof value.files === "object" &&
    value.files !== null &&
    Object.values(value.files).every(isRecord);
  return valid ? (value as ImageManifest) : undefined;
}
