// Reads the .xz container (XZ File Format 1.2.0) and leaves the LZMA2 data itself to the library. Kernels are
// compressed through the x86 BCJ filter, which the library was built without; so each block's LZMA2 data is handed to
// it in a container of its own, and the filter and the integrity check are done here.
import * as xzDecompress from "xz-decompress";
import { undoBcjX86 } from "./bcj-x86.ts";
import { crc32, crc64 } from "./checksum.ts";
import { badImage, hex, type ImageReader } from "./image.ts";
import { XZ_MAGIC } from "./xz-magic.ts";

const STREAM_HEADER_BYTES = 12;
const FILTER_LZMA2 = 0x21;
const FILTER_BCJ_X86 = 0x04;
const CHECK_NONE = 0;
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;
const CHECK_SHA256 = 10;
/** Check sizes by check ID; the IDs between are reserved but have sizes, so that readers can skip them. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

type XzLibrary = typeof xzDecompress;

// The library is CommonJS: bundlers offer its names, Node only a default export.
const { XzReadableStream } = xzDecompress.XzReadableStream
  ? xzDecompress
  : ((xzDecompress as { default?: XzLibrary }).default as XzLibrary);

/** Unpacks one .xz stream at the start of the image; what follows it is ignored. Throws VmError("bad-image"). */
export async function unpackXz(image: ImageReader, limitBytes: number): Promise<Uint8Array> {
  const check = image.u8(7, "the xz stream flags");
  if (image.u8(6, "the xz stream flags") !== 0 || check > 15) {
    throw damaged(image, `its stream flags are ${hex(image.u16(6, "the xz stream flags"))}, of a later format`);
  }
  const flags = image.slice(6, 2, "the xz stream flags");
  if (image.u32(8, "the xz header CRC32") !== crc32(flags))
    throw damaged(image, "the CRC32 of its stream header is wrong");

  const blocks: Uint8Array[] = [];
  let total = 0;
  let offset = STREAM_HEADER_BYTES;
  // An index (first byte 0) follows the last block.
  while (image.u8(offset, "an xz block header") !== 0) {
    const header = readBlockHeader(image, offset);
    const data = offset + header.bytes;
    const extent = walkLzma2(image, data, total, limitBytes);
    total += extent.unpackedBytes;
    const padded = (extent.packedBytes + 3) & ~3;
    const checkBytes = CHECK_BYTES[check] as number;
    const expected = image.slice(data + padded, checkBytes, "an xz block check");
    const block = await unpackLzma2(
      image.slice(data, extent.packedBytes, "an xz block"),
      extent.unpackedBytes,
      header.dictionary,
      image,
    );
    if (header.bcj) undoBcjX86(block);
    await verify(image, block, check, expected);
    blocks.push(block);
    offset = data + padded + checkBytes;
  }
  if (blocks.length === 1) return blocks[0] as Uint8Array;
  const whole = new Uint8Array(total);
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}

interface BlockHeader {
  readonly bytes: number;
  readonly bcj: boolean;
  /** LZMA2 dictionary size as the format's 6-bit code. */
  readonly dictionary: number;
}

function readBlockHeader(image: ImageReader, offset: number): BlockHeader {
  const bytes = (image.u8(offset, "an xz block header") + 1) * 4;
  const header = image.slice(offset, bytes, "an xz block header");
  if (image.u32(offset + bytes - 4, "an xz block header") !== crc32(header.subarray(0, bytes - 4))) {
    throw damaged(image, "the CRC32 of a block header is wrong");
  }
  const flags = header[1] as number;
  let at = 2;
  const integer = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = header[at++];
      if (byte === undefined) throw damaged(image, "a block header ends within a number");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw damaged(image, "a block header has a number of more than 63 bits");
  };
  if (flags & 0x40) integer();
  if (flags & 0x80) integer();
  const filterCount = (flags & 3) + 1;
  let bcj = false;
  let dictionary: number | undefined;
  for (let index = 0; index < filterCount; index++) {
    const id = integer();
    const propertyBytes = integer();
    const isLast = index === filterCount - 1;
    if (isLast && id === FILTER_LZMA2 && propertyBytes === 1) {
      dictionary = header[at];
    } else if (!isLast && id === FILTER_BCJ_X86 && propertyBytes === 0 && !bcj) {
      bcj = true;
    } else {
      throw badImage(
        `The ${image.name} is xz-compressed with filter ${hex(id)} (${propertyBytes} property bytes); LZMA2 alone or after the x86 filter without properties is accepted: recompress it with \`xz --check=crc32 --x86 --lzma2\`, or let the guest unpack it (guestDecompress).`,
        { filter: id },
      );
    }
    at += propertyBytes;
  }
  if (dictionary === undefined || dictionary > 40)
    throw damaged(image, `its LZMA2 dictionary code is ${dictionary}, 0 to 40 are valid`);
  return { bytes, bcj, dictionary };
}

