// The options that all benchmarks share.
import { parseArgs } from "node:util";
import { VmError } from "../../src/vmm/error.ts";
import { type Emulator, type EmulatorId, emulators, isEmulatorId } from "./emulators.ts";

export interface BenchOptions {
  readonly repeats: number;
  readonly emulators: readonly Emulator[];
  /** Print the JSON in place of the Markdown. */
  readonly json: boolean;
  /** Folder of the report; default bench/out/. */
  readonly out: string | undefined;
  readonly timeoutSeconds: number;
  /** As typed, for the record. */
  readonly command: string;
  readonly own: Readonly<Record<string, string | undefined>>;
}

/** A benchmark's own options take one value each; `usage` says what they are. */
export interface BenchUsage {
  readonly name: string;
  readonly emulators: readonly EmulatorId[];
  readonly timeoutSeconds: number;
  readonly own: readonly { readonly name: string; readonly value: string; readonly about: string }[];
}

/** Throws VmError("bad-config") naming the option; prints the help and ends the process for --help. */
export function parseBenchOptions(usage: BenchUsage, argv = process.argv.slice(2)): BenchOptions {
  const string = { type: "string" } as const;
  const boolean = { type: "boolean" } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: argv,
      options: {
        help: boolean,
        json: boolean,
        repeats: string,
        only: string,
        out: string,
        timeout: string,
        ...Object.fromEntries(usage.own.map(({ name }) => [name, string])),
      },
    }).values as Record<string, string | boolean | undefined>;
  } catch (error) {
    throw new VmError("bad-config", `${(error as Error).message}; see --help.`);
  }
  if (values.help) {
    process.stdout.write(helpText(usage));
    process.exit(0);
  }
  const chosen = ((values.only as string | undefined) ?? usage.emulators.join(",")).split(",");
  for (const id of chosen) {
    if (!isEmulatorId(id) || !usage.emulators.includes(id))
      throw new VmError("bad-config", `--only knows ${usage.emulators.join(", ")}; "${id}" is none of them.`, { id });
  }
  return {
    repeats: whole(values.repeats as string | undefined, "--repeats", 3),
    emulators: usable(chosen as EmulatorId[]),
    json: values.json === true,
    out: values.out as string | undefined,
    timeoutSeconds: whole(values.timeout as string | undefined, "--timeout", usage.timeoutSeconds),
    command: ["npm run", `bench:${usage.name}`, ...(argv.length > 0 ? ["--", ...argv] : [])].join(" "),
    own: Object.fromEntries(usage.own.map(({ name }) => [name, values[name] as string | undefined])),
  };
}

export function whole(text: string | undefined, option: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new VmError("bad-config", `${option} takes a whole number from 1; "${text}" given.`, { option });
  return value;
}

/** Those that can run here; the others are named on stderr, since their columns will be missing. */
function usable(ids: readonly EmulatorId[]): Emulator[] {
  return ids
    .map((id) => emulators[id])
    .filter((emulator) => {
      const reason = emulator.missing();
      if (reason !== undefined) process.stderr.write(`bench: without ${emulator.title}: ${reason}\n`);
      return reason === undefined;
    });
}

function helpText(usage: BenchUsage): string {
  const rows: readonly (readonly [string, string])[] = [
    ["--repeats N", "runs of each (default 3)"],
    ["--only A,B", `emulators: ${usage.emulators.join(", ")}`],
    ...usage.own.map(({ name, value, about }) => [`--${name} ${value}`, about] as const),
    ["--timeout SECONDS", `for one run (default ${usage.timeoutSeconds})`],
    ["--out FOLDER", "where the report goes (default bench/out)"],
    ["--json", "print JSON in place of Markdown"],
  ];
  return `npm run bench:${usage.name} -- [options]\n${rows.map(([a, b]) => `  ${a.padEnd(20)}${b}`).join("\n")}\n`;
}

/** Runs a benchmark: a wrong option or a missing image is one line on stderr and exit code 2, no stack trace. */
export async function benchMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = 2;
  }
}
