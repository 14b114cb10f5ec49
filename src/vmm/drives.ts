// The drives of a machine with what is behind them: opened before it is made, closed after its end.
import type { Platform } from "../platform/platform.ts";
import type { BlockBackend, MaybePromise } from "./block.ts";
import type { DiskSource, DriveConfig } from "./device-config.ts";
import { VmError } from "./error.ts";
import { isPromise } from "./maybe-promise.ts";

/** A drive whose image is open; without a backend it has no medium. */
export interface OpenDrive extends DriveConfig {
  readonly backend: BlockBackend | undefined;
}

/** The drives of one machine. */
export class OpenDrives {
  readonly drives: OpenDrive[] = [];
  /** What was opened here, by drive; what the user brought along is the user's to close. */
  readonly #opened = new Map<string, BlockBackend>();

  private constructor(private readonly platform: Platform) {}

  /** Throws VmError when an image cannot be opened; then none stays open. */
  static async open(configs: readonly DriveConfig[], platform: Platform): Promise<OpenDrives> {
    const all = new OpenDrives(platform);
    try {
      for (const config of configs) await all.add(config);
    } catch (error) {
      await all.close();
      throw error;
    }
    return all;
  }

  async #backend(
    { media = "disk", bus, readOnly }: DriveConfig,
    backend: BlockBackend | DiskSource | undefined,
  ): Promise<BlockBackend | undefined> {
    if (backend === undefined || !isSource(backend)) return backend;
    const drive = { media, floppy: bus === "floppy", ...(readOnly === undefined ? {} : { readOnly }) };
    const { blob, path } = backend;
    if (blob !== undefined) {
      const { openBlobDisk } = await import("../backends/block/open-read-only.ts");
      return await openBlobDisk(blob, path, { ...drive, ...backend });
    }
    return await this.platform.openDisk({ ...drive, ...backend });
  }

  /** One more, whose image is opened. Throws VmError when it cannot be. */
  async add(config: DriveConfig): Promise<OpenDrive> {
    const backend = await this.#backend(config, config.backend);
    const drive = { ...config, backend };
    this.drives.push(drive);
    if (backend !== undefined && backend !== config.backend) this.#opened.set(config.id, backend);
    return drive;
  }

  /** The drive is gone; what was opened for it here is closed. Rejects with VmError("io") when data may be lost. */
  async remove(id: string): Promise<void> {
    const at = this.drives.findIndex((drive) => drive.id === id);
    if (at >= 0) this.drives.splice(at, 1);
    const opened = this.#opened.get(id);
    this.#opened.delete(id);
    await opened?.flush();
    await opened?.close();
  }

  /** Opens another medium and hands it to `insert`; what was opened for the drive before is closed. */
  async change(
    id: string,
    medium: BlockBackend | DiskSource | undefined,
    insert: (backend: BlockBackend | undefined) => void,
  ): Promise<void> {
    const config = this.drives.find((drive) => drive.id === id);
    const backend = config && (await this.#backend(config, medium));
    try {
      insert(backend);
    } catch (error) {
      if (backend !== medium) await backend?.close();
      throw error;
    }
    const before = this.#opened.get(id);
    this.#opened.delete(id);
    if (backend !== undefined && backend !== medium) this.#opened.set(id, backend);
    await before?.close();
  }

  /** What is behind a drive now. */
  backendOf(id: string): BlockBackend | undefined {
    return this.#opened.get(id) ?? this.drives.find((drive) => drive.id === id)?.backend;
  }

  /** Ids of those whose writes are gone at the end. */
  temporary(): string[] {
    return this.drives.filter(({ id }) => this.backendOf(id)?.temporary).map(({ id }) => id);
  }

  /** Throws VmError("bad-state") when a disk would not be there any more for whoever goes on with the machine. */
  requireLasting(verb: string): void {
    const lost = this.temporary();
    if (lost.length === 0) return;
    throw new VmError(
      "bad-state",
      `Cannot ${verb} a VM whose drives (${lost.join(", ")}) keep writes in a temporary overlay; give them an overlay file, or open them read-only.`,
      { drives: lost },
    );
  }

  /** Rejects with VmError("io") when data may be lost. */
  async close(): Promise<void> {
    const opened = [...this.#opened.values()];
    this.#opened.clear();
    for (const backend of opened) await backend.close();
  }
}

export function isSource(backend: BlockBackend | DiskSource): backend is DiskSource {
  return "path" in backend;
}

/**
 * The same disk, telling `hold` of work that goes on after the call. With a virtual clock the guest stands still until it
 * is done: how long a host needs for it must not be seen.
 */
export function heldBackend(backend: BlockBackend, hold: (work: Promise<void>) => void): BlockBackend {
  const held = (work: MaybePromise<void>): MaybePromise<void> => {
    if (isPromise(work)) hold(work);
    return work;
  };
  const { discard, writeZeroes } = backend;
  return {
    sizeBytes: backend.sizeBytes,
    readOnly: backend.readOnly,
    temporary: backend.temporary ?? false,
    read: (offset, into) => held(backend.read(offset, into)),
    write: (offset, from) => held(backend.write(offset, from)),
    flush: () => held(backend.flush()),
    ...(discard ? { discard: (offset: number, length: number) => held(discard.call(backend, offset, length)) } : {}),
    ...(writeZeroes
      ? { writeZeroes: (offset: number, length: number) => held(writeZeroes.call(backend, offset, length)) }
      : {}),
    close: () => backend.close(),
  };
}
