// Raw images, overlays, exported directories, and which format an image is taken for.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TemporaryOverlay } from "../../../src/backends/block/overlay.ts";
import { MemoryFile, type RandomAccessFile } from "../../../src/backends/block/random-access.ts";
import { memoryCd, memoryDisk, RawDisk } from "../../../src/backends/block/raw.ts";
import { openDisk } from "../../../src/platform/node/disk.ts";
import { openDiskFile } from "../../../src/platform/node/disk-file.ts";
import type { BlockBackend } from "../../../src/vmm/block.ts";
import { has, pattern, runTool, Scratch } from "./tools.ts";

const KIB = 1024;

async function readAll(disk: BlockBackend): Promise<Uint8Array> {
  const bytes = new Uint8Array(disk.sizeBytes);
  await disk.read(0, bytes);
  return bytes;
}

describe("raw disks", () => {
  it("are the file's bytes, padded to whole sectors", async () => {
    using scratch = new Scratch();
    const path = scratch.path("a.img");
    writeFileSync(path, pattern(1300, 1));
    const disk = await openDisk(path);
    expect(disk.sizeBytes).toBe(1536);
    const expected = new Uint8Array(1536);
    expected.set(pattern(1300, 1));
    expect(await readAll(disk)).toEqual(expected);
    await disk.write(512, pattern(512, 2));
    await disk.flush();
    await disk.close();
    expected.set(pattern(512, 2), 512);
    expect(new Uint8Array(readFileSync(path))).toEqual(expected.subarray(0, 1300));
    expect(memoryCd(new Uint8Array(2049)).sizeBytes).toBe(4096);
  });

  it("refuse what is not theirs: read-only writes, half sectors, the space beyond", async () => {
    const disk = memoryDisk(4096);
    const fails = async (work: () => unknown): Promise<void> => {
      await expect((async () => work())()).rejects.toMatchObject({ name: "VmError", code: "io" });
    };
    await fails(() => disk.read(1, new Uint8Array(512)));
    await fails(() => disk.read(0, new Uint8Array(100)));
    await fails(() => disk.write(4096, new Uint8Array(512)));
    await fails(() => memoryDisk(512, { readOnly: true }).write(0, new Uint8Array(512)));
  });

  it("lose nothing that was flushed when the process is killed", async () => {
    using scratch = new Scratch();
    const path = scratch.path("a.raw");
    writeFileSync(path, "");
    truncateSync(path, 64 << 20);
    const child = spawn(
      process.execPath,
      ["--import", "tsx", new URL("flush-child.ts", import.meta.url).pathname, path],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.split("\n").length > 5) child.kill("SIGKILL");
    });
    await new Promise((resolve) => child.on("close", resolve));
    const bytes = readFileSync(path);
    for (const n of said.split("\n").slice(0, -1).map(Number))
      expect(Buffer.compare(bytes.subarray(n * 65_536, n * 65_536 + 4096), pattern(4096, n))).toBe(0);
  }, 30_000);

  it("of files that are not there or are folders are refused by name", async () => {
    using scratch = new Scratch();
    await expect(openDisk(scratch.path("none.img"))).rejects.toMatchObject({ code: "not-found" });
    await expect(openDisk(scratch.folder, { format: "raw" })).rejects.toThrow(/it is a directory/);
  });
});

describe("the format of an image", () => {
  it.each([
    ["plain.img", "\0\0\0\0", "raw"],
    ["disk", "QFI\xfb", /say format=qcow2, or format=raw/],
    ["disk.img", "QFI\xfb", /a raw disk can be made to look so by its guest/],
    ["disk.qcow2", "\0\0\0\0", /called qcow2 but does not begin like one/],
    ["disk.vmdk", "KDMV", /convert it with qemu-img/],
    ["disk.vhdx", "vhdxfile", /begins like a vhdx image/],
  ])("%s beginning with %j", async (name, head, expected) => {
    using scratch = new Scratch();
    const path = scratch.path(name);
    writeFileSync(path, Buffer.concat([Buffer.from(head, "latin1"), Buffer.alloc(1024)]));
    if (typeof expected === "string") await (await openDisk(path)).close();
    else {
      await expect(openDisk(path)).rejects.toThrow(expected);
      await (await openDisk(path, { format: "raw" })).close();
    }
  });
});

