// How long from the start of the emulator to the first line of init, and to power-off? The same kernel and initrd in
// Paravane, v86 and QEMU, one after another in one run.
import { INIT_BANNER } from "../src/images/init.ts";
import { build } from "../tools/build.mjs";
import { recordCircumstances } from "./run/circumstances.ts";
import { benchMain, parseBenchOptions } from "./run/command-line.ts";
import { type Emulator, type GuestRun, runGuest } from "./run/emulators.ts";
import { type BenchGuest, openGuest, prepareJob, Scratch } from "./run/guest-files.ts";
import { json, markdown, type Report, ratio, seconds, table, writeReport } from "./run/report.ts";
import { type Sample, summarize } from "./run/sample.ts";
import { status } from "./run/status-line.ts";

/** The kernel's last line, by ACPI or without it: the one sign of the end that all emulators show. */
const LAST_LINE = /reboot: (Power down|System halted)/;

interface BootTimes {
  /** Seconds from the start of the process. */
  readonly powerOn: number;
  readonly init: number;
  readonly powerOff: number;
  readonly initCpu: number | undefined;
}

interface Row {
  readonly guest: string;
  readonly emulator: Emulator;
  readonly runs: BootTimes[];
  readonly failures: string[];
}

await benchMain(async () => {
  const options = parseBenchOptions({
    name: "boot",
    emulators: ["paravane", "v86", "qemu"],
    timeoutSeconds: 180,
    own: [{ name: "guests", value: "A,B", about: "images to boot (default linux-tiny,linux)" }],
  });
  await build({ quiet: true });
  const guests: BenchGuest[] = [];
  for (const name of (options.own.guests ?? "linux-tiny,linux").split(",")) guests.push(await openGuest(name));
  await using scratch = await Scratch.create();
  const close = await recordCircumstances(options.command, options.emulators);
  const rows: Row[] = [];
  for (const guest of guests) {
    const job = await prepareJob(scratch, guest, "paravane.run=true");
    const mine = options.emulators.map((emulator): Row => ({ guest: guest.name, emulator, runs: [], failures: [] }));
    rows.push(...mine);
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      // Every other round backwards: what changes slowly on the host (clock, caches) falls on all alike.
      for (const row of repeat % 2 === 0 ? mine : [...mine].reverse()) {
        status(`${guest.name} in ${row.emulator.title}, ${repeat + 1} of ${options.repeats}`);
        const run = await runGuest(row.emulator, job, options.timeoutSeconds);
        const times = bootTimes(run);
        if (typeof times === "string") row.failures.push(times);
        else row.runs.push(times);
      }
    }
  }
  status("");
  const report = makeReport(rows, guests, close());
  const folder = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${folder}\n`);
  if (rows.some((row) => row.failures.length > 0)) process.exitCode = 1;
});

function bootTimes(run: GuestRun): BootTimes | string {
  const init = run.lines.find((line) => line.text.includes(INIT_BANNER));
  const last = run.lines.find((line) => LAST_LINE.test(line.text));
  if (run.failure !== undefined) return run.failure;
  if (init === undefined) return `no line "${INIT_BANNER}"`;
  if (last === undefined) return "no power-off";
  return { powerOn: run.powerOnSeconds, init: init.atSeconds, powerOff: last.atSeconds, initCpu: init.cpuSeconds };
}

function makeReport(
  rows: readonly Row[],
  guests: readonly BenchGuest[],
  circumstances: Report["circumstances"],
): Report {
  const samples = rows.map((row) => ({
    row,
    init: summarize(row.runs.map((run) => run.init)),
    powerOff: summarize(row.runs.map((run) => run.powerOff)),
    powerOn: summarize(row.runs.map((run) => run.powerOn)),
    initCpu: summarize(row.runs.flatMap((run) => (run.initCpu === undefined ? [] : [run.initCpu]))),
  }));
  const spread = (sample: Sample | undefined): string =>
    sample === undefined ? "-" : `${seconds(sample.median)} (${seconds(sample.min)}-${seconds(sample.max)})`;
  const sections = guests.map((guest) => {
    const mine = samples.filter(({ row }) => row.guest === guest.name);
    const own = mine.find(({ row }) => row.emulator.id === "paravane")?.init?.median;
    const body = mine.map(({ row, init, powerOff, powerOn, initCpu }) => [
      row.emulator.title,
      spread(init),
      spread(powerOff),
      seconds(powerOn?.median),
      seconds(initCpu?.median),
      own === undefined || init === undefined ? "-" : ratio(init.median / own),
    ]);
    const header = [
      "",
      "to init, s",
      "to power-off, s",
      "of it before power-on, s",
      "CPU time to init, s",
      "init: times Paravane's",
    ];
    const failures = mine.flatMap(({ row }) => row.failures.map((text) => `- ${row.emulator.title} failed: ${text}`));
    return `## ${guest.name}\n\n${guest.source}\n\n${table(header, body)}\n\n${failures.join("\n")}`.trim();
  });
  const note = `Seconds from the start of the emulator's process to the line "${INIT_BANNER}" and to the kernel's last line; \
median (min-max) of ${Math.max(...rows.map((row) => row.runs.length))} runs. 256 MiB, one CPU, serial console; the guest \
runs \`true\` and powers off. QEMU's start cannot be told from its power-on.`;
  return {
    name: "boot",
    title: "Boot: power-on to init",
    circumstances,
    body: `${note}\n\n${sections.join("\n\n")}`,
    chart: {
      title: "Start to the first line of init",
      unit: "seconds, shorter is better",
      series: [...new Set(rows.map((row) => row.emulator.title))],
      groups: guests.map((guest) => ({
        label: guest.name,
        values: samples.filter(({ row }) => row.guest === guest.name).map(({ init }) => init?.median),
      })),
    },
    data: {
      guests: guests.map(({ name, kernelDigest, initrdDigest, source }) => ({
        name,
        kernelDigest,
        initrdDigest,
        source,
      })),
      rows: samples.map(({ row, init, powerOff, powerOn, initCpu }) => ({
        guest: row.guest,
        emulator: row.emulator.id,
        initSeconds: init,
        powerOffSeconds: powerOff,
        powerOnSeconds: powerOn,
        initCpuSeconds: initCpu,
        runs: row.runs,
        failures: row.failures,
      })),
    },
  };
}
