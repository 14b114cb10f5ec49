import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import { TerminalKeys, type TypedKeys } from "../../src/cli/terminal-keys.ts";
import { type FakeMachine, fakeIo } from "./fake-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-display-"));
afterAll(() => rmSync(folder, { recursive: true }));
/** Any option ROM: nothing is to be fetched for these tests. */
const BIOS = join(folder, "vga.bin");
writeFileSync(BIOS, Uint8Array.of(0x55, 0xaa, 1));
const VGA = ["--vga-bios", BIOS];

const run = async (words: readonly string[], script: (machine: FakeMachine) => void | Promise<void>) => {
  const io = fakeIo(script);
  const code = await runCommandLine(["run", "hello", ...VGA, ...words], io);
  return { code, machine: io.machine as FakeMachine, err: io.errText() };
};

const typed = (machine: FakeMachine): string[] => machine.done.filter((word) => /^(type|keys)/.test(word));

describe("a script of --wait-screen, --type and --keys", () => {
  it("goes step by step in the order given, and ends with 0 where it ends with a look", async () => {
    const { code, machine } = await run(
      ["--wait-screen", "login:", "--type", "root\\n", "--keys", "ctrl-l f2", "--wait-screen", "^# done"],
      async (m) => {
        m.show("booting");
        await sleep(5);
        expect(typed(m)).toEqual([]);
        m.show("debian login:");
        await sleep(5);
        m.show("#");
        m.show("# done");
      },
    );
    expect(code).toBe(0);
    expect(typed(machine)).toEqual(["type root\n", "keys ctrl-l", "keys f2"]);
  });

  it("types at once where it begins with that, and then the guest runs on", async () => {
    const { code, machine } = await run(["--type", "a\\tb"], async (m) => {
      await sleep(5);
      m.end({ kind: "power-off" });
    });
    expect(code).toBe(0);
    expect(typed(machine)).toEqual(["type a\tb"]);
  });

  it("ends with 10 when the guest ends before it shows what is waited for", async () => {
    const { code, err } = await run(["--wait-screen", "login:"], (m) => {
      m.show("panic");
      m.end({ kind: "power-off" });
    });
    expect(code).toBe(10);
    expect(err).toContain("its screen did not show --wait-screen /login:/");
  });

  it("sees what is on the screen already", async () => {
    const { code } = await run(["--wait-screen", "a", "--wait-screen", "b"], (m) => m.show("a", "b"));
    expect(code).toBe(0);
  });

  it("waits until the guest has taken what was typed", async () => {
    const { code } = await run(["--type", "x", "--wait-screen", "there"], async (m) => {
      m.keyboard.waiting = 1;
      m.show("there");
      await sleep(60);
      expect(m.done).not.toContain("stop");
      expect(m.state).toBe("running");
      m.keyboard.waiting = 0;
    });
    expect(code).toBe(0);
  });
});

describe("--screenshot", () => {
  it("writes what the screen showed at the end", async () => {
    const file = join(folder, "end.png");
    const { code, machine } = await run(["--screenshot", file], (m) => {
      m.show("x");
      m.end({ kind: "power-off" });
    });
    expect(code).toBe(0);
    expect(machine.config.display).toBe("vga");
    expect([...readFileSync(file).subarray(1, 4)]).toEqual([..."PNG"].map((c) => c.charCodeAt(0)));
  });

  it("says so where it cannot", async () => {
    const { code, err } = await run(["--screenshot", join(folder, "no", "end.png")], (m) =>
      m.end({ kind: "power-off" }),
    );
    expect(code).toBe(12);
    expect(err).toMatch(/cannot write the screenshot .*no such file or directory/);
    expect(existsSync(join(folder, "no"))).toBe(false);
  });
});

describe("the adapter", () => {
  it.each<[string[], string | undefined]>([
    [["-vga", "none"], "none"],
    [["--vga", "none", "-display", "none"], "none"],
    [["-nographic"], undefined],
    [["-display", "none"], undefined],
  ])("%s", async (words, display) => {
    const io = fakeIo();
    expect(await runCommandLine(["run", "hello", ...words], io)).toBe(0);
    expect(io.machine?.config.display).toBe(display);
  });

  it.each<[string[], RegExp]>([
    [["--display", "text", "--vga-bios", BIOS], /--display text needs a terminal/],
    [["-display", "curses", "--vga-bios", BIOS], /--display text needs a terminal/],
    [["-display", "gtk"], /--display: "gtk" is not one of none, text/],
    [["-vga", "cirrus"], /--vga: "cirrus" is not one of std, none/],
    [["--display", "text", "--nographic"], /give one of them/],
    [["--vga", "none", "--screenshot", "x.png"], /--screenshot needs a screen, and --vga none leaves it out/],
    [["--wait-screen", "("], /--wait-screen: not a regular expression/],
    [["--type", "a\\q"], /--type: "\\q" means nothing/],
    [["--display", "text", "--serial", "terminal"], /--display text takes the terminal/],
  ])("%s is refused", async (words, message) => {
    const io = fakeIo();
    expect(await runCommandLine(["run", "hello", ...words], io)).toBe(2);
    expect(io.errText()).toMatch(message);
  });
});

describe("keys of a terminal", () => {
  const keysOf = async (...pieces: string[]): Promise<string[]> => {
    const seen: string[] = [];
    const keys = new TerminalKeys((key: TypedKeys) => seen.push("text" in key ? `"${key.text}"` : key.combination));
    for (const piece of pieces) keys.push(new TextEncoder().encode(piece));
    await sleep(80);
    keys.dispose();
    return seen;
  };

  it.each<[string[], string[]]>([
    [["aB ~"], ['"a"', '"B"', '" "', '"~"']],
    [["\r\t\x7f"], ["ret", "tab", "backspace"]],
    [["\x03\x1a\x00"], ["ctrl-c", "ctrl-z", "ctrl-spc"]],
    [["\x1b[A\x1b[B\x1bOC\x1b[D\x1b[H\x1b[F"], ["up", "down", "right", "left", "home", "end"]],
    [["\x1bOP\x1b[15~\x1b[24~\x1b[[B"], ["f1", "f5", "f12", "f2"]],
    [["\x1b[2~\x1b[3~\x1b[5~\x1b[6~"], ["insert", "delete", "pgup", "pgdn"]],
    [["\x1b[1;5C\x1b[3;2~\x1b[1;8A\x1b[Z"], ["ctrl-right", "shift-delete", "shift-alt-ctrl-up", "shift-tab"]],
    [["\x1b"], ["esc"]],
    [["\x1bx\x1bX\x1b."], ["alt-x", "alt-shift-x", "alt-dot"]],
    [
      ["\x1b", "[", "A", "b"],
      ["up", '"b"'],
    ],
    [["\x1b\x1b[A"], ["esc", "up"]],
    [["\x1b[?1;2c!"], ["alt-bracket_left", '"?"', '"1"', '";"', '"2"', '"c"', '"!"']],
  ])("%j", async (pieces, keys) => {
    expect(await keysOf(...pieces)).toEqual(keys);
  });
});
