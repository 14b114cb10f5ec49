// Compressed clusters: where one lies in the file, and what it holds.
import { Decompress as ZstdStream } from "fzstd";
import { inflateInto } from "../../../platform/inflate.ts";
import { badQcow2, type Qcow2Header } from "./format.ts";

const SECTOR = 512;

/** Bytes of the file that the descriptor in an L2 entry names; they count in sectors, so the end is beyond the data. */
export function compressedRange(
  table: DataView,
  index: number,
  clusterBits: number,
): { offset: number; length: number } {
  const high = table.getUint32(index * 8) & 0x3fffffff;
  const low = table.getUint32(index * 8 + 4);
  // Bits below `split` are the offset, those above it the number of further sectors. Never below 49.
  const split = 62 - (clusterBits - 8);
  const highBits = split - 32;
  const offset = (high & (2 ** highBits - 1)) * 0x1_0000_0000 + low;
  const sectors = (high >>> highBits) + 1;
  return { offset, length: sectors * SECTOR - (offset % SECTOR) };
}

/** The cluster. Throws VmError("bad-image") for damaged data. */
export function unpackCluster(name: string, header: Qcow2Header, packed: Uint8Array): Uint8Array {
  const cluster = new Uint8Array(2 ** header.clusterBits);
  const good = header.compression === "zlib" ? unpackDeflateInto(packed, cluster) : unpackZstdInto(packed, cluster);
  if (!good) throw badQcow2(name, "a compressed cluster is damaged; qemu-img check tells more");
  return cluster;
}

/** Fills `output` from a stream, whatever follows it. False when it is damaged or too short. */
function unpackDeflateInto(packed: Uint8Array, output: Uint8Array): boolean {
  try {
    return inflateInto(packed, output) === output.length;
  } catch {
    return false;
  }
}

/** Fills `output` from a frame, whatever follows it. False when it is damaged or too short. */
function unpackZstdInto(packed: Uint8Array, output: Uint8Array): boolean {
  let at = 0;
  const stream = new ZstdStream((chunk) => {
    const piece = chunk.subarray(0, output.length - at);
    output.set(piece, at);
    at += piece.length;
  });
  try {
    stream.push(packed, true);
  } catch {
    // Also what stands behind the frame: only the sectors are counted, not the bytes.
  }
  return at === output.length;
}
