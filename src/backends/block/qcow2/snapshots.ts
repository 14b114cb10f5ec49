// The snapshot table of a qcow2 image. Snapshots are listed and kept; taking and applying them is qemu-img's business.

import type { Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";
import { badQcow2, type Qcow2Header } from "./format.ts";

export interface Qcow2Snapshot {
  readonly id: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly takenSeconds: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
}

const FIXED_BYTES = 40;

export interface SnapshotTable {
  readonly snapshots: readonly Qcow2Snapshot[];
  readonly lengthBytes: number;
}

/** Throws VmError("bad-image") for a table that runs out of the file. */
export function* readSnapshots(file: RandomAccessFile, header: Qcow2Header): Steps<SnapshotTable> {
  const snapshots: Qcow2Snapshot[] = [];
  let at = header.snapshotsOffset;
  for (let i = 0; i < header.snapshotCount; i++) {
    const fixed = new Uint8Array(FIXED_BYTES);
    yield file.read(at, fixed);
    const view = new DataView(fixed.buffer);
    const idBytes = view.getUint16(12);
    const nameBytes = view.getUint16(14);
    const extraBytes = view.getUint32(36);
    const length = FIXED_BYTES + extraBytes + idBytes + nameBytes;
    if (at + length > file.sizeBytes) throw badQcow2(file.name, "its snapshot table runs out of the file");
    const names = new Uint8Array(idBytes + nameBytes);
    yield file.read(at + FIXED_BYTES + extraBytes, names);
    const text = new TextDecoder();
    snapshots.push({
      id: text.decode(names.subarray(0, idBytes)),
      name: text.decode(names.subarray(idBytes)),
      takenSeconds: view.getUint32(16),
      l1Offset: view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4),
      l1Entries: view.getUint32(8),
    });
    at += Math.ceil(length / 8) * 8;
  }
  return { snapshots, lengthBytes: at - header.snapshotsOffset };
}
