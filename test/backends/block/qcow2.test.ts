// qcow2 against qemu-img and qemu-io: what we write they read and find sound, what they write we read.
import { spawn } from "node:child_process";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkQcow2 } from "../../../src/backends/block/qcow2/check.ts";
import { createQcow2 } from "../../../src/backends/block/qcow2/create.ts";
import { Qcow2Disk } from "../../../src/backends/block/qcow2/image.ts";
import { MemoryFile, type RandomAccessFile } from "../../../src/backends/block/random-access.ts";
import { memoryDisk } from "../../../src/backends/block/raw.ts";
import { openDisk, readQcow2Header } from "../../../src/platform/node/disk.ts";
import { openDiskFile } from "../../../src/platform/node/disk-file.ts";
import { has, pattern, runTool, Scratch } from "./tools.ts";

const MIB = 1 << 20;
const qemuImg = (...args: string[]): string => runTool("qemu-img", ...args);
const qemuIo = (file: string, ...commands: string[]): string =>
  runTool("qemu-io", ...commands.flatMap((command) => ["-c", command]), file);

async function ourCheck(path: string) {
  const file = openDiskFile(path, "read");
  const result = await checkQcow2(file, await readQcow2Header(file));
  await file.close();
  return result;
}

async function bytesAt(path: string, offset: number, length: number): Promise<Uint8Array> {
  const disk = await openDisk(path, { format: "qcow2", readOnly: true });
  const bytes = new Uint8Array(length);
  await disk.read(offset, bytes);
  await disk.close();
  return bytes;
}

