// The drives of a machine with what is behind them: opened before it is made, closed after its end.
import type { Platform } from "../platform/platform.ts";
import type { BlockBackend, MaybePromise } from "./block.ts";
import type { DiskSource, DriveConfig } from "./device-config.ts";
import { isPromise } from "./maybe-promise.ts";

/** A drive whose image is open; without a backend it has no medium. */
export interface OpenDrive extends DriveConfig {
  readonly backend: BlockBackend | undefined;
}

export interface OpenDrives {
  readonly drives: readonly OpenDrive[];
  /** Closes what was opened here, not what the user brought along. Rejects with VmError("io") when data may be lost. */
  close(): Promise<void>;
}

/** Throws VmError when an image cannot be opened; then none stays open. */
export async function openDrives(configs: readonly DriveConfig[], platform: Platform): Promise<OpenDrives> {
  const drives: OpenDrive[] = [];
  const opened: BlockBackend[] = [];
  const close = async (): Promise<void> => {
    for (const backend of opened.splice(0)) await backend.close();
  };
  try {
    for (const config of configs) {
      let backend: BlockBackend | undefined;
      if (config.backend !== undefined && isSource(config.backend)) {
        const { media = "disk", readOnly } = config;
        const source = { media, floppy: config.bus === "floppy", ...(readOnly === undefined ? {} : { readOnly }) };
        backend = await platform.openDisk({ ...source, ...config.backend });
        opened.push(backend);
      } else {
        backend = config.backend;
      }
      drives.push({ ...config, backend });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { drives, close };
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
