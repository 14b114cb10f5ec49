// The default guest, through the compiled command line as a person starts it, and under QEMU with the same typing.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

const launcher = fileURLToPath(new URL("../../bin/paravane.js", import.meta.url));
const rom = fileURLToPath(new URL("../../roms/hello/hello.bin", import.meta.url));
const has = (tool: string): boolean => spawnSync(tool, ["--version"]).status === 0;

let child: ChildProcess | undefined;
afterEach(() => child?.kill("SIGKILL"));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly errors: string;
}

/** Starts a program and types each text once the one before it has been answered: [wait for, then type]. */
async function converse(
  command: string,
  args: readonly string[],
  turns: readonly (readonly [prompt: string, typed: string])[],
): Promise<Ended> {
  const process_ = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  child = process_;
  let output = "";
  let errors = "";
  let seen = 0;
  let turn = 0;
  process_.stdin.on("error", () => {});
  process_.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
    for (;;) {
      const next = turns[turn];
      const at = next ? output.indexOf(next[0], seen) : -1;
      if (!next || at < 0) return;
      seen = at + next[0].length;
      turn++;
      process_.stdin.write(Buffer.from(next[1], "latin1"));
    }
  });
  process_.stderr.on("data", (bytes: Buffer) => {
    errors += bytes.toString();
  });
  return await new Promise((resolve) =>
    process_.on("close", (code, signal) => resolve({ code, signal, output, errors })),
  );
}

const paravane = (args: readonly string[], turns: readonly (readonly [string, string])[]): Promise<Ended> =>
  converse(process.execPath, [launcher, "run", "hello", "--timeout", "20", ...args], turns);
const qemu = (args: readonly string[], turns: readonly (readonly [string, string])[]): Promise<Ended> =>
  converse(
    "qemu-system-i386",
    [
      "-kernel",
      rom,
      "-nographic",
      "-monitor",
      "none",
      "-serial",
      "stdio",
      "-no-reboot",
      "-net",
      "none",
      "-m",
      "4",
      "-device",
      "isa-debug-exit,iobase=0xf4,iosize=4",
      ...args,
    ],
    turns,
  );

/** What the machine decides and not the ROM: CPU, memory map, time. */
function stable(output: string): string {
  const start = output.indexOf("Type help");
  return output.slice(start);
}

const CONVERSATION: readonly (readonly [string, string])[] = [
  ["> ", "help\r"],
  ["port 0xf4\r\n> ", "peek 0x100000 12\r"],
  ["\r\n> ", "poke 0x200000 1 0xff 16\r"],
  ["\r\n> ", "peek 0x200000 4\r"],
  ["\r\n> ", "echo two  words\r"],
  ["\r\n> ", "wrong\x7f\x7f\x7f\x7f\x7fnothing\r"],
  ["\r\n> ", "peek 12x\r"],
  ["\r\n> ", "fault\r"],
  ["\r\n> ", "exit 3\r"],
];

