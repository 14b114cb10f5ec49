import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { ArchiveError, readAr, readTar, type TarEntry } from "../../src/images/archive.ts";
import { debDataTar, debEntries } from "../../src/images/deb.ts";

const directory = mkdtempSync(join(tmpdir(), "paravane-archive-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// The system's own tar and ar make what is read here.
const LONG = `${"deep/".repeat(30)}${"n".repeat(60)}`;
mkdirSync(join(directory, "tree", LONG, ".."), { recursive: true });
writeFileSync(join(directory, "tree", LONG), "long");
writeFileSync(join(directory, "tree", "script"), "#!/bin/sh\n", { mode: 0o755 });
writeFileSync(join(directory, "tree", "empty"), "");
writeFileSync(join(directory, "tree", "block"), new Uint8Array(512).fill(65));
symlinkSync(`../${"target".repeat(25)}`, join(directory, "tree", "link"));
linkSync(join(directory, "tree", "script"), join(directory, "tree", "zz-hard"));
const tar = (format: string): Uint8Array =>
  new Uint8Array(execFileSync("tar", [`--format=${format}`, "--sort=name", "-C", join(directory, "tree"), "-c", "."]));

describe("tar archives", () => {
  it.each(["gnu", "ustar"])("in %s format give every file, link and directory", (format) => {
    if (format === "ustar") {
      // A link target above 100 bytes has no place in ustar.
      rmSync(join(directory, "tree", "link"));
      symlinkSync("target", join(directory, "tree", "link"));
    }
    const entries = new Map([...readTar(tar(format))].map((entry) => [entry.path, entry]));
    const text = (path: string): string =>
      new TextDecoder().decode((entries.get(path) as Extract<TarEntry, { kind: "file" }>).data);
    expect(text(LONG)).toBe("long");
    expect(text("block")).toHaveLength(512);
    expect(text("empty")).toBe("");
    expect(entries.get("script")).toMatchObject({ kind: "file", permissions: 0o755 });
    expect(entries.get("zz-hard")).toEqual({ kind: "hardlink", path: "zz-hard", target: "script" });
    expect(entries.get("link")).toMatchObject({
      kind: "symlink",
      target: format === "gnu" ? `../${"target".repeat(25)}` : "target",
    });
    expect(entries.get("deep/deep")).toMatchObject({ kind: "directory" });
    expect(entries.has("")).toBe(false);
  });

  it("that are damaged end in an ArchiveError or in fewer entries, and nothing else", () => {
    const whole = tar("gnu");
    fc.assert(
      fc.property(
        fc.nat(whole.length),
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 5 }),
        (cut, changes) => {
          const bytes = whole.slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            for (const entry of readTar(bytes.subarray(0, cut))) expect(entry.path).not.toMatch(/^\/|(^|\/)\.\.(\/|$)/);
          } catch (error) {
            expect(error).toBeInstanceOf(ArchiveError);
          }
        },
      ),
    );
  });

  it("cannot name a path outside the tree", () => {
    writeFileSync(join(directory, "escape"), "x");
    const bytes = execFileSync("tar", ["-P", "-C", join(directory, "tree"), "-c", "../escape"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    expect([...readTar(new Uint8Array(bytes))].map((entry) => entry.path)).toEqual(["escape"]);
  });
});

describe("Debian packages", () => {
  const build = (compression: readonly string[], suffix: string): Uint8Array => {
    const data = execFileSync(compression[0] as string, compression.slice(1), {
      input: tar("gnu"),
      maxBuffer: 1 << 24,
    });
    writeFileSync(join(directory, `data.tar${suffix}`), data);
    writeFileSync(join(directory, "debian-binary"), "2.0\n");
    writeFileSync(join(directory, "control.tar.xz"), "odd");
    const deb = join(directory, `made${suffix}.deb`);
    rmSync(deb, { force: true });
    execFileSync("ar", ["rc", deb, "debian-binary", "control.tar.xz", `data.tar${suffix}`], { cwd: directory });
    return new Uint8Array(execFileSync("cat", [deb]));
  };

  it.each([
    [".xz", ["xz", "-c"]],
    [".gz", ["gzip", "-c"]],
    ["", ["cat"]],
  ])("with data.tar%s give their files; hard links become files", async (suffix, compression) => {
    const unpacked = await debDataTar(build(compression, suffix));
    expect(unpacked).toEqual(tar("gnu"));
    const entries = [...debEntries(unpacked)];
    expect(entries.find((entry) => entry.path === "zz-hard")).toMatchObject({ kind: "file", permissions: 0o755 });
  });

  it("without data, and files that are none, are refused", async () => {
    expect(() => readAr(Uint8Array.of(1, 2, 3))).toThrow(ArchiveError);
    const deb = build(["cat"], "");
    await expect(debDataTar(deb.slice(0, 100))).rejects.toThrow(ArchiveError);
  });
});
