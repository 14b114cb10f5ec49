// Files that are cut off, damaged, of another kind, version, parent or machine: one VmError that says what is wrong, and
// nothing started. Above all: no byte of a snapshot can change unnoticed.
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { MemorySnapshots, Vm, type VmConfig, VmError, verifySnapshot } from "../../src/index.ts";
import { inflateNow } from "../../src/platform/node/deflate.ts";
import { webCryptoSha256 } from "../../src/platform/platform.ts";
import {
  type ChunkRow,
  encodeIndex,
  HEADER_BYTES,
  METHOD_DEFLATE,
  METHOD_GROUPS,
  readFrame,
} from "../../src/snapshot/format.ts";
import { readGroups, unpackGroupNow } from "../../src/snapshot/groups.ts";
import { forged } from "./forge.ts";
import { startSteady, steadyConfig } from "./steady.ts";

const store = new MemorySnapshots();
let full: Uint8Array;
let child: Uint8Array;

beforeAll(async () => {
  const { vm } = await startSteady();
  await vm.pause();
  await vm.snapshot({ store, name: "full" });
  vm.memory.write(0x10_8000, Uint8Array.of(1, 2, 3));
  await vm.snapshot({ store, name: "child", parent: "full" });
  await vm.stop();
  full = store.get("full") as Uint8Array;
  child = store.get("child") as Uint8Array;
});

/** What becomes of a restore from `bytes`; a VM that came about is ended. */
async function restoring(bytes: Uint8Array, config?: Partial<VmConfig>): Promise<unknown> {
  store.put("bad", bytes);
  try {
    const vm = await Vm.restore({ store, name: "bad" }, config === undefined ? {} : { config });
    await vm.stop();
    return "restored";
  } catch (error) {
    return error;
  }
}

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] as number) ^ mask;
  return copy;
}

const isRefusal = (error: unknown): boolean => error instanceof VmError && error.code === "bad-snapshot";

describe("a file that is not whole", () => {
  it("is refused wherever it was cut", async () => {
    const cuts = [0, 1, 7, 8, 31, 32, 95, 96, full.length >> 1, full.length - 65, full.length - 64, full.length - 1];
    for (const cut of cuts) {
      expect(await restoring(full.slice(0, cut))).toMatchObject({ code: "bad-snapshot" });
    }
  });

  it("is refused when bytes follow it, and when it is of another kind", async () => {
    const longer = new Uint8Array(full.length + 1);
    longer.set(full);
    expect(await restoring(longer)).toMatchObject({ message: expect.stringContaining("trailer") });
    expect(await restoring(new TextEncoder().encode("#!/bin/sh\n".repeat(100)))).toMatchObject({
      message: "bad: magic is not that of a Paravane snapshot.",
    });
  });

  it("is refused by its version when that is another", async () => {
    expect(await restoring(flipped(full, 8, 3))).toMatchObject({
      message: "bad: version of the format is 2; this build reads 1.",
    });
  });

  it("is refused whichever bit is another (seeded)", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(full.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        return isRefusal(await restoring(flipped(full, at, mask)));
      }),
      { numRuns: 150 },
    );
    // The index and trailer are small: each of their last bytes.
    for (let at = full.length - 200; at < full.length; at++) {
      expect(isRefusal(await restoring(flipped(full, at, 0x10)))).toBe(true);
    }
  });

  it("gives a VmError for any bytes after a right beginning", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (tail, ended) => {
        const bytes = new Uint8Array(HEADER_BYTES + tail.length + (ended ? 64 : 0));
        bytes.set(full.subarray(0, HEADER_BYTES));
        bytes.set(tail, HEADER_BYTES);
        if (ended) bytes.set(full.subarray(-64), bytes.length - 64);
        return isRefusal(await restoring(bytes));
      }),
      { numRuns: 300 },
    );
  });
});

