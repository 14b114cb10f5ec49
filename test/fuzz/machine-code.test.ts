// Random machine code in every mode for a fixed time: no trap of the host, no hang, nothing touched outside the guest, and
// the same end however the run is sliced. `npm run fuzz` runs longer; docs/FUZZING.md.
import { expect, it } from "vitest";
import { describeFailure, fuzz } from "./machine-code/run.ts";
import { MODES, PAGINGS } from "./machine-code/setup.ts";

const SECONDS = 50;

it(
  "survives random machine code",
  async () => {
    const report = await fuzz({ seed: 1, seconds: SECONDS, failures: 3 });
    expect(report.failures.map(describeFailure)).toEqual([]);
    // the run was worth something: enough cases, every mode, most of them compared
    expect(report.cases).toBeGreaterThan(500);
    expect(report.instructions).toBeGreaterThan(report.cases * 200);
    expect(report.incomparable).toBeLessThan(report.cases / 2);
    for (const mode of MODES) {
      const pagings = mode === "real" || mode === "unreal" ? ["none"] : PAGINGS;
      for (const paging of pagings) expect(report.modes[`${mode}, ${paging}`], `${mode}, ${paging}`).toBeGreaterThan(0);
    }
  },
  SECONDS * 1000 + 90_000,
);
