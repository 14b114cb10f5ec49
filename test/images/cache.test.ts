import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defaultCacheRoot, ImageCache, type ImageManifest } from "../../src/images/node/cache.ts";
import { type GuestImageOptions, guestImageDigest } from "../../src/images/node/guest-image.ts";
import {
  listImages,
  openImage,
  pullGuestImage,
  pullImage,
  readImageFile,
  removeImage,
} from "../../src/images/node/index.ts";
import { imageSets } from "../../src/images/node/sets.ts";
import { VmError } from "../../src/vmm/error.ts";

let root: string;
let cache: ImageCache;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "paravane-cache-"));
  cache = new ImageCache(root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const recipeOf = (name: string): number | undefined => imageSets.find((set) => set.name === name)?.recipe;

const store = async (name: string, files: Record<string, string>, recipe = recipeOf(name)): Promise<ImageManifest> => {
  const records: Record<string, { digest: string; sizeBytes: number }> = {};
  for (const [file, text] of Object.entries(files)) records[file] = await cache.put(new TextEncoder().encode(text));
  const manifest: ImageManifest = {
    format: 1,
    name,
    title: "t",
    ...(recipe === undefined ? {} : { recipe }),
    kind: "linux",
    createdMs: 1,
    source: "s",
    append: "console=ttyS0",
    files: records,
  };
  await cache.writeManifest(manifest);
  return manifest;
};

describe("the image cache", () => {
  it("is where PARAVANE_CACHE, XDG_CACHE_HOME or the home directory says", () => {
    expect(defaultCacheRoot({ PARAVANE_CACHE: "/c", XDG_CACHE_HOME: "/x" })).toBe("/c");
    expect(defaultCacheRoot({ XDG_CACHE_HOME: "/x" })).toBe("/x/paravane");
    expect(defaultCacheRoot({})).toMatch(/\.cache\/paravane$/);
  });

  it("gives back what was put in, and keeps equal files once", async () => {
    await store("linux", { kernel: "KERNEL", initrd: "INITRD" });
    await store("linux-pae", { kernel: "OTHER", initrd: "INITRD" });
    const image = await openImage("linux", cache);
    expect(Buffer.from(image.kernel).toString()).toBe("KERNEL");
    expect(Buffer.from(image.initrd ?? []).toString()).toBe("INITRD");
    expect(readdirSync(join(root, "blobs"))).toHaveLength(3);
    expect((await listImages(cache)).map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ["linux", 12],
      ["linux-pae", 11],
    ]);
  });

  it("does not take an image that an older version made of something else", async () => {
    await store("linux", { kernel: "KERNEL" }, 1);
    await expect(openImage("linux", cache)).rejects.toThrow(/older one.*images pull linux/);
    await expect(openImage("linux", cache)).rejects.toMatchObject({ code: "not-found" });
  });

  it("notices a changed byte and a missing file at every load, and says how to repair it", async () => {
    const manifest = await store("linux", { kernel: "KERNEL", initrd: "INITRD" });
    const blob = join(root, "blobs", manifest.files.kernel?.digest ?? "");
    writeFileSync(blob, "KERNEl");
    await expect(openImage("linux", cache)).rejects.toThrow(/kernel of image linux is damaged.*pull linux --force/);
    rmSync(blob);
    await expect(openImage("linux", cache)).rejects.toMatchObject({ code: "bad-image" });
  });

  it.each([
    "",
    "{",
    "null",
    '{"format":2}',
    '{"format":1,"name":"linux","append":"","kind":"linux","files":{"kernel":{"digest":"../../etc/passwd","sizeBytes":1}}}',
  ])("refuses the manifest %s", async (text) => {
    await store("linux", { kernel: "K" });
    writeFileSync(join(root, "images", "linux.json"), text);
    await expect(openImage("linux", cache)).rejects.toMatchObject({ code: "bad-image" });
    expect(await listImages(cache)).toEqual([]);
  });

  it("removes an image with the files that no other image uses", async () => {
    await store("linux", { kernel: "KERNEL", initrd: "INITRD" });
    await store("linux-pae", { kernel: "OTHER", initrd: "INITRD" });
    expect(await removeImage("linux", cache)).toBe(true);
    expect(await removeImage("linux", cache)).toBe(false);
    expect(readdirSync(join(root, "blobs"))).toHaveLength(2);
    expect(Buffer.from(await readImageFile("linux-pae", "initrd", cache)).toString()).toBe("INITRD");
  });

  it("says what to do about an image that is unknown, not pulled, or has no such file", async () => {
    await expect(openImage("windows", cache)).rejects.toThrow(/no image "windows"; linux, linux-pae, linux-tiny/);
    await expect(openImage("linux", cache)).rejects.toThrow(/not in the cache; run "paravane images pull linux"/);
    await store("linux", { kernel: "K" });
    await expect(readImageFile("linux", "vgabios", cache)).rejects.toThrow(/no file "vgabios"; it has kernel/);
    await expect(pullImage("windows", { cache })).rejects.toMatchObject({ code: "not-found" });
  });

  it("says where it cannot write", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    await expect(new ImageCache(join(file, "below")).put(Uint8Array.of(1))).rejects.toThrow(
      /set PARAVANE_CACHE to a directory/,
    );
  });

  it("leaves nothing behind when a pull fails", async () => {
    const failing = pullImage("seabios", { cache, mirror: "not a url" });
    await expect(failing).rejects.toBeInstanceOf(VmError);
    expect(readdirSync(join(root, "work"))).toEqual([]);
    expect(await listImages(cache)).toEqual([]);
  });

  it("keeps an intact image that is pulled again, without asking anyone", async () => {
    await store("seabios", { firmware: "F" });
    const before = readFileSync(join(root, "images", "seabios.json"), "utf8");
    const entry = await pullImage("seabios", { cache, mirror: "not a url" });
    expect(entry.name).toBe("seabios");
    expect(readFileSync(join(root, "images", "seabios.json"), "utf8")).toBe(before);
  });

  it("does not take an image of one's own that was made of something else", async () => {
    const data = new TextEncoder().encode("a file");
    const entries = [{ kind: "file", path: "word", data, permissions: 0o644 }] as const;
    const asked = { modules: ["8139cp"], entries };
    const manifest = await store("mine", { kernel: "KERNEL" });
    await cache.writeManifest({ ...manifest, options: guestImageDigest(asked) });
    const pull = (options: GuestImageOptions) => pullGuestImage("mine", { ...options, cache, mirror: "not a url" });
    expect((await pull(asked)).name).toBe("mine");
    await expect(pull({ modules: ["8139too"], entries })).rejects.toBeInstanceOf(VmError);
    const other = { ...entries[0], data: data.slice(1) };
    await expect(pull({ ...asked, entries: [other] })).rejects.toBeInstanceOf(VmError);
  });
});