describe("a manifest that says something else, with digests that agree", () => {
  it("is read as it is when nothing was changed", async () => {
    expect(await restoring(await forged(full, () => {}))).toBe("restored");
  });

  it("gives a VmError whatever value is put anywhere (seeded)", { timeout: 120_000 }, async () => {
    const manifest = await manifestOf(full);
    const paths = pathsOf(manifest).filter((path) => !path.startsWith("config/boot"));
    const value = fc.oneof(
      fc.constantFrom(undefined, null, -1, 1e308, 0.5, "", "x", true, [], {}, new Uint8Array(0), new Uint8Array(5)),
      fc.jsonValue({ maxDepth: 2 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), value, async (path, put) => {
        const result = await restoring(await forged(full, (raw) => setPath(raw, path, put)));
        // Some values are as good as what was there.
        return result === "restored" || isRefusal(result);
      }),
      { numRuns: 250 },
    );
  });

  it.each<[string, string, unknown]>([
    ["config", "config/memoryBytes", 8 << 20],
    ["config", "config/cpu", "i1586"],
    ["floppies", "config/floppies", 2],
    ["images lack", "images", []],
    ["avx512", "machine/cpu/features", ["avx512"]],
    ["devices.gpu", "machine/devices/gpu", { version: 1, state: {} }],
    ["devices.rtc", "machine/devices/rtc", undefined],
    ["rtc: saved state has version 9", "machine/devices/rtc/version", 9],
    ["drives.0.backend was an object of the host", "external", ["drives.0.backend"]],
    ["romBytes", "romBytes", 65536],
    ["createdAt", "createdAt", "yesterday"],
  ])("is refused naming %s", async (words, path, value) => {
    const error = await restoring(await forged(full, (raw) => setPath(raw, path, value)));
    expect(error).toMatchObject({ code: "bad-snapshot" });
    expect((error as Error).message).toContain(words);
  });
});

describe("a chunk that says something else, with digests that agree", () => {
  /** The file with the bytes of its first packed chunk changed, or packed as older builds did, and every digest made right again. */
  async function repacked(edit: (blob: Uint8Array, row: ChunkRow) => [Uint8Array, number]): Promise<Uint8Array> {
    const read = async (offset: number, length: number): Promise<Uint8Array> => full.subarray(offset, offset + length);
    const frame = await readFrame(full.length, read, webCryptoSha256);
    const blobs: Uint8Array[] = [full.subarray(0, frame.rows[0]?.offset)];
    let offset = blobs[0]?.length ?? 0;
    const rows: ChunkRow[] = [];
    for (const row of frame.rows) {
      const blob = full.slice(row.offset, row.offset + row.storedBytes);
      const [bytes, method] = row.method === METHOD_GROUPS ? edit(blob, row) : [blob, row.method];
      rows.push({ ...row, offset, storedBytes: bytes.length, method, digest: await webCryptoSha256(bytes) });
      blobs.push(bytes);
      offset += bytes.length;
    }
    blobs.push((await encodeIndex(offset, frame.manifest, rows, webCryptoSha256)).bytes);
    return Buffer.concat(blobs);
  }

  async function hashOf(bytes: Uint8Array): Promise<string> {
    store.put("other", bytes);
    const vm = await Vm.restore({ store, name: "other" }, { identity: "same" });
    const hash = await vm.stateHash();
    await vm.stop();
    return hash;
  }

  it("is read where it is packed as a whole, as older builds did", async () => {
    const older = await repacked((blob, row) => {
      const bytes = Buffer.alloc(row.sizeBytes);
      for (const group of readGroups(blob, row.sizeBytes) ?? []) {
        bytes.set(
          unpackGroupNow(group, blob.subarray(group.offset, group.offset + group.storedBytes), inflateNow),
          group.at,
        );
      }
      return [deflateRawSync(bytes), METHOD_DEFLATE];
    });
    expect(await hashOf(older)).toBe(await hashOf(full));
  });

  it("is refused where the lengths of its groups cannot be right", async () => {
    for (const lengths of [0, 1, 0x7fffffff, 0xffffffff]) {
      const forgery = await repacked((blob) => {
        new DataView(blob.buffer).setUint32(0, lengths, true);
        return [blob, METHOD_GROUPS];
      });
      expect(await restoring(forgery)).toMatchObject({ code: "bad-snapshot", message: /^bad: chunk 0 is damaged/ });
    }
    const short = await repacked((blob) => [blob.subarray(0, 3), METHOD_GROUPS]);
    expect(await restoring(short)).toMatchObject({ code: "bad-snapshot" });
  });

  it("ends the VM with one error that names it where it does not unpack, and is found by verify", async () => {
    // Behind the lengths of 32 groups.
    const forgery = await repacked((blob) => [blob.fill(0xff, 32 * 4), METHOD_GROUPS]);
    store.put("bad", forgery);
    const vm = await Vm.restore({ store, name: "bad" });
    vm.start();
    const end = await vm.exited;
    expect(end).toMatchObject({
      kind: "crashed",
      error: { code: "bad-snapshot", message: /^bad: chunk \d+ is damaged/ },
    });
    expect(vm.state).toBe("crashed");
    await expect(Vm.restore({ store, name: "bad" }, { lazy: false })).rejects.toMatchObject({ code: "bad-snapshot" });
    await expect(verifySnapshot({ store, name: "bad" })).rejects.toMatchObject({ code: "bad-snapshot" });
    // What the host does to such memory is no exception either.
    const other = await Vm.restore({ store, name: "bad" });
    other.memory.write(0x10_0000, Uint8Array.of(1));
    other.start();
    expect(await other.exited).toMatchObject({ kind: "crashed", error: { code: "bad-snapshot" } });
  });
});

