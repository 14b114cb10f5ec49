// A new, empty qcow2 image: header, refcount table, one refcount block and an L1 table without entries.
import type { MaybePromise } from "../../../vmm/block.ts";
import { VmError } from "../../../vmm/error.ts";
import { runSteps, type Steps } from "../../../vmm/maybe-promise.ts";
import type { RandomAccessFile } from "../random-access.ts";
import { MAX_CLUSTER_BITS, MIN_CLUSTER_BITS, makeHeader, setEntry } from "./format.ts";

export interface CreateQcow2Options {
  /** Multiple of 512. */
  readonly sizeBytes: number;
  /** Power of two from 512 to 2 MiB. Default 64 KiB. */
  readonly clusterBytes?: number;
  /** What reads where nothing was written. */
  readonly backing?: { readonly name: string; readonly format: string };
}

const DEFAULT_CLUSTER_BYTES = 65536;
const L1_MAX_ENTRIES = (32 << 20) / 8;

/** Makes an image in an empty file. Throws VmError("bad-config") for sizes that the format does not have. */
export function createQcow2(file: RandomAccessFile, options: CreateQcow2Options): MaybePromise<void> {
  return runSteps(create(file, options));
}

function* create(file: RandomAccessFile, options: CreateQcow2Options): Steps<void> {
  const { sizeBytes, backing } = options;
  const cluster = options.clusterBytes ?? DEFAULT_CLUSTER_BYTES;
  const clusterBits = Math.log2(cluster);
  if (!Number.isInteger(clusterBits) || clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS) {
    throw new VmError("bad-config", `clusterBytes ${cluster} is not a power of two from 512 to 2097152.`, { cluster });
  }
  const l1Entries = Math.ceil(sizeBytes / ((cluster / 8) * cluster));
  if (!Number.isInteger(sizeBytes) || sizeBytes < 0 || sizeBytes % 512 !== 0 || l1Entries > L1_MAX_ENTRIES) {
    throw new VmError(
      "bad-config",
      `sizeBytes ${sizeBytes} is not a multiple of 512 that clusters of ${cluster} bytes can address.`,
      { sizeBytes },
    );
  }
  // Cluster 0 header, 1 refcount table, 2.. refcount blocks, then the L1 table.
  const perBlock = cluster / 2;
  const l1Clusters = Math.max(1, Math.ceil((l1Entries * 8) / cluster));
  let blocks = 1;
  while (2 + blocks + l1Clusters > blocks * perBlock) blocks++;
  const used = 2 + blocks + l1Clusters;
  const table = new DataView(new ArrayBuffer(cluster));
  const counts = new DataView(new ArrayBuffer(blocks * cluster));
  for (let i = 0; i < blocks; i++) setEntry(table, i, (2 + i) * cluster);
  for (let i = 0; i < used; i++) counts.setUint16(i * 2, 1);
  yield file.truncate(used * cluster);
  yield file.write(cluster, new Uint8Array(table.buffer));
  yield file.write(2 * cluster, new Uint8Array(counts.buffer));
  yield file.write((2 + blocks) * cluster, new Uint8Array(l1Clusters * cluster));
  yield file.write(
    0,
    makeHeader({
      clusterBits,
      sizeBytes,
      l1Entries,
      l1Offset: (2 + blocks) * cluster,
      refcountTableOffset: cluster,
      refcountTableClusters: 1,
      backing,
    }),
  );
  yield file.flush();
}
