// Debian's stock kernel, unmodified, on the virtual clock: a shell script's worth of Linux, the kernel's own complaints,
// the same run twice, the kernel that unpacks itself, and the ways to end.
import { beforeAll, describe, expect, it } from "vitest";
import type { VmState } from "../../src/index.ts";
import { newWarnings } from "./kernel-log.ts";
import { ensureImage, expectPassed, type GuestRun, runLinux } from "./linux-guest.ts";

const MINUTES = 60_000;

describe("Debian's kernel", () => {
  let first: GuestRun;
  beforeAll(async () => {
    await ensureImage("linux");
    first = await runLinux({ image: "linux", script: "basics.sh", hash: true });
  }, 6 * MINUTES);

  it("runs files, pipes, processes, signals and floating point, and powers off by ACPI", () => {
    expectPassed(first, 40);
    expect(first.console).toContain("reboot: Power down");
  });

  it("warns of nothing that it does not warn of under QEMU", () => {
    expect(newWarnings(first.console, "stock")).toEqual([]);
  });

  it(
    "retires the same instructions and ends in the same state when it runs again, whatever the host does meanwhile",
    async () => {
      const again = await runLinux({
        image: "linux",
        script: "basics.sh",
        hash: true,
        // The host's moments must not show in the guest: it is stopped and started at times that no two runs share.
        during: async (vm) => {
          for (let n = 0; n < 20 && vm.state === "running"; n++) {
            await new Promise((resolve) => setTimeout(resolve, 20 + 100 * Math.random()));
            if (vm.state !== "running") return;
            await vm.pause();
            // It may have ended instead.
            if ((vm.state as VmState) === "paused") vm.resume();
          }
        },
      });
      expect(again.console).toBe(first.console);
      expect(again.statistics.instructions).toBe(first.statistics.instructions);
      expect(again.stateHash).toBe(first.stateHash);
    },
    5 * MINUTES,
  );

  it(
    "unpacks itself when the host does not, and reboots when told to",
    async () => {
      const run = await runLinux({
        image: "linux",
        script: "short.sh",
        append: "paravane.end=reboot",
        config: { onReset: "exit" },
        guestDecompress: true,
      });
      expectPassed(run, 1, "reset");
      expect(run.console).toContain("reboot: machine restart");
      // Unpacking 30 MB of XZ is work that the host's decompressor did in the other runs.
      expect(run.statistics.instructions).toBeGreaterThan(500e6);
    },
    5 * MINUTES,
  );

  it(
    "finds its interrupts by the MultiProcessor tables when it must do without ACPI",
    async () => {
      const append = "acpi=off paravane.end=reboot";
      const run = await runLinux({ image: "linux", script: "interrupts.sh", append, config: { onReset: "exit" } });
      expectPassed(run, 5, "reset");
    },
    5 * MINUTES,
  );
});
