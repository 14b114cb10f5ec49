// Disks whose writes do not outlive a VM, in its snapshots: temporary overlays, and files that a page brought along.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DriveConfig, flattenSnapshot, inspectSnapshot, MemorySnapshots, Vm } from "../../src/index.ts";
import { verifySnapshot } from "../../src/snapshot/inspect.ts";
import { has, pattern, runTool, Scratch } from "../backends/block/tools.ts";
import { DiskGuest, diskKernel } from "./disk-guest.ts";
import { forged } from "./forge.ts";

const MIB = 2 ** 20;
const SIZE = 9 * MIB + 512 * 7;
const letter = (bytes: Uint8Array, sector: number): string => String.fromCharCode(bytes[sector * 512] ?? 0);

describe.skipIf(!has("nasm"))(`a disk${has("nasm") ? "" : " (skipped: no nasm)"}`, () => {
  let kernel: Uint8Array;
  const scratch = new Scratch();
  const image = scratch.path("disk.img");
  const content = new Uint8Array(pattern(SIZE, 1));
  beforeAll(() => {
    kernel = diskKernel();
    // Beside what is written: a hole, and letters that an answer of one byte can show.
    content.fill(0, 4 * MIB, 8 * MIB);
    for (let sector = 0; sector < 256; sector++) content[sector * 512] = 0x41 + (sector % 26);
    writeFileSync(image, content);
  });
  afterAll(() => scratch[Symbol.dispose]());

  const boot = () => ({ kind: "multiboot", kernel, name: "disk", append: "" }) as const;
  const make = async (backend: DriveConfig["backend"]): Promise<Vm> =>
    await Vm.create({
      memoryBytes: 4 * MIB,
      boot: boot(),
      drives: [{ id: "hd", bus: "ide", ...(backend && { backend }) }],
    });
  const restored = async (store: MemorySnapshots, name: string): Promise<DiskGuest> => {
    const vm = await Vm.restore({ store, name });
    open.push(vm);
    const guest = new DiskGuest(vm);
    vm.start();
    return guest;
  };
  const open: Vm[] = [];
  const closeAll = async (): Promise<void> => {
    for (const vm of open.splice(0)) await vm.stop();
  };

  const BACKENDS: readonly (readonly [what: string, backend: () => Promise<DriveConfig["backend"]>])[] = [
    ["a temporary overlay", async () => ({ path: image, snapshot: true })],
    ["a file that a page brought along", async () => ({ path: "disk.img", blob: new Blob([content]) })],
  ];
  it.each(BACKENDS)("of %s is restored as it was when it was saved", async (_what, backend) => {
    const store = new MemorySnapshots();
    const vm = await make(await backend());
    open.push(vm);
    const guest = await new DiskGuest(vm).begin();
    expect(await guest.read(5)).toBe(letter(content, 5));
    await guest.write(5, "1");
    await guest.write(100, "2");
    // The guest runs on while it is written, and writes: that is not in it.
    const first = vm.snapshot({ store, name: "first" });
    await guest.write(5, "3");
    await first;
    await guest.write(6, "4");
    await vm.snapshot({ store, name: "second", parent: "first" });
    await guest.write(5, "5");
    expect(await guest.read(5)).toBe("5");

    const then = await restored(store, "first");
    // The snapshot may be of before or after the write beside it.
    expect(["1", "3"]).toContain(await then.read(5));
    expect(await then.read(100)).toBe("2");
    expect(await then.read(6)).toBe(letter(content, 6));
    expect(await then.read(101)).toBe(letter(content, 101));
    await then.write(100, "6");

    await flattenSnapshot({ store, name: "second" }, { store, name: "flat" });
    for (const name of ["second", "flat"]) {
      const later = await restored(store, name);
      expect([await later.read(5), await later.read(6), await later.read(100)]).toEqual(["3", "4", "2"]);
    }
    expect(Buffer.compare(readFileSync(image), content)).toBe(0);
    await verifySnapshot({ store, name: "second" });
    await closeAll();
  });

  it("of a page needs nobody to bring it again, has no room for zeros, and is found in what is said of the snapshot", async () => {
    const store = new MemorySnapshots();
    const vm = await make({ path: "disk.img", blob: new Blob([content]) });
    open.push(vm);
    await new DiskGuest(vm).begin();
    await vm.snapshot({ store, name: "whole" });
    const report = await inspectSnapshot({ store, name: "whole" });
    expect(report.external).toEqual([]);
    const clusters = Math.ceil(SIZE / 65536) - (4 * MIB) / 65536;
    expect(report.disks).toEqual([{ drive: "hd", kind: "whole", sizeBytes: SIZE, savedBytes: clusters * 65536 }]);
    // A child has nothing of it once more.
    await vm.snapshot({ store, name: "child", parent: "whole" });
    expect((store.get("child") as Uint8Array).length).toBeLessThan((store.get("whole") as Uint8Array).length / 10);
    const copy = await restored(store, "child");
    expect(await copy.read(77)).toBe(letter(content, 77));
    await closeAll();
  });

  it.skipIf(!has("qemu-img"))("of a page that is qcow2 is saved as what it shows", async () => {
    const packed = scratch.path("packed.qcow2");
    runTool("qemu-img", "convert", "-c", "-O", "qcow2", image, packed);
    const store = new MemorySnapshots();
    const vm = await make({ path: "packed.qcow2", format: "qcow2", blob: new Blob([readFileSync(packed)]) });
    open.push(vm);
    const guest = await new DiskGuest(vm).begin();
    await guest.write(1, "x");
    await vm.snapshot({ store, name: "packed" });
    const copy = await restored(store, "packed");
    expect([await copy.read(1), await copy.read(2)]).toEqual(["x", letter(content, 2)]);
    await closeAll();
  });

  it("whose image has another size or content by now is refused in a sentence, and so is a folder's", async () => {
    const store = new MemorySnapshots();
    const path = scratch.path("shrinks.img");
    writeFileSync(path, content);
    const vm = await make({ path, snapshot: true });
    open.push(vm);
    await (await new DiskGuest(vm).begin()).write(1, "x");
    await vm.snapshot({ store, name: "shrunk" });
    writeFileSync(path, content.subarray(0, 4 * MIB));
    await expect(Vm.restore({ store, name: "shrunk" })).rejects.toThrow(
      `disks have an overlay of ${SIZE} bytes for hd, whose image has ${4 * MIB} now.`,
    );
    const other = content.slice();
    other.fill(0x21, 64 * 1024 * 63, 64 * 1024 * 64);
    writeFileSync(path, other);
    await expect(Vm.restore({ store, name: "shrunk" })).rejects.toThrow(
      "disks have an overlay for hd, whose image has another content now.",
    );
    const folder = await make({ path: scratch.folder, format: "dir" });
    open.push(folder);
    await expect(folder.snapshot({ store, name: "folder" })).rejects.toMatchObject({ code: "bad-state" });
    await closeAll();
  });

  it("of a hostile snapshot that is large and the same all over takes no more memory than the snapshot can hold", async () => {
    const store = new MemorySnapshots();
    const vm = await make({ path: "disk.img", blob: new Blob([content]) });
    open.push(vm);
    await new DiskGuest(vm).begin();
    await vm.snapshot({ store, name: "good" });
    const put = async (count: number): Promise<void> => {
      const bytes = await forged(store.get("good") as Uint8Array, (manifest) => {
        const disk = (manifest["disks"] as Record<string, unknown>[])[0] as Record<string, unknown>;
        const [piece] = disk["pieces"] as Record<string, unknown>[];
        disk["sizeBytes"] = count * 4 * MIB;
        disk["pieces"] = Array.from({ length: count }, (_, i) => ({ ...piece, piece: i }));
      });
      store.put("large", bytes);
    };
    await put(16_384);
    await expect(restored(store, "large")).rejects.toMatchObject({ code: "bad-snapshot" });
    await put(1000);
    const before = process.memoryUsage().rss;
    const copy = await restored(store, "large");
    expect(await copy.read(3)).toBe(letter(content, 3));
    expect(process.memoryUsage().rss - before).toBeLessThan(1000 * MIB);
    await closeAll();
  });

  it("that a damaged or hostile snapshot claims to have is refused", async () => {
    const store = new MemorySnapshots();
    const vm = await make({ path: image, snapshot: true });
    open.push(vm);
    await (await new DiskGuest(vm).begin()).write(1, "x");
    await vm.snapshot({ store, name: "good" });
    await vm.stop();
    const good = store.get("good") as Uint8Array;
    type Edit = (disk: Record<string, unknown>, piece: Record<string, unknown>) => void;
    const edits: readonly (readonly [says: RegExp, edit: Edit])[] = [
      [/disks\[0\]\.drive is not text/, (disk) => (disk["drive"] = 5)],
      [/overlay for sd, which is no drive/, (disk) => (disk["drive"] = "sd")],
      [/disks\[0\]\.kind is none of/, (disk) => (disk["kind"] = "half")],
      [/disks\[0\]\.sizeBytes is not a size/, (disk) => (disk["sizeBytes"] = SIZE + 1)],
      [/disks\[0\]\.sizeBytes is not a size/, (disk) => (disk["sizeBytes"] = -512)],
      [/disks\[0\]\.sizeBytes is not a size/, (disk) => Object.assign(disk, { kind: "whole", sizeBytes: 2 ** 50 })],
      [/disks have an overlay of/, (disk) => (disk["sizeBytes"] = SIZE + 512)],
      [/disks\[0\]\.samples is no list/, (disk) => (disk["samples"] = 1)],
      [/disks\[0\]\.samples is no list/, (disk) => (disk["samples"] = new Array(17).fill(null))],
      [/disks\[0\]\.samples is not within/, (disk) => (disk["samples"] = [{ cluster: 2 ** 40 }])],
      [/disks\[0\]\.samples has no digest/, (disk) => (disk["samples"] = [{ cluster: 1, digest: "x" }])],
      [/disks\[0\]\.pieces is not a list/, (disk) => (disk["pieces"] = {})],
      [/pieces\[0\] is not in order within the disk/, (_disk, piece) => (piece["piece"] = 3)],
      [/pieces\[0\] is not in order within the disk/, (_disk, piece) => (piece["piece"] = -1)],
      [/pieces\[1\] is not in order/, (disk, piece) => (disk["pieces"] = [piece, piece])],
      [/pieces\[0\] has no clusters/, (_disk, piece) => (piece["present"] = new Uint8Array(8))],
      [/pieces\[0\] has no clusters/, (_disk, piece) => (piece["present"] = "all")],
      [
        /clusters beyond the disk/,
        (_disk, piece) => Object.assign(piece, { piece: 2, present: new Uint8Array(8).fill(255) }),
      ],
      [/is no piece of a disk/, (_disk, piece) => (piece["present"] = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0))],
      [/pieces\[0\] names no image/, (_disk, piece) => (piece["image"] = "x")],
      [/lack 0{64}, which disks need/, (_disk, piece) => (piece["image"] = "0".repeat(64))],
      [/have nobody, which is no drive with a file/, (disk) => Object.assign(disk, { kind: "whole", drive: "nobody" })],
    ];
    for (const [says, edit] of edits) {
      const bytes = await forged(good, (manifest) => {
        const disk = (manifest["disks"] as Record<string, unknown>[])[0] as Record<string, unknown>;
        edit(disk, (disk["pieces"] as Record<string, unknown>[])[0] as Record<string, unknown>);
      });
      store.put("bad", bytes);
      await expect(Vm.restore({ store, name: "bad" }), String(says)).rejects.toMatchObject({
        code: "bad-snapshot",
        message: expect.stringMatching(says),
      });
    }
  });
});
