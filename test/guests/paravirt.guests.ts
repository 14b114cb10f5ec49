// Debian's stock kernel on machines that offer no part of KVM's interface, or one alone.
import { beforeAll, describe, expect, it } from "vitest";
import { ensureImage, expectPassed } from "./linux-guest.ts";
import { bootParavirt, STEAL_NS } from "./paravirt.ts";

describe("Debian's kernel under parts of KVM's interface", () => {
  beforeAll(async () => await ensureImage("linux"));

  it("finds no hypervisor where the machine offers none", async () => {
    const none = await bootParavirt("", { paravirt: [] });
    expectPassed(none.run, 1);
    expect(none.run.console).not.toContain("Hypervisor detected");
    expect(none.enabled).toEqual({ clock: false, wall: false, steal: false, eoi: false });
  });

  it.each([
    ["clock", { clock: true, wall: true, steal: false, eoi: false }],
    ["steal", { clock: false, wall: false, steal: true, eoi: false }],
    ["eoi", { clock: false, wall: false, steal: false, eoi: true }],
    ["no-io-delay", { clock: false, wall: false, steal: false, eoi: false }],
  ] as const)("uses %s alone where it is offered alone", async (name, expected) => {
    const one = await bootParavirt("", { paravirt: [name], cpu: "max,-invtsc" });
    expectPassed(one.run, 1);
    expect(one.enabled).toEqual(expected);
    expect(one.eoiOffered).toBe(expected.eoi);
    expect(one.line("steal after")).toBe(expected.steal ? String(STEAL_NS / 1e7) : "0");
    if (name === "clock") expect(one.line("clocksource")).toBe("kvm-clock");
  });
});
