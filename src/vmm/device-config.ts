// What a configuration says of devices that have something of the host behind them.
import type { RateLimitChange, RateLimitOptions } from "../devices/token-bucket.ts";
import type { InputKind } from "../devices/virtio/input.ts";
import type { BlockBackend } from "./block.ts";
import type { ByteBackend } from "./device.ts";
import type { FileTree } from "./file-tree.ts";
import type { NetworkBackend, NetworkSource } from "./network.ts";
import type { VsockBackend } from "./vsock.ts";

/** A disk image by name; the machine opens it, and closes it at its end. */
export interface DiskSource {
  /** A file of the host; in a page, an address that the image is fetched from piece by piece. */
  readonly path: string;
  /** The image itself, and `path` is but its name. What the guest writes goes to memory, and is dropped at the end. */
  readonly blob?: Blob;
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
  readonly bus: "ide" | "floppy" | "virtio" | "hypercall";
  /** "cdrom": a CD drive, on bus ide only. Default "disk". */
  readonly media?: "disk" | "cdrom";
  /** Place on the bus: ide 0 to 3 (master and slave, primary and secondary), floppy 0 to 1. Default: the first free. */
  readonly unit?: number;
  /** Refuses writes even where the backend would take them. Default false, for a CD true. */
  readonly readOnly?: boolean;
  /** Firmware tries lower ones first, and those without one last. */
  readonly bootIndex?: number;
  /** In place of `limits.disks` of the VM. Not for floppies. */
  readonly limits?: RateLimitOptions;
}

/** Rate limits by what they limit: each device has its own, they do not share one. */
export interface VmLimits {
  /** What each serial port and each port of the virtio console prints. */
  readonly console?: RateLimitOptions;
  readonly disks?: RateLimitOptions;
  /** Each network card, in each direction. */
  readonly network?: RateLimitOptions;
  /** Of one drive or network card, by its id, in place of what its kind has; null is no limit. */
  readonly devices?: Readonly<Record<string, RateLimitChange>>;
}

/** Limits that change; what is left out stays. Null takes all limits of a kind away, or the own ones of a device. */
export interface VmLimitsChange {
  readonly console?: RateLimitChange | null;
  readonly disks?: RateLimitChange | null;
  readonly network?: RateLimitChange | null;
  readonly devices?: Readonly<Record<string, RateLimitChange | null>>;
}

export interface BalloonConfig {
  /** The guest takes pages back rather than kill a process. Default true. */
  readonly deflateOnOom?: boolean;
  /** Milliseconds of guest time between statistics; 0 for none but when asked. Default 0. */
  readonly statisticsIntervalMs?: number;
  /** Bytes that the guest is to give up from the start. Default 0. */
  readonly targetBytes?: number;
}

export interface NicConfig {
  /** Unique among the cards. */
  readonly id: string;
  /** The network, or what to connect the card to. */
  readonly backend: NetworkBackend | NetworkSource;
  /** "rtl8139" is the C+, "rtl8139d" one without its second mode. */
  readonly model: "virtio" | "rtl8139" | "rtl8139d";
  /** Place, 0 to 7. Default: the first free. */
  readonly unit?: number;
  /** "02:70:76:00:00:01" and so on by default: each card of a machine another, each machine the same. */
  readonly mac?: string;
  /** Largest packet in bytes, 68 to 65535; the guest's own default otherwise. */
  readonly mtu?: number;
  /** Frames that arrive have correct checksums for certain (links without errors, guest to guest). Default false. */
  readonly trustedChecksums?: boolean;
  readonly receiveLimits?: RateLimitOptions;
  readonly transmitLimits?: RateLimitOptions;
  /** Option ROM of the card, which firmware runs to boot over the network. Default none. */
  readonly bootRom?: Uint8Array;
  /** Firmware tries lower ones first, among drives and cards that have one. */
  readonly bootIndex?: number;
  /** File that gets everything that passes the card, for tcpdump (pcap). Default none. */
  readonly capture?: string;
}

/** A port of the virtio console. */
export interface ConsoleConfig {
  readonly backend: ByteBackend;
  /** "console" is a terminal (/dev/hvc0 and on), "stream" bytes for programs (/dev/vport0p1 and on). Default "console". */
  readonly kind?: "console" | "stream";
  /** What the guest finds it by in /sys/class/virtio-ports. */
  readonly name?: string;
}

export interface ShareConfig {
  /** What the guest mounts: `mount -t 9p -o trans=virtio,version=9p2000.L TAG DIRECTORY`. */
  readonly tag: string;
  readonly tree: FileTree;
}

export interface VsockConfig {
  /** Default 3. */
  readonly guestCid?: number;
  readonly backend: VsockBackend;
}

export type { InputKind };
