// Raw DEFLATE on zlib's thread pool.
import { promisify } from "node:util";
import { deflateRaw, inflateRaw, inflateRawSync } from "node:zlib";

/** Level 1: higher ones make snapshots of guests 4% smaller and take two to five times as long. */
const LEVEL = 1;
const SPARE = 64;
const deflateAsync = promisify<Uint8Array, { level: number; chunkSize: number }, Uint8Array>(deflateRaw);
const inflateAsync = promisify<Uint8Array, { maxOutputLength: number; chunkSize: number }, Uint8Array>(inflateRaw);

export function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  return deflateAsync(bytes, { level: LEVEL, chunkSize: chunkSize(bytes.length + SPARE) });
}

export function inflate(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  // One output buffer, with room to spare: zlib takes a second one when the first is full, though nothing follows.
  return inflateAsync(bytes, { maxOutputLength: sizeBytes, chunkSize: chunkSize(sizeBytes + SPARE) });
}

export function inflateNow(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  return inflateRawSync(bytes, { maxOutputLength: sizeBytes, chunkSize: chunkSize(sizeBytes + SPARE) });
}

function chunkSize(bytes: number): number {
  return Math.max(1024, bytes);
}
