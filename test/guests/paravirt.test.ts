// Debian's stock kernel as KVM's guest, and the same kernel told to be nobody's: what it finds, uses and counts.
import { beforeAll, describe, expect, it } from "vitest";
import { ensureImage, expectPassed } from "./linux-guest.ts";
import { bootParavirt, type Seen, STEAL_NS, WALL_SECONDS } from "./paravirt.ts";

const MINUTES = 60_000;

describe("Debian's kernel under KVM's interface", () => {
  let all: Seen;
  beforeAll(async () => {
    await ensureImage("linux");
    all = await bootParavirt("");
  }, 6 * MINUTES);

  it("finds KVM and uses its clock", () => {
    expectPassed(all.run, 1);
    expect(all.run.console).toContain("Hypervisor detected: KVM");
    expect(all.run.console).toContain("kvm-clock: Using msrs 4b564d01 and 4b564d00");
    expect(all.run.console).toContain("Booting paravirtualized kernel on KVM");
    expect(all.line("clocksources")?.split(" ")).toContain("kvm-clock");
    expect(all.enabled).toEqual({ clock: true, wall: true, steal: true, eoi: true });
  });

  it("takes the date from the wall clock", () => {
    expect(Number(all.line("epoch")) - WALL_SECONDS).toBeGreaterThanOrEqual(0);
    expect(Number(all.line("epoch")) - WALL_SECONDS).toBeLessThan(10);
  });

  it("ends interrupts by the shared bit", () => {
    expect(all.eoiOffered).toBe(true);
  });

  it("counts in /proc/stat exactly the steal time that the host added", () => {
    expect(all.line("steal before")).toBe("0");
    expect(all.line("steal after")).toBe(String(STEAL_NS / 1e7));
  });

  it(
    "is nobody's guest with nopv, and runs the same script",
    async () => {
      const nopv = await bootParavirt("nopv");
      expectPassed(nopv.run, 1);
      expect(nopv.run.console).not.toContain("Booting paravirtualized kernel on KVM");
      expect(nopv.line("clocksources")?.split(" ")).not.toContain("kvm-clock");
      expect(nopv.enabled).toEqual({ clock: false, wall: false, steal: false, eoi: false });
      expect(nopv.line("steal after")).toBe("0");
    },
    3 * MINUTES,
  );
});
