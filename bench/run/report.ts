// A benchmark's result as Markdown, JSON and a chart, in bench/out/ (or where --out says).
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { barChart, type Chart } from "../../src/chart/bars.ts";
import { type Circumstances, describeCircumstances } from "./circumstances.ts";

export const OUT_FOLDER = fileURLToPath(new URL("../out/", import.meta.url));

export interface Report {
  /** File name without its ending: "boot". */
  readonly name: string;
  readonly title: string;
  readonly circumstances: Circumstances;
  /** Markdown after the title and the circumstances. */
  readonly body: string;
  readonly chart: Chart;
  /** Everything measured, for programs. */
  readonly data: object;
}

export function markdown(report: Report): string {
  const { title, circumstances, body } = report;
  return `# ${title}\n\n${describeCircumstances(circumstances)}\n\n${body.trim()}\n`;
}

export function json(report: Report): string {
  return `${JSON.stringify({ benchmark: report.name, circumstances: report.circumstances, ...report.data }, null, 2)}\n`;
}

/** Writes NAME.md, NAME.json and NAME.svg; returns the folder. */
export async function writeReport(report: Report, folder = OUT_FOLDER): Promise<string> {
  await mkdir(folder, { recursive: true });
  const image = `![${report.title}](${report.name}.svg)`;
  await writeFile(join(folder, `${report.name}.md`), `${markdown(report)}\n${image}\n`);
  await writeFile(join(folder, `${report.name}.json`), json(report));
  await writeFile(join(folder, `${report.name}.svg`), barChart(report.chart));
  return folder;
}

/** A Markdown table; every column but the first is right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

export const seconds = (value: number | undefined): string =>
  value === undefined ? "-" : value.toFixed(value < 10 ? (value < 0.1 ? 4 : 3) : 1);

export const ratio = (value: number | undefined): string => (value === undefined ? "-" : `${value.toFixed(2)}x`);
