// Snapshot files that are whole and say something else.
import { webCryptoSha256 } from "../../src/platform/platform.ts";
import { encodeIndex, readFrame } from "../../src/snapshot/format.ts";
import { fromJson, toJson } from "../../src/snapshot/state-json.ts";

/** The file with its manifest changed and every digest made right again. */
export async function forged(
  bytes: Uint8Array,
  edit: (manifest: Record<string, unknown>) => void,
): Promise<Uint8Array> {
  const read = async (offset: number, length: number): Promise<Uint8Array> => bytes.subarray(offset, offset + length);
  const frame = await readFrame(bytes.length, read, webCryptoSha256);
  const manifest = fromJson(new TextDecoder().decode(frame.manifest), "manifest") as Record<string, unknown>;
  edit(manifest);
  const text = new TextEncoder().encode(toJson(manifest));
  const index = await encodeIndex(frame.indexOffset, text, frame.rows, webCryptoSha256);
  const all = new Uint8Array(frame.indexOffset + index.bytes.length);
  all.set(bytes.subarray(0, frame.indexOffset));
  all.set(index.bytes, frame.indexOffset);
  return all;
}
