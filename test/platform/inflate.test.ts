// DEFLATE as pages in browsers and qcow2 files unpack it, beside zlib's.
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inflateInto } from "../../src/platform/inflate.ts";

function inflate(stream: Uint8Array, sizeBytes: number): Uint8Array {
  const into = new Uint8Array(sizeBytes);
  return into.subarray(0, inflateInto(stream, into));
}

/** Text-like, long repetitions, noise: every kind of block and code. */
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 2000 })), {
      maxLength: 8,
    })
    .map((parts) => Buffer.concat(parts.map(([piece, times]) => Buffer.alloc(piece.length * times, piece)))),
  fc.string({ maxLength: 5000, unit: "grapheme" }).map((text) => new TextEncoder().encode(text)),
);
const options = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  strategy: fc.constantFrom(constants.Z_DEFAULT_STRATEGY, constants.Z_HUFFMAN_ONLY, constants.Z_RLE, constants.Z_FIXED),
});

describe("inflateInto", () => {
  it("gives what zlib packed, whatever follows it (seeded)", () => {
    fc.assert(
      fc.property(contents, options, (bytes, how) => {
        const padded = Buffer.concat([deflateRawSync(bytes, how), Buffer.from([1, 2, 3])]);
        expect(Buffer.compare(inflate(padded, bytes.length), bytes)).toBe(0);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("throws or gives what zlib gives, for any damage, and never more than there is room for (seeded)", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(contents, options, damage, fc.boolean(), (bytes, how, changes, cut) => {
        const stream = Uint8Array.from(deflateRawSync(bytes, how));
        for (const [at, value] of changes) stream[at % stream.length] = value;
        const damaged = cut ? stream.subarray(0, stream.length >> 1) : stream;
        const result = (unpack: () => Uint8Array): string | undefined => {
          try {
            return Buffer.from(unpack()).toString("base64");
          } catch {
            return undefined;
          }
        };
        const ours = result(() => inflate(damaged, bytes.length + 10));
        const theirs = result(() => inflateRawSync(damaged, { maxOutputLength: bytes.length + 10 }));
        if (theirs !== undefined) expect(ours).toBe(theirs);
      }),
      { seed: 2, numRuns: 1000 },
    );
  });
});
