// `paravane sched sim` and `compare`: run, then print and draw.
import { writeFileSync } from "node:fs";
import { DEFAULT_POLICY, POLICY_NAMES } from "../host/sched/registry.ts";
import { fluidRun } from "../host/sched/sim/fluid-run.ts";
import type { SimResult } from "../host/sched/sim/measure.ts";
import type { Scenario } from "../host/sched/sim/scenario.ts";
import { simulate } from "../host/sched/sim/simulation.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { createProgress } from "./progress.ts";
import type { RawSimOptions } from "./sched.ts";
import { compareFigure, simFigure } from "./sched-figure.ts";
import { compareTable, describeRun, groupTable, hostTable, reportPage } from "./sched-report.ts";
import { resolveScenario } from "./sched-scenario.ts";
import { parseChoice, UsageError } from "./values.ts";

export function simVerb(nameOrFile: string, options: RawSimOptions, io: CliIo): number {
  const policy = parseChoice(options.policy ?? DEFAULT_POLICY, "--policy", POLICY_NAMES);
  const scenario = resolveScenario(nameOrFile, options);
  const ideal = fluidRun(scenario);
  const result = run(scenario, ideal, [policy], policyOptions(options.option ?? []), io)[0] as SimResult;
  const tables = [hostTable(result), groupTable(result)];
  publish(options, io, {
    json: result,
    heading: describeRun(scenario, [policy]),
    tables,
    figure: simFigure(scenario, result, ideal),
  });
  return EXIT_OK;
}

export function compareVerb(nameOrFile: string, options: RawSimOptions, io: CliIo): number {
  const wanted = options.policies?.split(",").map((name) => parseChoice(name, "--policies", POLICY_NAMES));
  const policies = wanted ?? POLICY_NAMES;
  const scenario = resolveScenario(nameOrFile, options);
  const ideal = fluidRun(scenario);
  const results = [...run(scenario, ideal, policies, {}, io), ideal];
  publish(options, io, {
    // Points of curves are many, and are those of `sim`.
    json: results.map(({ series: _series, vcpus: _vcpus, groups, ...rest }) => ({
      ...rest,
      groups: groups.map(({ waits: _waits, ...group }) => group),
    })),
    heading: describeRun(scenario, policies),
    tables: [compareTable(results)],
    figure: compareFigure(scenario, results),
  });
  return EXIT_OK;
}

function run(
  scenario: Scenario,
  ideal: SimResult,
  policies: readonly string[],
  policyOptions: object,
  io: CliIo,
): SimResult[] {
  const progress = createProgress(io.stderr);
  try {
    return policies.map((policy) =>
      simulate(scenario, {
        policy,
        policyOptions,
        ideal,
        onProgress: (done) => progress.show({ phase: `simulating ${policy}`, done, total: 1 }),
      }),
    );
  } finally {
    progress.done();
  }
}

interface Report {
  readonly json: object;
  readonly heading: string;
  readonly tables: readonly string[];
  readonly figure: string;
}

function publish({ json, svg, html }: RawSimOptions, io: CliIo, report: Report): void {
  if (svg !== undefined) write(svg, "--svg", report.figure);
  if (html !== undefined) write(html, "--html", reportPage(report.heading, report.figure, report.tables));
  io.stdout.write(json ? `${JSON.stringify(report.json)}\n` : `${[report.heading, ...report.tables].join("\n\n")}\n`);
}

function write(path: string, option: string, content: string): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^\w+: |, \w+ .*$/g, "") : String(error);
    throw new UsageError(`${option}: cannot write ${path}: ${why}`);
  }
}

/** "sliceNs=1000000" and "extraTime=false" as an object; the policy checks names and ranges. */
function policyOptions(settings: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    settings.map((setting) => {
      const [, key = "", value = ""] = /^(\w+)=(.+)$/.exec(setting) ?? [];
      if (key === "") throw new UsageError(`--option: "${setting}" is not key=value, such as sliceNs=5000000`);
      const number = Number(value);
      return [key, value === "true" || (value === "false" ? false : Number.isFinite(number) ? number : value)];
    }),
  );
}
