// Where, when and of what a benchmark was made: a number without it says nothing.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import type { Emulator } from "./emulators.ts";

export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly commit: string;
  readonly host: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly system: string };
  /** Share of all CPUs that other work had in the second before the first run, 0 to 1. */
  readonly busyBefore: number;
  /** The same during all the runs; undefined where the host does not tell our own share (not Linux). */
  readonly busyDuring: number | undefined;
  /** Load average of the last minute, our own preparations included. */
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** More than this share of the CPUs in use by others makes the numbers worthless. */
const BUSY = 0.1;
const LOOK_MS = 1000;

/** Call before the first run; the function it returns closes the record after the last. */
export async function recordCircumstances(
  command: string,
  used: readonly Emulator[],
  /** CPU seconds of ours that no ended child accounts for: of processes that run on until after the record. */
  runningOn: () => number | undefined = () => 0,
): Promise<() => Circumstances> {
  const look = cpuSeconds(runningOn);
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const start = cpuSeconds(runningOn);
  const busyBefore = 1 - (start.idle - look.idle) / (start.all - look.all);
  const loadBefore = loadavg()[0] as number;
  const date = new Date().toISOString();
  return () => ({
    date,
    command,
    commit: commit(),
    host: {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      system: `${process.platform} ${process.arch}`,
    },
    busyBefore,
    busyDuring: shareOfOthers(start, cpuSeconds(runningOn)),
    loadBefore,
    loadAfter: loadavg()[0] as number,
    versions: { node: process.version, ...Object.fromEntries(used.map((e) => [e.title, e.version()])) },
  });
}

export function describeCircumstances(c: Circumstances): string {
  const { host } = c;
  const versions = Object.entries(c.versions).map(([name, version]) => `${name} ${version}`);
  const rows = [
    `- ${c.date.slice(0, 10)}, commit ${c.commit}, \`${c.command}\``,
    `- ${host.cpu}, ${host.cores} cores, ${host.memoryGiB} GiB, ${host.system}`,
    `- ${versions.join("; ")}`,
    `- other work on the CPUs: ${percent(c.busyBefore)} before the first run, ${percent(c.busyDuring)} during the runs; load average before ${c.loadBefore.toFixed(2)}, after ${c.loadAfter.toFixed(2)}`,
  ];
  if (Math.max(c.busyBefore, c.busyDuring ?? 0) > BUSY)
    rows.push("- **The machine was busy with other work: do not quote these numbers.**");
  return rows.join("\n");
}

const percent = (share: number | undefined): string =>
  share === undefined ? "unknown" : `${(share * 100).toFixed(0)}%`;

interface CpuSeconds {
  /** Of all CPUs together, since the host started. */
  readonly all: number;
  readonly idle: number;
  /** Of this process and the children that have ended; undefined where the host does not tell. */
  readonly own: number | undefined;
}

function cpuSeconds(runningOn: () => number | undefined): CpuSeconds {
  let all = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    idle += times.idle / 1000;
    all += (times.idle + times.user + times.sys + times.irq + times.nice) / 1000;
  }
  const own = ownCpuSeconds();
  const others = runningOn();
  return { all, idle, own: own === undefined || others === undefined ? undefined : own + others };
}

function shareOfOthers(from: CpuSeconds, to: CpuSeconds): number | undefined {
  if (from.own === undefined || to.own === undefined || to.all <= from.all) return undefined;
  const busy = to.all - from.all - (to.idle - from.idle);
  return Math.max(0, (busy - (to.own - from.own)) / (to.all - from.all));
}

/** User and system time of this process and of children waited for. */
function ownCpuSeconds(): number | undefined {
  try {
    return readStat("self").cpuSeconds;
  } catch {
    return undefined;
  }
}

/** CPU seconds of all processes below `pid` that live; undefined where the host does not tell (not Linux). */
export function descendantCpuSeconds(pid: number): number | undefined {
  const children = new Map<number, { readonly pid: number; readonly cpuSeconds: number }[]>();
  try {
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const { parent, cpuSeconds } = readStat(name);
        children.set(parent, [...(children.get(parent) ?? []), { pid: Number(name), cpuSeconds }]);
      } catch {
        // It ended just now.
      }
    }
  } catch {
    return undefined;
  }
  const below = (parent: number): number =>
    (children.get(parent) ?? []).reduce((sum, child) => sum + child.cpuSeconds + below(child.pid), 0);
  return below(pid);
}

/** proc(5), field 4: the parent; 14 to 17: user and system time, its own and that of children waited for, in hundredths. */
function readStat(pid: string): { readonly parent: number; readonly cpuSeconds: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    parent: Number(fields[1]),
    cpuSeconds: [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]) / 100, 0),
  };
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8", stdio: "pipe" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}