/** Answers later, as a page's storage does, in an order of its own. */
class SlowFile implements RandomAccessFile {
  readonly name = "slow";
  readonly readOnly = false;
  readonly #file = new MemoryFile();
  #n = 0;
  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }
  async #wait(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, (this.#n++ * 7) % 3));
  }
  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#wait();
    this.#file.read(offset, into);
  }
  async write(offset: number, from: Uint8Array): Promise<void> {
    const copy = from.slice();
    await this.#wait();
    this.#file.write(offset, copy);
  }
  async flush(): Promise<void> {}
  async truncate(size: number): Promise<void> {
    this.#file.truncate(size);
  }
  async close(): Promise<void> {}
}

describe("temporary overlays", () => {
  it("take every write, show the disk below elsewhere, and commit on request; also over storage that answers late", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ sector: fc.nat(390), count: fc.integer({ min: 1, max: 9 }), write: fc.boolean() }), {
          maxLength: 20,
        }),
        fc.boolean(),
        async (steps, slow) => {
          const size = 200 * KIB;
          const below = memoryDisk(pattern(size, 1));
          const overlay = new TemporaryOverlay(below, slow ? new SlowFile() : new MemoryFile());
          const model = pattern(size, 1);
          const work: Promise<void>[] = [];
          for (const [n, { sector, count, write }] of steps.entries()) {
            const offset = sector * 512;
            const bytes = write ? pattern(count * 512, n) : new Uint8Array(count * 512);
            if (write) {
              work.push(Promise.resolve(overlay.write(offset, bytes)));
              model.set(bytes, offset);
            } else {
              // Not waited for one by one: requests may overlap, their effects keep their order.
              const expected = model.slice(offset, offset + count * 512);
              const read = Promise.resolve(overlay.read(offset, bytes));
              work.push(read.then(() => expect(Buffer.compare(bytes, expected)).toBe(0)));
            }
          }
          await Promise.all(work);
          expect(Buffer.compare(await readAll(below), pattern(size, 1))).toBe(0);
          expect(Buffer.compare(await readAll(overlay), model)).toBe(0);
          await overlay.commit();
          expect(Buffer.compare(await readAll(below), model)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("stand still for who froze them while they are written; also over storage that answers late", async () => {
    const CLUSTER = 64 * KIB;
    const size = 3 * CLUSTER + 5 * 512;
    const write = fc.record({ sector: fc.nat(size / 512 - 9), count: fc.integer({ min: 1, max: 9 }) });
    const writes = fc.array(write, { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(writes, writes, writes, fc.boolean(), async (before, between, after, slow) => {
        const overlay = new TemporaryOverlay(memoryDisk(pattern(size, 1)), slow ? new SlowFile() : new MemoryFile());
        const model = pattern(size, 1);
        let seed = 1;
        const apply = (list: typeof before): Promise<unknown> =>
          Promise.all(
            list.map(({ sector, count }) => {
              const bytes = pattern(count * 512, ++seed);
              model.set(bytes, sector * 512);
              return overlay.write(sector * 512, bytes);
            }),
          );
        await apply(before);
        const [then, frozen] = [model.slice(), overlay.freeze()];
        const writing = apply(between);
        const second = writing.then(() => ({ model: model.slice(), frozen: overlay.freeze() }));
        const same = async (disk: typeof frozen, expected: Uint8Array): Promise<void> => {
          for (let cluster = 0; cluster * CLUSTER < size; cluster++) {
            const bytes = await disk.read(cluster);
            expect(Buffer.compare(bytes, expected.subarray(cluster * CLUSTER, (cluster + 1) * CLUSTER))).toBe(0);
            if (!disk.has(cluster))
              expect(
                Buffer.compare(bytes, pattern(size, 1).subarray(cluster * CLUSTER, cluster * CLUSTER + bytes.length)),
              ).toBe(0);
          }
        };
        await same(frozen, then);
        const later = await second;
        await apply(after);
        await same(frozen, then);
        await same(later.frozen, later.model);
        frozen.close();
        later.frozen.close();
        expect(Buffer.compare(await readAll(overlay), model)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("are the default of nobody but of who asks, and overlays that are kept find their disk again", async () => {
    using scratch = new Scratch();
    const base = scratch.path("base.img");
    writeFileSync(base, pattern(256 * KIB, 1));
    const temporary = await openDisk(base, { snapshot: true });
    await temporary.write(0, pattern(512, 2));
    await temporary.close();
    const kept = scratch.path("kept.qcow2");
    for (const seed of [3, 4]) {
      const overlay = await openDisk(base, { overlay: kept });
      if (seed === 4) {
        const before = new Uint8Array(512);
        await overlay.read(3 * 512, before);
        expect(before).toEqual(pattern(512, 3));
      }
      await overlay.write(seed * 512, pattern(512, seed));
      await overlay.close();
    }
    expect(Buffer.compare(readFileSync(base), pattern(256 * KIB, 1))).toBe(0);
    const other = scratch.path("other.img");
    writeFileSync(other, pattern(512, 1));
    await expect(openDisk(other, { overlay: kept })).rejects.toThrow(/name the disk that it belongs to/);
  });
});

const TREE: Readonly<Record<string, Uint8Array>> = {
  "README.TXT": new TextEncoder().encode("hello\n"),
  "a file with a long name.text": pattern(70_000, 1),
  "a file with a longer name.text": pattern(5, 2),
  "sub/deeper/leaf.bin": pattern(123_456, 3),
  "sub/empty": new Uint8Array(0),
  "sub/\u00fcml\u00e4ut.txt": pattern(20, 4),
  "UPPER~1.TXT": pattern(9, 5),
};

function makeTree(scratch: Scratch, more = 0): string {
  const folder = scratch.path("tree");
  mkdirSync(`${folder}/sub/deeper`, { recursive: true });
  for (const [name, bytes] of Object.entries(TREE)) writeFileSync(`${folder}/${name}`, bytes);
  for (let i = 0; i < more; i++) writeFileSync(`${folder}/sub/generated file number ${i}`, pattern(i, i));
  symlinkSync("/etc/passwd", `${folder}/link`);
  return folder;
}

async function exported(scratch: Scratch, folder: string, floppy: boolean): Promise<{ image: string; mtools: string }> {
  const disk = await openDisk(folder, { readOnly: true, floppy });
  const image = scratch.path("exported.img");
  const out: RandomAccessFile = openDiskFile(image, "create");
  const piece = new Uint8Array(1 << 20);
  const zeros = new Uint8Array(piece.length);
  for (let at = 0; at < disk.sizeBytes; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, disk.sizeBytes - at));
    await disk.read(at, part);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) await out.write(at, part);
  }
  await out.truncate(disk.sizeBytes);
  await out.close();
  await disk.close();
  return { image, mtools: floppy ? image : `${image}@@32256` };
}

describe.skipIf(!has("mcopy") || !has("fsck.vfat"))(
  "directories as FAT volumes, with mtools and fsck as the oracles",
  () => {
    it.each([
      ["hard disk", false, 40],
      ["floppy", true, 10],
    ])("every file is there, by its long name, with its bytes: %s", async (_name, floppy, more) => {
      using scratch = new Scratch();
      const folder = makeTree(scratch, more);
      const { image, mtools } = await exported(scratch, folder, floppy);
      const volume = scratch.path("volume.img");
      writeFileSync(volume, readFileSync(image).subarray(floppy ? 0 : 32256));
      expect(runTool("fsck.vfat", "-n", "-v", volume)).not.toMatch(/differ|wrong|bad|orphan|free cluster count/i);
      const back = scratch.path("back");
      mkdirSync(back);
      runTool("sh", "-c", `LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1 mcopy -s -Q -i '${mtools}' '::*' '${back}'`);
      runTool("rm", `${folder}/link`);
      expect(runTool("diff", "-r", folder, back)).toBe("");
    });

    it("a floppy that is too small, and a directory that is none, are refused", async () => {
      using scratch = new Scratch();
      const folder = makeTree(scratch);
      writeFileSync(`${folder}/big`, pattern(1_500_000, 1));
      await expect(openDisk(folder, { floppy: true })).rejects.toThrow(/give it as a hard disk/);
      await expect(openDisk(scratch.path("nothing"), { format: "dir" })).rejects.toMatchObject({ code: "not-found" });
    });

    it("large trees are FAT32", async () => {
      using scratch = new Scratch();
      const folder = makeTree(scratch);
      writeFileSync(`${folder}/sparse`, "");
      truncateSync(`${folder}/sparse`, 700 << 20);
      const { image, mtools } = await exported(scratch, folder, false);
      const volume = scratch.path("volume.img");
      runTool("sh", "-c", `tail -c +32257 '${image}' | cp --sparse=always /dev/stdin '${volume}'`);
      expect(runTool("fsck.vfat", "-n", "-v", volume)).toContain("32 bit entries");
      expect(runTool("sh", "-c", `mdir -i '${mtools}' ::/sub`)).toContain("deeper");
    });

    it("takes writes into an overlay", async () => {
      using scratch = new Scratch();
      const folder = makeTree(scratch);
      const disk = await openDisk(folder);
      await disk.write(0, pattern(512, 1));
      const back = new Uint8Array(512);
      await disk.read(0, back);
      expect(back).toEqual(pattern(512, 1));
      await disk.close();
      expect(disk).toBeInstanceOf(TemporaryOverlay);
      expect(new RawDisk(new MemoryFile(3)).sizeBytes).toBe(512);
    });
  },
);
