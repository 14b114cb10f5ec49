// `paravane run`: boots a guest, gives it the terminal, and turns its end into an exit code.
import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { VmError } from "../vmm/error.ts";
import type { ExitStatus } from "../vmm/status.ts";
import { errorText, openCharDevice } from "./chardev.ts";
import { Consoles } from "./console.ts";
import { droppedWrites } from "./drives.ts";
import { ESCAPE_HELP, type EscapeAction } from "./escape.ts";
import {
  describeStatus,
  EXIT_NO_MATCH,
  EXIT_OK,
  EXIT_SIGNAL_BASE,
  exitCodeOfError,
  exitCodeOfStatus,
} from "./exit-code.ts";
import { machineConfig, resolveGuest } from "./guest.ts";
import type { CliIo, Machine } from "./machine.ts";
import { checkRunOptions, type RawRunOptions, type RunOptions } from "./options.ts";
import { createProgress } from "./progress.ts";
import { type RunReport, statsJson, statsText } from "./report.ts";
import { ScreenScript } from "./screen-script.ts";
import { openShares } from "./shares.ts";
import { snapshotFile } from "./snapshot-verbs.ts";
import { requireTerminal, TextDisplay } from "./text-display.ts";
import { formatTraceEvent } from "./trace.ts";
import { LineWatcher } from "./until.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** Returns the exit code. Throws UsageError or VmError for what is wrong before the guest starts. */
export async function run(guest: string | undefined, raw: RawRunOptions, io: CliIo): Promise<number> {
  const options = checkRunOptions(guest, raw);
  if (options.display.onTerminal) requireTerminal(io);
  using shares = await openShares(options.shares);
  const machine = await makeMachine({ ...options, machine: { ...options.machine, ...shares.config } }, io);
  try {
    return await new RunningGuest(machine.name, machine, options, io).untilEnd();
  } finally {
    await machine[Symbol.asyncDispose]();
  }
}

async function makeMachine(options: RunOptions, io: CliIo): Promise<Machine> {
  const { restore } = options;
  if (restore !== undefined) {
    const { file, ...how } = restore;
    return await io.restoreVm(await snapshotFile(file), { ...how, config: options.machine });
  }
  const progress = createProgress(io.stderr);
  let resolved: Awaited<ReturnType<typeof resolveGuest>>;
  try {
    resolved = await resolveGuest(options.request, progress);
  } finally {
    progress.done();
  }
  return await io.createVm(machineConfig(resolved, options));
}

/** One guest from start to end. */
class RunningGuest {
  readonly #watchers = new Map<string, LineWatcher>();
  /** Set when we end the machine ourselves: it outranks the machine's own status. */
  #verdict: number | undefined;
  #matched = false;
  #display: TextDisplay | undefined;
  #script: ScreenScript | undefined;

  constructor(
    private readonly name: string,
    private readonly machine: Machine,
    private readonly options: RunOptions,
    private readonly io: CliIo,
  ) {}

  async untilEnd(): Promise<number> {
    const { machine, options, io } = this;
    const closeTrace = this.#openTrace();
    const onAction = (action: EscapeAction): void => {
      if (action === "help") say(ESCAPE_HELP);
      else if (action === "quit") this.#end(this.#mustMatch ? EXIT_NO_MATCH : EXIT_OK);
      else if (action === "stats") say(statsText(this.#report(EXIT_OK, { kind: "killed" })));
      else if (action === "power") machine.pressPowerButton();
      else machine.reset().catch((error: unknown) => say(`paravane: ${errorText(error)}`));
    };
    const onOutputClosed = (): void => this.#end(EXIT_SIGNAL_BASE + constants.signals.SIGPIPE);
    const consoles = new Consoles(io, machine, options, {
      onOutput: (source, bytes) => this.#watch(source, bytes),
      onOutputClosed,
      onAction,
    });
    const say = (text: string): void => (this.#display ?? consoles).say(text);
    const releaseSignals = this.#catchSignals();
    let status: ExitStatus;
    try {
      if (options.display.onTerminal) this.#display = new TextDisplay(io, machine, { onAction, onOutputClosed });
      if (io.stderr.isTTY && io.stdin.isTTY) say(`paravane: ${this.name}; Ctrl-A x quits, Ctrl-A h helps`);
      const dropped = droppedWrites(options.machine.drives ?? []);
      if (dropped !== undefined && io.stderr.isTTY) say(`paravane: ${dropped}`);
      this.#startScript();
      const debugging = await this.#startDebugging(say);
      if (!debugging) machine.start();
      status = await machine.exited;
      await debugging?.[Symbol.asyncDispose]();
    } finally {
      releaseSignals();
      this.#script?.close();
      this.#display?.close();
      await consoles.close();
      await closeTrace();
    }
    const code = this.#conclude(status);
    await this.#saveScreen();
    return code;
  }

  #startScript(): void {
    const { steps } = this.options.display;
    if (steps.length === 0) return;
    this.#script = new ScreenScript(steps, this.machine, {
      // Who waits for nothing more goes on with the guest.
      onDone: (last) => {
        if (last.kind !== "wait" || this.options.until !== undefined) return;
        this.#matched = true;
        this.#end(EXIT_OK);
      },
      onError: (error) => {
        this.io.stderr.write(`paravane: ${errorText(error)}\n`);
        this.#end(exitCodeOfError(error));
      },
    });
  }

