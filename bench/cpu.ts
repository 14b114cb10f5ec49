// How fast is the CPU? Our own programs (bench/guest) in the same small Linux under Paravane, v86's interpreter, v86
// with its translator and QEMU TCG; each is timed inside the guest, and by the host from the lines on the console.
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { compileInit, compilerVersion, makeBenchGuest } from "./run/bench-guest.ts";
import { recordCircumstances } from "./run/circumstances.ts";
import { benchMain, parseBenchOptions, whole } from "./run/command-line.ts";
import { type Emulator, runGuest } from "./run/emulators.ts";
import { prepareJob, Scratch } from "./run/guest-files.ts";
import { type ProgramTime, programTimes, runNatively } from "./run/program-times.ts";
import { json, markdown, type Report, ratio, seconds, table, writeReport } from "./run/report.ts";
import { geometricMean, summarize } from "./run/sample.ts";
import { status } from "./run/status-line.ts";

/** Guest and host may differ by this share and this much before a time counts as doubtful. */
const CLOCK_TOLERANCE = 0.1;
const CLOCK_SLACK_SECONDS = 0.02;

interface Column {
  readonly emulator: Emulator;
  /** Times by program, one a repeat. */
  readonly times: Map<string, ProgramTime[]>;
  readonly failures: string[];
}

interface Program {
  readonly name: string;
  readonly nativeSeconds: number | undefined;
  /** Medians, in the order of the columns; undefined where it did not run. */
  readonly seconds: readonly (number | undefined)[];
}

await benchMain(async () => {
  const options = parseBenchOptions({
    name: "cpu",
    emulators: ["paravane", "v86-interpreter", "v86", "qemu"],
    timeoutSeconds: 300,
    own: [
      { name: "programs", value: "A,B", about: "these programs (default all)" },
      { name: "percent", value: "N", about: "share of each program's usual work (default 100)" },
    ],
  });
  const percent = whole(options.own.percent, "--percent", 100);
  const variables = {
    bench_percent: String(percent),
    ...(options.own.programs === undefined ? {} : { bench_only: options.own.programs }),
  };
  await build({ quiet: true });
  await using scratch = await Scratch.create();
  const init = compileInit(scratch);
  const guest = await makeBenchGuest(init);
  const append = Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
  const job = await prepareJob(scratch, guest, append);
  const close = await recordCircumstances(options.command, options.emulators);
  const native: ProgramTime[][] = [];
  const columns = options.emulators.map((emulator): Column => ({ emulator, times: new Map(), failures: [] }));
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    native.push(runNatively(init.path, variables));
    // Every other round backwards: what changes slowly on the host (clock, caches) falls on all alike.
    for (const column of repeat % 2 === 0 ? columns : [...columns].reverse()) {
      const about = `${column.emulator.title}, ${repeat + 1} of ${options.repeats}`;
      status(about);
      const run = await runGuest(column.emulator, job, options.timeoutSeconds, ({ text }) =>
        status(`${about}: ${text}`),
      );
      for (const time of programTimes(run.lines)) {
        column.times.set(time.name, [...(column.times.get(time.name) ?? []), time]);
      }
      if (run.failure !== undefined) column.failures.push(run.failure);
      for (const { text } of run.lines) if (text.startsWith("bench: failed")) column.failures.push(text);
    }
  }
  status("");
  for (const name of options.own.programs?.split(",") ?? []) {
    if (columns.every((column) => !column.times.has(name) && column.failures.length === 0))
      throw new VmError("bad-config", `--programs: no program "${name}" ran; bench/guest/init.c lists their names.`, {
        name,
      });
  }
  const report = makeReport(columns, native, guest, close());
  const folder = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${folder}\n`);
  if ((report.data as { problems: readonly string[] }).problems.length > 0) process.exitCode = 1;
});

function makeReport(
  columns: readonly Column[],
  native: readonly ProgramTime[][],
  guest: { readonly kernelDigest: string; readonly initrdDigest: string; readonly source: string },
  circumstances: Report["circumstances"],
): Report {
  const names = [...new Set(columns.flatMap((column) => [...column.times.keys()]))];
  const median = (times: readonly ProgramTime[] | undefined): number | undefined =>
    summarize((times ?? []).map((time) => time.guestSeconds))?.median;
  const programs = names.map(
    (name): Program => ({
      name,
      nativeSeconds: median(native.flatMap((run) => run.filter((time) => time.name === name))),
      seconds: columns.map((column) => median(column.times.get(name))),
    }),
  );
  const own = columns.findIndex((column) => column.emulator.id === "paravane");
  const ownSeconds = (program: Program): number | undefined => program.seconds[own];
  const ratios = columns.map((_, i) =>
    programs.flatMap((program) => ratioOf(program.seconds[i], ownSeconds(program)) ?? []),
  );
  const problems = [
    ...columns.flatMap((c) => c.failures.map((f) => `${c.emulator.title}: ${f}`)),
    ...doubts(columns, native),
  ];

  const others = columns.filter((_, i) => i !== own && own >= 0);
  const indexOf = (column: Column): number => columns.indexOf(column);
  const header = [
    "program",
    ...columns.map((column) => `${column.emulator.title}, s`),
    "native, s",
    ...others.map((column) => `${column.emulator.title} / Paravane`),
  ];
  const rows = programs.map((program) => [
    program.name,
    ...program.seconds.map(seconds),
    seconds(program.nativeSeconds),
    ...others.map((column) => ratio(ratioOf(program.seconds[indexOf(column)], ownSeconds(program)))),
  ]);
  const total = (values: readonly (number | undefined)[]): number | undefined =>
    values.every((v) => v === undefined) ? undefined : values.reduce<number>((sum, v) => sum + (v ?? 0), 0);
  const totals = columns.map((_, i) => total(programs.map((program) => program.seconds[i])));
  rows.push([
    "all (sum)",
    ...totals.map(seconds),
    seconds(total(programs.map((program) => program.nativeSeconds))),
    ...others.map((column) => ratio(ratioOf(totals[indexOf(column)], totals[own]))),
  ]);
  rows.push([
    "all (geometric mean)",
    ...columns.map(() => ""),
    "",
    ...others.map((column) => ratio(geometricMean(ratios[indexOf(column)] ?? []))),
  ]);

  const interpreter = columns.findIndex((column) => column.emulator.id === "v86-interpreter");
  const bars = own >= 0 && interpreter >= 0 ? barsText(programs, own, interpreter) : "";
  const note = `Seconds by the guest's own clock, median of ${Math.max(0, ...columns.map((c) => Math.max(0, ...[...c.times.values()].map((t) => t.length))))} \
runs; ratios above 1 mean that Paravane is faster. "Native" is the same binary on the host's CPU and kernel, for scale. \
Guest: linux-tiny (${guest.source}), 256 MiB, one CPU, programs compiled by gcc ${compilerVersion()}.`;
  const doubtful = problems.length === 0 ? "" : `\n\n## Problems\n\n${problems.map((text) => `- ${text}`).join("\n")}`;
  return {
    name: "cpu",
    title: "CPU: guest programs",
    circumstances,
    body: `${note}\n\n${table(header, rows)}\n\n${bars}${doubtful}`,
    chart: {
      title: "Guest programs",
      unit: "seconds, shorter is better",
      series: columns.map((column) => column.emulator.title),
      groups: programs.map((program) => ({ label: program.name, values: program.seconds })),
      logarithmic: true,
    },
    data: {
      guest: { kernelDigest: guest.kernelDigest, initrdDigest: guest.initrdDigest, source: guest.source },
      compiler: compilerVersion(),
      programs: programs.map(({ name, nativeSeconds, seconds: medians }) => ({
        name,
        nativeSeconds,
        ...Object.fromEntries(columns.map((column, i) => [column.emulator.id, medians[i]])),
      })),
      totals: Object.fromEntries(columns.map((column, i) => [column.emulator.id, totals[i]])),
      geometricMeanRatios: Object.fromEntries(
        columns.map((column, i) => [column.emulator.id, geometricMean(ratios[i] ?? [])]),
      ),
      runs: Object.fromEntries(columns.map((column) => [column.emulator.id, Object.fromEntries(column.times)])),
      problems,
    },
  };
}

