// What is said when a machine has ended: --stats as text or as one JSON object.
import type { ExitStatus, VmStatistics } from "../vmm/status.ts";

export type StatsFormat = "text" | "json";

export interface RunReport {
  readonly guest: string;
  readonly exitCode: number;
  readonly status: ExitStatus;
  /** Whether a line matched --until; absent without --until. */
  readonly untilMatched?: boolean;
  readonly statistics: VmStatistics;
}

/** The JSON object of --stats=json: flat on top, one line, numbers in the units that their names say. */
export function statsJson(report: RunReport): string {
  const { guest, exitCode, status, untilMatched, statistics } = report;
  const ending =
    status.kind === "crashed" ? { kind: status.kind, code: status.error.code, message: status.error.message } : status;
  return JSON.stringify(
    { guest, exitCode, status: ending, ...(untilMatched === undefined ? {} : { untilMatched }), ...statistics },
    (_, value) => (typeof value === "bigint" ? Number(value) : value instanceof Error ? value.message : value),
  );
}

export function statsText(report: RunReport): string {
  const { statistics: s } = report;
  const rows: [string, string][] = [
    ["instructions", s.instructions.toLocaleString("en-US")],
    ["guest time", `${s.guestSeconds.toFixed(3)} s`],
    [
      "host time",
      `${s.hostSeconds.toFixed(3)} s (${s.vcpuSeconds.toFixed(3)} s in the vCPU, ${s.idleSeconds.toFixed(3)} s idle)`,
    ],
    ["speed", `${s.mips.toFixed(1)} million instructions a second`],
    ["VM exits", s.exitTotal.toLocaleString("en-US")],
    ...sorted(s.exits).map(([name, count]): [string, string] => [`  ${name}`, count.toLocaleString("en-US")]),
  ];
  for (const [name, count] of sorted(s.unknownPorts))
    rows.push([`unknown port ${name}`, count.toLocaleString("en-US")]);
  for (const [name, count] of sorted(s.unknownMsrs)) rows.push([`unknown MSR ${name}`, count.toLocaleString("en-US")]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1]);
}
