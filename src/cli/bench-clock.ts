// `paravane bench clock`: how well a guest's clocks follow the host's, phase by phase.
import { type ClockPhase, type PhaseResult, PROBE_SYNC_MODES, runClockPhases } from "../host/clock/phases.ts";
import { POLICY_NAMES, type PolicyName } from "../host/sched/registry.ts";
import type { ClockSyncMode } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { readRomImage, readRomManifest } from "./roms.ts";
import { formatTable } from "./table.ts";
import { parseChoice, parseDuration } from "./values.ts";

export interface BenchClockOptions {
  readonly sync?: string;
  readonly duration?: string;
  readonly policy?: string;
  readonly json?: boolean;
}

/** A guest with kvm-clock, and one that knows nothing of it. */
const DEFAULT_SYNC = "auto,slew";
const DEFAULT_DURATION = "3s";
const ROM = "clock";

export async function benchClock(options: BenchClockOptions, io: CliIo): Promise<number> {
  const modes = (options.sync ?? DEFAULT_SYNC).split(",").map((mode) => parseChoice(mode, "--sync", PROBE_SYNC_MODES));
  const secondsPerPhase = parseDuration(options.duration ?? DEFAULT_DURATION, "--duration") / 1000;
  const policy: PolicyName | undefined =
    options.policy === undefined ? undefined : parseChoice(options.policy, "--policy", POLICY_NAMES);
  const image = await clockRom();
  const results: PhaseResult[] = [];
  for (const mode of modes) {
    const onPhase = (phase: ClockPhase): void => status(io, `${mode}: ${phase}`);
    results.push(
      ...(await runClockPhases({
        image,
        mode,
        secondsPerPhase,
        onPhase,
        ...(policy === undefined ? {} : { policy }),
      })),
    );
  }
  status(io, "");
  io.stdout.write(options.json ? `${JSON.stringify(results, null, 2)}\n` : `${describe(modes, results)}\n`);
  return EXIT_OK;
}

/** The guest that reports its clocks. Throws VmError("not-found"). */
export async function clockRom(): Promise<Uint8Array> {
  const rom = readRomManifest().roms.find(({ name }) => name === ROM);
  if (rom === undefined) throw new VmError("not-found", `roms/manifest.json has no ROM called ${ROM}.`, { rom: ROM });
  return await readRomImage(rom);
}

const HEADER = [
  "phase",
  "clock",
  "samples",
  "disturbed",
  "mean us",
  "p99 us",
  "max us",
  "within 1 ms",
  "in sync after",
];

export function clockRows(results: readonly PhaseResult[]): (string | number)[][] {
  const us = (ns: number): number => Math.round(ns / 100) / 10;
  return results.map(({ phase, source, accuracy, disturbed }) => [
    phase,
    source,
    accuracy.samples,
    disturbed,
    us(accuracy.meanNs),
    us(accuracy.p99Ns),
    us(accuracy.maxNs),
    `${(accuracy.withinEpsilon * 100).toFixed(1)}%`,
    accuracy.latencyMs === undefined ? "-" : `${Math.max(0, accuracy.latencyMs).toFixed(0)} ms`,
  ]);
}

export { HEADER as CLOCK_HEADER };

function describe(modes: readonly ClockSyncMode[], results: readonly PhaseResult[]): string {
  return modes
    .map((mode) => {
      const rows = clockRows(results.filter((result) => result.mode === mode));
      return `clockSync ${mode}\n${formatTable(HEADER, rows)}`;
    })
    .join("\n\n");
}

function status(io: CliIo, text: string): void {
  if (io.stderr.isTTY) io.stderr.write(`\r\x1b[K${text}`);
}
