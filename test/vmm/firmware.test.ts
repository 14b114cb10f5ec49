// An unmodified PC firmware on our chipset: SeaBIOS as Debian ships it (package seabios).
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Vm } from "../../src/index.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";

describe.skipIf(!existsSync(SEABIOS))("SeaBIOS", () => {
  it("finds memory, PCI, keyboard and serial port, asks for a disk, and resets after its minute of waiting", async () => {
    const boot = { kind: "firmware", image: new Uint8Array(readFileSync(SEABIOS)) } as const;
    await using vm = await Vm.create({
      memoryBytes: 64 << 20,
      clock: "virtual",
      boot,
      onReset: "exit",
      timeoutMs: 25_000,
    });
    let log = "";
    let screen = "";
    vm.on("debugcon", ({ bytes }) => (log += new TextDecoder().decode(bytes)));
    vm.on("serial", ({ bytes }) => (screen += new TextDecoder().decode(bytes)));
    vm.start();
    expect(await vm.exited).toMatchObject({ kind: "reset" });
    expect(log).toContain("Running on QEMU (i440fx)");
    expect(log).toContain("QEMU fw_cfg DMA interface supported");
    expect(log).toContain("Found 4 PCI devices");
    expect(log).toContain("PS2 keyboard initialized");
    expect(log).toMatch(/0000000000100000 - 0000000003ff[0-9a-f]{4} = 1 RAM/);
    expect(log + screen).toContain("No bootable device");
    expect(vm.statistics().guestSeconds).toBeGreaterThan(60);
  });
});
