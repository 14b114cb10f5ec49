// The compressed kernel inside a bzImage, unpacked on the host: the formats that Linux's Kconfig offers for x86
// (CONFIG_KERNEL_GZIP, BZIP2, LZMA, XZ, LZO, LZ4, ZSTD), told apart by their first bytes.
import { VmError } from "../vmm/error.ts";
import { unpackBzip2 } from "./bzip2.ts";
import { isElf } from "./elf.ts";
import { badImage, ImageReader } from "./image.ts";
import { LZ4_LEGACY_MAGIC, unpackLz4 } from "./lz4.ts";
import { unshared } from "./share-images.ts";
import { XZ_MAGIC } from "./xz-magic.ts";

export type PayloadFormat = "elf" | "gzip" | "bzip2" | "lzma" | "xz" | "lzo" | "lz4" | "zstd";

const LZOP_MAGIC = [0x89, 0x4c, 0x5a, 0x4f, 0x00];
const LZMA_HEADER_BYTES = 13;
const MAX_WINDOW_EXPONENT = 17;

export interface UnpackLimits {
  /** No more than this comes out; the guest's memory bounds it. */
  readonly limitBytes: number;
  /** The size that the container promises, if it does. */
  readonly expectedBytes?: number;
}

/** The format that the first bytes announce, or undefined. */
export function payloadFormat(payload: Uint8Array): PayloadFormat | undefined {
  const begins = (magic: readonly number[]): boolean => magic.every((byte, index) => payload[index] === byte);
  if (isElf(payload)) return "elf";
  if (begins([0x1f, 0x8b])) return "gzip";
  if (begins([0x42, 0x5a, 0x68])) return "bzip2";
  if (begins(XZ_MAGIC)) return "xz";
  if (begins(LZOP_MAGIC)) return "lzo";
  if (
    begins([
      LZ4_LEGACY_MAGIC & 0xff,
      (LZ4_LEGACY_MAGIC >> 8) & 0xff,
      (LZ4_LEGACY_MAGIC >> 16) & 0xff,
      LZ4_LEGACY_MAGIC >>> 24,
    ])
  )
    return "lz4";
  if (begins([0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  // .lzma has no magic: the usual properties byte and a dictionary that is a multiple of 64 KiB.
  if (begins([0x5d, 0x00, 0x00])) return "lzma";
  return undefined;
}

/**
 * The bytes that `payload` stands for. `name` is how messages call it.
 * Throws VmError("bad-image") for damaged data, too much of it, or a format without an unpacker here (LZO).
 */
export async function unpackPayload(payload: Uint8Array, name: string, limits: UnpackLimits): Promise<Uint8Array> {
  const format = payloadFormat(payload);
  const image = new ImageReader(payload, name);
  try {
    switch (format) {
      case "elf":
        return payload;
      case "gzip":
        return await unpackGzip(payload, limits);
      case "bzip2":
        return unpackInto(limits, (sink) => unpackBzip2(image, sink));
      case "lzma":
        return await unpackLzma(payload, limits);
      case "xz":
        return await (await import("./xz.ts")).unpackXz(image, limits.limitBytes);
      case "lz4":
        return unpackLz4(image, limits.limitBytes, limits.expectedBytes);
      case "zstd":
        return await unpackZstd(payload, limits);
      default:
        throw badImage(
          `The ${name} begins with ${[...payload.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}${format === "lzo" ? " (LZO)" : ""}, which is none of gzip, bzip2, lzma, xz, lz4, zstd and ELF; let the guest unpack it (guestDecompress).`,
          { format },
        );
    }
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    if (cause instanceof TooLarge) {
      throw badImage(
        `The ${name} unpacks to more than the ${limits.limitBytes} bytes that are possible here; give the VM more memory if the file is right.`,
        { ...limits },
      );
    }
    throw badImage(
      `The ${format} data of the ${name} is damaged: it cannot be unpacked; fetch or build the file again.`,
      { format },
      cause,
    );
  }
}

/** Leaves a library's callback; never seen by callers. */
class TooLarge extends Error {}

/** Collects output up to a limit. */
class Sink {
  #bytes: Uint8Array;
  #length = 0;

  constructor(readonly limits: UnpackLimits) {
    this.#bytes = new Uint8Array(Math.min(limits.limitBytes, limits.expectedBytes ?? 1 << 20));
  }

  write(chunk: Uint8Array): void {
    this.#grow(chunk.length);
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  writeByte(byte: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = byte;
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#bytes.length) return;
    if (needed > this.limits.limitBytes) throw new TooLarge();
    const larger = new Uint8Array(Math.min(this.limits.limitBytes, Math.max(needed, this.#bytes.length * 2)));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

async function unpackGzip(payload: Uint8Array, limits: UnpackLimits): Promise<Uint8Array> {
  const sink = new Sink(limits);
  const source = new Blob([unshared(payload)]).stream();
  const reader = source
    .pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>)
    .getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return sink.take();
    try {
      sink.write(value);
    } catch (error) {
      await reader.cancel().catch(() => undefined);
      throw error;
    }
  }
}

function unpackInto(limits: UnpackLimits, unpack: (sink: Sink) => void): Uint8Array {
  const sink = new Sink(limits);
  unpack(sink);
  return sink.take();
}

async function unpackLzma(payload: Uint8Array, limits: UnpackLimits): Promise<Uint8Array> {
  if (payload.length < LZMA_HEADER_BYTES) throw new RangeError("the lzma header is incomplete");
  // The library believes the header: its dictionary is allocated, and it decodes to the announced size however
  // little input there is. Both are bounded here.
  // Not slice(): on a Node Buffer that would be a view of the caller's bytes.
  const bounded = new Uint8Array(payload);
  const view = new DataView(bounded.buffer);
  const announced = view.getUint32(5, true) + view.getUint32(9, true) * 2 ** 32;
  const UNKNOWN = 2 ** 64;
  const size = limits.expectedBytes ?? (announced === UNKNOWN ? limits.limitBytes + 1 : announced);
  if (size > limits.limitBytes && announced !== UNKNOWN) throw new TooLarge();
  view.setUint32(1, Math.min(view.getUint32(1, true), Math.max(4096, size)), true);
  view.setUint32(5, size, true);
  view.setUint32(9, 0, true);
  // 48 KB that hardly any kernel needs.
  const { decompress } = await import("./lzma1.js");
  const output = decompress(bounded);
  if (output.length > limits.limitBytes) throw new TooLarge();
  return output;
}

async function unpackZstd(payload: Uint8Array, limits: UnpackLimits): Promise<Uint8Array> {
  const { Decompress, decompress } = await import("./zstd.ts");
  const frame = payload.subarray(0, zstdFrameEnd(payload));
  if (limits.expectedBytes !== undefined) {
    // Into a buffer of the right size: the library then needs no window, which it would move at every block (a
    // kernel's window is 128 MiB: 6 s in place of 1 s).
    if (limits.expectedBytes > limits.limitBytes) throw new TooLarge();
    return decompress(frame, new Uint8Array(limits.expectedBytes));
  }
  const sink = new Sink(limits);
  const stream = new Decompress((chunk) => sink.write(chunk));
  // In pieces, so that a bomb is stopped after one.
  const PIECE_BYTES = 1 << 20;
  for (let at = 0; at < frame.length; at += PIECE_BYTES) {
    const next = Math.min(at + PIECE_BYTES, frame.length);
    stream.push(frame.subarray(at, next), next === frame.length);
  }
  return sink.take();
}

/** Length of the frame at the start (RFC 8878, 3.1.1); a kernel payload has its size in four bytes behind it. */
function zstdFrameEnd(payload: Uint8Array): number {
  const image = new ImageReader(payload, "zstd data");
  const descriptor = image.u8(4, "the frame header");
  const singleSegment = (descriptor >> 5) & 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6] as number;
  // The window descriptor's exponent, of base 10: 17 is 128 MiB, the most that compressors use unasked.
  if (!singleSegment && image.u8(5, "the window descriptor") >> 3 > MAX_WINDOW_EXPONENT) {
    throw new RangeError("the window is larger than 255 MiB");
  }
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  for (let last = false; !last; ) {
    const header = image.u16(at, "a block header") | (image.u8(at + 2, "a block header") << 16);
    last = (header & 1) !== 0;
    const isRle = ((header >> 1) & 3) === 1;
    at += 3 + (isRle ? 1 : header >> 3);
  }
  if (descriptor & 4) at += 4;
  image.slice(0, at, "the last block");
  return at;
}