describe.skipIf(!has("qemu-img") || !has("qemu-io"))("qcow2 with QEMU's tools as the oracle", () => {
  it.each([
    ["64 KiB clusters", "cluster_size=65536"],
    ["512-byte clusters", "cluster_size=512"],
    ["2 MiB clusters", "cluster_size=2M"],
    ["version 2", "compat=0.10"],
    ["1-bit refcounts", "refcount_bits=1"],
    ["64-bit refcounts", "refcount_bits=64"],
    ["lazy refcounts, closed properly", "lazy_refcounts=on"],
  ])("random writes, zeroes and discards leave a sound image with the right content: %s", async (_name, options) => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    const raw = scratch.path("a.raw");
    const size = options === "cluster_size=512" ? 2 * MIB : 16 * MIB;
    qemuImg("create", "-q", "-f", "qcow2", "-o", options, image, String(size));
    const model = new Uint8Array(size);
    const disk = await openDisk(image, { format: "qcow2" });
    let seed = 7;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let step = 0; step < 150; step++) {
      const offset = next(size / 512) * 512;
      const length = Math.min(size - offset, (1 + next(step % 10 === 0 ? 1200 : 40)) * 512);
      const what = next(8);
      if (what < 5) {
        const bytes = pattern(length, step);
        await disk.write(offset, bytes);
        model.set(bytes, offset);
      } else if (what === 5) {
        await disk.writeZeroes?.(offset, length);
        model.fill(0, offset, offset + length);
      } else if (what === 6) {
        // Whole clusters are gone, edges stay: what is there afterwards is the guest's to find out.
        await disk.discard?.(offset, length);
        await disk.read(offset, model.subarray(offset, offset + length));
      } else if (step % 3 === 0) {
        await disk.flush();
      } else {
        const bytes = new Uint8Array(length);
        await disk.read(offset, bytes);
        expect(Buffer.compare(bytes, model.subarray(offset, offset + length))).toBe(0);
      }
    }
    await disk.close();
    writeFileSync(raw, model);
    expect(qemuImg("check", "-f", "qcow2", image)).toContain("No errors were found");
    expect(qemuImg("compare", "-f", "qcow2", "-F", "raw", image, raw)).toContain("identical");
    expect(await ourCheck(image)).toMatchObject({ errors: [], leakedClusters: 0 });
  });

  it("reads what qemu-io wrote: data, zero clusters, a hole, compressed clusters by zlib and zstd", async () => {
    using scratch = new Scratch();
    const raw = scratch.path("a.raw");
    const text = new TextEncoder().encode("all work and no play makes a dull disk; ".repeat(30_000));
    writeFileSync(raw, text.subarray(0, MIB));
    for (const compression of ["zlib", "zstd"]) {
      const packed = scratch.path(`${compression}.qcow2`);
      qemuImg("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", `compression_type=${compression}`, raw, packed);
      expect(statSync(packed).size).toBeLessThan(MIB / 2);
      expect(Buffer.compare(await bytesAt(packed, 0, MIB), text.subarray(0, MIB))).toBe(0);
      // A write into a compressed cluster unpacks it and gives back what it took.
      const disk = await openDisk(packed, { format: "qcow2" });
      await disk.write(70_144, pattern(512, 1));
      await disk.close();
      expect(qemuImg("check", packed)).toContain("No errors were found");
      const expected = text.slice(0, MIB);
      expected.set(pattern(512, 1), 70_144);
      writeFileSync(scratch.path("b.raw"), expected);
      expect(qemuImg("compare", "-f", "raw", "-F", "qcow2", scratch.path("b.raw"), packed)).toContain("identical");
    }
    const image = scratch.path("b.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", image, "8M");
    qemuIo(image, "write -P 0xab 0 128k", "write -z 64k 64k", "write -P 0xcd 1M 512");
    expect(new Set(await bytesAt(image, 0, 65536))).toEqual(new Set([0xab]));
    expect(new Set(await bytesAt(image, 65536, 65536))).toEqual(new Set([0]));
    expect(new Set(await bytesAt(image, MIB, 512))).toEqual(new Set([0xcd]));
    expect(new Set(await bytesAt(image, 4 * MIB, MIB))).toEqual(new Set([0]));
  });

  it("keeps backing files as they are, shows them through, and lets zeros hide them", async () => {
    using scratch = new Scratch();
    const [base, middle, top] = ["base.qcow2", "middle.qcow2", "top.qcow2"].map((name) => scratch.path(name)) as [
      string,
      string,
      string,
    ];
    qemuImg("create", "-q", "-f", "qcow2", base, "4M");
    qemuIo(base, "write -P 0x11 0 4M");
    qemuImg("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", middle, "4M");
    // Larger than what lies below.
    qemuImg("create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", top, "6M");
    const before = readFileSync(base);
    const disk = await openDisk(top, { format: "qcow2" });
    await disk.write(512, pattern(1024, 3));
    await disk.writeZeroes?.(1 * MIB, 128 * 1024);
    await disk.write(5 * MIB, pattern(512, 4));
    await disk.close();
    expect(Buffer.compare(readFileSync(base), before)).toBe(0);
    const flat = scratch.path("flat.raw");
    qemuImg("convert", "-f", "qcow2", "-O", "raw", top, flat);
    const expected = new Uint8Array(6 * MIB).fill(0x11, 0, 4 * MIB);
    expected.set(pattern(1024, 3), 512);
    expected.fill(0, MIB, MIB + 128 * 1024);
    expected.set(pattern(512, 4), 5 * MIB);
    expect(Buffer.compare(readFileSync(flat), expected)).toBe(0);
    expect(Buffer.compare(await bytesAt(top, 0, 6 * MIB), expected)).toBe(0);
    expect(qemuImg("check", top)).toContain("No errors were found");
  });

  it("writes beside a snapshot without touching it", async () => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", image, "4M");
    qemuIo(image, "write -P 0x22 0 2M");
    qemuImg("snapshot", "-c", "before", image);
    const disk = (await openDisk(image, { format: "qcow2" })) as Qcow2Disk;
    expect(disk.snapshots.map(({ name }) => name)).toEqual(["before"]);
    await disk.write(0, pattern(MIB, 5));
    await disk.write(3 * MIB, pattern(512, 6));
    await disk.close();
    expect(qemuImg("check", image)).toContain("No errors were found");
    expect(await ourCheck(image)).toMatchObject({ errors: [], leakedClusters: 0 });
    expect(Buffer.compare(await bytesAt(image, 0, MIB), pattern(MIB, 5))).toBe(0);
    qemuImg("snapshot", "-a", "before", image);
    expect(new Set(await bytesAt(image, 0, 2 * MIB))).toEqual(new Set([0x22]));
    expect(new Set(await bytesAt(image, 3 * MIB, 512))).toEqual(new Set([0]));
  });

  it("makes images that qemu-img takes, and grows their refcount table", async () => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    const file = openDiskFile(image, "create");
    // 64 entries of 512-byte clusters, 256 refcounts each: 8 MiB of file fill the table.
    await createQcow2(file, { sizeBytes: 24 * MIB, clusterBytes: 512 });
    await file.close();
    expect(JSON.parse(qemuImg("info", "--output=json", image))).toMatchObject({
      format: "qcow2",
      "virtual-size": 24 * MIB,
      "cluster-size": 512,
    });
    const disk = await openDisk(image, { format: "qcow2" });
    for (let at = 0; at < 20 * MIB; at += MIB) {
      await disk.write(at, pattern(MIB, at));
      if (at % (5 * MIB) === 0) await disk.flush();
    }
    await disk.close();
    expect(qemuImg("check", image)).toContain("No errors were found");
    expect(Buffer.compare(await bytesAt(image, 19 * MIB, MIB), pattern(MIB, 19 * MIB))).toBe(0);
  });

  it("agrees with qemu-img check on damage", async () => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", image, "4M");
    qemuIo(image, "write -P 0x33 0 1M");
    const bytes = readFileSync(image);
    // The first refcount block is cluster 2 of a fresh image: a cluster in use now counts as free, one beyond leaks.
    bytes.writeUInt16BE(0, 2 * 65536 + 5 * 2);
    writeFileSync(image, bytes);
    expect((await ourCheck(image)).errors.length).toBeGreaterThan(0);
    expect(() => qemuImg("check", image)).toThrow();
    // And a writer that would be given that cluster refuses.
    const l2 = Number((readFileSync(image).readBigUInt64BE(3 * 65536) & 0x00ffffffffffffffn) / 65536n);
    bytes.writeUInt16BE(0, 2 * 65536 + l2 * 2);
    writeFileSync(image, bytes);
    const disk = await openDisk(image, { format: "qcow2" });
    await expect((async () => disk.write(2 * MIB, pattern(MIB, 1)))()).rejects.toThrow(
      /holds a table but counts as free/,
    );
  });

  it("loses nothing that was flushed when the process is killed, and stays sound", async () => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", image, "64M");
    for (const delay of [30, 120, 300]) {
      const child = spawn(
        process.execPath,
        ["--import", "tsx", new URL("flush-child.ts", import.meta.url).pathname, image],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      let said = "";
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("\n")) setTimeout(() => child.kill("SIGKILL"), delay);
      });
      await new Promise((resolve) => child.on("close", resolve));
      const acknowledged = said.split("\n").slice(0, -1).map(Number);
      expect(acknowledged.length).toBeGreaterThan(0);
      for (const n of acknowledged)
        expect(Buffer.compare(await bytesAt(image, n * 65_536, 4096), pattern(4096, n))).toBe(0);
      // Leaks are allowed, errors are not: qemu-img ends with 3 for the former.
      expect((await ourCheck(image)).errors).toEqual([]);
      qemuImg("check", "-r", "leaks", image);
    }
  }, 60_000);
});

