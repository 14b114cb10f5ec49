// The clock of Debian's kernel beside the host's, before and after a pause: kvm-clock, and the TSC where the guest knows
// nothing of KVM.
import { beforeAll, describe, expect, it } from "vitest";
import type { ClockSyncMode, VmState } from "../../src/index.ts";
import { ensureImage, expectPassed, type GuestRun, runLinux } from "./linux-guest.ts";

const PAUSE_MS = 1500;
/** From reading the clock in the guest until its line is here, on a busy host; and the clock's hundredths. */
const LINE_MS = 300;

interface Uptimes {
  readonly run: GuestRun;
  /** Least lag of the guest's clock behind the host's, ms, before and after the pause: the line that was least delayed. */
  readonly before: number;
  readonly after: number;
}

async function compare(clockSync: ClockSyncMode, append: string): Promise<Uptimes> {
  const lags: { before: number[]; after: number[] } = { before: [], after: [] };
  let list = lags.before;
  const run = await runLinux({
    image: "linux",
    script: "uptime.sh",
    append,
    config: { clock: "real", clockSync, cpu: "max,-invtsc" },
    during: async (vm) => {
      let text = "";
      const tenth = new Promise<void>((resolve) => {
        vm.on("serial", ({ bytes }) => {
          text += new TextDecoder().decode(bytes);
          for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
            const uptime = /^uptime: (\d+\.\d+)/.exec(text.slice(0, end));
            text = text.slice(end + 1);
            if (uptime !== null) list.push(performance.now() - Number(uptime[1]) * 1000);
            if (list.length === 10) resolve();
          }
        });
      });
      await Promise.race([tenth, vm.exited]);
      if ((vm.state as VmState) !== "running") return;
      await vm.pause();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      list = lags.after;
      vm.resume();
    },
  });
  return { run, before: Math.min(...lags.before), after: Math.min(...lags.after) };
}

describe("the clock of Debian's kernel", () => {
  beforeAll(async () => await ensureImage("linux"));

  it.each([
    ["kvm-clock", "auto", ""],
    ["tsc", "auto", "nopv"],
    ["tsc", "follow", "nopv"],
  ] as const)("by %s is the host's again after a pause, with %s", async (source, mode, append) => {
    const { run, before, after } = await compare(mode, append);
    expectPassed(run, 1);
    if (source === "kvm-clock") expect(run.console).toContain("clocksource: kvm-clock");
    else expect(run.console).not.toContain("clocksource: kvm-clock");
    expect(run.console).not.toMatch(/soft lockup|clocksource: .*unstable|rcu.*stall/i);
    expect(Math.abs(after - before)).toBeLessThan(LINE_MS);
  });

  it("stays behind by the pause that its clock hides", async () => {
    const { run, before, after } = await compare("hide-pauses", "");
    expectPassed(run, 1);
    expect(Math.abs(after - before - PAUSE_MS)).toBeLessThan(LINE_MS);
  });
});
