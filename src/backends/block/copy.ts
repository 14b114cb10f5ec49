// Copies the content of one disk to another that reads as zeros.
import type { BlockBackend } from "../../vmm/block.ts";
import { isZero } from "../../vmm/compare-bytes.ts";

const PIECE_BYTES = 1 << 20;
/** What is looked at for zeros: the cluster of most images. */
const HOLE_BYTES = 65536;

/** Zeros stay holes. */
export async function copyData(source: BlockBackend, target: BlockBackend): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < source.sizeBytes; at += PIECE_BYTES) {
    const part = piece.subarray(0, Math.min(PIECE_BYTES, source.sizeBytes - at));
    await source.read(at, part);
    for (let within = 0; within < part.length; within += HOLE_BYTES) {
      const chunk = part.subarray(within, within + HOLE_BYTES);
      if (!isZero(chunk)) await target.write(at + within, chunk);
    }
  }
}
