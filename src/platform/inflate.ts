// Raw DEFLATE (RFC 1951) unpacked at once, on this thread, also where padding follows it: what neither the browsers'
// DecompressionStream does nor, for all of it, a runtime without zlib.
import { inflateSync } from "fflate";

/** Unpacks into `into` and returns how many bytes that gave; what does not fit is dropped. Throws for a damaged stream. */
export function inflateInto(from: Uint8Array, into: Uint8Array): number {
  // The library takes no input for a stream of `into`'s length.
  if (from.length === 0) throw new RangeError("The DEFLATE stream is empty.");
  return inflateSync(from, { out: into }).length;
}
