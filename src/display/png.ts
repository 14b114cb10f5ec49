// PNG files (ISO/IEC 15948): eight bits a component, no alpha, every line as its difference from the one above.
import { crc32 } from "../boot/checksum.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const TRUECOLOR = 2;
const FILTER_UP = 2;
/** CMF and FLG of a zlib stream (RFC 1950): deflate, a window of 32 KiB, fastest algorithm. */
const ZLIB_HEADER = Uint8Array.of(0x78, 0x01);
const ADLER_MODULUS = 65521;
/** Sums of so many bytes fit 32 bits before they must be reduced (RFC 1950). */
const ADLER_RUN = 5552;

/** `rgba` has width * height pixels of four bytes; `deflate` makes raw DEFLATE (RFC 1951) of bytes. */
export async function encodePng(
  { width, height, rgba }: { readonly width: number; readonly height: number; readonly rgba: Uint8ClampedArray },
  deflate: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, TRUECOLOR, 0, 0, 0], 8);
  const raw = filtered(rgba, width, height);
  const trailer = new Uint8Array(4);
  new DataView(trailer.buffer).setUint32(0, adler32(raw));
  const data = concatenate([ZLIB_HEADER, await deflate(raw), trailer]);
  return concatenate([SIGNATURE, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array(0))]);
}

function filtered(rgba: Uint8ClampedArray, width: number, height: number): Uint8Array {
  const lineBytes = width * 3 + 1;
  const raw = new Uint8Array(lineBytes * height);
  for (let y = 0; y < height; y++) {
    let to = y * lineBytes;
    raw[to++] = FILTER_UP;
    for (let from = y * width * 4; from < (y + 1) * width * 4; from += 4) {
      for (let c = from; c < from + 3; c++)
        raw[to++] = (rgba[c] as number) - (y > 0 ? (rgba[c - width * 4] as number) : 0);
    }
  }
  return raw;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + ADLER_RUN);
    for (; at < end; at++) {
      a += bytes[at] as number;
      b += a;
    }
    a %= ADLER_MODULUS;
    b %= ADLER_MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
