// What a simulation is told: which vCPUs there are, what they do, on what host. As a table, so that the check and the
// published schema are one.
import { VmError } from "../../../vmm/error.ts";
import { type Checked, checkFields, type FieldTable, type NumberField, schemaOf } from "../../fields.ts";
import { checkSchedParameters, PARAMETER_FIELDS } from "../parameters.ts";
import type { SchedParameters } from "../policy.ts";
import { SPREADS } from "./random.ts";

export const MAX_VCPUS = 10_000;
export const MAX_PCPUS = 256;
const MS = 1e6;

const ms = <const D extends number>(title: string, min: number, max: number, defaultMs: D) =>
  ({ kind: "number", title: `${title}, ms`, min, max, default: defaultMs }) as const satisfies NumberField;
const count = <const D extends number>(title: string, min: number, max: number, value: D) =>
  ({ kind: "number", title, min, max, integer: true, default: value }) as const satisfies NumberField;
const spread = {
  kind: "choice",
  title: "distribution of times around their mean",
  of: SPREADS,
  default: "exponential",
} as const;
/** Shorter jobs would make events without end. */
const MIN_JOB_MS = 0.001;

export const WORKLOADS = {
  "cpu-bound": {
    jobMs: ms("CPU time of one job; the next one begins at once", MIN_JOB_MS, 1e6, 50),
    spread,
    jobs: count("how many, then it sleeps for ever; 0 for no end", 0, 1e9, 0),
  },
  "io-bound": {
    burstMs: ms("CPU time of one job", MIN_JOB_MS, 1e6, 1),
    thinkMs: ms("sleep after each job", MIN_JOB_MS, 1e6, 9),
    spread,
    jobs: count("how many, then it sleeps for ever; 0 for no end", 0, 1e9, 0),
  },
  arrivals: {
    burstMs: ms("CPU time of one job", MIN_JOB_MS, 1e6, 2),
    intervalMs: ms("time between arrivals, whether or not the jobs before are done", MIN_JOB_MS, 1e6, 20),
    batch: count("jobs that arrive together", 1, 1000, 1),
    spread,
  },
  "tick-dodger": {
    tickMs: ms("tick of the host that it avoids to be seen at", 0.1, 1000, 10),
    marginMs: ms("sleeps from so long before each tick until so long after it", MIN_JOB_MS, 10, 0.1),
  },
} as const satisfies Readonly<Record<string, FieldTable>>;

export const SCENARIO_FIELDS = {
  name: { kind: "text", title: "for reports", maxLength: 60, required: true },
  description: { kind: "text", title: "what it shows", mayBeEmpty: true, maxLength: 400, default: "" },
  pcpus: count("pCPUs", 1, MAX_PCPUS, 1),
  durationMs: ms("simulated time", 1, 3_600_000, 10_000),
  seed: count("of all random numbers", 0, 0xffffffff, 1),
  switchUs: { kind: "number", title: "cost of running another vCPU than before, us", min: 0, max: 10_000, default: 5 },
  migrationUs: {
    kind: "number",
    title: "further cost when it ran on another pCPU before, us",
    min: 0,
    max: 10_000,
    default: 20,
  },
  balanceMs: {
    kind: "number",
    title: "time between calls of the balancer, ms; 0 for none",
    min: 0,
    max: 10_000,
    default: 20,
  },
  groups: {
    kind: "list",
    title: "vCPUs that do the same",
    minItems: 1,
    maxItems: 100,
    required: true,
    of: {
      name: { kind: "text", title: "for reports", maxLength: 40, required: true },
      count: count("vCPUs", 1, MAX_VCPUS, 1),
      startMs: ms("when the first one starts", 0, 3_600_000, 0),
      staggerMs: ms("time from the start of one to that of the next", 0, 3_600_000, 0),
      parameters: { kind: "object", title: "scheduling parameters", fields: PARAMETER_FIELDS, filled: true },
      workload: { kind: "variant", title: "what they do", by: "kind", of: WORKLOADS, required: true },
    },
  },
} as const satisfies FieldTable;

type Fields = Checked<typeof SCENARIO_FIELDS>;
export type Workload = Fields["groups"][number]["workload"];
export type ScenarioGroup = Omit<Fields["groups"][number], "parameters"> & { readonly parameters: SchedParameters };
export type Scenario = Omit<Fields, "groups"> & { readonly groups: readonly ScenarioGroup[] };

/** A scenario with defaults filled in. Throws VmError("bad-config") naming the field and what is accepted. */
export function checkScenario(input: unknown): Scenario {
  const fields = checkFields(SCENARIO_FIELDS, input);
  const groups = fields.groups.map((group, i) => {
    const where = `groups[${i}].`;
    const { workload } = group;
    if (workload.kind === "tick-dodger" && 2 * workload.marginMs >= workload.tickMs)
      throw new VmError(
        "bad-config",
        `${where}workload.marginMs is ${workload.marginMs}; it takes less than half of tickMs, ${workload.tickMs}`,
        { field: `${where}workload.marginMs` },
      );
    return { ...group, parameters: checkSchedParameters(group.parameters, `${where}parameters.`) };
  });
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  if (total > MAX_VCPUS)
    throw new VmError("bad-config", `groups have ${total} vCPUs together; at most ${MAX_VCPUS} are accepted`, {
      field: "groups",
    });
  return { ...fields, groups };
}

/** The same scenario with `vcpus` in all, every group keeping its part as well as whole numbers allow, and at least one. */
export function withVcpus(scenario: Scenario, vcpus: number): Scenario {
  const { groups } = scenario;
  if (vcpus < groups.length)
    throw new VmError(
      "bad-config",
      `${vcpus} vCPUs are too few for the ${groups.length} groups of "${scenario.name}"`,
      {
        field: "vcpus",
      },
    );
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  const exact = groups.map((group) => (group.count / total) * vcpus);
  const counts = exact.map((value) => Math.max(1, Math.floor(value)));
  const byRest = exact
    .map((value, i) => [value - (counts[i] ?? 0), i] as const)
    .sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  let missing = vcpus - counts.reduce((sum, value) => sum + value, 0);
  for (let step = 0; missing > 0; step++, missing--) {
    const i = byRest[step % byRest.length]?.[1] ?? 0;
    counts[i] = (counts[i] ?? 0) + 1;
  }
  for (; missing < 0; missing++) counts[counts.indexOf(Math.max(...counts))]!--;
  return { ...scenario, groups: groups.map((group, i) => ({ ...group, count: counts[i] ?? 1 })) };
}

/** JSON Schema of a scenario file. */
export function scenarioSchema(): object {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Paravane scheduling scenario",
    ...schemaOf(SCENARIO_FIELDS),
  };
}

export const toNs = (milliseconds: number): number => milliseconds * MS;
