import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { payloadFormat, unpackPayload } from "../../src/boot/payload.ts";
import { VmError } from "../../src/vmm/error.ts";

// Made by the compressors themselves: tools/images/make-payload.ts, then tools/images/make-boot-fixtures.sh.
const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`./fixtures/payload.${name}`, import.meta.url)));
const reference = fixture("bin");
const FIXTURES = [
  ["gz", "gzip"],
  ["bz2", "bzip2"],
  ["lzma", "lzma"],
  ["xz", "xz"],
  ["x86.xz", "xz"],
  ["blocks.xz", "xz"],
  ["sha256.xz", "xz"],
  ["lz4", "lz4"],
  ["zst", "zstd"],
] as const;
const limits = { limitBytes: 1 << 20 };

// A zstd frame of unknown size makes the library allocate its whole window, 128 MiB, each time; kernels have the size.
const limitsOf = (packed: Uint8Array) =>
  payloadFormat(packed) === "zstd" ? { ...limits, expectedBytes: reference.length } : limits;

const withSize = (packed: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(packed.length + 4);
  bytes.set(packed);
  new DataView(bytes.buffer).setUint32(packed.length, reference.length, true);
  return bytes;
};

describe("compressed kernel payloads", () => {
  it.each(FIXTURES)("unpacks payload.%s", async (name, format) => {
    const packed = fixture(name);
    expect(payloadFormat(packed)).toBe(format);
    expect(await unpackPayload(packed, "payload", limits)).toEqual(reference);
  });

  // The kernel build appends the unpacked size to all formats but gzip, whose own trailer is that size.
  it.each(FIXTURES.filter(([name]) => name !== "gz"))("unpacks payload.%s with its size behind it", async (name) => {
    const packed = withSize(fixture(name));
    expect(await unpackPayload(packed, "payload", { ...limits, expectedBytes: reference.length })).toEqual(reference);
  });

  it.each(FIXTURES)("leaves the bytes of payload.%s as they were", async (name) => {
    const packed = Buffer.from(fixture(name));
    await unpackPayload(packed, "payload", { ...limits, expectedBytes: reference.length });
    expect(packed.equals(fixture(name))).toBe(true);
  });

  it.each(FIXTURES)("refuses payload.%s when it unpacks to more than there is room for", async (name) => {
    const unpack = unpackPayload(fixture(name), "payload", { limitBytes: reference.length - 1 });
    await expect(unpack).rejects.toThrow(/unpacks to more than the 23999 bytes/);
  });

  it("stops a decompression bomb at the limit", async () => {
    const bomb = gzipSync(new Uint8Array(64 << 20));
    await expect(unpackPayload(bomb, "payload", limits)).rejects.toMatchObject({ code: "bad-image" });
  });

  it("names the first bytes of a format it does not know, and the way out", async () => {
    const lzo = Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d);
    await expect(unpackPayload(lzo, "kernel", limits)).rejects.toThrow(/89 4c 5a 4f 00 0d \(LZO\).*guestDecompress/);
  });

  it.each(FIXTURES)(
    "reports payload.%s cut anywhere as damaged unless the data is whole, in bounded time",
    async (name) => {
      const packed = fixture(name);
      await fc.assert(
        fc.asyncProperty(fc.nat(packed.length - 1), async (length) => {
          await expectDamagedOrWhole(packed.slice(0, length));
        }),
        { numRuns: 60 },
      );
    },
  );

  it.each(FIXTURES)("finds changed bytes in payload.%s or unpacks something, and throws nothing else", async (name) => {
    const packed = fixture(name);
    const changes = fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = packed.slice();
        for (const [at, value] of list) bytes[at] = value;
        const start = performance.now();
        try {
          const unpacked = await unpackPayload(bytes, "payload", limitsOf(bytes));
          expect(unpacked.length).toBeLessThanOrEqual(limits.limitBytes);
        } catch (error) {
          expect(error).toBeInstanceOf(VmError);
        }
        expect(performance.now() - start).toBeLessThan(5000);
      }),
      { numRuns: 150 },
    );
  });

  it.each(["x86.xz", "blocks.xz", "sha256.xz", "bz2"])(
    "notices every single changed byte of payload.%s's data",
    async (name) => {
      const packed = fixture(name);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 32, max: packed.length - 120 }),
          fc.integer({ min: 1, max: 255 }),
          async (at, change) => {
            const bytes = packed.slice();
            bytes[at] = (bytes[at] as number) ^ change;
            // Padding and reserved bits aside, where the format lets a change be without effect.
            const unpacked = await unpackPayload(bytes, "payload", limits).catch(() => undefined);
            if (unpacked !== undefined) expect(unpacked).toEqual(reference);
          },
        ),
        { numRuns: 150 },
      );
    },
  );
});

/** An error, or the right bytes where only what follows the data (an index, an unused end mark) was cut off. */
async function expectDamagedOrWhole(bytes: Uint8Array): Promise<void> {
  const start = performance.now();
  try {
    const unpacked = await unpackPayload(bytes, "payload", limitsOf(bytes));
    // LZ4's legacy frame has no end mark: cut between two blocks it is shorter and whole.
    if (payloadFormat(bytes) !== "lz4") expect(unpacked).toEqual(reference);
  } catch (error) {
    expect(error).toMatchObject({ name: "VmError", code: "bad-image" });
  }
  expect(performance.now() - start).toBeLessThan(5000);
}
