// The phases in which `paravane bench clock` compares a guest's clocks with the host's: idle, loaded, eight busy guests on
// one pCPU, after a pause, after a restore.
import { loadPlatform, type Platform } from "../../platform/platform.ts";
import { MemorySnapshots } from "../../snapshot/store.ts";
import { CLOCK_SYNC_MODES, type ClockSyncMode } from "../../vmm/config.ts";
import { Pcpu } from "../pcpu.ts";
import { DEFAULT_PARAMETERS } from "../sched/parameters.ts";
import { createPolicy, DEFAULT_POLICY, type PolicyName } from "../sched/registry.ts";
import { type Accuracy, accuracy } from "./accuracy.ts";
import { CLOCK_SOURCES, ClockProbe, type ClockSource } from "./probe.ts";

/** What the probe can show: it has no network to ask for the time. */
export const PROBE_SYNC_MODES = CLOCK_SYNC_MODES.filter((mode) => mode !== "ntp");

export const PHASES = ["idle", "loaded", "overcommitted", "after pause", "after restore"] as const;
export type ClockPhase = (typeof PHASES)[number];

/** VMs that share one pCPU while overcommitted. */
const OVERCOMMIT = 8;
/** Below the step threshold: a clock with "slew" makes up for it. Above it: it is set forward. */
const PAUSE_MS = 100;
const RESTORE_GAP_MS = 1000;
export const EPSILON_NS = 1e6;
/** A sample that took longer between the host's two looks says nothing to a millisecond: the host was busy elsewhere. */
const DISTURBED_NS = 200e3;

/**
 * A phase goes on until it has so many samples that say something, up to LONGEST times its time: a vCPU that gets an
 * eighth of a busy host answers seldom.
 */
const SAMPLES_MIN = 100;
const LONGEST = 10;

export interface ClockBenchOptions {
  readonly image: Uint8Array;
  readonly mode: ClockSyncMode;
  readonly secondsPerPhase: number;
  readonly policy?: PolicyName;
  readonly onPhase?: (phase: ClockPhase) => void;
}

export interface PhaseResult {
  readonly mode: ClockSyncMode;
  readonly phase: ClockPhase;
  readonly source: ClockSource;
  readonly accuracy: Accuracy;
  /** Samples left out because the host was busy elsewhere while they were taken. */
  readonly disturbed: number;
}

/** Runs all phases with one way of following the host. */
export async function runClockPhases(options: ClockBenchOptions): Promise<PhaseResult[]> {
  const platform = await loadPlatform();
  const pcpu = new Pcpu(platform, createPolicy(options.policy ?? DEFAULT_POLICY));
  const results: PhaseResult[] = [];
  const others: ClockProbe[] = [];
  const create = async (id: number): Promise<ClockProbe> =>
    await ClockProbe.create({
      image: options.image,
      clockSync: options.mode,
      executor: pcpu.add(id, DEFAULT_PARAMETERS),
      name: `clock${id}`,
    });
  const probe = await create(0);
  /** What the phase begins with; the host's date, ms, when the guest goes on. */
  const begin = async (phase: ClockPhase): Promise<number> => {
    if (phase === "after restore") {
      const store = new MemorySnapshots();
      await probe.save(store);
      pcpu.remove(0);
      await wait(platform, RESTORE_GAP_MS);
      probe.samples.length = 0;
      const now = platform.wallMs();
      await probe.restore(store, pcpu.add(0, DEFAULT_PARAMETERS));
      return now;
    }
    if (phase === "after pause") {
      await probe.vm.pause();
      await wait(platform, PAUSE_MS);
    }
    probe.samples.length = 0;
    const now = platform.wallMs();
    if (phase === "after pause") probe.vm.resume();
    return now;
  };
  try {
    probe.start();
    // What follows the start is not of the first phase.
    await wait(platform, 300);
    for (const phase of PHASES) {
      options.onPhase?.(phase);
      probe.spins = phase === "loaded" || phase === "overcommitted";
      if (phase === "overcommitted") {
        while (others.length < OVERCOMMIT - 1) {
          const other = await create(others.length + 1);
          others.push(other);
          other.spins = true;
          other.start();
        }
      } else await stopAll(others.splice(0), pcpu);
      const began = await begin(phase);
      const usable = await sampled(platform, probe, options.secondsPerPhase * 1000);
      const disturbed = probe.samples.length - usable.length;
      for (const source of CLOCK_SOURCES) {
        const errors = usable.map(({ hostMs, errorNs }) => ({
          atMs: hostMs - began,
          errorNs: errorNs[source],
        }));
        results.push({ mode: options.mode, phase, source, accuracy: accuracy(errors, EPSILON_NS), disturbed });
      }
    }
  } finally {
    await stopAll([probe, ...others], pcpu);
    pcpu.close();
  }
  return results;
}

/** What a probe answered in so much time, longer where that is too little, without what says nothing. */
async function sampled(platform: Platform, probe: ClockProbe, ms: number): Promise<ClockProbe["samples"]> {
  const usable = () => probe.samples.filter(({ uncertainNs }) => uncertainNs <= DISTURBED_NS);
  await wait(platform, ms);
  for (let times = 1; times < LONGEST && usable().length < SAMPLES_MIN; times++) await wait(platform, ms);
  return usable();
}

async function stopAll(probes: readonly ClockProbe[], pcpu: Pcpu): Promise<void> {
  for (const probe of probes) {
    await probe.vm.stop();
    pcpu.remove(Number(probe.vm.name.slice("clock".length)));
  }
}

async function wait(platform: Platform, ms: number): Promise<void> {
  await platform.sleep(ms).done;
}
