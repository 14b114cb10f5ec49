// What the CPU benchmark's guest says on its console, and when.
import { spawnSync } from "node:child_process";
import type { SerialLine } from "./emulators.ts";

export interface ProgramTime {
  readonly name: string;
  /** By the guest's monotonic clock. */
  readonly guestSeconds: number;
  /** Between the lines around it, by the host's clock. */
  readonly hostSeconds: number;
  readonly checksum: string;
}

/** The programs that began and ended. */
export function programTimes(lines: readonly Pick<SerialLine, "text" | "atSeconds">[]): ProgramTime[] {
  const times: ProgramTime[] = [];
  let begun: { name: string; atSeconds: number } | undefined;
  for (const { text, atSeconds } of lines) {
    const begin = /^bench: begin (\S+)$/.exec(text);
    if (begin) begun = { name: begin[1] as string, atSeconds };
    const end = /^bench: end (\S+) ([\d.]+) ([\da-f]{8})$/.exec(text);
    if (!end || begun === undefined || begun.name !== end[1]) continue;
    times.push({
      name: begun.name,
      guestSeconds: Number(end[2]),
      hostSeconds: atSeconds - begun.atSeconds,
      checksum: end[3] as string,
    });
  }
  return times;
}

/** The same programs on this machine's own CPU; empty where it does not run 32-bit Linux programs. */
export function runNatively(path: string, variables: Readonly<Record<string, string>>): ProgramTime[] {
  const result = spawnSync(path, [], { env: { ...variables }, encoding: "latin1", timeout: 60_000 });
  if (result.error !== undefined || result.status !== 0) return [];
  return programTimes(result.stdout.split("\n").map((text) => ({ text, atSeconds: 0 })));
}