describe("the hello ROM", () => {
  it("says what machine it is on, and ends with the code that it is told", async () => {
    const { code, output, errors } = await paravane(["-append", "some words"], [["> ", "exit 21\r"]]);
    expect(output).toMatch(
      /Paravane hello: a small 32-bit guest\r\n\r\nCPU +GenuineIntel, family \d+ model \d+ stepping \d+\r\n +fpu /,
    );
    expect(output).toMatch(/00100000 - 003fffff {2}RAM\r\n/);
    expect(output).toMatch(/Words +.*some words\r\n/);
    expect(errors).toBe("paravane: the guest ended with code 43\n");
    expect(code).toBe(43);
  });

  it.skipIf(!has("qemu-system-i386"))("answers the same under QEMU, byte for byte", async () => {
    const [ours, theirs] = [await paravane([], CONVERSATION), await qemu([], CONVERSATION)];
    expect(ours.output).toContain("exception 6, error code 00000000");
    expect(stable(ours.output)).toBe(stable(theirs.output));
    expect([ours.code, theirs.code]).toEqual([7, 7]);
  });

  it("counts timer ticks at 100 a second of guest time", async () => {
    // Without its port, exit waits for 50 ticks and says so.
    const { output, errors } = await paravane(
      // With the real clock a guest that waits for a processor has missed ticks, as on a PC.
      ["--debug-exit", "off", "--clock", "virtual", "--stats=json", "--until", "^\\d+ ticks"],
      [
        ["> ", "exit 1\r"],
        ["still here", ""],
        ["> ", "ticks\r"],
      ],
    );
    const ticks = Number(/(\d+) ticks, \d+\.\d\d s\r\n/.exec(output)?.[1]);
    const { guestSeconds } = JSON.parse(errors) as { guestSeconds: number };
    expect(ticks).toBeGreaterThanOrEqual(50);
    expect(Math.abs(guestSeconds - ticks / 100)).toBeLessThan(0.2);
  });

  it.each<[string, readonly string[], number, RegExp]>([
    ["poweroff", [], 0, /^$/],
    ["reboot", ["--no-reboot"], 8, /asked for a reset \(keyboard-controller\)/],
    ["crash", [], 6, /triple fault at 0008:/],
  ])("%s ends it", async (command, args, code, message) => {
    const ended = await paravane(args, [["> ", `${command}\r`]]);
    expect([ended.code, ended.errors]).toEqual([code, expect.stringMatching(message)]);
  });

  it("reboot starts it again where resets are allowed", async () => {
    const { code, output } = await paravane(
      [],
      [
        ["> ", "reboot\r"],
        ["> ", "exit 1\r"],
      ],
    );
    expect(output.match(/Paravane hello/g)).toHaveLength(2);
    expect(code).toBe(3);
  });

  it("does the same twice on the virtual clock: instructions and guest time", async () => {
    const stats = async (): Promise<Record<string, unknown>> => {
      const { errors } = await paravane(["--clock", "virtual", "--until", "Type help", "--stats=json"], []);
      return JSON.parse(errors) as Record<string, unknown>;
    };
    const [a, b] = [await stats(), await stats()];
    expect(a).toMatchObject({ untilMatched: true, exitCode: 0, guest: "hello" });
    expect(a.exits).toEqual(b.exits);
    expect(a.core).toEqual(b.core);
  });

  it("traces each instruction with --trace insn", async () => {
    const { errors, code } = await paravane(["--trace", "insn", "--until", "Paravane hello"], []);
    expect(code).toBe(0);
    expect(
      errors
        .split("\n")
        .slice(0, 3)
        .map((line) => line.trim()),
    ).toEqual([
      "0008:00100020  cli",
      "0008:00100021  cld",
      expect.stringMatching(/^0008:00100022 {2}mov esp, 0x[0-9a-f]+ +esp=[0-9a-f]+$/),
    ]);
  });

  it("ends on a signal with its code, and on a closed output", async () => {
    const running = paravane([], [["> ", ""]]);
    await new Promise((resolve) => child?.stdout?.once("data", resolve));
    child?.kill("SIGTERM");
    expect((await running).code).toBe(143);
    const piped = spawnSync(
      "sh",
      [
        "-c",
        `(sleep 1; echo help; sleep 1; echo mem) | "${process.execPath}" "${launcher}" run hello --timeout 60 | head -n 3`,
      ],
      { encoding: "utf8", timeout: 25_000 },
    );
    expect(piped.stdout).toContain("Paravane hello");
    expect(piped.signal).toBeNull();
  });
});

describe.skipIf(!has("script"))("on a terminal", () => {
  /** As `converse`, on a pty; "#" stands for the shell around it. */
  const onPty = (args: string, turns: readonly (readonly [string, string])[]): Promise<Ended> =>
    converse(
      "script",
      [
        "-qec",
        `stty rows 24 cols 80; stty -g; "${process.execPath}" "${launcher}" ${args}; echo "code $?"; stty -g`,
        "/dev/null",
      ],
      turns,
    );

  function settings(output: string): string[] {
    return output.match(/^(?:[0-9a-f]+:){10,}[0-9a-f]+(?=\r$)/gm) ?? [];
  }

  it("Ctrl-A x quits with 0 and gives the terminal back as it was", async () => {
    const { output } = await onPty("run hello", [
      ["> ", "echo hi\r"],
      ["hi\r\n> ", "\x01h"],
      ["send Ctrl-A to the guest", "\x01x"],
    ]);
    expect(output).toContain("paravane: hello; Ctrl-A x quits, Ctrl-A h helps\r\n");
    expect(output).toMatch(/Ctrl-A x +quit\r\n/);
    expect(output).toContain("code 0\r\n");
    expect(settings(output)).toHaveLength(2);
    expect(new Set(settings(output)).size).toBe(1);
  });

  it("Ctrl-C goes to the guest", async () => {
    const { output } = await onPty("run hello", [["> ", "abc\x03exit 2\r"]]);
    expect(output).toContain("abc^C\r\n> exit 2");
    expect(output).toContain("code 5\r\n");
  });

  it("Ctrl-A p presses the power button, r resets, s prints statistics", async () => {
    const { output } = await onPty("run hello", [
      ["> ", "\x01s"],
      ["VM exits", "\x01r"],
      ["> ", "exit 0\r"],
    ]);
    expect(output).toMatch(/instructions +[\d,]+\r\n/);
    expect(output.match(/Paravane hello/g)).toHaveLength(2);
    expect(output).toContain("code 1\r\n");
  });

  it("debug has a prompt, and Ctrl-C brings it back", async () => {
    const { output } = await onPty("debug hello", [
      ["(paravane) ", "step 2\r"],
      ["mov esp", "c\r"],
      ["> ", "\x03"],
      ["interrupted", "quit\r"],
    ]);
    expect(output).toMatch(/interrupted\r\n0008:/);
    expect(output).toContain("code 0\r\n");
  });
});
