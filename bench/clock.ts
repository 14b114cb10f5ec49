// How well do a guest's clocks follow the host's? Every way of following, every clock of the guest, phase by phase.
import { parseArgs } from "node:util";
import { CLOCK_HEADER, clockRom, clockRows } from "../src/cli/bench-clock.ts";
import { PHASES, type PhaseResult, PROBE_SYNC_MODES, runClockPhases } from "../src/host/clock/phases.ts";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { recordCircumstances } from "./run/circumstances.ts";
import { benchMain, whole } from "./run/command-line.ts";
import { json, markdown, type Report, table, writeReport } from "./run/report.ts";
import { status } from "./run/status-line.ts";

const HELP = `npm run bench:clock -- [options]
  --seconds N    of each phase (default 5)
  --out FOLDER   where the report goes (default bench/out)
  --json         print JSON in place of Markdown
`;

/** Without "auto", which is one of the others. */
const MODES = PROBE_SYNC_MODES.filter((mode) => mode !== "auto");

await benchMain(async () => {
  const options = parse();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  await build({ quiet: true });
  const image = await clockRom();
  const close = await recordCircumstances(["npm run bench:clock --", ...process.argv.slice(2)].join(" "), []);
  const results: PhaseResult[] = [];
  for (const mode of MODES) {
    const secondsPerPhase = whole(options.seconds, "--seconds", 5);
    results.push(
      ...(await runClockPhases({ image, mode, secondsPerPhase, onPhase: (phase) => status(`${mode}: ${phase}`) })),
    );
  }
  status("");
  const report = makeReport(results, close());
  const folder = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${folder}\n`);
});

function parse() {
  const string = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({ options: { seconds: string, out: string, json: flag, help: flag } }).values;
  } catch (error) {
    throw new VmError("bad-config", `${(error as Error).message}; see --help.`);
  }
}

function makeReport(results: readonly PhaseResult[], circumstances: Report["circumstances"]): Report {
  const sections = MODES.map((mode) => {
    const rows = clockRows(results.filter((result) => result.mode === mode)).map((row) => row.map(String));
    return `## clockSync ${mode}\n\n${table(CLOCK_HEADER, rows)}`;
  });
  const p99Us = (mode: string, phase: string): number | undefined => {
    const found = results.find((r) => r.mode === mode && r.phase === phase && r.source === "kvm-clock");
    return found && found.accuracy.p99Ns / 1000;
  };
  return {
    name: "clock",
    title: "Clocks: how far the guest's are from the host's",
    circumstances,
    body: `Absolute error of the guest's date by each of its clocks; docs/CLOCKS.md says how it is measured.\n\n${sections.join("\n\n")}`,
    chart: {
      title: "kvm-clock: 99 of 100 samples are nearer to the host than this",
      unit: "microseconds, logarithmic, shorter is better",
      series: MODES,
      groups: PHASES.map((phase) => ({ label: phase, values: MODES.map((mode) => p99Us(mode, phase)) })),
      logarithmic: true,
    },
    data: { results },
  };
}
