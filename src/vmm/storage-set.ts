// The IDE and floppy drives of a board, for who controls them from the host.
import type { IdeDrive } from "../devices/ide/drive.ts";
import type { BlockBackend } from "./block.ts";
import type { Device } from "./device.ts";

/** A drive whose medium the host can change. */
export interface MediaDrive {
  /** Throws VmError("bad-state") while the guest has locked it, unless forced. */
  changeMedium(backend: BlockBackend | undefined, force?: boolean): void;
}

export interface StorageSet {
  readonly devices: readonly Device[];
  /** By the drive's id. */
  readonly media: ReadonlyMap<string, MediaDrive>;
  /** Drives whose rates can be limited, by id. */
  readonly limited: ReadonlyMap<string, IdeDrive>;
}

export const NO_STORAGE: StorageSet = { devices: [], media: new Map(), limited: new Map() };
