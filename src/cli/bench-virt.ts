// `paravane bench virt`: full, hardware-assisted and paravirtualization side by side, as a table and a report.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { benchLinux, LINUX_BENCH_MODULES, LINUX_FORM_DESCRIPTIONS, LINUX_FORMS } from "../bench/virt/bench-linux.ts";
import { benchVirt, type VirtBenchResult } from "../bench/virt/bench-virt.ts";
import { VIRT_FORMS } from "../bench/virt/measurement.ts";
import {
  type Comparison,
  exitTable,
  extraTable,
  failures,
  measurementTables,
  NOT_WON,
  notWonVerdicts,
  type ReportTable,
  whereParaDoesNotWin,
} from "../bench/virt/report.ts";
import { virtReportHtml } from "../bench/virt/report-html.ts";
import { virtReportMarkdown } from "../bench/virt/report-markdown.ts";
import type { RoundProgress } from "../bench/virt/rounds.ts";
import { openImage, pullGuestImage } from "../images/node/index.ts";
import { VmError } from "../vmm/error.ts";
import { EXIT_NO_MATCH, EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { type GuestProgram, type RomEntry, readRomImage, readRomManifest } from "./roms.ts";
import { formatTable } from "./table.ts";
import { parseChoice, parseInteger } from "./values.ts";

export interface BenchVirtOptions {
  readonly guest?: string;
  readonly only?: string;
  readonly forms?: string;
  readonly repeats?: string;
  readonly percent?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const GUESTS = ["rom", "linux"] as const;
const ROM = "kernel";
const PROGRAM = "measure";
/** In the image cache: Debian's kernel, busybox and the drivers of both device sets. */
const LINUX_IMAGE = "bench-linux";
const DEFAULT_OUT = "bench-virt";

export async function benchVirtVerb(options: BenchVirtOptions, io: CliIo): Promise<number> {
  const guest = parseChoice(options.guest ?? "rom", "--guest", GUESTS);
  const result = guest === "linux" ? await measureLinux(options, io) : await measureRom(options, io);
  status(io, "");
  const comparison: Comparison = {
    title: `Full against paravirtualization: ${guest === "linux" ? "Linux as the guest" : "the benchmark guest"}`,
    forms: result.forms,
    repeats: result.repeats,
    operations: result.operations,
    circumstances: circumstances(result.percent),
    ...(guest === "linux" ? { descriptions: LINUX_FORM_DESCRIPTIONS } : {}),
  };
  const folder = options.out ?? DEFAULT_OUT;
  const name = guest === "linux" ? "virt-linux" : "virt";
  const json = `${JSON.stringify({ ...result, circumstances: comparison.circumstances }, null, 2)}\n`;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), json);
  await writeFile(join(folder, `${name}.md`), virtReportMarkdown(comparison));
  await writeFile(join(folder, `${name}.html`), virtReportHtml(comparison));
  io.stdout.write(options.json ? json : describe(comparison));
  io.stderr.write(`${join(folder, `${name}.html`)}, .md and .json have the report\n`);
  return failures(comparison).length > 0 ? EXIT_NO_MATCH : EXIT_OK;
}

async function measureRom(options: BenchVirtOptions, io: CliIo): Promise<VirtBenchResult> {
  const forms = options.forms?.split(",").map((form) => parseChoice(form, "--forms", VIRT_FORMS));
  const rom = await readEntry(readRomManifest().roms, ROM);
  return await benchVirt({ ...common(options, io, 5), rom, ...(forms === undefined ? {} : { forms }) });
}

async function measureLinux(options: BenchVirtOptions, io: CliIo): Promise<VirtBenchResult> {
  const forms = options.forms?.split(",").map((form) => parseChoice(form, "--forms", LINUX_FORMS));
  const shared = common(options, io, 3);
  const program = await readEntry(readRomManifest().programs, PROGRAM);
  const modules = [...LINUX_BENCH_MODULES];
  await pullGuestImage(LINUX_IMAGE, { modules, onProgress: ({ phase }) => status(io, `${LINUX_IMAGE}: ${phase}`) });
  const { kernel, initrd = new Uint8Array() } = await openImage(LINUX_IMAGE);
  return await benchLinux({ ...shared, kernel, initrd, program, forms });
}

function common(options: BenchVirtOptions, io: CliIo, repeats: number) {
  return {
    repeats: options.repeats === undefined ? repeats : parseInteger(options.repeats, "--repeats", 1, 100),
    percent: options.percent === undefined ? 100 : parseInteger(options.percent, "--percent", 1, 1000),
    onProgress: (progress: RoundProgress) => status(io, describeProgress(progress)),
    ...(options.only === undefined ? {} : { only: options.only.split(",") }),
  };
}

async function readEntry(entries: readonly (RomEntry | GuestProgram)[], name: string): Promise<Uint8Array> {
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) throw new VmError("not-found", `roms/manifest.json has nothing called ${name}.`, { name });
  return await readRomImage(entry);
}

function describe(comparison: Comparison): string {
  const tables = measurementTables(comparison).map((table) => asText(table, (column) => column > 0));
  const extras = extraTable(comparison);
  if (extras.rows.length > 0) tables.push(asText(extras, (column) => column > 0));
  tables.push(asText(exitTable(comparison)));
  const bad = failures(comparison).map((line) => `WRONG: ${line}`);
  const notWon = whereParaDoesNotWin(comparison);
  const verdicts = notWonVerdicts().flatMap((verdict) => {
    const names = notWon.filter((one) => one.verdict === verdict).map(({ operation }) => operation);
    return names.length === 0 ? [] : [`Para is ${NOT_WON[verdict]}:\n  ${names.join("\n  ")}`];
  });
  return `${[...tables, ...bad, ...verdicts].join("\n\n")}\n`;
}

function asText({ title, header, rows }: ReportTable, right?: (column: number) => boolean): string {
  return formatTable([title, ...header.slice(1)], rows, right);
}

function describeProgress({ round, rounds, form, done, runs }: RoundProgress): string {
  const what = round === 0 ? "warming up" : `round ${round} of ${rounds}`;
  return `${what}, ${form} (${Math.round((done / runs) * 100)}%)`;
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