describe("a wish that cannot be honoured is refused by its field", () => {
  it.each<[keyof VmConfig, Partial<VmConfig>]>([
    ["memoryBytes", { memoryBytes: 64 << 20 }],
    ["cpu", { cpu: "pentium3" }],
    ["clock", { clock: "virtual" }],
    ["serialPorts", { serialPorts: 4 }],
    ["acpi", { acpi: false }],
    ["boot", { boot: { kind: "firmware", image: new Uint8Array(65536) } }],
  ])("%s", async (field, config) => {
    expect(await restoring(full, config)).toMatchObject({ code: "bad-snapshot", details: { field } });
  });

  it("and what the machine does not depend on is taken", async () => {
    expect(
      await restoring(full, { name: "other", onReset: "exit", memoryBytes: (await steadyConfig()).memoryBytes }),
    ).toBe("restored");
    store.put("good", full);
    await expect(Vm.restore({ store, name: "good" }, { clock: "then" as never })).rejects.toMatchObject({
      code: "bad-config",
    });
    await expect(Vm.restore({ store, name: "none" })).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("a parent", () => {
  const chain = async (parent: Uint8Array | undefined): Promise<unknown> => {
    const other = new MemorySnapshots();
    other.put("child", child);
    if (parent !== undefined) other.put("full", parent);
    try {
      return await verifySnapshot({ store: other, name: "child" });
    } catch (error) {
      return error;
    }
  };

  it("that is right makes the chain whole", async () => {
    expect(await chain(full)).toEqual({ files: ["child", "full"] });
  });

  it("that is missing, damaged or another one is named", async () => {
    expect(await chain(undefined)).toMatchObject({ code: "bad-snapshot", message: /child: parent full is not there/ });
    expect(await chain(flipped(full, 200, 1))).toMatchObject({ code: "bad-snapshot", message: /^full: .*damaged/ });
    const forgery = await forged(full, (raw) => setPath(raw, "createdAt", "2020-01-01T00:00:00.000Z"));
    expect(await chain(forgery)).toMatchObject({ code: "bad-snapshot", message: /full is another snapshot/ });
  });

  it("of another machine is not taken for one", async () => {
    const { vm } = await startSteady({ memoryBytes: 16 << 20 });
    await expect(vm.snapshot({ store, name: "x", parent: "full" })).rejects.toMatchObject({
      code: "bad-snapshot",
      details: { field: "parent" },
    });
    await expect(vm.snapshot({ store, name: "x", parent: "x" })).rejects.toMatchObject({ code: "bad-snapshot" });
    expect(store.get("x")).toBeUndefined();
    await vm.stop();
    await expect(vm.snapshot({ store, name: "x" })).rejects.toMatchObject({ code: "bad-state" });
  });
});

async function manifestOf(bytes: Uint8Array): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> = {};
  await forged(bytes, (manifest) => {
    found = manifest;
  });
  return found;
}

function pathsOf(value: unknown, prefix = ""): string[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([key, item]) => [`${prefix}${key}`, ...pathsOf(item, `${prefix}${key}/`)]);
}

function setPath(root: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split("/");
  const last = keys.pop() as string;
  let at = root;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
}
