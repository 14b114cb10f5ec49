// The scenarios that come with Paravane: each asks one question of a scheduler.
import { checkScenario, type Scenario } from "./scenario.ts";

const MS = 1e6;

const SCENARIOS: readonly object[] = [
  {
    name: "cpu-bound",
    description: "always busy, weights 1:2:4 on 4 pCPUs: do shares hold?",
    pcpus: 4,
    groups: [
      { name: "weight 256", count: 4, parameters: { weight: 256 }, workload: { kind: "cpu-bound" } },
      { name: "weight 512", count: 4, parameters: { weight: 512 }, workload: { kind: "cpu-bound" } },
      { name: "weight 1024", count: 4, parameters: { weight: 1024 }, workload: { kind: "cpu-bound" } },
    ],
  },
  {
    name: "io-bound",
    description: "short bursts and sleeps, two thirds of the host used: how long is the wait?",
    pcpus: 4,
    groups: [
      { name: "quick", count: 20, workload: { kind: "io-bound", burstMs: 0.5, thinkMs: 9.5 } },
      { name: "slow", count: 14, workload: { kind: "io-bound", burstMs: 5, thinkMs: 35 } },
    ],
  },
  {
    name: "bursty",
    description: "heavy-tailed jobs that come in batches, 70% load: do short ones wait for long ones?",
    pcpus: 4,
    groups: [
      {
        name: "batches",
        count: 16,
        workload: { kind: "arrivals", burstMs: 5, intervalMs: 160, batch: 4, spread: "exponential" },
      },
      { name: "tails", count: 8, workload: { kind: "io-bound", burstMs: 4, thinkMs: 30, spread: "pareto" } },
    ],
  },
  {
    name: "adversarial",
    description: "guests that sleep over ticks or wake without end to be boosted, beside honest ones: do they gain?",
    pcpus: 2,
    groups: [
      { name: "honest", count: 4, workload: { kind: "cpu-bound" } },
      { name: "interactive", count: 4, workload: { kind: "io-bound", burstMs: 0.5, thinkMs: 19.5 } },
      { name: "tick-dodger", count: 2, workload: { kind: "tick-dodger" } },
      {
        name: "waker",
        count: 2,
        workload: { kind: "io-bound", burstMs: 0.9, thinkMs: 0.02, spread: "constant" },
      },
    ],
  },
  {
    name: "mixed",
    description: "a host as it is: hogs, capped ones, servers, interactive guests, more than fits",
    pcpus: 4,
    groups: [
      { name: "batch", count: 4, parameters: { weight: 128, priority: 120 }, workload: { kind: "cpu-bound" } },
      { name: "capped", count: 4, parameters: { capPercent: 25 }, workload: { kind: "cpu-bound" } },
      {
        name: "server",
        count: 8,
        parameters: { weight: 512, priority: 90 },
        workload: { kind: "arrivals", burstMs: 3, intervalMs: 20 },
      },
      {
        name: "interactive",
        count: 16,
        parameters: { priority: 80 },
        workload: { kind: "io-bound", burstMs: 1, thinkMs: 99 },
      },
    ],
  },
  {
    name: "boot-storm",
    description:
      "64 guests boot at once beside running servers: how long does it take, and what do the servers notice?",
    pcpus: 8,
    durationMs: 20_000,
    groups: [
      {
        name: "server",
        count: 8,
        parameters: { weight: 1024, priority: 80 },
        workload: { kind: "io-bound", burstMs: 2, thinkMs: 8 },
      },
      {
        name: "booting",
        count: 64,
        startMs: 1000,
        staggerMs: 5,
        workload: { kind: "io-bound", burstMs: 20, thinkMs: 4, jobs: 60 },
      },
    ],
  },
  {
    name: "realtime",
    description: "reservations that take 80% of two pCPUs beside hogs: are their jobs done in time?",
    pcpus: 2,
    groups: [
      {
        name: "audio",
        count: 4,
        parameters: { priority: 0, weight: 1024, realtime: { periodNs: 5 * MS, budgetNs: MS } },
        workload: { kind: "arrivals", burstMs: 0.8, intervalMs: 5, spread: "constant" },
      },
      {
        name: "video",
        count: 2,
        parameters: { priority: 10, weight: 1024, realtime: { periodNs: 40 * MS, budgetNs: 16 * MS } },
        workload: { kind: "arrivals", burstMs: 14, intervalMs: 40, spread: "constant" },
      },
      { name: "hog", count: 4, workload: { kind: "cpu-bound" } },
    ],
  },
  {
    name: "large",
    description: "10,000 vCPUs on 256 pCPUs: does it scale?",
    pcpus: 256,
    durationMs: 1000,
    groups: [
      { name: "busy", count: 1000, workload: { kind: "cpu-bound" } },
      { name: "sleepy", count: 9000, workload: { kind: "io-bound", burstMs: 1, thinkMs: 199 } },
    ],
  },
];

export const BUILT_IN_SCENARIOS: readonly Scenario[] = SCENARIOS.map(checkScenario);
