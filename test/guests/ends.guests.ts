// Every way that Linux ends or restarts a machine.
import { beforeAll, describe, expect, it } from "vitest";
import { Vm } from "../../src/index.ts";
import { ensureImage, linuxBoot, runLinux } from "./linux-guest.ts";

beforeAll(() => ensureImage("linux"));

describe("Debian's kernel ends", () => {
  it.each([
    ["acpi", "acpi"],
    ["kbd", "keyboard-controller"],
    ["pci", "port-cf9"],
    ["triple", "core"],
  ])("by a reset through reboot=%s", async (way) => {
    const run = await runLinux({
      image: "linux",
      script: "short.sh",
      append: `quiet paravane.end=reboot reboot=${way}`,
      config: { onReset: "exit" },
    });
    const expected = { acpi: ["acpi", "port-cf9"], kbd: ["keyboard-controller"], pci: ["port-cf9"] }[way];
    if (way === "triple") expect(run.status.kind).toBe("triple-fault");
    else expect(expected).toContain((run.status as { cause?: string }).cause);
  });

  it("by a halt, which is a machine that waits for ever", async () => {
    const { boot, memoryBytes } = await linuxBoot({ image: "linux", script: "short.sh", append: "paravane.end=halt" });
    await using vm = await Vm.create({ boot, memoryBytes: memoryBytes!, clock: "virtual", timeoutMs: 200_000 });
    let console = "";
    const halted = new Promise<void>((resolve) => {
      vm.on("serial", ({ bytes }) => {
        console += new TextDecoder().decode(bytes);
        if (console.includes("reboot: System halted")) resolve();
      });
    });
    vm.start();
    await Promise.race([halted, vm.exited]);
    expect(console).toContain("reboot: System halted");
  });

  it("and begins again after a reset that the machine takes", async () => {
    const { boot, memoryBytes } = await linuxBoot({
      image: "linux",
      script: "short.sh",
      append: "quiet paravane.end=reboot",
    });
    await using vm = await Vm.create({ boot, memoryBytes: memoryBytes!, clock: "virtual", timeoutMs: 250_000 });
    let console = "";
    const twice = new Promise<void>((resolve) => {
      vm.on("serial", ({ bytes }) => {
        console += new TextDecoder().decode(bytes);
        if (console.split("PASS: a pipe").length === 3) resolve();
      });
    });
    vm.start();
    await Promise.race([twice, vm.exited]);
    expect(console.split("PASS: a pipe")).toHaveLength(3);
    expect(vm.statistics().resets).toBe(1);
  });
});
