// Where, when and of what a benchmark was made: a number without it says nothing.
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import type { Emulator } from "./emulators.ts";

export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly commit: string;
  readonly host: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly system: string };
  /** Share of all CPUs that other work had in the second before the first run, 0 to 1. */
  readonly busyBefore: number;
  /** Load average of the last minute, our own preparations included. */
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** More than this share of the CPUs in use by others makes the numbers worthless. */
const BUSY = 0.1;
const LOOK_MS = 1000;

/** Call before the first run; the function it returns closes the record after the last. */
export async function recordCircumstances(command: string, used: readonly Emulator[]): Promise<() => Circumstances> {
  const busyBefore = await busyShare();
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
      system: `${process.platform} ${process.arch} ${release()}`,
    },
    busyBefore,
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
    `- before: CPUs ${(c.busyBefore * 100).toFixed(0)}% in use by others, load average ${c.loadBefore.toFixed(2)}; after: ${c.loadAfter.toFixed(2)}`,
  ];
  if (c.busyBefore > BUSY) rows.push("- **The machine was busy with other work: do not quote these numbers.**");
  return rows.join("\n");
}

/** What the CPUs do while we do nothing. */
async function busyShare(): Promise<number> {
  const sum = (pick: (times: ReturnType<typeof cpus>[number]["times"]) => number): number =>
    cpus().reduce((total, { times }) => total + pick(times), 0);
  const idleBefore = sum(({ idle }) => idle);
  const allBefore = sum(({ idle, user, sys, irq, nice }) => idle + user + sys + irq + nice);
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const idle = sum((times) => times.idle) - idleBefore;
  const all = sum((times) => times.idle + times.user + times.sys + times.irq + times.nice) - allBefore;
  return all > 0 ? Math.max(0, 1 - idle / all) : 0;
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8", stdio: "pipe" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}
