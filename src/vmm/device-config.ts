// What a configuration says of devices that have something of the host behind them.
import type { RateLimitOptions } from "../devices/token-bucket.ts";
import type { BlockBackend } from "./block.ts";

/** A disk image by name; the machine opens it, and closes it at its end. Not in pages. */
export interface DiskSource {
  readonly path: string;
  /** What the image is; "dir" makes a FAT volume of a directory. Default: what name and content agree on. */
  readonly format?: "raw" | "qcow2" | "dir";
  /** Writes are dropped at the end. Default false. */
  readonly snapshot?: boolean;
  /** Writes go to this qcow2 image, made unless it is there, and stay. */
  readonly overlay?: string;
}

export interface DriveConfig {
  /** Unique among the drives, 1 to 20 characters; the guest reads it as the serial number. */
  readonly id: string;
  /** The disk, or where to find it. A CD or floppy drive without one is empty. */
  readonly backend?: BlockBackend | DiskSource | undefined;
  readonly bus: "ide" | "floppy" | "virtio";
  /** "cdrom": a CD drive, on bus ide only. Default "disk". */
  readonly media?: "disk" | "cdrom";
  /** Place on the bus: ide 0 to 3 (master and slave, primary and secondary), floppy 0 to 1. Default: the first free. */
  readonly unit?: number;
  /** Refuses writes even where the backend would take them. Default false, for a CD true. */
  readonly readOnly?: boolean;
  /** Firmware tries lower ones first, and those without one last. */
  readonly bootIndex?: number;
  /** On bus virtio only. */
  readonly limits?: RateLimitOptions;
}

export interface BalloonConfig {
  /** The guest takes pages back rather than kill a process. Default true. */
  readonly deflateOnOom?: boolean;
  /** Milliseconds of guest time between statistics; 0 for none but when asked. Default 0. */
  readonly statisticsIntervalMs?: number;
  /** Bytes that the guest is to give up from the start. Default 0. */
  readonly targetBytes?: number;
}
