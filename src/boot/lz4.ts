// LZ4 in its "legacy" frame, which is what Linux kernels use (LZ4 Frame Format, "Legacy frame"; LZ4 Block Format).
// Own code: the libraries at hand do not check bounds, and the format is one loop.
import { badImage, hex, type ImageReader } from "./image.ts";

export const LZ4_LEGACY_MAGIC = 0x184c2102;
/** Every block but the last unpacks to this much. */
const BLOCK_BYTES = 8 << 20;
const MIN_MATCH = 4;

/**
 * Unpacks the blocks after the magic. `expectedBytes` ends the stream when it is reached: a kernel payload has its
 * size in four bytes behind the last block, which would otherwise read as one more block header.
 */
export function unpackLz4(image: ImageReader, limitBytes: number, expectedBytes?: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  let total = 0;
  let offset = 4;
  const block = new Uint8Array(BLOCK_BYTES);
  while (offset < image.length && total !== expectedBytes) {
    const packedBytes = image.u32(offset, "an LZ4 block size");
    offset += 4;
    if (packedBytes === LZ4_LEGACY_MAGIC) continue;
    const source = image.slice(offset, packedBytes, "an LZ4 block");
    const unpackedBytes = unpackBlock(source, block, image);
    total += unpackedBytes;
    if (total > limitBytes) {
      throw badImage(
        `The ${image.name} unpacks to more than the ${limitBytes} bytes that are possible here; give the VM more memory if the file is right.`,
        { limitBytes },
      );
    }
    blocks.push(block.slice(0, unpackedBytes));
    offset += packedBytes;
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of blocks) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes written to `target`. */
function unpackBlock(source: Uint8Array, target: Uint8Array, image: ImageReader): number {
  const damaged = (what: string): Error =>
    badImage(`The LZ4 data of the ${image.name} is damaged: ${what}; fetch or build the file again.`);
  let at = 0;
  let out = 0;
  const byte = (): number => {
    const value = source[at++];
    if (value === undefined) throw damaged("a block ends within a sequence");
    return value;
  };
  const extended = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15) {
      for (let more = 255; more === 255; ) {
        more = byte();
        length += more;
      }
    }
    return length;
  };
  while (at < source.length) {
    const token = byte();
    const literals = extended(token >> 4);
    if (at + literals > source.length || out + literals > target.length) throw damaged("literals run past the block");
    target.set(source.subarray(at, at + literals), out);
    at += literals;
    out += literals;
    // The last sequence has literals only.
    if (at === source.length) break;
    const distance = byte() | (byte() << 8);
    const length = extended(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > out) throw damaged(`a match reaches back ${hex(distance)} bytes of ${hex(out)}`);
    if (out + length > target.length) throw damaged("a match runs past the block");
    // Byte by byte: a match may overlap its own output.
    for (const end = out + length; out < end; out++) target[out] = target[out - distance] as number;
  }
  return out;
}
