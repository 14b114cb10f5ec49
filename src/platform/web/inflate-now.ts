// DEFLATE for one who cannot wait: a library, which starts for some milliseconds and is loaded when it is needed.
import { inflateInto } from "../inflate.ts";

export function inflateNow(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const into = new Uint8Array(sizeBytes);
  return into.subarray(0, inflateInto(bytes, into));
}
