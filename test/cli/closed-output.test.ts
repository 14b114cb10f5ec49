// Output that nobody reads, or that cannot be written: `paravane run --help | head -1` is no failure.
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a shell pipeline in which "paravane" is this checkout's; returns the first command's status and what went to stderr. */
async function shell(pipeline: string): Promise<{ code: number; stderr: string }> {
  const script = `paravane() { exec node bin/paravane.js "$@"; }; ${pipeline}; exit "\${PIPESTATUS[0]}"`;
  const child = spawn("bash", ["-c", script], { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (text: Buffer) => {
    stderr += text.toString();
  });
  const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
  return { code, stderr };
}

/** The reader is gone before the first byte is written. */
const unread = (command: string): string => `(sleep 0.3; paravane ${command}) | true`;

describe("output that nobody reads", () => {
  it.each([
    "",
    "--help",
    "--version",
    "version",
    "roms",
    "roms --json",
    "help",
    "help exit-codes",
    "help keys",
    "help debug",
    "debug hello --batch -x regs -x continue",
    "debug hello",
    "images",
    "images list --json",
    "images pull --help",
    "images rm --help",
  ])("makes no failure of `paravane %s`", { timeout: 60_000 }, async (command) => {
    expect(await shell(unread(command))).toEqual({ code: 0, stderr: "" });
  });

  it("makes no failure of any verb's help", { timeout: 120_000 }, async () => {
    const { stdout } = spawnSync("node", ["bin/paravane.js", "help"], { cwd: root, encoding: "utf8" });
    const verbs = [...stdout.slice(stdout.indexOf("Commands:")).matchAll(/^ {2}(\w+) /gm)].map((match) => match[1]);
    expect(verbs).toEqual(expect.arrayContaining(["run", "debug", "images", "roms", "version", "help"]));
    for (const verb of verbs) {
      expect(await shell(unread(`${verb} --help`)), verb).toEqual({ code: 0, stderr: "" });
    }
  });

  it("ends a guest as SIGPIPE would, silently", { timeout: 60_000 }, async () => {
    expect(await shell(unread("run hello --clock virtual"))).toEqual({ code: 141, stderr: "" });
  });

  it("lets the statistics and messages of a run go", { timeout: 60_000 }, async () => {
    const { code } = await shell(`(sleep 0.3; paravane run nothing-of-this-name) 2>&1 | true`);
    expect(code).toBe(2);
  });
});

it("output for which there is no room is one line and the host's exit code", { timeout: 60_000 }, async () => {
  expect(await shell("(paravane roms > /dev/full)")).toEqual({
    code: 12,
    stderr: "paravane: cannot write the output: no space left on device\n",
  });
});
