// `paravane sched policies`, `scenarios`, `schema`: what there is.
import { type FieldTable, schemaOf } from "../host/fields.ts";
import { POLICIES, type PolicyInfo } from "../host/sched/registry.ts";
import { BUILT_IN_SCENARIOS } from "../host/sched/sim/built-in.ts";
import { scenarioSchema } from "../host/sched/sim/scenario.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { builtInScenario } from "./sched-scenario.ts";
import { formatTable } from "./table.ts";

export function listPolicies(json: boolean, io: CliIo): number {
  const policies: [string, PolicyInfo][] = Object.entries(POLICIES);
  if (json) {
    const list = policies.map(([name, { description, options }]) => ({
      name,
      description,
      options: schemaOf(options),
    }));
    io.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
    return EXIT_OK;
  }
  const width = Math.max(...policies.map(([name]) => name.length));
  for (const [name, { description, options }] of policies) {
    io.stdout.write(`${name.padEnd(width)}  ${description}\n`);
    for (const line of optionLines(options)) io.stdout.write(`${" ".repeat(width + 4)}${line}\n`);
  }
  return EXIT_OK;
}

/** "sliceNs=5000000  longest run..., ns (100000 to 1000000000)". */
function optionLines(options: FieldTable): string[] {
  const rows = Object.entries(options).map(([name, field]) => [
    `${name}=${"default" in field ? field.default : ""}`,
    `${field.title}${field.kind === "number" ? ` (${field.min} to ${field.max})` : ""}`,
  ]);
  const width = Math.max(...rows.map(([setting = ""]) => setting.length));
  return rows.map(([setting = "", title = ""]) => `${setting.padEnd(width)}  ${title}`);
}

export function listScenarios(name: string | undefined, json: boolean, io: CliIo): number {
  if (name !== undefined) io.stdout.write(`${JSON.stringify(builtInScenario(name), null, 2)}\n`);
  else if (json) io.stdout.write(`${JSON.stringify(BUILT_IN_SCENARIOS, null, 2)}\n`);
  else {
    const rows = BUILT_IN_SCENARIOS.map((scenario) => [
      scenario.name,
      scenario.groups.reduce((sum, group) => sum + group.count, 0),
      scenario.pcpus,
      scenario.description,
    ]);
    io.stdout.write(`${formatTable(["scenario", "vCPUs", "pCPUs", "what it asks"], rows)}\n`);
  }
  return EXIT_OK;
}

export function printSchema(io: CliIo): number {
  io.stdout.write(`${JSON.stringify(scenarioSchema(), null, 2)}\n`);
  return EXIT_OK;
}