/** Follows the chunk headers of an LZMA2 stream: where it ends and how much it unpacks to (after `before`), both exact. */
function walkLzma2(
  image: ImageReader,
  start: number,
  before: number,
  limitBytes: number,
): { packedBytes: number; unpackedBytes: number } {
  let at = start;
  let unpackedBytes = 0;
  for (;;) {
    const control = image.u8(at, "an LZMA2 chunk");
    if (control === 0) return { packedBytes: at + 1 - start, unpackedBytes };
    const bigEndian16 = (offset: number): number =>
      image.u8(at + offset, "an LZMA2 chunk") * 256 + image.u8(at + offset + 1, "an LZMA2 chunk") + 1;
    if (control >= 0x80) {
      unpackedBytes += ((control & 0x1f) << 16) + bigEndian16(1);
      at += (control >= 0xc0 ? 6 : 5) + bigEndian16(3);
    } else if (control <= 2) {
      unpackedBytes += bigEndian16(1);
      at += 3 + bigEndian16(1);
    } else {
      throw damaged(image, `an LZMA2 chunk begins with ${hex(control)}`);
    }
    if (before + unpackedBytes > limitBytes) throw tooLarge(image, limitBytes);
  }
}

/** The format's dictionary sizes: 4 KiB, 6 KiB, 8 KiB, 12 KiB, ... */
const dictionaryBytes = (code: number): number =>
  code === 40 ? 0xffffffff : (2 | (code & 1)) * 2 ** ((code >> 1) + 11);

async function unpackLzma2(
  lzma2: Uint8Array,
  unpackedBytes: number,
  dictionary: number,
  image: ImageReader,
): Promise<Uint8Array> {
  const output = new Uint8Array(unpackedBytes);
  if (unpackedBytes === 0) return output;
  // No distance reaches back further than the data goes, so a header cannot make the library allocate gigabytes.
  let code = 0;
  while (code < dictionary && dictionaryBytes(code) < unpackedBytes) code++;
  const container = wrapLzma2(lzma2, unpackedBytes, code);
  let at = 0;
  try {
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of container) controller.enqueue(piece);
        controller.close();
      },
    });
    const reader = new XzReadableStream(source).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > unpackedBytes) {
        await reader.cancel();
        throw new RangeError("more data than its chunk headers say");
      }
      output.set(value, at);
      at += value.length;
    }
  } catch (cause) {
    throw damaged(image, "its LZMA2 data cannot be decoded", cause);
  }
  if (at !== unpackedBytes)
    throw damaged(image, `it unpacks to ${at} bytes where its chunk headers say ${unpackedBytes}`);
  return output;
}

/** An .xz stream of one block, without check and without other filters, around LZMA2 data: in pieces, without a copy of it. */
function wrapLzma2(lzma2: Uint8Array, unpackedBytes: number, dictionary: number): Uint8Array[] {
  const out: number[] = [];
  const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  const withCrc = (bytes: number[]): number[] => [...bytes, ...u32(crc32(Uint8Array.from(bytes)))];
  const integer = (value: number): number[] => {
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
    bytes.push(rest);
    return bytes;
  };
  const pad4 = (bytes: number[]): number[] => [...bytes, ...new Array((4 - (bytes.length & 3)) & 3).fill(0)];

  const streamFlags = [0, CHECK_NONE];
  out.push(...XZ_MAGIC, ...streamFlags, ...u32(crc32(Uint8Array.from(streamFlags))));
  const blockHeader = withCrc([2, 0, FILTER_LZMA2, 1, dictionary, 0, 0, 0]);
  out.push(...blockHeader);
  const index = withCrc(pad4([0, 1, ...integer(blockHeader.length + lzma2.length), ...integer(unpackedBytes)]));
  const backward = [...u32(index.length / 4 - 1), ...streamFlags];
  const tail = [...index, ...u32(crc32(Uint8Array.from(backward))), ...backward, 0x59, 0x5a];

  const padding = (4 - ((out.length + lzma2.length) & 3)) & 3;
  return [Uint8Array.from(out), lzma2, Uint8Array.from([...new Array(padding).fill(0), ...tail])];
}

async function verify(image: ImageReader, block: Uint8Array, check: number, expected: Uint8Array): Promise<void> {
  const view = new DataView(expected.buffer, expected.byteOffset, expected.byteLength);
  let correct = true;
  if (check === CHECK_CRC32) {
    correct = view.getUint32(0, true) === crc32(block);
  } else if (check === CHECK_CRC64) {
    const [low, high] = crc64(block);
    correct = view.getUint32(0, true) === low && view.getUint32(4, true) === high;
  } else if (check === CHECK_SHA256) {
    const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", block as Uint8Array<ArrayBuffer>));
    correct = digest.every((byte, index) => byte === expected[index]);
  }
  if (!correct) throw damaged(image, "its integrity check fails");
}

function damaged(image: ImageReader, what: string, cause?: unknown): Error {
  return badImage(`The xz data of the ${image.name} is damaged: ${what}; fetch or build the file again.`, {}, cause);
}

function tooLarge(image: ImageReader, limitBytes: number): Error {
  return badImage(
    `The ${image.name} unpacks to more than the ${limitBytes} bytes that are possible here; give the VM more memory if the file is right.`,
    { limitBytes },
  );
}