/** Records writes and flushes; `crash` gives the file as a power failure could leave it. */
class LossyFile implements RandomAccessFile {
  readonly name = "lossy";
  readonly readOnly = false;
  #durable: Uint8Array;
  #volatile: { offset: number; bytes: Uint8Array }[] = [];
  readonly #live: MemoryFile;
  constructor(content: Uint8Array) {
    this.#durable = content.slice();
    this.#live = new MemoryFile(content);
  }
  get sizeBytes(): number {
    return this.#live.sizeBytes;
  }
  read(offset: number, into: Uint8Array): void {
    this.#live.read(offset, into);
  }
  write(offset: number, from: Uint8Array): void {
    this.#live.write(offset, from);
    this.#volatile.push({ offset, bytes: from.slice() });
  }
  flush(): void {
    this.#durable = this.#merge(() => true);
    this.#volatile = [];
  }
  truncate(size: number): void {
    this.#live.truncate(size);
  }
  close(): void {}
  /** Each write since the last flush has reached the disk or not, in any combination. */
  crash(reached: (index: number) => boolean): Uint8Array {
    return this.#merge(reached);
  }
  #merge(reached: (index: number) => boolean): Uint8Array {
    const image = new MemoryFile(this.#durable);
    for (const [i, { offset, bytes }] of this.#volatile.entries()) if (reached(i)) image.write(offset, bytes);
    const all = new Uint8Array(image.sizeBytes);
    image.read(0, all);
    return all;
  }
}

describe("qcow2 by itself", () => {
  it("survives a power failure at any point, whichever unflushed writes reached the disk", async () => {
    const SIZE = 512 * 1024;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ sector: fc.nat(SIZE / 512 - 9), count: fc.integer({ min: 1, max: 8 }), flush: fc.boolean() }),
          { minLength: 1, maxLength: 25 },
        ),
        fc.nat(),
        fc.infiniteStream(fc.boolean()),
        async (writes, stopAt, coins) => {
          const fresh = new MemoryFile();
          await createQcow2(fresh, { sizeBytes: SIZE, clusterBytes: 1024 });
          const start = new Uint8Array(fresh.sizeBytes);
          fresh.read(0, start);
          const file = new LossyFile(start);
          const disk = await Qcow2Disk.open(file, await readQcow2Header(file));
          /** What each sector may hold: the flushed content, or anything written since. */
          const allowed = new Map<number, number[]>();
          for (const [n, { sector, count, flush }] of writes.slice(0, 1 + (stopAt % writes.length)).entries()) {
            await disk.write(sector * 512, new Uint8Array(count * 512).fill(n + 1));
            for (let i = 0; i < count; i++) allowed.set(sector + i, [...(allowed.get(sector + i) ?? [0]), n + 1]);
            if (!flush) continue;
            await disk.flush();
            for (const [at, values] of allowed) allowed.set(at, values.slice(-1));
          }
          const after = new MemoryFile(file.crash(() => coins.next().value as boolean));
          const header = await readQcow2Header(after);
          expect((await checkQcow2(after, header)).errors).toEqual([]);
          const again = await Qcow2Disk.open(after, header);
          for (const [sector, values] of allowed) {
            const bytes = new Uint8Array(512);
            await again.read(sector * 512, bytes);
            expect(values).toContain(bytes[0]);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("answers a damaged image with a VmError or with data, never with anything else", async () => {
    const fresh = new MemoryFile();
    await createQcow2(fresh, { sizeBytes: MIB, clusterBytes: 512 });
    const disk = await Qcow2Disk.open(fresh, await readQcow2Header(fresh));
    await disk.write(0, pattern(40_960, 9));
    await disk.flush();
    const good = new Uint8Array(fresh.sizeBytes);
    fresh.read(0, good);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.oneof(fc.nat(110), fc.nat(4095)), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const file = new MemoryFile(bytes);
          try {
            const header = await readQcow2Header(file);
            if (header.sizeBytes > 64 * MIB) return;
            const damaged = await Qcow2Disk.open(file, header, { backing: memoryDisk(MIB) });
            const length = Math.min(16_384, damaged.sizeBytes);
            await damaged.read(0, new Uint8Array(length));
            await damaged.write(0, new Uint8Array(length));
            await damaged.flush();
          } catch (error) {
            expect(error).toMatchObject({ name: "VmError" });
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    ["is not qcow2", (b: Buffer) => b.writeUInt32BE(0, 0), /not a qcow2 image/],
    ["has an unknown version", (b: Buffer) => b.writeUInt32BE(4, 4), /version 4 is not supported/],
    ["has impossible clusters", (b: Buffer) => b.writeUInt32BE(40, 20), /clusters of 2\^40/],
    ["is encrypted", (b: Buffer) => b.writeUInt32BE(1, 32), /encrypted/],
    ["has its L1 table outside", (b: Buffer) => b.writeUInt32BE(1, 40), /L1 table lies outside/],
    ["has extended L2 entries", (b: Buffer) => b.writeUInt8(0x10, 79), /extended L2 entries/],
    ["has a feature nobody knows", (b: Buffer) => b.writeUInt8(0x80, 79), /feature "number 7"/],
    ["is marked corrupt", (b: Buffer) => b.writeUInt8(2, 79), /marked corrupt/],
    ["was not closed by a lazy writer", (b: Buffer) => b.writeUInt8(1, 79), /lazy refcounts/],
    ["claims more than its L1 table maps", (b: Buffer) => b.writeUInt32BE(1 << 20, 24), /L1 table is too small/],
  ])("refuses in one sentence an image that %s", async (_name, damage, message) => {
    const fresh = new MemoryFile();
    await createQcow2(fresh, { sizeBytes: MIB });
    const bytes = Buffer.alloc(fresh.sizeBytes);
    fresh.read(0, bytes);
    damage(bytes);
    const file = new MemoryFile(bytes);
    const open = async (): Promise<unknown> => await Qcow2Disk.open(file, await readQcow2Header(file));
    await expect(open()).rejects.toThrow(message);
  });

  it("refuses backing files without a recorded format, and chains that come back", async () => {
    using scratch = new Scratch();
    const image = scratch.path("a.qcow2");
    const file = openDiskFile(image, "create");
    await createQcow2(file, { sizeBytes: MIB, backing: { name: "a.qcow2", format: "qcow2" } });
    await file.close();
    await expect(openDisk(image)).rejects.toThrow(/comes back to/);
    const bytes = readFileSync(image);
    bytes.writeUInt32BE(0x12345678, 112);
    writeFileSync(image, bytes);
    await expect(openDisk(image)).rejects.toThrow(/not recorded/);
    truncateSync(image, 100);
    await expect(openDisk(image)).rejects.toMatchObject({ code: "bad-image" });
  });
});
