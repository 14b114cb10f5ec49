// `paravane debug`: a prompt over the debugger. The guest prints here; Ctrl-C stops it and brings the prompt back.
import { createInterface } from "node:readline/promises";
import { COMMANDS, location, runDebugCommand } from "../debug/commands.ts";
import { Debugger } from "../debug/debugger.ts";
import type { DebugTarget } from "../debug/target.ts";
import { openCharDevice } from "./chardev.ts";
import { EXIT_OK, exitCodeOfStatus } from "./exit-code.ts";
import { machineConfig, resolveGuest } from "./guest.ts";
import type { CliIo } from "./machine.ts";
import { checkRunOptions, type RawRunOptions } from "./options.ts";
import { createProgress } from "./progress.ts";
import { openShares } from "./shares.ts";
import { UsageError } from "./values.ts";

export interface RawDebugOptions extends RawRunOptions {
  /** Commands to run first. */
  command?: string[];
  batch?: boolean;
}

const PROMPT = "(paravane) ";

/** Returns the exit code: the guest's if it ended, else 0. */
export async function debug(guest: string | undefined, raw: RawDebugOptions, io: CliIo): Promise<number> {
  const options = checkRunOptions(guest, raw);
  const { onTerminal, screenshot, steps } = options.display;
  if (onTerminal || screenshot !== undefined || steps.length > 0)
    throw new UsageError("--display text, --screenshot, --wait-screen, --type and --keys are for paravane run");
  using shares = await openShares(options.shares);
  const resolved = await resolveGuest(options.request, createProgress(io.stderr));
  const machine = await io.createVm(machineConfig(resolved, { machine: { ...options.machine, ...shares.config } }));
  const sinks = options.serial.map((device) =>
    device.kind === "terminal"
      ? { write: (bytes: Uint8Array): void => void io.stdout.write(Uint8Array.from(bytes)) }
      : openCharDevice(device, "--serial", () => {}),
  );
  machine.on("serial", ({ port, bytes }) => sinks[port]?.write(bytes));
  const debug = new Debugger(machine as unknown as DebugTarget);
  const interrupt = (): void => void debug.interrupt();
  process.on("SIGINT", interrupt);
  try {
    await new Prompt(debug, machine, io, raw.batch ?? false).run(raw.command ?? []);
  } finally {
    process.off("SIGINT", interrupt);
    await machine[Symbol.asyncDispose]();
  }
  return debug.ended ? exitCodeOfStatus(debug.ended) : EXIT_OK;
}

class Prompt {
  /** Standard output is. */
  #closed = false;

  constructor(
    private readonly debug: Debugger,
    private readonly machine: { serial(port?: number): { write(text: string): void } },
    private readonly io: CliIo,
    private readonly batch: boolean,
  ) {}

  async run(first: readonly string[]): Promise<void> {
    this.#print(location(this.debug));
    const { stdin, stdout } = this.io;
    // Nobody reads any more: the guest stops, and with it the command that runs it.
    stdout.once("error", () => {
      this.#closed = true;
      void this.debug.interrupt();
    });
    for (const line of first) {
      this.#print(`${PROMPT}${line}`);
      if ((await this.#execute(line)) || this.#closed) return;
    }
    if (this.batch) return;
    const reader = createInterface({
      input: stdin,
      output: stdout,
      prompt: PROMPT,
      terminal: stdin.isTTY === true && stdout.isTTY === true,
      completer: complete,
    });
    reader.on("SIGINT", () => {
      if (this.debug.running) void this.debug.interrupt();
      else reader.write("", { ctrl: true, name: "u" });
    });
    stdout.once("error", () => reader.close());
    let last = "";
    reader.prompt();
    for await (const typed of reader) {
      // An empty line repeats a command that moves the guest, as in gdb.
      const line = typed.trim() === "" && /^(s|step|n|next)\b/.test(last) ? last : typed;
      last = line;
      if ((await this.#execute(line)) || this.#closed) break;
      if (this.debug.ended) break;
      reader.prompt();
    }
    reader.close();
  }

  /** Returns whether to leave. */
  async #execute(line: string): Promise<boolean> {
    const send = /^\s*send\s+(.*)$/.exec(line);
    if (send) {
      this.machine.serial(0).write(`${send[1]}\r`);
      return false;
    }
    const { output, quit } = await runDebugCommand(this.debug, line);
    if (output !== "")
      this.#print(/^\s*(help|h)\s*$/.test(line) ? `${output}\nsend TEXT: types a line on the guest's COM1` : output);
    return quit ?? false;
  }

  #print(text: string): void {
    this.io.stdout.write(`${text}\n`);
  }
}

function complete(line: string): [string[], string] {
  const names = COMMANDS.flatMap((command) => command.names).filter((name) => name.startsWith(line));
  return [names, line];
}
