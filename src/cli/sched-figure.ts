// What a simulation has shown, as figures.
import { type BarPanel, figure, type LinePanel } from "../chart/figure.ts";
import type { SimResult } from "../host/sched/sim/measure.ts";
import type { Scenario } from "../host/sched/sim/scenario.ts";
import { describeRun } from "./sched-report.ts";

/** One run: CPU time over time beside the ideal, waits, completed work, cost models, delays, lags. */
export function simFigure(scenario: Scenario, result: SimResult, ideal: SimResult): string {
  const { groups } = result;
  type Point = SimResult["series"][number];
  const over = (run: SimResult, of: (point: Point) => readonly number[], g: number): [number, number][] =>
    run.series.map((point) => [point.ms / 1000, of(point)[g] ?? 0]);
  const share: LinePanel = {
    kind: "lines",
    title: "CPU time of each group; dashed: on the ideal fluid host",
    x: { label: "simulated seconds" },
    y: { label: "pCPUs" },
    lines: groups.flatMap(({ name }, g) => [
      { label: name, colour: g, points: over(result, (point) => point.pcpus, g) },
      { label: name, colour: g, dashed: true, points: over(ideal, (point) => point.pcpus, g) },
    ]),
  };
  const wait: LinePanel = {
    kind: "lines",
    title: "Waits from runnable to running: part that took at most so long",
    x: { label: "ms, logarithmic", logarithmic: true },
    y: { label: "part", max: 1 },
    lines: groups.map(({ name, waits }, g) => ({
      label: name,
      colour: g,
      steps: true,
      points: waits.map(({ ms, part }) => [ms, part]),
    })),
  };
  const work: LinePanel = {
    kind: "lines",
    title: "Completed work; dashed: on the ideal fluid host",
    x: { label: "simulated seconds" },
    y: { label: "jobs" },
    lines: groups.flatMap(({ name }, g) => [
      { label: name, colour: g, points: over(result, (point) => point.jobs, g) },
      { label: name, colour: g, dashed: true, points: over(ideal, (point) => point.jobs, g) },
    ]),
  };
  const cost: LinePanel = {
    kind: "lines",
    title: "Cost model: from arrival to end, P = a + b T",
    x: { label: "T: CPU time of a job, ms" },
    y: { label: "P, ms" },
    lines: groups.flatMap(({ name, cost: model }, g) =>
      model === undefined
        ? []
        : [
            {
              label: name,
              colour: g,
              points: [0, LONGEST_JOB_MS].map((t): [number, number] => [t, Math.max(0, model.aMs + model.b * t)]),
            },
          ],
    ),
  };
  const bars = (title: string, of: (group: SimResult["groups"][number]) => number | undefined): BarPanel => ({
    kind: "bars",
    title,
    logarithmic: true,
    bars: groups.map((group) => ({ label: group.name, value: of(group) })),
  });
  return figure({
    title: describeRun(scenario, [result.policy]),
    subtitle: scenario.description,
    columns: 2,
    panels: [
      share,
      wait,
      work,
      cost,
      bars("Mean delay of a job, ms", (group) => group.meanDelayMs),
      bars("Furthest behind the fluid share, ms", (group) => group.maxLagMs),
    ],
  });
}

const LONGEST_JOB_MS = 100;

/** All policies, a panel for each figure. */
export function compareFigure(scenario: Scenario, results: readonly SimResult[]): string {
  const bars = (title: string, of: (host: SimResult["host"]) => number | undefined, logarithmic = false): BarPanel => ({
    kind: "bars",
    title,
    logarithmic,
    bars: results.map(({ policy, host }) => ({ label: policy, value: of(host) })),
  });
  return figure({
    title: describeRun(scenario, []),
    subtitle: scenario.description,
    columns: 3,
    panels: [
      bars("Throughput, jobs/s", (host) => host.jobsPerSecond),
      bars("Utilisation, %", (host) => host.utilization * 100),
      bars("Jain's index, always busy", (host) => host.jain),
      bars("Mean delay, ms", (host) => host.meanDelayMs, true),
      bars("Wait p99, ms", (host) => host.waitMs.p99, true),
      bars("Maximum lag, ms", (host) => host.maxLagMs, true),
      bars("Switches/s", (host) => host.switchesPerSecond, true),
      bars("Migrations/s", (host) => host.migrationsPerSecond),
      bars("Price of work, b", (host) => host.cost?.b),
    ],
  });
}
