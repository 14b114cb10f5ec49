// The README's commands work as written (those that need no network).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "paravane-readme-"));
symlinkSync(join(root, "roms"), join(folder, "roms"));
afterAll(() => rmSync(folder, { recursive: true }));

const examples = [
  ...(readme.split("## Five things to try")[1] ?? "")
    .split("## As a library")[0]!
    .matchAll(/```\nnpx paravane (.*)\n```/g),
].map((match) => match[1] ?? "");

describe("the README", () => {
  it("has five examples", () => expect(examples).toHaveLength(5));

  it.each(examples)("paravane %s", (args) => {
    const launcher = join(root, "bin/paravane.js");
    const { status, stderr } = spawnSync("sh", ["-c", `"${process.execPath}" "${launcher}" ${args}`], {
      cwd: folder,
      encoding: "utf8",
      timeout: 25_000,
      input: "",
    });
    expect([status, status === 0 ? "" : stderr]).toEqual([0, ""]);
  });

  it.each(["README.md", "docs/CLI.md", "docs/DEBUG.md"])("%s links only to files that are there", (name) => {
    const text = readFileSync(join(root, name), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
      expect(() => readFileSync(join(root, name, "..", target))).not.toThrow();
  });
});
