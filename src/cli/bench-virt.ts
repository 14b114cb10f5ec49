// `paravane bench virt`: full, hardware-assisted and paravirtualization side by side, as a table and a report.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { benchVirt, type VirtBenchProgress } from "../bench/virt/bench-virt.ts";
import { FORM_TITLES } from "../bench/virt/forms.ts";
import { VIRT_FORMS } from "../bench/virt/measurement.ts";
import { type Comparison, failures, measurementTables, whereParaDoesNotWin } from "../bench/virt/report.ts";
import { virtReportHtml } from "../bench/virt/report-html.ts";
import { virtReportMarkdown } from "../bench/virt/report-markdown.ts";
import { VmError } from "../vmm/error.ts";
import { EXIT_NO_MATCH, EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { readRomImage, readRomManifest } from "./roms.ts";
import { formatTable } from "./table.ts";
import { parseChoice, parseInteger } from "./values.ts";

export interface BenchVirtOptions {
  readonly only?: string;
  readonly forms?: string;
  readonly repeats?: string;
  readonly percent?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const ROM = "kernel";
const DEFAULT_OUT = "bench-virt";
const NAME = "virt";

export async function benchVirtVerb(options: BenchVirtOptions, io: CliIo): Promise<number> {
  const forms = options.forms?.split(",").map((form) => parseChoice(form, "--forms", VIRT_FORMS));
  const repeats = options.repeats === undefined ? 5 : parseInteger(options.repeats, "--repeats", 1, 100);
  const percent = options.percent === undefined ? 100 : parseInteger(options.percent, "--percent", 1, 1000);
  const rom = readRomManifest().roms.find(({ name }) => name === ROM);
  if (rom === undefined) throw new VmError("not-found", `roms/manifest.json has no ROM called ${ROM}.`, { rom: ROM });
  const result = await benchVirt({
    rom: await readRomImage(rom),
    repeats,
    percent,
    onProgress: (progress) => status(io, describeProgress(progress)),
    ...(options.only === undefined ? {} : { only: options.only.split(",") }),
    ...(forms === undefined ? {} : { forms }),
  });
  status(io, "");
  const comparison: Comparison = {
    title: "Full against paravirtualization: the benchmark guest",
    forms: result.forms,
    repeats: result.repeats,
    operations: result.operations,
    circumstances: circumstances(result.percent),
  };
  const folder = options.out ?? DEFAULT_OUT;
  const json = `${JSON.stringify({ ...result, circumstances: comparison.circumstances }, null, 2)}\n`;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${NAME}.json`), json);
  await writeFile(join(folder, `${NAME}.md`), virtReportMarkdown(comparison));
  await writeFile(join(folder, `${NAME}.html`), virtReportHtml(comparison));
  io.stdout.write(options.json ? json : describe(comparison));
  io.stderr.write(`${join(folder, `${NAME}.html`)}, .md and .json have the report\n`);
  return failures(comparison).length > 0 ? EXIT_NO_MATCH : EXIT_OK;
}

function describe(comparison: Comparison): string {
  const tables = measurementTables(comparison).map(({ title, header, rows }) =>
    formatTable([title, ...header.slice(1)], rows, (column) => column > 0),
  );
  const bad = failures(comparison).map((line) => `WRONG: ${line}`);
  const notWon = whereParaDoesNotWin(comparison).map(({ operation }) => operation);
  const last = notWon.length > 0 ? [`Paravirtualization does not win: ${notWon.join("; ")}`] : [];
  return `${[...tables, ...bad, ...last].join("\n\n")}\n`;
}

function describeProgress({ round, rounds, form, done, runs }: VirtBenchProgress): string {
  const what = round === 0 ? "warming up" : `round ${round} of ${rounds}`;
  return `${what}, ${FORM_TITLES[form]} (${Math.round((done / runs) * 100)}%)`;
}

function circumstances(percent: number): string[] {
  const load = loadavg()[0] ?? 0;
  return [
    `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, paravane ${findPackage().version}, Node ${process.version}`,
    `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${cpus().length} threads, ${process.platform} ${process.arch}`,
    `load average ${load.toFixed(2)} at the end: with more than one busy thread beside it the times are good for nothing, the counts are`,
    ...(percent === 100 ? [] : [`${percent}% of the usual counts`]),
  ];
}

function status(io: CliIo, text: string): void {
  if (io.stderr.isTTY) io.stderr.write(`\r\x1b[K${text}`);
}
