// The command line: verbs, options, help; what goes wrong becomes one sentence and an exit code.
import { Command, CommanderError, Help } from "commander";
import { VmError } from "../vmm/error.ts";
import { errorText } from "./chardev.ts";
import { addDeviceVerbs } from "./device-verbs.ts";
import { addDiskVerbs } from "./disk-verbs.ts";
import { EXIT_CODES, EXIT_HOST, EXIT_OK, EXIT_USAGE, exitCodeOfError } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { processIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { addPlanOptions } from "./plan-options.ts";
import { translateQemuSpellings } from "./qemu.ts";
import { addRunOptions } from "./run-options.ts";
import { addSchedVerbs } from "./sched.ts";
import { addScreenVerbs } from "./screen-verbs.ts";
import { addRestoreVerbs, addSnapshotTake } from "./snapshot-client.ts";
import { addSnapshotVerbs } from "./snapshot-verbs.ts";
import { didYouMean, UsageError } from "./values.ts";
import { addVmVerbs } from "./vm-verbs.ts";

/** Runs the command line and sets process.exitCode. Never throws. */
export async function main(argv: readonly string[], io: CliIo = processIo()): Promise<void> {
  // For the life of the process: a pipe is found closed after the verb that wrote to it has returned.
  for (const stream of [io.stdout, io.stderr]) stream.on("error", (error) => outputFailed(error, io));
  process.exitCode = await runCommandLine(argv, io);
}

/** Runs the command line; returns the exit code. */
export async function runCommandLine(argv: readonly string[], io: CliIo): Promise<number> {
  const onDefect = (error: unknown): never => {
    // The terminal is given back by its own exit handler.
    reportError(error, io);
    process.exit(EXIT_HOST);
  };
  process.on("uncaughtException", onDefect);
  process.on("unhandledRejection", onDefect);
  let code = EXIT_OK;
  try {
    const program = createProgram(io, (result) => {
      code = result;
    });
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(translateQemuSpellings(argv), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) code = error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    else code = reportError(error, io);
  } finally {
    process.off("uncaughtException", onDefect);
    process.off("unhandledRejection", onDefect);
  }
  return code;
}

/** A reader that has seen enough (`| head -1`) is no error; where a verb must end because of it, it looks itself. */
function outputFailed(error: NodeJS.ErrnoException, io: CliIo): void {
  if (error.code === "EPIPE") return;
  process.exit(
    reportError(new VmError("host", `cannot write the output: ${errorText(error)}`, {}, { cause: error }), io),
  );
}

/** One sentence on stderr; the stack only where PARAVANE_DEBUG asks for it. Returns the exit code. */
function reportError(error: unknown, io: CliIo): number {
  const expected = error instanceof UsageError || error instanceof VmError;
  const message = error instanceof Error ? error.message : String(error);
  const hint = expected ? "" : " (a defect in Paravane; PARAVANE_DEBUG=1 shows where)";
  io.stderr.write(`paravane: ${message}${hint}\n`);
  if (process.env.PARAVANE_DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return error instanceof UsageError ? EXIT_USAGE : exitCodeOfError(error);
}

/** The parser of every verb. */
export function createProgram(io: CliIo, setCode: (code: number) => void): Command {
  const program = new Command("paravane")
    .description("An x86 PC in JavaScript: boots Linux and other 32-bit guests on this terminal.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "paravane: ").replace(/\n\((Did.*)\)/, "; $1")),
    })
    .configureHelp({ helpWidth: Math.min(io.stdout.columns || 100, 110), sortSubcommands: false })
    .showSuggestionAfterError()
    .helpCommand(false);
  const verb = (nameAndArgs: string, description: string): Command =>
    program.command(nameAndArgs).description(description).exitOverride();

  addRunOptions(verb("run [guest]", "boot a ROM, an image or a file (without a name: our own kernel)"))
    .addHelpText("after", RUN_EXAMPLES)
    .action(async (guest: string | undefined, options) => {
      setCode(await (await import("./run.ts")).run(guest, options, io));
    });

  addRunOptions(verb("debug [guest]", "look into a guest: registers, memory, breakpoints, single steps"))
    .option("-x, --command <line>", "run this debugger command first (repeatable)", collect)
    .option("--batch", "leave after the commands of -x")
    .action(async (guest: string | undefined, options) => {
      setCode(await (await import("./debug.ts")).debug(guest, options, io));
    });

  addPlanOptions(
    verb("plan [fleet]", "where the VMs of a fleet file go and how large they get, at the optimum"),
  ).action(async (fleet: string | undefined, options) =>
    setCode(await (await import("./plan.ts")).planVerb(fleet, options, io)),
  );

  const images = verb("images", "the guests that are fetched or built once: list, pull, rm");
  images.allowExcessArguments().action(async () => {
    const [unknown] = images.args;
    const names = images.commands.map((command) => command.name());
    if (unknown !== undefined)
      throw new UsageError(`images: no verb "${unknown}"${didYouMean(unknown, names)}; there are ${names.join(", ")}`);
    setCode(await (await import("./images.ts")).listImagesVerb(false, io));
  });
  images
    .command("list")
    .description("list them, with size and digest")
    .option("--json", "one JSON array")
    .exitOverride()
    .action(async (options: { json?: boolean }) =>
      setCode(await (await import("./images.ts")).listImagesVerb(options.json ?? false, io)),
    );
  images
    .command("pull <name>")
    .description("fetch or build one (linux, linux-tiny)")
    .option("--mirror <url>", "Debian mirror to fetch from instead of this machine's apt configuration")
    .option("--force", "again, even if it is here")
    .exitOverride()
    .action(async (name: string, options: { mirror?: string; force?: boolean }) =>
      setCode(await (await import("./images.ts")).pullImageVerb(name, options, io)),
    );
  images
    .command("rm <names...>")
    .description("remove from the cache")
    .exitOverride()
    .action(async (names: string[]) => setCode(await (await import("./images.ts")).removeImagesVerb(names, io)));

  verb("serve", "a host for many VMs, managed over HTTP on a socket or a loopback port")
    .option("--listen <address>", "path of a socket, or a loopback port such as :8080")
    .option("--token <text>", "token of the loopback port (default: a random one)")
    .option("--pcpus <n>", "how many pCPUs (default: one a processor)")
    .option("--policy <name>", "scheduling policy (credit)")
    .option("--max-vms <n>", "most VMs at a time (1000)")
    .option("--max-memory <MiB>", "memory that the VMs' reservations share (three quarters of the machine's)")
    .option("--overcommit <n>", "limits of memory may sum up to so many times that (no bound)")
    .action(async (options) => setCode(await (await import("./serve.ts")).serve(options, io)));

  verb("web", "the page that boots guests in a browser, with the images that are in the cache")
    .option("--port <n>", "port, 0 for any that is free (8086)")
    .option("--address <ip>", "address to listen on (127.0.0.1)")
    .option("--no-isolation", "without the headers that let the page share memory between threads")
    .option(
      "--relay [reach]",
      "a switch for guests of all its pages; user: with DHCP and this host's network, pages: without",
    )
    .action(async (options) => setCode(await (await import("./web.ts")).web(options, io)));

  verb("up [file]", "run a whole fleet from one JSON file, with a live table")
    .option("--json", "a line of JSON an interval in place of the table")
    .option("--interval <time>", "how often to look (1s)")
    .option("--duration <time>", "stop everything after this")
    .option("--stop-timeout <time>", "what guests get to shut down at the end (10s)")
    .option("--listen <socket>", "serve the management API meanwhile, for paravane ps, console and the like")
    .option("--schema", "print the JSON schema of the file")
    .action(async (file: string | undefined, options) =>
      setCode(await (await import("./up.ts")).up(file, options, io)),
    );

  addVmVerbs(verb, io, setCode);
  addScreenVerbs(verb, io, setCode);
  addDeviceVerbs(verb, setCode);
  addSchedVerbs(verb, io, setCode);

  const snapshot = verb("snapshot", "take one of a VM on a running host; files: inspect, verify, flatten");
  addSnapshotTake(snapshot, io, setCode);
  addSnapshotVerbs(snapshot, io, setCode);
  addRestoreVerbs(verb, io, setCode);

  const bench = verb("bench", "measure: clock, virt");
  bench.allowExcessArguments().action(() => {
    const names = bench.commands.map((command) => command.name());
    const [given] = bench.args;
    throw new UsageError(
      given === undefined
        ? `bench: what is to be measured? There is ${names.join(", ")}`
        : `bench: no benchmark "${given}"${didYouMean(given, names)}; there is ${names.join(", ")}`,
    );
  });
  bench
    .command("clock")
    .description(
      "how well a guest's clocks follow the host's: idle, loaded, overcommitted, after a pause, after a restore",
    )
    .option("--sync <modes>", "ways of following: hide-pauses, follow, slew, ticks, auto (default: auto,slew)")
    .option("--duration <time>", "of each phase (default: 3s)")
    .option("--policy <name>", "scheduling policy (default: credit)")
    .option("--json", "every figure as JSON")
    .exitOverride()
    .action(async (options) => setCode(await (await import("./bench-clock.ts")).benchClock(options, io)));
  bench
    .command("virt")
    .description("full, hardware-assisted and paravirtualization side by side, operation by operation")
    .option("--guest <guest>", "rom (our own kernel, the default) or linux (Debian's, fetched once)")
    .option("--only <names>", "operations by name or beginning of a name: pte,page-fault (default: all)")
    .option("--forms <forms>", "full, assisted, para; linux also with one switch changed (default: all)")
    .option("--repeats <n>", "rounds, each with a run of every form (5; linux 3)")
    .option("--percent <n>", "of each operation's usual count (100)")
    .option("--out <folder>", "where the report goes, as HTML, Markdown and JSON (bench-virt)")
    .option("--json", "print the JSON in place of the table")
    .exitOverride()
    .action(async (options) => setCode(await (await import("./bench-virt.ts")).benchVirtVerb(options, io)));
  addDiskVerbs(verb("disk", "disk images: create, info, convert, check, commit"), io, setCode);

  verb("roms", "list our own guests")
    .option("--json", "the manifest as JSON")
    .action(async (options: { json?: boolean }) =>
      setCode((await import("./roms-verb.ts")).listRomsVerb(options.json ?? false, io)),
    );

  verb("version", "print the version").action(
    () =>
      void io.stdout.write(
        `paravane ${findPackage().version} (Node ${process.versions.node}, V8 ${process.versions.v8})\n`,
      ),
  );
  program.option("-V, --version", "print the version").on("option:version", () => {
    io.stdout.write(`paravane ${findPackage().version}\n`);
    throw new CommanderError(0, "commander.version", "");
  });

  verb("help [topic]", "help on a verb, or on: exit-codes, keys").action(async (topic: string | undefined) =>
    setCode(await printHelp(program, topic, io)),
  );
  return program;
}

async function printHelp(program: Command, topic: string | undefined, io: CliIo): Promise<number> {
  if (topic === undefined) {
    program.outputHelp();
    return EXIT_OK;
  }
  if (topic === "exit-codes") {
    io.stdout.write(`${EXIT_CODES.map(([code, meaning]) => `${code.padEnd(6)} ${meaning}`).join("\n")}\n`);
    return EXIT_OK;
  }
  if (topic === "keys") {
    io.stdout.write(`${(await import("./escape.ts")).ESCAPE_HELP}\n`);
    return EXIT_OK;
  }
  const names = program.commands.map((command) => command.name());
  const found = program.commands.find((command) => command.name() === topic);
  if (!found) {
    throw new UsageError(
      `no help on "${topic}"${didYouMean(topic, names)}; there is ${[...names, "exit-codes", "keys"].join(", ")}`,
    );
  }
  io.stdout.write(new Help().formatHelp(found, found.createHelp()));
  return EXIT_OK;
}

function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

const RUN_EXAMPLES = `
Examples:
  paravane run                                     our own kernel and its shell
  paravane run linux                               Debian's kernel with a busybox shell
  paravane run linux --until '/ #' --stats         seconds to the shell
  paravane run -kernel bzImage -initrd fs.gz -append console=ttyS0 -m 256
  paravane run test.elf --timeout 10s --serial file:out.txt

Ctrl-A x quits, Ctrl-A h helps. Exit codes: paravane help exit-codes.`;
