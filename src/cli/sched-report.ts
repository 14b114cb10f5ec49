// What a simulation has shown, as tables and as a page.
import { escapeXml } from "../chart/svg.ts";
import type { Figures, SimResult } from "../host/sched/sim/measure.ts";
import type { Scenario } from "../host/sched/sim/scenario.ts";
import { formatTable } from "./table.ts";

/** "mixed: 32 vCPUs on 4 pCPUs for 10 s, seed 1, credit". */
export function describeRun(scenario: Scenario, policies: readonly string[]): string {
  const vcpus = scenario.groups.reduce((sum, group) => sum + group.count, 0);
  const { name, pcpus, durationMs, seed } = scenario;
  const policy = policies.length === 1 ? `, ${policies[0]}` : "";
  return `${name}: ${vcpus} vCPUs on ${pcpus} pCPUs for ${durationMs / 1000} s, seed ${seed}${policy}`;
}

export function hostTable({ host }: SimResult): string {
  const rows: [string, string][] = [
    ["throughput", `${fixed(host.jobsPerSecond, 1)} jobs/s, ${fixed(host.workPcpus, 3)} pCPUs of work`],
    ["utilisation", `${percent(host.utilization)}, and ${percent(host.overhead)} for switching`],
    ["mean delay", `${ms(host.meanDelayMs)} ms a job beyond its CPU time`],
    [
      "wait",
      `p50 ${ms(host.waitMs.p50)}, p95 ${ms(host.waitMs.p95)}, p99 ${ms(host.waitMs.p99)}, longest ${ms(host.waitMs.max)} ms`,
    ],
    ["switches", `${fixed(host.switchesPerSecond, 1)}/s, and ${fixed(host.migrationsPerSecond, 1)} migrations/s`],
    [
      "Jain's index",
      `${host.jain === undefined ? "-" : host.jain.toFixed(4)} of service over that of the ideal fluid host, vCPUs always busy`,
    ],
    ["maximum lag", `${ms(host.maxLagMs)} ms behind the fluid share`],
    ["cost model", `${cost(host)} (residual ${ms(host.cost?.residualMs)} ms)`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

export function groupTable({ groups }: SimResult): string {
  const finite = groups.some((group) => group.finishedMs !== undefined);
  return formatTable(
    ["group", "vCPUs", "pCPUs each", ...FIGURE_HEADER, ...(finite ? ["finished s"] : [])],
    groups.map((group) => [
      group.name,
      group.vcpus,
      right(fixed(group.workPcpus / group.vcpus, 3), 10),
      ...figureCells(group),
      ...(finite ? [right(group.finishedMs === undefined ? "-" : fixed(group.finishedMs / 1000, 2), 10)] : []),
    ]),
  );
}

export function compareTable(results: readonly SimResult[]): string {
  return formatTable(
    ["policy", "pCPUs used", ...FIGURE_HEADER, "switches/s", "migrations/s"],
    results.map(({ policy, host }) => [
      policy,
      right(fixed(host.workPcpus, 3), 10),
      ...figureCells(host),
      right(fixed(host.switchesPerSecond, 0), 10),
      right(fixed(host.migrationsPerSecond, 1), 12),
    ]),
  );
}

const FIGURE_HEADER = [
  " jobs/s",
  "delay ms",
  "wait p50",
  "  p95",
  "   p99",
  "  Jain",
  " max lag",
  "P = a ms + b T",
] as const;

function figureCells(figures: Figures): string[] {
  const cells = [
    fixed(figures.jobsPerSecond, 1),
    ms(figures.meanDelayMs),
    ms(figures.waitMs.p50),
    ms(figures.waitMs.p95),
    ms(figures.waitMs.p99),
    figures.jain === undefined ? "-" : figures.jain.toFixed(4),
    ms(figures.maxLagMs),
    cost(figures),
  ];
  return cells.map((cell, i) => right(cell, FIGURE_HEADER[i]?.length ?? 0));
}

function right(cell: string, width: number): string {
  return cell.padStart(width);
}

function cost({ cost }: Figures): string {
  return cost === undefined ? "-" : `${ms(cost.aMs)} + ${fixed(cost.b, 2)} T`;
}

function fixed(value: number, digits: number): string {
  return value.toFixed(digits);
}

/** Milliseconds with three significant digits or so. */
function ms(value: number | undefined): string {
  if (value === undefined) return "-";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)}%`;
}

/** A page that needs nothing else: the figure, and the tables as they are printed. */
export function reportPage(heading: string, figure: string, tables: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(heading)}</title>
<style>:root{color-scheme:light dark}body{font-family:sans-serif;max-width:64rem;margin:1rem auto;padding:0 1rem}pre{overflow-x:auto}</style>
<h1>${escapeXml(heading)}</h1>
${figure}${tables.map((table) => `<pre>${escapeXml(table)}</pre>`).join("\n")}
</html>
`;
}