function ratioOf(other: number | undefined, own: number | undefined): number | undefined {
  return other === undefined || own === undefined || own === 0 ? undefined : other / own;
}

/** What the product promises against v86's interpreter: twice as fast overall, no single program slower. */
function barsText(programs: readonly Program[], own: number, interpreter: number): string {
  const all = programs.flatMap((program) => {
    const value = ratioOf(program.seconds[interpreter], program.seconds[own]);
    return value === undefined ? [] : [{ name: program.name, value }];
  });
  const mean = geometricMean(all.map(({ value }) => value));
  const slower = all.filter(({ value }) => value < 1).map(({ name, value }) => `${name} (${ratio(value)})`);
  return [
    `- At least 2 times v86's interpreter (geometric mean): ${mean !== undefined && mean >= 2 ? "met" : "not met"}, ${ratio(mean)}`,
    `- No program slower than v86's interpreter: ${slower.length === 0 ? "met" : `not met: ${slower.join(", ")}`}`,
  ].join("\n");
}

/** Times that the host's clock does not confirm, and results that are not the same everywhere. */
function doubts(columns: readonly Column[], native: readonly ProgramTime[][]): string[] {
  const found: string[] = [];
  const checksums = new Map<string, string>(native.flat().map((time) => [time.name, time.checksum]));
  for (const { emulator, times } of columns) {
    for (const [name, runs] of times) {
      for (const { guestSeconds, hostSeconds, checksum } of runs) {
        const difference = Math.abs(guestSeconds - hostSeconds);
        if (difference > CLOCK_SLACK_SECONDS + CLOCK_TOLERANCE * hostSeconds)
          found.push(
            `${emulator.title}, ${name}: ${seconds(guestSeconds)} s in the guest, ${seconds(hostSeconds)} s on the host`,
          );
        const expected = checksums.get(name) ?? checksum;
        checksums.set(name, expected);
        if (checksum !== expected) found.push(`${emulator.title}, ${name}: result ${checksum}, elsewhere ${expected}`);
      }
    }
  }
  return found;
}