  /** The run is a success only if something is seen. */
  get #mustMatch(): boolean {
    return this.options.until !== undefined || this.#script?.waitsFor !== undefined;
  }

  async #saveScreen(): Promise<void> {
    const { screenshot: path } = this.options.display;
    if (path === undefined) return;
    const { screenshot } = await import("../vmm/screenshot.ts");
    const bytes = await screenshot(this.machine.screen());
    writeResult("the screenshot", path, bytes);
  }

  /** With --gdb or --trace insn the debugger starts the machine, and owns it until it is disposed. */
  async #startDebugging(say: (text: string) => void): Promise<AsyncDisposable | undefined> {
    const { gdbPort, trace } = this.options;
    if (gdbPort !== undefined) {
      const { serveGdb } = await import("../debug/gdb/server.ts");
      const server = await serveGdb(this.machine as never, { port: gdbPort });
      say(`paravane: the guest waits for gdb: target remote 127.0.0.1:${server.port}`);
      return server;
    }
    if (trace?.instructions) {
      const { traceInstructions } = await import("../debug/instruction-trace.ts");
      return traceInstructions(this.machine as never, (line) => this.#writeTrace(line));
    }
    return undefined;
  }

  #conclude(status: ExitStatus): number {
    const { options, io } = this;
    // The last line may lack its end.
    for (const watcher of this.#watchers.values()) this.#matched = watcher.finish() || this.#matched;
    let code = this.#matched ? EXIT_OK : (this.#verdict ?? exitCodeOfStatus(status));
    if (this.#mustMatch && !this.#matched && code === EXIT_OK) code = EXIT_NO_MATCH;

    const waited = this.#script?.waitsFor;
    if (code === EXIT_NO_MATCH && this.#verdict === undefined)
      io.stderr.write(
        waited === undefined
          ? `paravane: the guest ended, and no line matched --until ${options.until}\n`
          : `paravane: the guest ended, and its screen did not show --wait-screen ${waited}\n`,
      );
    else if (code !== EXIT_OK && this.#verdict === undefined)
      io.stderr.write(`paravane: ${describeStatus(status) ?? "the machine was stopped"}\n`);
    else if (code === EXIT_OK && status.kind === "power-off" && io.stderr.isTTY)
      io.stderr.write(`paravane: ${describeStatus(status)}\n`);
    this.#printStats(this.#report(code, status));
    return code;
  }

  #printStats(report: RunReport): void {
    const { stats, statsFile } = this.options;
    if (stats === undefined) return;
    const text = `${stats === "json" ? statsJson(report) : statsText(report)}\n`;
    if (statsFile === undefined) this.io.stderr.write(text);
    else writeResult("the statistics", statsFile, text);
  }

  #report(exitCode: number, status: ExitStatus): RunReport {
    return {
      guest: this.name,
      exitCode,
      status,
      statistics: this.machine.statistics(),
      ...(this.options.until ? { untilMatched: this.#matched } : {}),
    };
  }

  #watch(source: string, bytes: Uint8Array): void {
    const { until } = this.options;
    if (!until) return;
    let watcher = this.#watchers.get(source);
    if (!watcher) {
      watcher = new LineWatcher(until, () => {
        this.#matched = true;
        this.#end(EXIT_OK);
      });
      this.#watchers.set(source, watcher);
    }
    watcher.push(bytes);
  }

  #end(code: number): void {
    const first = this.#verdict === undefined;
    this.#verdict ??= code;
    const { snapshotOnExit } = this.options;
    if (snapshotOnExit === undefined || !first) void this.machine.stop();
    else void this.#save(snapshotOnExit).finally(() => this.machine.stop());
  }

  /** The machine stands still from the snapshot on: what the guest did after it would be lost without a word. */
  async #save(file: string): Promise<void> {
    try {
      if (this.machine.state === "running") await this.machine.pause();
      const info = await this.machine.snapshot(await snapshotFile(file));
      this.io.stderr.write(`paravane: saved in ${file} (${(info.sizeBytes / 2 ** 20).toFixed(1)} MiB)\n`);
    } catch (error) {
      this.#verdict = exitCodeOfError(error);
      this.io.stderr.write(`paravane: not saved: ${errorText(error)}\n`);
    }
  }

  /** The first signal ends the machine in order, the second this process. */
  #catchSignals(): () => void {
    const handlers = SIGNALS.map((signal) => {
      const handler = (): void => {
        const code = EXIT_SIGNAL_BASE + constants.signals[signal];
        if (this.#verdict !== undefined) process.exit(code);
        this.#end(code);
      };
      process.on(signal, handler);
      return () => process.off(signal, handler);
    });
    return () => {
      for (const release of handlers) release();
    };
  }

  #writeTrace: (line: string) => void = () => {};

  #openTrace(): () => Promise<void> {
    const { trace, traceFile } = this.options;
    if (!trace) return async () => {};
    const file =
      traceFile === undefined
        ? undefined
        : openCharDevice({ kind: "file", path: traceFile, append: false }, "--trace-file", () => {});
    const encoder = new TextEncoder();
    this.#writeTrace = file
      ? (line) => file.write(encoder.encode(`${line}\n`))
      : (line) => void this.io.stderr.write(`${line}\n`);
    const subscription = this.machine.on("trace", (event) => this.#writeTrace(formatTraceEvent(event)));
    return async () => {
      subscription[Symbol.dispose]();
      await file?.close();
    };
  }
}

function writeResult(what: string, path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content);
  } catch (cause) {
    throw new VmError("host", `cannot write ${what} ${path}: ${errorText(cause)}`, { path }, { cause });
  }
}
