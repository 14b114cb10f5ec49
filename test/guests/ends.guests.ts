// Every way that Linux ends or restarts a machine.
import { beforeAll, describe, expect, it } from "vitest";
import { type ExitStatus, Vm } from "../../src/index.ts";
import { ensureImage, linuxBoot, runLinux } from "./linux-guest.ts";

beforeAll(() => ensureImage("linux"));

describe("Debian's kernel ends", () => {
  it.each<[string, ExitStatus]>([
    ["kbd", { kind: "reset", cause: "keyboard-controller" }],
    ["pci", { kind: "reset", cause: "port-cf9" }],
  ])("by a reset through reboot=%s", async (way, status) => {
    const append = `quiet paravane.end=reboot reboot=${way}`;
    const run = await runLinux({ image: "linux", script: "short.sh", append, config: { onReset: "exit" } });
    expect(run.status).toEqual(status);
  });

  it("by a triple fault through reboot=triple", async () => {
    const append = "quiet paravane.end=reboot reboot=triple";
    const run = await runLinux({ image: "linux", script: "short.sh", append });
    expect(run.status.kind).toBe("triple-fault");
  });

  it("by a halt, which is a machine that waits for ever", async () => {
    const { boot, memoryBytes } = await linuxBoot({ image: "linux", script: "short.sh", append: "paravane.end=halt" });
    await using vm = await Vm.create({ boot, memoryBytes: memoryBytes!, clock: "virtual", timeoutMs: 600_000 });
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
    await using vm = await Vm.create({ boot, memoryBytes: memoryBytes!, clock: "virtual", timeoutMs: 600_000 });
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
