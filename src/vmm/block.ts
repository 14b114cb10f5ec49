// Block storage as a disk device sees it. Devices (IDE, ATAPI, floppy, virtio-blk) take one of these; files, qcow2 images,
// overlays and memory are backends (src/backends/block/). The VM wires them.

/** Nothing when the work is done on return, a promise when it goes on: the guest sees the completion when it settles. */
export type MaybePromise<T> = T | Promise<T>;

export interface BlockBackend {
  /** Multiple of 512. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** What was written is gone once the backend is closed, flushed or not. */
  readonly temporary?: boolean;
  /** Fills `into` from byte `offset`; both multiples of 512, within the size. Rejects or throws VmError("io"). */
  read(offset: number, into: Uint8Array): MaybePromise<void>;
  write(offset: number, from: Uint8Array): MaybePromise<void>;
  /** Afterwards everything written before survives a crash of the host. */
  flush(): MaybePromise<void>;
  /** The range reads as zeros afterwards, or is left as it was where the format cannot say so. */
  discard?(offset: number, lengthBytes: number): MaybePromise<void>;
  /** Reads as zeros afterwards, in any case. */
  writeZeroes?(offset: number, lengthBytes: number): MaybePromise<void>;
  close(): MaybePromise<void>;
  /** What a temporary disk has of its own, which snapshots take along. */
  readonly overlay?: OverlayContent;
}

/** Of a disk in pieces: what each write copies at least of the disk below. */
export const OVERLAY_CLUSTER_BYTES = 65536;

export interface OverlayContent {
  /** The disk as it is now, whatever is written later. Close it soon: what changes meanwhile is kept twice. */
  freeze(): FrozenDisk;
  /** Before anybody else uses the disk. `bytes` may be longer than what is left of it. */
  putCluster(cluster: number, bytes: Uint8Array): MaybePromise<void>;
}

export interface FrozenDisk {
  /** The overlay has it; others are the disk's below. */
  has(cluster: number): boolean;
  /** Whoever has it; shorter at the end of the disk. */
  read(cluster: number): MaybePromise<Uint8Array>;
  close(): void;
}
