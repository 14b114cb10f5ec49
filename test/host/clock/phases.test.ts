// The promise of `paravane bench clock`, with short phases: a guest that reads kvm-clock is within a millisecond of the host.
import { expect, it } from "vitest";
import { clockRom } from "../../../src/cli/bench-clock.ts";
import { EPSILON_NS, PHASES, type PhaseResult, runClockPhases } from "../../../src/host/clock/phases.ts";

const LIMIT_MS = 120_000;
const of = (results: readonly PhaseResult[], phase: string, source: string): PhaseResult =>
  results.find((result) => result.phase === phase && result.source === source) as PhaseResult;

it("kvm-clock follows the host to a millisecond: idle, loaded, 8 times overcommitted, after pause and restore", {
  timeout: LIMIT_MS,
}, async () => {
  const results = await runClockPhases({ image: await clockRom(), mode: "auto", secondsPerPhase: 1.5 });
  for (const phase of PHASES) {
    const { accuracy } = of(results, phase, "kvm-clock");
    expect(accuracy.samples, phase).toBeGreaterThan(0);
    expect(accuracy.p99Ns, phase).toBeLessThan(EPSILON_NS);
    expect(accuracy.withinEpsilon, phase).toBe(1);
  }
  // A count of ticks is what a clock is without any of this; or the overcommitted phase overcommitted nothing.
  expect(of(results, "overcommitted", "ticks").accuracy.maxNs).toBeGreaterThan(100 * EPSILON_NS);
});

it("a clock that hides pauses stays behind by them, and one that slews comes back", { timeout: LIMIT_MS }, async () => {
  const image = await clockRom();
  const hidden = await runClockPhases({ image, mode: "hide-pauses", secondsPerPhase: 1 });
  expect(of(hidden, "after pause", "kvm-clock").accuracy.meanNs).toBeGreaterThan(100e6);
  expect(of(hidden, "after restore", "kvm-clock").accuracy.meanNs).toBeGreaterThan(1100e6);
  const slewed = await runClockPhases({ image, mode: "slew", secondsPerPhase: 1.5 });
  const { maxNs, latencyMs } = of(slewed, "after pause", "tsc").accuracy;
  expect(maxNs).toBeGreaterThan(10 * EPSILON_NS);
  // 100 ms at one and a half times the host's pace
  expect(latencyMs).toBeGreaterThan(150);
  expect(latencyMs).toBeLessThan(1400);
});
