// Where, when and of what a benchmark was made: a number without it says nothing.
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import type { Emulator } from "./emulators.ts";

export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly commit: string;
  readonly host: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly system: string };
  /** Load average of the last minute. Above 0.5 before the first run, other work was going on. */
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** The load of a machine with nothing else to do, and a margin. */
export const IDLE_LOAD = 0.5;

/** Call before the first run; the function it returns closes the record after the last. */
export function recordCircumstances(command: string, used: readonly Emulator[]): () => Circumstances {
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
    `- load average before ${c.loadBefore.toFixed(2)}, after ${c.loadAfter.toFixed(2)}`,
  ];
  if (c.loadBefore > IDLE_LOAD) rows.push("- **The machine was busy with other work: do not quote these numbers.**");
  return rows.join("\n");
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8", stdio: "pipe" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}
