// The README's commands work as written (those that need no network).
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
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

/** Runs what stands behind `npx paravane`, as a shell takes it. */
function paravane(args: string): { status: number | null; stdout: string; stderr: string } {
  const launcher = join(root, "bin/paravane.js");
  return spawnSync("sh", ["-c", `"${process.execPath}" "${launcher}" ${args}`], {
    cwd: folder,
    encoding: "utf8",
    timeout: 25_000,
    input: "",
  });
}

describe("the README", () => {
  it("has five examples", () => expect(examples).toHaveLength(5));

  it.each(examples)("paravane %s", (args) => {
    const { status, stderr } = paravane(args);
    expect([status, status === 0 ? "" : stderr]).toEqual([0, ""]);
  });

  it("shows what the default guest says", () => {
    const { stdout } = paravane("run --clock virtual --until 'Type help'");
    const lines = stdout.split("\n").map((line) => line.trimEnd());
    const first = lines.findIndex((line) => line.startsWith("Paravane "));
    expect(readme).toContain(
      `\n\`\`\`\n${lines.slice(first, lines.indexOf("Type help for the commands.") + 1).join("\n")}\n`,
    );
  });

  it("has a program that runs", async () => {
    const program = /```ts\n([^`]*)```/.exec(readme)?.[1] ?? "";
    const { code } = await transform(program, { loader: "ts", format: "esm", target: "node20" });
    // In the package's own folder "paravane" is this package. The guest of the example waits for input for ever.
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code], { cwd: root });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (bytes: Buffer) => {
        said += bytes.toString();
        if (said.includes("Type help for the commands.")) child.kill();
      });
    const signal = await new Promise((resolve) => child.on("close", (_, name) => resolve(name)));
    expect([signal, signal === null ? said : ""]).toEqual(["SIGTERM", ""]);
  });

  it.each(["README.md", "docs/CLI.md", "docs/DEBUG.md"])("%s links only to files that are there", (name) => {
    const text = readFileSync(join(root, name), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
      expect(() => readFileSync(join(root, name, "..", target))).not.toThrow();
  });
});
