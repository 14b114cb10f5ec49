import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { EscapeFilter } from "../../src/cli/escape.ts";
import { progressLine } from "../../src/cli/progress.ts";

const childScript = fileURLToPath(new URL("./raw-terminal-child.ts", import.meta.url));
const hasScript = spawnSync("script", ["--version"]).status === 0;

describe("the escape key", () => {
  function type(...pieces: string[]): { guest: string; actions: string[] } {
    const filter = new EscapeFilter();
    const actions: string[] = [];
    const guest = pieces.map((piece) =>
      Buffer.from(filter.push(Buffer.from(piece, "latin1"), (action) => actions.push(action))).toString("latin1"),
    );
    return { guest: guest.join(""), actions };
  }
  it("passes everything else through, every byte", () => {
    const all = Array.from({ length: 256 }, (_, i) => (i === 1 ? "" : String.fromCharCode(i))).join("");
    expect(type(all)).toEqual({ guest: all, actions: [] });
  });
  it("turns Ctrl-A and a letter into a command, also when they come apart", () => {
    expect(type("a\x01xb")).toEqual({ guest: "ab", actions: ["quit"] });
    expect(type("a\x01", "hb", "\x01S")).toEqual({ guest: "ab", actions: ["help", "stats"] });
  });
  it("sends one Ctrl-A for two, and helps after a letter without a meaning", () => {
    expect(type("\x01\x01")).toEqual({ guest: "\x01", actions: [] });
    expect(type("\x01\x01\x01", "\x01x")).toEqual({ guest: "\x01\x01x", actions: [] });
    expect(type("\x01?")).toEqual({ guest: "", actions: ["help"] });
  });
});

describe("progress", () => {
  it("fits the window and stays between 0 and 100 %", () => {
    expect(progressLine({ phase: "downloading", done: 1, total: 2 }, 80)).toBe(
      `downloading  [${"#".repeat(12)}${"-".repeat(12)}] 50%`,
    );
    expect(progressLine({ phase: "x", done: 9, total: 3 }, 80)).toContain("100%");
    expect(progressLine({ phase: "unpacking" }, 80)).toBe("unpacking");
    for (const columns of [10, 20, 40])
      expect(progressLine({ phase: "a rather long phase", done: 1, total: 3 }, columns).length).toBeLessThan(columns);
  });
});

describe.skipIf(!hasScript)("a raw terminal", () => {
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill("SIGKILL"));

  /** Runs the child under a pty of its own, types `keys` once it is ready; returns everything that was printed. */
  async function session(ending: string, keys: string): Promise<string> {
    const inner = `stty rows 30 cols 100; stty -g; "${process.execPath}" --import tsx "${childScript}" ${ending} 2>/dev/null; sleep 0.4; echo; echo "code $?"; stty -g`;
    child = spawn("script", ["-qec", inner, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    let typed = false;
    child.stdout?.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
      if (!typed && output.includes("ready")) {
        typed = true;
        child?.stdin?.write(keys);
      }
    });
    await new Promise((resolve) => child?.on("close", resolve));
    return output;
  }

  it.each(["dispose", "exit", "throw", "SIGKILL", "SIGABRT", "abort"])(
    "is what it was before after %s",
    async (ending) => {
      const output = await session(ending, "x");
      const settings = output.match(/^(?:[0-9a-f]+:){10,}[0-9a-f]+\r$/gm);
      expect(settings).toHaveLength(2);
      expect(settings?.[1]).toBe(settings?.[0]);
      expect(output).toContain("[100x30]");
    },
  );

  it("hands every key over at once and without an echo: no line editing, no signals", async () => {
    expect(await session("dispose", "\x03")).toContain("ready<03>");
    expect(await session("dispose", "\x1a")).toContain("ready<1a>");
    expect(await session("dispose", "\r")).toContain("ready<0d>");
  });

  it("shows what the guest prints as it is: a line feed does not return", async () => {
    expect(await session("exit", "x")).toContain("\nraw");
    expect(await session("exit", "x")).not.toContain("\r\nraw");
  });
});
