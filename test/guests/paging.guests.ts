// Debian's stock kernel, modules and all, under shadow paging: it does what it does under direct paging, to the instruction.
import { expect, it } from "vitest";
import { newWarnings } from "./kernel-log.ts";
import { ensureImage, expectPassed, type GuestRun, runLinux } from "./linux-guest.ts";

it("the stock kernel executes the same instructions and ends in the same state under shadow and direct paging", {
  timeout: 1_800_000,
}, async () => {
  await ensureImage("linux");
  const run = (paging: "direct" | "shadow"): Promise<GuestRun> =>
    runLinux({ image: "linux", script: "basics.sh", hash: true, config: { paging, paravirt: [], timeoutMs: 800_000 } });
  const direct = await run("direct");
  const shadow = await run("shadow");
  for (const { console } of [direct, shadow]) expect(newWarnings(console, "stock")).toEqual([]);
  expectPassed(shadow, 40);
  expect(shadow.console).toBe(direct.console);
  expect(shadow.statistics.instructions).toBe(direct.statistics.instructions);
  expect(shadow.stateHash).toBe(direct.stateHash);
  expect(shadow.statistics.exits["page-table-write"]).toBeGreaterThan(0);
});
