// Drives on the command line, and the disk verb against qemu-img.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { droppedWrites, parseBootOrder, parseDrives } from "../../src/cli/drives.ts";
import { runCommandLine } from "../../src/cli/main.ts";
import { translateQemuSpellings } from "../../src/cli/qemu.ts";
import { has, pattern, runTool, Scratch } from "../backends/block/tools.ts";
import { fakeIo } from "./fake-machine.ts";

describe("drives on the command line", () => {
  it("are QEMU's, with writes dropped unless somebody says where they go", () => {
    expect(parseDrives({ drive: ["file=a.img,if=virtio,format=raw,id=root,bootindex=2"] })).toEqual([
      {
        id: "root",
        bus: "virtio",
        media: "disk",
        bootIndex: 2,
        backend: { path: "a.img", format: "raw", snapshot: true },
      },
    ]);
    const [kept, locked, over] = parseDrives({
      drive: ["file=a.img,snapshot=off", "file=b.img,readonly=on", "file=c,,d.img,overlay=o.qcow2"],
    });
    expect(kept?.backend).toEqual({ path: "a.img", snapshot: false });
    expect(locked).toMatchObject({ readOnly: true, backend: { snapshot: false } });
    expect(over?.backend).toEqual({ path: "c,d.img", snapshot: false, overlay: "o.qcow2" });
    expect(parseDrives({ cdrom: "x.iso", fda: "f.img", hdb: "h.img" })).toMatchObject([
      { bus: "ide", unit: 1, media: "disk" },
      { bus: "ide", unit: 2, media: "cdrom", backend: { path: "x.iso", snapshot: false } },
      { bus: "floppy", unit: 0 },
    ]);
    expect(droppedWrites(parseDrives({ hda: "dir/h.img", cdrom: "x.iso" }))).toMatch(
      /^what is written to h.img is dropped/,
    );
    expect(parseBootOrder("order=dca")).toEqual(["cdrom", "disk", "floppy"]);
    expect(translateQemuSpellings(["-hda", "x", "-drive", "file=y", "-boot", "d"])).toEqual([
      "--hda",
      "x",
      "--drive",
      "file=y",
      "--boot",
      "d",
    ]);
  });

  it.each([
    [{ drive: ["fil=a"] }, /no property "fil" \(did you mean file\?\)/],
    [{ drive: ["file=a,if=scsi"] }, /if: "scsi" is not one of ide, virtio, floppy/],
    [{ drive: ["file=a,format=vmdk"] }, /format: "vmdk" is not one of raw, qcow2, dir/],
    [{ drive: ["file=a,readonly=yes"] }, /readonly: "yes" is not one of on, off/],
    [{ drive: ["file=a,overlay=b,snapshot=on"] }, /overlay keeps what is written/],
    [{ drive: ["file=a,id=x", "file=b,id=x"] }, /two drives are called id=x/],
  ])("%j is refused", (raw, message) => {
    expect(() => parseDrives(raw)).toThrow(message);
  });

  it.each(["x", "cc", ""])("--boot %s is refused", (text) => {
    expect(() => parseBootOrder(text)).toThrow(/is not an order/);
  });
});

describe.skipIf(!has("qemu-img") || !has("qemu-io"))("paravane disk", () => {
  it("creates, converts, checks and commits what qemu-img finds right", async () => {
    using scratch = new Scratch();
    const [raw, base, top, flat] = ["a.raw", "base.qcow2", "top.qcow2", "flat.raw"].map((name) =>
      scratch.path(name),
    ) as [string, string, string, string];
    const run = async (...argv: string[]): Promise<number> => await runCommandLine(["disk", ...argv], fakeIo());
    const content = new Uint8Array(4 << 20);
    content.set(pattern(300_000, 1), 1 << 20);
    writeFileSync(raw, content);
    expect(await run("convert", raw, base)).toBe(0);
    expect(runTool("qemu-img", "compare", raw, base)).toContain("identical");
    expect(await run("create", "-b", base, top)).toBe(0);
    runTool("qemu-io", "-c", "write -P 7 0 64k", "-c", "write -z 1M 64k", top);
    expect(await run("check", top)).toBe(0);
    expect(await run("commit", top)).toBe(0);
    expect(await run("convert", base, flat)).toBe(0);
    content.fill(7, 0, 65_536).fill(0, 1 << 20, (1 << 20) + 65_536);
    expect(Buffer.compare(readFileSync(flat), content)).toBe(0);
    expect(await run("create", top, "1M")).not.toBe(0);
    expect(await run("create", scratch.path("x"), "5")).toBe(2);
    const bytes = readFileSync(top);
    bytes.writeUInt16BE(0, 2 * 65_536 + 4 * 2);
    writeFileSync(top, bytes);
    expect(await run("check", top)).toBe(4);
  });

  it("makes an image of the kind that its name says, which the other verbs and a drive then take for that", async () => {
    using scratch = new Scratch();
    const run = async (...argv: string[]): Promise<string> => {
      const io = fakeIo();
      expect(await runCommandLine(["disk", ...argv], io), io.errText()).toBe(0);
      return io.outText();
    };
    for (const [name, format] of [
      ["a.img", "raw"],
      ["b.qcow2", "qcow2"],
    ] as const) {
      await run("create", scratch.path(name), "1M");
      expect(JSON.parse(await run("info", "--json", scratch.path(name)))).toMatchObject({ format, sizeBytes: 1 << 20 });
    }
    await run("create", "-f", "qcow2", scratch.path("c.img"), "1M");
    expect(JSON.parse(await run("info", "--json", "-f", "qcow2", scratch.path("c.img"))).format).toBe("qcow2");
  });
});
