// The scenario that a command line means: one that comes along or a file, with what its options change.
import { readFileSync } from "node:fs";
import { BUILT_IN_SCENARIOS } from "../host/sched/sim/built-in.ts";
import { checkScenario, MAX_PCPUS, MAX_VCPUS, type Scenario, withVcpus } from "../host/sched/sim/scenario.ts";
import { VmError } from "../vmm/error.ts";
import type { RawSimOptions } from "./sched.ts";
import { didYouMean, parseDuration, parseInteger, UsageError } from "./values.ts";

/** Throws UsageError where there is none of this name. */
export function builtInScenario(name: string): Scenario {
  const found = BUILT_IN_SCENARIOS.find((scenario) => scenario.name === name);
  if (found) return found;
  const names = BUILT_IN_SCENARIOS.map((scenario) => scenario.name);
  throw new UsageError(
    `no scenario is called "${name}"${didYouMean(name, names)}; there are ${names.join(", ")}, or give a JSON file (./mine.json)`,
  );
}

export function resolveScenario(nameOrFile: string, options: RawSimOptions): Scenario {
  const file = nameOrFile.includes("/") || nameOrFile.endsWith(".json");
  let scenario = file ? scenarioFile(nameOrFile) : builtInScenario(nameOrFile);
  const { pcpus, vcpus, duration, seed, switchUs, migrationUs } = options;
  if (vcpus !== undefined) scenario = withVcpus(scenario, whole(vcpus, "--vcpus", scenario.groups.length, MAX_VCPUS));
  return {
    ...scenario,
    ...(pcpus === undefined ? {} : { pcpus: whole(pcpus, "--pcpus", 1, MAX_PCPUS) }),
    ...(duration === undefined ? {} : { durationMs: simulatedMs(duration) }),
    ...(seed === undefined ? {} : { seed: parseInteger(seed, "--seed", 0, 0xffffffff) }),
    ...(switchUs === undefined ? {} : { switchUs: whole(switchUs, "--switch-us", 0, 10_000) }),
    ...(migrationUs === undefined ? {} : { migrationUs: whole(migrationUs, "--migration-us", 0, 10_000) }),
  };
}

function scenarioFile(path: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof SyntaxError) throw new UsageError(`${path} is not JSON: ${why}`);
    throw new UsageError(`cannot read ${path}: ${why.replace(/^\w+: |, \w+ .*$/g, "")}`);
  }
  try {
    return checkScenario(json);
  } catch (error) {
    if (error instanceof VmError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

function whole(text: string, option: string, min: number, max: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option}: "${text}" is not a whole number from ${min} to ${max}`);
}

const LONGEST_MS = 3_600_000;

function simulatedMs(text: string): number {
  const ms = parseDuration(text, "--duration");
  if (ms >= 1 && ms <= LONGEST_MS) return ms;
  throw new UsageError(`--duration: ${text} is outside what is simulated; give a time from 1ms to 1h`);
}
