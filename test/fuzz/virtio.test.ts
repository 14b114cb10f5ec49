// Drivers that do anything, against every virtio device, for a fixed time: no exception, no hang, and a device that can be
// started again. `npx tsx test/fuzz/virtio/run.ts` runs longer; docs/FUZZING.md.
import { expect, it } from "vitest";
import { fuzzVirtio } from "./virtio/run.ts";

const SECONDS = 15;

it(
  "survives drivers that break every rule",
  () => {
    const counts = fuzzVirtio({ seed: 1, seconds: SECONDS });
    // The run was worth something: every kind of device, work done, and rules broken.
    expect(counts.cases).toBeGreaterThan(16);
    expect(counts.chains).toBeGreaterThan(counts.cases * 100);
    expect(counts.faults).toBeGreaterThan(counts.cases);
  },
  SECONDS * 1000 + 60_000,
);
