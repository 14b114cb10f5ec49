// The command line with Debian's kernel on the real clock, as a person uses it: typing at the shell, Ctrl-C to a running
// program, the time of day, --until and the exit codes.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensureImage } from "./linux-guest.ts";

const launcher = fileURLToPath(new URL("../../bin/paravane.js", import.meta.url));
const MINUTES = 60_000;
const PROMPT = "~ # ";

let child: ChildProcess | undefined;
afterEach(() => child?.kill("SIGKILL"));
beforeAll(() => ensureImage("linux"), 3 * MINUTES);

/** What to wait for, and what to type then (a function: computed at that moment). */
type Turn = readonly [prompt: string, typed: string | (() => string)];

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function run(args: readonly string[], turns: readonly Turn[] = []): Promise<Ended> {
  const process_ = spawn(process.execPath, [launcher, "run", ...args], { stdio: ["pipe", "pipe", "pipe"] });
  child = process_;
  let output = "";
  let errors = "";
  let seen = 0;
  let turn = 0;
  process_.stdin.on("error", () => {});
  process_.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
    for (let next = turns[turn]; next !== undefined; next = turns[turn]) {
      const at = output.indexOf(next[0], seen);
      if (at < 0) return;
      seen = at + next[0].length;
      turn++;
      process_.stdin.write(typeof next[1] === "string" ? next[1] : next[1]());
    }
  });
  process_.stderr.on("data", (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const code = await new Promise<number | null>((resolve) => process_.on("close", resolve));
  return { code, output: output.replaceAll("\r", ""), errors };
}

describe("Debian's kernel on the command line", () => {
  it(
    "has a shell that answers, Ctrl-C, the right time of day, and powers off when the shell ends",
    async () => {
      let asked = 0;
      const { code, output, errors } = await run(
        ["linux", "--timeout", "4m", "--append", "quiet console=ttyS0"],
        [
          [PROMPT, "echo $((6 * 7)) is the answer\r"],
          ["42 is the answer", ""],
          [PROMPT, "echo begun; sleep 1000; echo ended $?\r"],
          ["begun\r\n", () => "\x03"],
          [
            PROMPT,
            () => {
              asked = Date.now();
              return "echo status $?\r";
            },
          ],
          ["status 130", ""],
          [PROMPT, "cat\r"],
          ["cat\r\n", "typed\x04"],
          ["typed", "\x04"],
          [PROMPT, "date +clock=%s\r"],
          ["clock=", ""],
          [PROMPT, "exit\r"],
        ],
      );
      expect(errors).toBe("");
      expect(output).not.toContain("\nended");
      const clock = Number(/^clock=(\d+)$/m.exec(output)?.[1]);
      // Read from the RTC at boot and carried on by the kernel since then.
      expect(Math.abs(clock - asked / 1000)).toBeLessThan(10);
      expect(code).toBe(0);
    },
    5 * MINUTES,
  );

  it(
    "ends with the guest's code through port 0xf4, after the host's clock kept time for it",
    async () => {
      const command = "sleep 2; grep -q . /proc/uptime && exit 5";
      const { code, output } = await run([
        ...["linux", "--timeout", "4m", "--append"],
        `quiet console=ttyS0 paravane.port=0xf4 paravane.run="${command}"`,
      ]);
      expect(output).toContain("paravane: exit 5");
      expect(code).toBe((5 << 1) | 1);
    },
    5 * MINUTES,
  );

  it(
    "stops at the line that --until names, and says when it never came",
    async () => {
      const found = await run(["linux", "--timeout", "4m", "--until", "^\\[ +\\d+\\.\\d+\\] Linux version .*-686 "]);
      expect(found.code).toBe(0);
      expect(found.output).toMatch(/Linux version/);
      expect(found.output).not.toContain("paravane: init");
      const short = await run(["linux", "--timeout", "2s", "--until", "no kernel prints this"]);
      expect(short.code).toBe(124);
    },
    5 * MINUTES,
  );
});
