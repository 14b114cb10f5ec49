// Disks whose image comes piece by piece and cannot be written: Blobs.
import { describe, expect, it } from "vitest";
import { openBlobDisk } from "../../../src/backends/block/open-read-only.ts";
import { blobFile, PieceFile } from "../../../src/backends/block/piece-file.ts";
import { createQcow2 } from "../../../src/backends/block/qcow2/create.ts";
import { MemoryFile } from "../../../src/backends/block/random-access.ts";

const KIB = 1024;

/** Every byte tells where it is. */
function pattern(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: sizeBytes }, (_, at) => (at >> 9) ^ (at * 7));
}

describe("a file in pieces", () => {
  it("reads what is there at any offset, and zeros behind its end", async () => {
    const bytes = pattern(700 * KIB + 100);
    const file = blobFile(new Blob([bytes]), "blob");
    for (const [offset, length] of [
      [0, 512],
      [255 * KIB, 2 * KIB],
      [0, 700 * KIB + 100],
      [700 * KIB, 512],
      [800 * KIB, 512],
    ] as const) {
      const into = new Uint8Array(length).fill(0xee);
      await file.read(offset, into);
      const wanted = new Uint8Array(length);
      wanted.set(bytes.subarray(offset, offset + length));
      expect(Buffer.compare(into, wanted)).toBe(0);
    }
  });

  it("asks for a piece once, keeps 32 of them, and asks again after a failure", async () => {
    const asked: number[] = [];
    let fails = false;
    const file = new PieceFile("pieces", 40 * 256 * KIB, async (start, end) => {
      asked.push(start / (256 * KIB));
      if (fails) throw new Error("no");
      return new Uint8Array(end - start);
    });
    const read = async (piece: number): Promise<void> => await file.read(piece * 256 * KIB, new Uint8Array(512));
    await Promise.all([read(0), read(0), read(1)]);
    await read(0);
    expect(asked).toEqual([0, 1]);
    // The second time at once: nothing is waited for.
    expect(file.read(512, new Uint8Array(512))).toBeUndefined();
    for (let piece = 2; piece < 34; piece++) await read(piece);
    await read(33);
    expect(asked).toHaveLength(34);
    await read(1);
    expect(asked.at(-1)).toBe(1);
    fails = true;
    await expect(read(39)).rejects.toMatchObject({ code: "io", message: /pieces cannot be read at byte 10223616/ });
    fails = false;
    await read(39);
    expect(asked.filter((piece) => piece === 39)).toHaveLength(2);
    expect(() => file.write()).toThrow(/read-only/);
  });
});

describe("a disk in a Blob", () => {
  const disk = { media: "disk" } as const;

  it("takes writes and leaves the Blob as it is", async () => {
    const bytes = pattern(1024 * KIB);
    const blob = new Blob([bytes]);
    const backend = await openBlobDisk(blob, "disk.img", disk);
    expect(backend).toMatchObject({ sizeBytes: 1024 * KIB, readOnly: false, temporary: true });
    await backend.write(512, new Uint8Array(512).fill(0xaa));
    const back = new Uint8Array(1024);
    await backend.read(512, back);
    expect(back.subarray(0, 512).every((byte) => byte === 0xaa)).toBe(true);
    expect(back.subarray(512)).toEqual(bytes.subarray(1024, 1536));
    expect(Buffer.compare(new Uint8Array(await blob.arrayBuffer()), bytes)).toBe(0);
    await backend.close();
    const cd = await openBlobDisk(new Blob([bytes.subarray(0, 3000)]), "cd.iso", { media: "cdrom" });
    expect(cd).toMatchObject({ sizeBytes: 4096, readOnly: true });
  });

  it("may be qcow2, by name or by format", async () => {
    const image = new MemoryFile();
    await createQcow2(image, { sizeBytes: 1024 * KIB });
    const bytes = new Uint8Array(image.sizeBytes);
    image.read(0, bytes);
    const blob = new Blob([bytes]);
    expect((await openBlobDisk(blob, "disk.qcow2", disk)).sizeBytes).toBe(1024 * KIB);
    expect((await openBlobDisk(blob, "disk", { ...disk, format: "qcow2" })).sizeBytes).toBe(1024 * KIB);
    await expect(openBlobDisk(blob, "disk.img", disk)).rejects.toMatchObject({ code: "bad-image" });
  });

  it("refuses what it cannot be, by name", async () => {
    const blob = new Blob([new Uint8Array(512)]);
    await expect(openBlobDisk(new Blob([]), "nothing.img", disk)).rejects.toThrow("nothing.img is empty");
    await expect(openBlobDisk(blob, "a.img", { ...disk, overlay: "b" })).rejects.toThrow(/overlay b needs files/);
    await expect(openBlobDisk(blob, "a.img", { ...disk, format: "dir" })).rejects.toThrow(/accepted: raw, qcow2/);
    const backed = new MemoryFile();
    await createQcow2(backed, { sizeBytes: 1024 * KIB, backing: { name: "base.img", format: "raw" } });
    const bytes = new Uint8Array(backed.sizeBytes);
    backed.read(0, bytes);
    await expect(openBlobDisk(new Blob([bytes]), "top.qcow2", disk)).rejects.toThrow(/lies on base.img/);
  });
});
