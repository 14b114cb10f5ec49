// The same guests under every way of virtualizing memory: they cannot tell which it is.
import { beforeAll, describe, expect, it } from "vitest";
import type { VmConfig } from "../../src/index.ts";
import { ensureImage, expectPassed, type GuestRun, runLinux } from "./linux-guest.ts";
import { runUnderParavane, systemRoms } from "./roms.ts";

const MINUTES = 60_000;
/** ROMs in which page tables, or what the full set of controls traps, have a part. */
const ROMS = ["paging", "exceptions", "tasks", "smc", "vm86", "segments", "apic", "irq", "debug", "cpuid", "sysenter"];
const WAYS: readonly Partial<VmConfig>[] = [{ paging: "shadow" }, { virt: "full" }, { virt: "para" }];

describe.each(WAYS)("ROMs under %o", (way) => {
  const roms = systemRoms().filter(({ name }) => ROMS.includes(name.replace("test-", "")));

  it("are as many as named", () => {
    expect(roms.length).toBe(ROMS.length);
  });

  it.each(roms)("$name passes", { timeout: 90_000 }, async (rom) => {
    const run = await runUnderParavane(rom, way);
    expect(run.text.split("\n").filter((line) => /^(FAIL|SKIP)/.test(line))).toEqual([]);
    expect(run.verdicts.size).toBe(rom.checks);
  });
});

describe("an unmodified Linux", () => {
  const runs = new Map<string, GuestRun>();
  const boot = async (config: Partial<VmConfig>): Promise<GuestRun> =>
    await runLinux({ image: "linux-tiny", script: "short.sh", hash: true, config: { paravirt: "all", ...config } });

  beforeAll(async () => {
    await ensureImage("linux-tiny");
    for (const paging of ["direct", "shadow", "para"] as const) runs.set(paging, await boot({ paging, paravirt: [] }));
    runs.set("full", await boot({ virt: "full", paravirt: [] }));
  }, 6 * MINUTES);

  it.each(["direct", "shadow", "para", "full"])("passes its script under %s", (way) => {
    expectPassed(runs.get(way) as GuestRun, 1);
  });

  it.each(["shadow", "para"])(
    "under %s executes the same instructions, says the same, and ends in the same state as under direct paging",
    (way) => {
      const direct = runs.get("direct") as GuestRun;
      const run = runs.get(way) as GuestRun;
      expect(run.console).toBe(direct.console);
      expect(run.statistics.instructions).toBe(direct.statistics.instructions);
      expect(run.stateHash).toBe(direct.stateHash);
    },
  );

  it("exits under shadow paging for page tables, and under direct paging does not", () => {
    const direct = (runs.get("direct") as GuestRun).statistics.exits;
    const shadow = (runs.get("shadow") as GuestRun).statistics.exits;
    const reasons = ["page-table-write", "shadow-fill", "shadow-dirty", "page-fault", "cr3-load", "invlpg"];
    for (const reason of reasons) {
      expect(direct[reason]).toBeUndefined();
      expect(shadow[reason], reason).toBeGreaterThan(0);
    }
    // Everything else is as it was, but for how the host cut the run into slices.
    const others = (exits: Readonly<Record<string, number>>): [string, number][] =>
      Object.entries(exits).filter(([reason]) => !reasons.includes(reason) && reason !== "budget");
    expect(others(shadow)).toEqual(others(direct));
  });

  it("exits under the full set for what each control traps", () => {
    const { exits } = (runs.get("full") as GuestRun).statistics;
    for (const reason of ["rdtsc", "cpuid", "descriptor-access", "interrupt-window"])
      expect(exits[reason], reason).toBeGreaterThan(0);
  });
});
