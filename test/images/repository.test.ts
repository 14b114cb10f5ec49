// The archive that debootstrap installs from.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeRepository } from "../../src/images/repository.ts";
import { parseStanzas, requiredPackages } from "../../src/images/stanza.ts";
import { has, runTool, Scratch } from "../backends/block/tools.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("a repository of packages", () => {
  it.skipIf(!has("dpkg-deb"))("has each package's own description, its place, size and digest", async () => {
    using scratch = new Scratch();
    const control = "Package: one\nVersion: 1:2.0\nArchitecture: i386\nMaintainer: a\nDescription: short\n and long\n";
    mkdirSync(scratch.path("one/DEBIAN"), { recursive: true });
    writeFileSync(scratch.path("one/DEBIAN/control"), control);
    runTool("dpkg-deb", "--root-owner-group", "-b", scratch.path("one"), scratch.path("one.deb"));
    const deb = new Uint8Array(readFileSync(scratch.path("one.deb")));
    const packages = [{ name: "one", version: "1:2.0", digest: sha256(deb), deb }];
    const files = await makeRepository(packages, { suite: "bookworm", architecture: "i386", sha256 });
    expect(files.get("pool/one.deb")).toBe(deb);
    const index = files.get("dists/bookworm/main/binary-i386/Packages") as Uint8Array;
    const text = new TextDecoder().decode(index);
    expect(text).toBe(`${control}Filename: pool/one.deb\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n\n`);
    const release = new TextDecoder().decode(files.get("dists/bookworm/Release"));
    expect(release).toContain("Codename: bookworm\n");
    expect(release).toContain(` ${sha256(index)} ${index.length} main/binary-i386/Packages\n`);
  });

  it("knows which packages every system has", () => {
    const index =
      "Package: b\nPriority: required\n\nPackage: c\nPriority: optional\n\n\nPackage: a\nPriority: required\n";
    expect(requiredPackages(parseStanzas(index))).toEqual(["a", "b"]);
  });
});
